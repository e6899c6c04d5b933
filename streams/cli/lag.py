"""``streams lag``: how far the tasks are behind, and what holds them back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.listing import Output, OutputOption, Row, show
from streams.cli.options import current
from streams.cli.worker import ModuleOption, OnlyOption

if TYPE_CHECKING:
    from streams.ops.lag import Lag

COLUMNS = (
    "sub_topology", "topic", "partition", "position", "end", "lag", "open", "group_offset",
    "watermark", "age_s", "holds", "paused", "late", "late_retracts",
)  # fmt: skip
TASK = (
    "sub_topology", "partition", "watermark", "age_s", "declared", "delay_s", "paused", "no_effect",
)  # fmt: skip
TRANSACTION = (
    "topic", "partition", "offset", "age_s", "hung", "transactional_id", "writer", "producer_id",
    "epoch", "state", "timeout_s", "coordinator", "remedy",
)  # fmt: skip


def lag(
    only: OnlyOption = None,
    module: ModuleOption = None,
    output: OutputOption = "table",
    json_: Annotated[bool, typer.Option("--json", help="The same as --output json.")] = False,
    watch: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Look again and again.", min=0.1)
    ] = None,
) -> None:
    """Show, for each input partition, what is left to read and how far event time has come.

    `position` is that of the last committed checkpoint, from the changelog: the truth, with or
    without a worker. `group_offset` is what the consumer group committed: a hint, and older.
    `open` counts offsets that an unfinished transaction keeps back; `holds` names who keeps the
    watermark of the task where it is; `paused` inputs are ahead of it by more than max_skew.

    Below, for each task: its watermark, what it has declared in its outputs and how much less that
    is (`delay_s`), and by step the retracts that found nothing to withdraw.

    Transactions of anybody that have been open for more than 10 s at the end of an input come
    last: whose they are, and how to end them. `streams transactions ls` shows all of the cluster.

    Examples:
      streams lag
      streams lag --only join_entities --watch 2
      streams lag --json
    """
    from streams.cli.runs import selected  # noqa: PLC0415
    from streams.engine.settings import settings_of  # noqa: PLC0415
    from streams.ops.admin import Admin  # noqa: PLC0415
    from streams.ops.lag import lag_of  # noqa: PLC0415
    from streams.ops.own_topics import check  # noqa: PLC0415
    from streams.ops.target import require_broker  # noqa: PLC0415

    options = current()
    bootstrap = options.bootstrap()
    config, selection = selected(module, only)
    settings = settings_of(config, bootstrap)
    require_broker(bootstrap, settings.kafka)
    check(Admin(settings), selection)
    while True:
        _print(lag_of(selection, settings), "json" if json_ else output)
        if watch is None:
            return
        time.sleep(watch)


def _print(found: Lag, output: Output) -> None:
    import json  # noqa: PLC0415

    import msgspec  # noqa: PLC0415

    from streams.ops.lag import LONG_SECONDS  # noqa: PLC0415

    if output == "json":
        print(json.dumps(msgspec.to_builtins(found)), flush=True)
        return
    rows: list[Row] = [
        {**msgspec.structs.asdict(row), "watermark": _time(row.watermark_ms)}
        for row in found.inputs
    ]
    show(rows, output, COLUMNS)
    if output == "table":
        _print_tasks(found)
    long = [t for t in found.transactions if t.age_s > LONG_SECONDS]
    if long and output == "table":
        print("\nopen transactions: whoever reads committed data waits for them")
        show([msgspec.structs.asdict(t) for t in long], "table", TRANSACTION)
    total = sum(row.lag for row in found.inputs)
    typer.echo(f"{total} offsets behind in {len(rows)} input partitions", err=True)


def _print_tasks(found: Lag) -> None:
    import msgspec  # noqa: PLC0415

    rows: list[Row] = [
        {
            **msgspec.structs.asdict(task),
            "watermark": _time(task.watermark_ms),
            "declared": _time(task.declared_ms),
            "paused": ", ".join(task.paused),
            "no_effect": ", ".join(f"{step} {count}" for step, count in task.no_effect.items()),
        }
        for task in found.tasks
    ]
    print("\ntasks")
    show(rows, "table", TASK)


def _time(ms: int | None) -> str | None:
    """Event time for people, to the second."""
    from datetime import UTC, datetime  # noqa: PLC0415

    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
