"""``streams sink``: carry results from topics to a target."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.errors import ExitCode, UserError
from streams.cli.live import end_asked
from streams.cli.options import current


def sink(
    name: Annotated[str, typer.Argument(help="duckdb, parquet, ndjson, or one of your own.")],
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", metavar="NAME=VALUE", help="A setting of the sink."),
    ] = None,
    topic: Annotated[
        list[str] | None, typer.Option(help="Topics; by default all derived ones. Repeatable.")
    ] = None,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="End when all that is there has been written.")
    ] = False,
) -> None:
    """Write the events of topics to a sink, from where the sink stands; Ctrl-C ends it.

    Rows equal the topics' net sets: the sink reads committed records only, and a record that comes
    twice changes nothing.

    Examples:
      streams sink duckdb -o path=results.duckdb
      streams sink parquet -o directory=out --topic alerts --until-end
    """
    from sinks.catalog import open_sink  # noqa: PLC0415
    from streams.cli.naming import find_typed  # noqa: PLC0415
    from streams.ops.sinking import SinkDriver  # noqa: PLC0415
    from streams.ops.target import require_listener  # noqa: PLC0415
    from streams.topics import DERIVED  # noqa: PLC0415

    options = current()
    config, bootstrap = options.config(), options.bootstrap()
    require_listener(bootstrap)
    chosen = [find_typed(one) for one in topic] if topic else list(DERIVED)
    target = open_sink(name, dict(_setting(text) for text in option or ()))
    driver = SinkDriver(bootstrap, chosen, config.partitions, [target], codec=options.codec())
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
    typer.echo(f"{driver.written} records written", err=True)


def _setting(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise UserError(f"{text!r} is no setting", "write --option NAME=VALUE", ExitCode.USAGE)
    return name, value
