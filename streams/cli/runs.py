"""Which run a command is about: the one that ``run.name`` names, else the current one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from streams.cli.options import current

if TYPE_CHECKING:
    from streams.config import Config
    from streams.engine.selection import Selection
    from streams.ops.admin import Admin
    from streams.ops.runs import Known
    from streams.topics import Topic


def run_config(module: str | None = None, wait: float = 0) -> Config:
    """The configuration of the run that is meant; asks the broker which one is the current one.

    ``wait``: seconds that the broker may be away. Raises NoRun, OpsError.
    """
    from streams.ops.runs import followed  # noqa: PLC0415

    config = current().config()
    return followed(config, known_runs(config, wait), module)


def selected(module: str | None, only: str | None, wait: float = 0) -> tuple[Config, Selection]:
    """The configuration of the run that is meant, and what is to be run of it.

    What is wrong with the names is said also where no broker answers.
    """
    from streams.ops.modules import select  # noqa: PLC0415
    from streams.ops.target import NoBroker  # noqa: PLC0415

    try:
        config = run_config(module, wait)
    except NoBroker:
        select(current().config(), module, only)
        raise
    return config, select(config, module, only)


def known_runs(config: Config, wait: float = 0) -> Known:
    """All runs of the application."""
    from streams.ops.runs import Runs  # noqa: PLC0415

    admin = admin_of(config, wait)
    admin.wait(admin.partitions, wait)
    return Runs(admin, config.application).read()


def admin_of(config: Config, wait: float = 0) -> Admin:
    """Asks the broker; raises NoBroker where nobody listens, and nobody is to be waited for."""
    from streams.engine.settings import settings_of  # noqa: PLC0415
    from streams.ops.admin import Admin  # noqa: PLC0415
    from streams.ops.target import require_broker  # noqa: PLC0415

    settings = settings_of(config, current().bootstrap())
    if not wait:
        require_broker(settings.bootstrap, settings.kafka)
    return Admin(settings)


def in_run(topics: Iterable[Topic], module: str | None = None) -> list[Topic]:
    """The topics as the run that is meant writes them; sources are what they are."""
    from streams.engine.rerun import topic_in  # noqa: PLC0415

    run = run_config(module).run.name
    return [topic_in(run, topic) for topic in topics]
