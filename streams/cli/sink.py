"""``streams sink``: carry results from topics to a target."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.errors import ExitCode, UserError
from streams.cli.live import end_asked
from streams.cli.options import OwnTopicsOption, current

if TYPE_CHECKING:
    from streams.ops.sinking import SinkDriver
    from streams.topics import Topic


def sink(
    name: Annotated[
        str, typer.Argument(help="duckdb, parquet, ndjson, postgres, webhook, or one of your own.")
    ],
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", metavar="NAME=VALUE", help="A setting of the sink."),
    ] = None,
    topic: Annotated[
        list[str] | None, typer.Option(help="Topics; by default all derived ones. Repeatable.")
    ] = None,
    module: OwnTopicsOption = None,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="End when all that is there has been written.")
    ] = False,
    group: Annotated[
        str | None,
        typer.Option(help="Consumer group; processes of one group share the partitions."),
    ] = None,
    from_now: Annotated[
        bool, typer.Option("--from-now", help="At the first start, leave out what is there.")
    ] = False,
    give_up_after: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="End when the target is away so long; else never."),
    ] = None,
) -> None:
    """Write the events of topics to a sink, from where the sink stands; Ctrl-C ends it.

    Rows equal the topics' net sets: the sink reads committed records only, and a record that comes
    twice changes nothing. While the target is away, reading is paused and nothing is lost. A record
    that the target cannot store goes to dead_letters. docs/how-to/sinks.md has the settings.

    Examples:
      streams sink duckdb -o path=results.duckdb
      streams sink parquet -o directory=out --topic alerts --until-end
      streams sink postgres -o uri=postgresql://app@db.example:5432/risk
      streams sink webhook -o url=https://example.org/hook -o secret=env:HOOK --topic alerts
      streams sink duckdb -o path=own.duckdb --module my.steps --topic my.matches
    """
    from streams.cli.naming import find_typed  # noqa: PLC0415
    from streams.cli.runs import in_run  # noqa: PLC0415
    from streams.topics import DERIVED  # noqa: PLC0415

    chosen = [find_typed(one, module) for one in topic] if topic else list(DERIVED)
    chosen = in_run(chosen, module)
    settings = dict(_setting(text) for text in option or ())
    driver = _driver(name, settings, chosen, group, give_up_after, from_now)
    asked = end_asked()
    driver.start()
    try:
        while not asked.is_set() and driver.error is None:
            if until_end and driver.caught_up(1.0):
                break
            asked.wait(0.2)
    finally:
        driver.stop()
    if driver.error is not None:
        raise driver.error
    typer.echo(_told(driver), err=True)


def _driver(
    name: str,
    settings: dict[str, str],
    topics: Sequence[Topic],
    group: str | None,
    give_up_after: float | None,
    from_now: bool,
) -> SinkDriver:
    """What carries the topics to the sink of a name; it has not begun yet."""
    from sinks.catalog import open_sink  # noqa: PLC0415
    from streams.ops.sink_letters import SinkLetters  # noqa: PLC0415
    from streams.ops.sinking import SinkDriver  # noqa: PLC0415
    from streams.ops.target import require_broker  # noqa: PLC0415

    options = current()
    bootstrap, kafka = options.bootstrap(), options.kafka()
    require_broker(bootstrap, kafka)
    target = open_sink(name, settings)
    return SinkDriver(
        bootstrap,
        topics,
        [target],
        codec=options.codec(),
        group=group or group_of(name, getattr(target, "identity", str(sorted(settings.items())))),
        letters=SinkLetters(bootstrap, name, kafka),
        say=lambda words: typer.echo(f"note: {name}: {words}", err=True),
        give_up_after=give_up_after,
        from_now=from_now,
        kafka=kafka,
    )


def group_of(name: str, identity: str) -> str:
    """The consumer group of a target: two targets never share the partitions between them.

    >>> group_of("webhook", "https://example.org")
    'streams-sink-webhook-50d7a905e304'
    """
    return f"streams-sink-{name}-{sha256(identity.encode()).hexdigest()[:12]}"


def _told(driver: SinkDriver) -> str:
    parts = [f"{driver.written} records written"]
    if driver.refused:
        parts.append(f"{driver.refused} refused, which are dead letters now")
    if driver.undecoded:
        parts.append(f"{driver.undecoded} that cannot be decoded were passed over")
    if driver.unread:
        parts.append(f"{driver.unread} offsets were deleted before they were read")
    return "; ".join(parts)


def _setting(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise UserError(f"{text!r} is no setting", "write --option NAME=VALUE", ExitCode.USAGE)
    return name, value
