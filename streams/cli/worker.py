"""``streams worker``: run the main job's tasks."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from streams.cli.options import current


def worker(
    wait: Annotated[
        int, typer.Option(help="Seconds to wait for the broker and its topics before giving up.")
    ] = 0,
    log_level: Annotated[
        str, typer.Option(help="Faust's log level: debug, info, warn, error.")
    ] = "warn",
) -> None:
    """Run a worker: it takes its share of the partitions and works until it is told to stop.

    Start as many as you like: they share the partitions, and take over when one of them ends.
    Ctrl-C or SIGTERM finishes the work under way and leaves.

    Example: streams --broker 127.0.0.1:9092 worker
    """
    from streams.app import make_app, make_topology  # noqa: PLC0415
    from streams.engine.application import say  # noqa: PLC0415
    from streams.engine.settings import settings_of  # noqa: PLC0415
    from streams.ops.admin import Admin  # noqa: PLC0415
    from streams.ops.target import require_listener  # noqa: PLC0415

    options = current()
    config, bootstrap = options.config(), options.bootstrap()
    if not wait:
        require_listener(bootstrap)
    app: Any = make_app(config, bootstrap, say)
    Admin(settings_of(config, bootstrap)).wait(make_topology(config), wait)
    if config.engine.delivery == "at_least_once":
        say("delivery", {"at_least_once": "a crash may repeat outputs, or orphan a correction"})
    sys.argv = ["streams", "worker", "-l", log_level, "--without-web"]
    app.main()
