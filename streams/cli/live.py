"""``streams source bitcoin|recording|retire`` and ``streams record``."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams.cli.errors import ExitCode, UserError
from streams.cli.options import current
from streams.sources import names

if TYPE_CHECKING:
    from streams.engine.settings import EngineSettings


Network = Annotated[
    Literal["main", "test", "testnet4", "signet", "regtest"], typer.Option(help="Bitcoin network.")
]


def ready() -> EngineSettings:
    """Settings of this run, on a broker that has what every run shares, as it must be."""
    from streams.engine.settings import settings_of  # noqa: PLC0415
    from streams.engine.topology import Topology  # noqa: PLC0415
    from streams.ops.admin import Admin  # noqa: PLC0415
    from streams.ops.target import require_broker  # noqa: PLC0415
    from streams.topics import SHARED  # noqa: PLC0415

    options = current()
    config, bootstrap = options.config(), options.bootstrap()
    settings = settings_of(config, bootstrap)
    require_broker(bootstrap, settings.kafka)
    Admin(settings).check(Topology(()), SHARED)
    return settings


def end_asked() -> threading.Event:
    """Is set once Ctrl-C or SIGTERM has asked to stop."""
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    return asked


@contextmanager
def owned(name: str, remedy: str = "give each source a --name of its own") -> Iterator[None]:
    """Say it when another run of the same name takes over."""
    from streams.engine.checkpoint import Fenced  # noqa: PLC0415

    try:
        yield
    except Fenced as error:
        cause = f"another source {name} has taken over"
        raise UserError(cause, remedy, ExitCode.FENCED) from error


class Counter:
    """Says how much has been written, every thousand events."""

    def __init__(self) -> None:
        self.total = self._said = 0

    def __call__(self, count: int) -> None:
        self.total += count
        if self.total - self._said >= 1000:
            self._said = self.total
            typer.echo(f"{self.total} events written", err=True)


def bitcoin(
    rpc: Annotated[
        str,
        typer.Option(
            metavar="URL", help="RPC, such as http://127.0.0.1:8332; env:NAME or file:PATH of it."
        ),
    ],
    zmq: Annotated[
        list[str], typer.Option(metavar="ADDRESS", help="zmqpubsequence and zmqpubrawtx address.")
    ],
    cookie: Annotated[
        Path | None, typer.Option(help="Cookie file, unless the URL has user and password.")
    ] = None,
    network: Network = names.NETWORK,
    from_height: Annotated[
        int | None,
        typer.Option(help="At the first start: begin with this block, not the next one."),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the observing node.")] = names.BITCOIN,
    mempool_expiry: Annotated[
        int,
        typer.Option(
            metavar="HOURS",
            min=1,
            help="The node's -mempoolexpiry: what it drops at that age expired, else was evicted.",
        ),
    ] = 336,
) -> None:
    """Follow a Bitcoin node: blocks, mempool, replacements, reorgs. Ctrl-C stops it.

    Goes on where an earlier run of the same network and --name ended, however it ended: what
    happened meanwhile is made good. A node that is away is waited for.

    Example:
      streams source bitcoin --network regtest --cookie .cookie \\
        --rpc http://127.0.0.1:18443 --zmq tcp://127.0.0.1:28332
    """
    from streams.ops.live import run_bitcoin  # noqa: PLC0415
    from streams.sources.bitcoin import BitcoinSource  # noqa: PLC0415
    from streams.sources.bitcoin_node import BitcoinNode  # noqa: PLC0415
    from streams.sources.bitcoin_rpc import Rpc  # noqa: PLC0415
    from streams.sources.bitcoin_zmq import Feed  # noqa: PLC0415

    node = BitcoinNode(Rpc(_revealed(rpc), cookie), network)
    settings = ready()

    def make(resume: int | None) -> BitcoinSource:
        first = from_height if resume is None else resume
        expiry_ms = mempool_expiry * 3_600_000
        return BitcoinSource(
            node, Feed(zmq), name=name, from_height=first, expiry_ms=expiry_ms, say=_note
        )

    counter, own = Counter(), names.of_bitcoin(network, name)
    with owned(own):
        run_bitcoin(settings, own, make, end_asked().is_set, counter, current().codec())
    typer.echo(f"{counter.total} events written", err=True)


def _revealed(url: str) -> str:
    """The URL itself, or where it says that it is: with a password no command line should show."""
    from sinks.base import Permanent  # noqa: PLC0415
    from sinks.secrets import reveal  # noqa: PLC0415

    try:
        return reveal("--rpc", url)
    except Permanent as error:
        raise UserError(error.cause, error.remedy) from error


def _note(words: str) -> None:
    typer.echo(words, err=True)


def recording(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The recording.")],
    speed: Annotated[
        float | None,
        typer.Option(min=0.001, help="1: as recorded, 10: ten times as fast; default: full speed."),
    ] = None,
) -> None:
    """Play a recording into the source topics.

    Example: streams source recording demo.ndjson --speed 10
    """
    from streams.ops.play import play_recording  # noqa: PLC0415

    settings, stop, codec = ready(), end_asked().is_set, current().codec()
    with owned(file.name, "play one recording of a name at a time"):
        total = play_recording(settings, file, speed, Counter(), stop, codec)
    typer.echo(f"{total} records written", err=True)


def retire(
    name: Annotated[
        str,
        typer.Argument(help="Its name; `streams lag` shows source:NAME/0 under `holds`."),
    ],
) -> None:
    """Let time go on without a source that will not come back.

    A source that has stopped without saying so holds the watermarks of its topics back: windows
    stay open, and inputs that are ahead are paused. One that still runs ends with exit code 3.

    Example: streams source retire bitcoin-main-node
    """
    from streams.ops.live import retire as declare_idle  # noqa: PLC0415

    bare = name.removeprefix("source:").partition("/")[0]
    declare_idle(ready(), bare)
    typer.echo(f"{bare} is declared idle", err=True)


def record(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to write it.")],
    about: Annotated[str, typer.Option(help="One line on what it holds.")] = "",
    follow: Annotated[bool, typer.Option(help="Go on until Ctrl-C; else to the end.")] = False,
) -> None:
    """Capture what the source topics hold, to be played back later.

    It is held in memory until the end, and written then: a recording is a story, not a backup.

    Example: streams record story.ndjson --about "a payment and its replacement"
    """
    from streams.ops.record import record as capture  # noqa: PLC0415

    stop = end_asked().is_set if follow else None
    count = capture(ready(), file, about, None, stop, current().codec())
    typer.echo(f"{count} records in {file}", file=sys.stderr)
