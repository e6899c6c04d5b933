"""The options that come before a command, and what follows from them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.errors import UserError

if TYPE_CHECKING:
    from schemas.wire import Codec
    from streams.config import Config

OwnTopicsOption = Annotated[
    str | None,
    typer.Option(
        "--module",
        metavar="MODULE",
        help="Also topics of your own steps: a module or entry point of streams.steps.",
    ),
]


@dataclass
class Options:
    """What was said before the command."""

    broker: str | None = None
    config_file: Path | None = None
    debug: bool = False
    flags: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    """Files with secrets that others may read; each is said once."""

    def config(self) -> Config:
        """The configuration; raises ConfigError."""
        from streams.config import load  # noqa: PLC0415

        loaded = load(self.flags, path=self.config_file)
        for words in loaded.warnings:
            if words not in self.warnings:
                print(f"warning: {words}", file=sys.stderr)
        self.warnings = loaded.warnings
        return loaded.config

    def kafka(self) -> dict[str, Any]:
        """The way to Kafka as librdkafka takes it: TLS and SASL of the settings."""
        from streams.wire.mapping import librdkafka  # noqa: PLC0415

        return librdkafka(self.config().kafka)

    def codec(self) -> Codec:
        """A codec with the schema ids of this configuration, and the event types of the modules
        that were loaded; raises RegistryError."""
        from streams.engine.own_types import teach  # noqa: PLC0415
        from streams.registry import codec_for  # noqa: PLC0415

        found = codec_for(self.config(), lambda words: print(f"note: {words}", file=sys.stderr))
        return teach(found)

    def bootstrap(self) -> str:
        """The broker's address: the option, STREAMS_BROKER, or the embedded one that runs."""
        from streams.broker import default_bootstrap  # noqa: PLC0415

        found = self.broker or default_bootstrap()
        if found is None:
            raise UserError(
                "no Kafka broker is known",
                "start one with `streams broker start`, or name yours with --broker HOST:PORT",
                code=4,
            )
        return found


_CURRENT = Options()


def current() -> Options:
    """The options of this run."""
    return _CURRENT
