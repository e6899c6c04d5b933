"""``streams topology``: the steps and the topics between them."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer

from streams.cli.options import current
from streams.cli.worker import ModuleOption, OnlyOption


def topology(
    format_: Annotated[
        Literal["mermaid", "json"], typer.Option("--format", "-f", help="Picture or data.")
    ] = "mermaid",
    only: OnlyOption = None,
    module: ModuleOption = None,
) -> None:
    """Draw the main job: steps, the sub-topologies they run in, topics; no broker is needed.

    Mermaid is shown by many editors and code hosts; topics that only live in memory are dashed.
    With --only or --module, what these select is drawn.

    Examples:
      streams topology > topology.mmd
      streams topology --format json
      streams topology --module my.steps
    """
    from streams.ops.drawing import as_data, as_mermaid  # noqa: PLC0415
    from streams.ops.modules import select  # noqa: PLC0415

    found = select(current().config(), module, only).part
    print(as_mermaid(found) if format_ == "mermaid" else json.dumps(as_data(found), indent=2))
