"""``streams topology``: the steps and the topics between them, and what time means to them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from streams.cli.options import current
from streams.cli.worker import ModuleOption, OnlyOption

if TYPE_CHECKING:
    from streams.engine.selection import Selection
    from streams.engine.settings import EngineSettings
    from streams.ops.timing import Reached


def topology(
    format_: Annotated[
        Literal["mermaid", "json", "table"],
        typer.Option("--format", "-f", help="Picture, data, or the times as tables."),
    ] = "mermaid",
    only: OnlyOption = None,
    module: ModuleOption = None,
    live: Annotated[
        bool, typer.Option("--live", help="Ask the broker how far each topic has come.")
    ] = False,
) -> None:
    """Draw the main job: steps, the sub-topologies they run in, topics; no broker is needed.

    Mermaid is shown by many editors and code hosts; topics that only live in memory are dashed.
    With --only or --module, what these select is drawn. The table has for each step its grace, how
    far it holds event time back (delay), how long it remembers what a correction may withdraw
    (retract_grace) and how far back its own corrections reach; and for each topic how far its
    declared time may be behind the sources, slow data apart. With --live, also how far it is now,
    in the current run.

    Examples:
      streams topology > topology.mmd
      streams topology --format json
      streams topology --format table --live
      streams topology --module my.steps
    """
    from streams.cli.runs import selected  # noqa: PLC0415
    from streams.engine.plan import planned_selection  # noqa: PLC0415
    from streams.engine.settings import settings_of  # noqa: PLC0415
    from streams.ops.drawing import as_mermaid  # noqa: PLC0415
    from streams.ops.modules import select  # noqa: PLC0415

    options = current()
    if live:
        config, selection = selected(module, only)
        settings = settings_of(config, options.bootstrap())
    else:
        config = options.config()
        selection, settings = select(config, module, only), settings_of(config, "")
    selection = planned_selection(selection, settings)
    if format_ == "mermaid" and not live:
        print(as_mermaid(selection.part))
        return
    reached = _reached(selection, settings) if live else {}
    if format_ == "json":
        print(json.dumps(_data(selection, reached, live), indent=2))
    else:
        _tables(selection, reached, live)


def _reached(selection: Selection, settings: EngineSettings) -> dict[str, Reached]:
    """How far the topics have come, by the last checkpoints."""
    from streams.ops.admin import Admin  # noqa: PLC0415
    from streams.ops.lag import lag_of  # noqa: PLC0415
    from streams.ops.own_topics import check  # noqa: PLC0415
    from streams.ops.timing import reached  # noqa: PLC0415

    check(Admin(settings), selection)
    return reached(lag_of(selection, settings), selection.part)


def _data(selection: Selection, reached: dict[str, Reached], live: bool) -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    from streams.engine.delays import delays  # noqa: PLC0415
    from streams.ops.drawing import as_data  # noqa: PLC0415

    data = as_data(selection.part, delays(selection.topology))
    for topic in data["topics"] if live else ():
        now = reached.get(topic["name"])
        topic["live"] = None if now is None else msgspec.structs.asdict(now)
    return data


def _tables(selection: Selection, reached: dict[str, Reached], live: bool) -> None:
    from streams.cli.listing import show  # noqa: PLC0415
    from streams.engine.delays import delays  # noqa: PLC0415
    from streams.ops.timing import LIVE, STEP, TOPIC, step_rows, topic_rows  # noqa: PLC0415

    show(step_rows(selection.part), "table", STEP)
    print()
    rows = topic_rows(selection.part, delays(selection.topology), reached)
    show(rows, "table", LIVE if live else TOPIC)
