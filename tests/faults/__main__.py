"""``python -m tests.faults``: run the suite, and write its table.

::

    python -m tests.faults                         everything: at most 90 minutes
    python -m tests.faults --only zombie --seeds 1
    python -m tests.faults --only kill_at_random --env STREAMS_ENGINE__DELIVERY=at_least_once
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from tests.faults.arena import Outcome
from tests.faults.catalog import BY_NAME, FAULTS
from tests.faults.report import line_of, write
from tests.faults.suite import Fault, Ready, play, ready
from tests.postgres import PostgresServer


def main() -> None:
    """Run what was asked for; ends with an error where a run is not clean."""
    asked = _asked()
    for number in (signal.SIGTERM, signal.SIGINT):  # whoever ends this ends what it started
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    chosen = [BY_NAME[name] for name in asked.only] if asked.only else FAULTS
    runs = [
        (_with(fault, asked.env), seed)
        for fault in chosen
        for seed in range(asked.first, asked.first + (asked.seeds or fault.seeds))
    ]
    outcomes, began, one_at_a_time = list[Outcome](), time.monotonic(), Lock()

    def judged(judge: Callable[[], Outcome]) -> None:
        outcome = judge()
        with one_at_a_time:
            outcomes.append(outcome)
            print(line_of(outcome), flush=True)
            write(outcomes, asked.out, time.monotonic() - began)

    postgres = PostgresServer("-c", "fsync=off")
    postgres.start()
    try:
        # A run is judged while the next one begins, and a long one while many others run; the next
        # one is made ready while a run ends.
        with ThreadPoolExecutor(2) as judges, Coming(runs, postgres, asked.scale) as coming:
            judging = dict[bool, Future[None]]()
            for fault, _ in runs:
                judge = play(coming.next(), coming.prepare)
                if fault.long in judging:
                    judging[fault.long].result()
                judging[fault.long] = judges.submit(judged, judge)
            for last in judging.values():
                last.result()
    finally:
        postgres.close()
    print((asked.out / "faults.md").read_text())
    if not all(outcome.clean for outcome in outcomes):
        sys.exit("not every run was clean")


class Coming:
    """The runs in their order, each made ready once."""

    def __init__(
        self, runs: Sequence[tuple[Fault, int]], postgres: PostgresServer, scale: float
    ) -> None:
        self._left, self._with = iter(runs), (postgres, scale)
        self._thread = ThreadPoolExecutor(1)
        self._made: Future[Ready] | None = None

    def __enter__(self) -> Coming:
        self.prepare()
        return self

    def __exit__(self, *_: object) -> None:
        if self._made is not None:  # ready, and not played
            self._made.result().undo.close()
        self._thread.shutdown()

    def prepare(self) -> None:
        """Make the next one ready, if there is one to come."""
        coming = next(self._left, None)
        self._made = None if coming is None else self._thread.submit(ready, *coming, *self._with)

    def next(self) -> Ready:
        """The one that was made ready last."""
        assert self._made is not None
        made, self._made = self._made.result(), None
        return made


def _with(fault: Fault, words: list[str]) -> Fault:
    """The fault with more in its workers' environment: a delivery that must be found wanting."""
    more = dict(word.split("=", 1) for word in words)
    return fault._replace(environment={**fault.environment, **more})


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--only", nargs="*", choices=BY_NAME, metavar="FAULT")
    parser.add_argument("--seeds", type=int, help="seeds of each fault; by default its own number")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--env", nargs="*", default=[], metavar="NAME=VALUE", help="of workers")
    parser.add_argument("--scale", type=float, default=1.0, help="of the length of the load")
    parser.add_argument("--out", type=Path, default=Path("out"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
