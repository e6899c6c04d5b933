"""``python -m tests.simulation --seed 7 [--scheme NAME] [--runs N]``: play runs again."""

from __future__ import annotations

import argparse
import time

from tests.simulation.plain import CLAIMED
from tests.simulation.running import modelled, seeded
from tests.simulation.schemes import RIGHT, ROCKS
from tests.simulation.wrong import WRONG


def main() -> int:
    """Play; exit 1 where something was wrong."""
    schemes = {scheme.name: scheme for scheme in (RIGHT, ROCKS, CLAIMED, *WRONG)}
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--scheme", choices=sorted(schemes), default=RIGHT.name)
    parser.add_argument("--trace", action="store_true", help="print it also when all is right")
    given = parser.parse_args()
    began = time.perf_counter()
    with modelled():
        for seed in range(given.seed, given.seed + given.runs):
            found = seeded(seed, schemes[given.scheme])
            if given.trace or found.violation:
                print("\n".join(found.trace))
            if found.violation:
                print(f"seed {seed}, scheme {given.scheme}: {found.violation}")
                return 1
    seconds = time.perf_counter() - began
    print(f"{given.runs} runs, all right, {given.runs / seconds * 60:,.0f} a minute")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
