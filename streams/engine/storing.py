"""Which store a task's state is in."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from platformdirs import user_cache_path

from streams.broker.paths import HOME_VARIABLE
from streams.engine.selection import WrongSelection
from streams.engine.settings import EngineSettings
from streams.engine.stores import TaskStore


class NoStore(WrongSelection):
    """The store that the settings name cannot be used here."""


def check_store(settings: EngineSettings) -> None:
    """Raises NoStore when the store cannot be used here."""
    if settings.store == "memory":
        if settings.standby_ms:
            raise NoStore(
                "engine.standby_ms keeps copies on disk, and engine.store is memory",
                "set engine.store to rocks, or engine.standby_ms to 0",
            )
        return
    if find_spec("rocksdict") is None:
        raise NoStore(
            "engine.store is rocks, and the library rocksdict is not installed",
            "install it: pip install 'streams[rocks]', or set engine.store to memory",
        )
    folder = state_home(settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NoStore(
            f"engine.state_dir cannot be used ({error})", "set it to a folder on a local disk"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise NoStore(
            f"nothing can be written in {folder}", "set engine.state_dir to a folder of your own"
        )


def new_store(settings: EngineSettings, sub: str, partition: int) -> TaskStore:
    """The store of a task, which holds nothing yet; raises NoStore."""
    if settings.store == "memory":
        return TaskStore()
    check_store(settings)
    from streams.engine.rocks import RocksTaskStore  # noqa: PLC0415

    place = [quote(part, safe="").replace("..", "%2E%2E") for part in (settings.application, sub)]
    folder = state_home(settings).joinpath(*place, str(partition))
    identity = (
        f"{settings.application}/{sub}/{partition} of {settings.partitions}, "
        f"generation {settings.generation}"
    )
    return RocksTaskStore(folder, identity, settings.cached_entries)


def state_home(settings: EngineSettings) -> Path:
    """The folder of all local state: ``engine.state_dir``, else below the user's cache."""
    if settings.state_dir:
        return Path(settings.state_dir).absolute()
    base = os.environ.get(HOME_VARIABLE)
    return Path(base).absolute() / "state" if base else user_cache_path("streams") / "state"
