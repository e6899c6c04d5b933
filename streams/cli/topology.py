"""``streams topology``: the steps and the topics between them."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer

from streams.cli.options import current


def topology(
    format_: Annotated[
        Literal["mermaid", "json"], typer.Option("--format", "-f", help="Picture or data.")
    ] = "mermaid",
) -> None:
    """Draw the main job: steps, the sub-topologies they run in, topics; no broker is needed.

    Mermaid is shown by many editors and code hosts; topics that only live in memory are dashed.

    Examples:
      streams topology > topology.mmd
      streams topology --format json
    """
    from streams.agents.pipeline import topology as main_job  # noqa: PLC0415
    from streams.ops.drawing import as_data, as_mermaid  # noqa: PLC0415

    found = main_job(current().config())
    print(as_mermaid(found) if format_ == "mermaid" else json.dumps(as_data(found), indent=2))
