"""Fuzz for longer: ``python -m tests.fuzz --count 1000000 --seed 7 [NAME ...]``."""

from __future__ import annotations

import argparse
import time

from tests.fuzz.decoders import DECODERS
from tests.fuzz.running import decode_many, guard_many, inputs


def main() -> None:
    """Run each decoder and each topic's guard, or those that are named; a line for each."""
    topics = {topic.name: topic for topic in inputs()}
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[*DECODERS, *topics, []], metavar="NAME")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    asked = parser.parse_args()
    print(f"seed {asked.seed}, {asked.count} mutations each", flush=True)
    for name in asked.name or [*DECODERS, *topics]:
        began = time.process_time()
        print(f"{name}: ", end="", flush=True)  # whoever hangs is named
        if name in topics:
            found: object = guard_many(topics[name], asked.count, asked.seed)
        else:
            found = decode_many(name, asked.count, asked.seed)
        print(f"{found}, {time.process_time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
