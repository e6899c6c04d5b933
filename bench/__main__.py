"""``python -m bench NAME``: run a bench and print its results."""

from __future__ import annotations

import argparse
import datetime
import json
import signal
import sys
from collections.abc import Sequence
from typing import Any

from bench.commits import Commits
from bench.harness import cores, machine, profile, table
from bench.harness.envs import python_of
from bench.harness.errors import BenchError
from bench.harness.ground import Ground
from bench.harness.progress import say
from bench.harness.rounds import Bench, Measured, measure, reasons
from bench.hop import Hop
from bench.join_state import JoinState
from bench.joins import Joins
from bench.keyed_count import KeyedCount
from bench.latency import Latency
from bench.memory import Memory
from bench.recovery import Recovery
from bench.scale import Scale
from bench.transaction_path import TransactionPath
from streams.broker import BrokerError

BENCHES: dict[str, type[Bench]] = {
    "keyed_count": KeyedCount,
    "transaction_path": TransactionPath,
    "hop": Hop,
    "latency": Latency,
    "commits": Commits,
    "joins": Joins,
    "join_state": JoinState,
    "recovery": Recovery,
    "scale": Scale,
    "memory": Memory,
}
EXAMPLE = """\
benches:
  keyed_count        count by key with durable state, beside seven other ways to do it
  transaction_path   a real block through the steps keyed by txid, beside stock Faust
  hop                how old a result is after one hop, beside stock Faust and Kafka Streams
  latency            from a transaction to its score, at a fixed rate
  commits            how long a Kafka transaction takes: the floor of latency
  joins              event-time joins and windows: rate and wrong rows, beside four others
  join_state         what a join keeps by open entry, and what a hot key costs
  recovery           seconds until results come again: fail-over, and a start without a disk
  scale              CPU an event of the keyed count by one, two and four workers
  memory             what 1,000,000 keys take, and 1,000,000 open entries of a join

example: python -m bench keyed_count --only ours,bare_confluent --rounds 1 --json
"""


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    own = argparse.ArgumentParser(
        "python -m bench", epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own.add_argument("name", choices=sorted(BENCHES), metavar="NAME", help="which bench, see below")
    own.add_argument("--json", action="store_true", help="print JSON instead of a table")
    own.add_argument("--rounds", type=int, default=5, help="rounds, of which medians (default 5)")
    own.add_argument("--only", type=_names, help="contenders, separated by commas (default: all)")
    own.add_argument("--case", type=_names, help="cases, separated by commas (default: all)")
    own.add_argument("--quick", action="store_true", help="little input: does it work? no figures")
    own.add_argument("--profile", action="store_true", help="where the time goes, not how much")
    own.add_argument("--write", action="store_true", help="write the table into bench/RESULTS.md")
    return own


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; returns the exit code: 0, 1 (failed, with cause and remedy), 2 (wrong usage)."""
    own = parser()
    asked = own.parse_args(argv)
    if asked.rounds < 1:
        own.error("--rounds must be at least 1")
    if asked.write and (asked.quick or (not asked.profile and (asked.only or asked.case))):
        own.error("--write is for whole runs: leave --quick, --only and --case out")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started ends with us
    try:
        run(asked, own)
    except (BenchError, BrokerError) as error:
        say(f"bench: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run(asked: argparse.Namespace, own: argparse.ArgumentParser) -> None:
    """Set up, measure, print."""
    kind = BENCHES[asked.name]
    cases = _chosen(own, "case", asked.case, kind.cases)
    contenders = _chosen(own, "contender", asked.only, kind.contenders)
    about = machine.describe(cores.choose())
    for name in [*contenders, *([profile.TOOL] if asked.profile else [])]:
        python_of(name)
    with Ground(asked.profile) as ground:
        bench = kind(ground, asked.quick)
        if asked.profile:
            _profile(asked, bench, ground, cases, contenders, about)
            return
        measured = measure(bench, cases, contenders, asked.rounds)
    if asked.json:
        print(json.dumps(report(asked.name, measured, about) | remarks(bench)))
    _show(asked, bench, measured, about)


def _profile(
    asked: argparse.Namespace,
    bench: Bench,
    ground: Ground,
    cases: Sequence[str],
    contenders: Sequence[str],
    about: dict[str, str | int],
) -> None:
    """Run each contender once, sampled, and print where its time went."""
    found: dict[str, list[tuple[float, str]]] = {}
    for case in cases:
        bench.prepare(case, contenders)
        for contender in contenders:
            ground.samples.clear()
            bench.run(case, contender)
            for number, samples in enumerate(ground.samples, 1):
                run = f"{contender} {case}, run {number}"
                found[run] = profile.shares(samples.read_text())
    print(table.plain(profile.rows(found)))
    if asked.write:
        _write("profile", profile.rows(found), about)


def report(name: str, measured: Measured, about: dict[str, str | int]) -> dict[str, Any]:
    """What ``--json`` prints: medians by contender and case."""
    return {"bench": name, "machine": about, "results": measured.results()}


def remarks(bench: Bench) -> dict[str, Any]:
    """What a bench has to say of its contenders: how durable each is, and what it cannot do."""
    found = {"durable": getattr(bench, "durable", {}), "cannot": reasons(bench)}
    return {name: dict(said) for name, said in found.items() if said}


def _show(
    asked: argparse.Namespace, bench: Bench, measured: Measured, about: dict[str, str | int]
) -> None:
    found = list(table.rows(bench, measured))
    lines = [table.plain(found)]
    for what, said in remarks(bench).items():
        lines += [f"{what}: {name}: {words}" for name, words in said.items()]
    print("\n".join(lines), file=sys.stderr if asked.json else sys.stdout)
    if asked.write:
        _write(asked.name, found, about | {"rounds": asked.rounds})


def _write(name: str, found: list[list[str]], about: dict[str, str | int]) -> None:
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    table.write(name, table.markdown(found), about, today)
    say(f"written to {table.RESULTS.name}")


def _chosen(
    own: argparse.ArgumentParser, what: str, asked: list[str] | None, known: Sequence[str]
) -> list[str]:
    wrong = set(asked or ()) - set(known)
    if wrong:
        own.error(f"no {what} {', '.join(sorted(wrong))}: there are {', '.join(known)}")
    return [name for name in known if asked is None or name in asked]


if __name__ == "__main__":
    sys.exit(main())
