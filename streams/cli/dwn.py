"""``streams source dwn``: messages of DWN servers into web5.records."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import live
from streams.cli.errors import UserError
from streams.cli.options import current
from streams.sources import names

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.engine.settings import EngineSettings
    from streams.sources.dwn import DwnSource, Tenant

LINK_PROTOCOL = "https://streams.example/protocols/address-link"


Url = Annotated[str | None, typer.Option(help="Address of the DWN server.")]
Key = Annotated[
    Path | None,
    typer.Option(exists=True, help="File with the reader's key: a JWK or portable DID."),
]
Dids = Annotated[
    list[str] | None,
    typer.Option("--tenant", help="DID to read; by default the key's own. Repeatable."),
]
Protocols = Annotated[
    list[str] | None, typer.Option("--protocol", help="Protocols to read. Repeatable.")
]
File = Annotated[
    Path | None,
    typer.Option("--tenants", exists=True, help="File that lists tenants, in TOML or YAML."),
]
Follow = Annotated[bool, typer.Option(help="Go on with what comes; else end there.")]
Poll = Annotated[
    float, typer.Option(min=0.1, help="Seconds after which a quiet log is asked anyway.")
]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds for one answer.")]
MaxData = Annotated[int, typer.Option(min=0, help="Bytes of record data that are read, at most.")]
Name = Annotated[str, typer.Option(help="Name of this source.")]


def dwn(
    url: Url = None,
    key: Key = None,
    dids: Dids = None,
    protocols: Protocols = None,
    tenants: File = None,
    follow: Follow = True,
    poll: Poll = 15.0,
    timeout: Timeout = 10.0,
    max_data: MaxData = 524_288,
    name: Name = names.DWN,
) -> None:
    """Read verified messages of tenants from DWN servers. Ctrl-C stops it.

    Goes on where an earlier run of the same --name ended, however it ended. A tenant that refuses
    is named and asked again from time to time; a server that is away is waited for. Messages that
    do not hold go to dead_letters.

    Examples:
      streams source dwn --url http://127.0.0.1:3000 --key reader.jwk --tenant did:jwk:...
      streams source dwn --tenants tenants.toml
    """
    from sinks.dwn import Limits  # noqa: PLC0415
    from streams.sources.dwn import DwnSource, Patience  # noqa: PLC0415

    found = _tenants(url, key, dids or [], protocols or [], tenants)
    settings = live.ready()
    limits = Limits(timeout_s=timeout, max_data_bytes=max_data)
    patience = Patience(poll_s=poll, away_s=settings.idle_timeout_ms / 1000)

    def make(cursors: dict[str, str]) -> DwnSource:
        return DwnSource(found, cursors, follow=follow, limits=limits, patience=patience, say=_note)

    asyncio.run(_run(settings, name, make))


async def _run(
    settings: EngineSettings, name: str, make: Callable[[dict[str, str]], DwnSource]
) -> None:
    from streams.ops.dwn import run_dwn  # noqa: PLC0415

    counter, stop = live.Counter(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        own = names.of_dwn(name)
        with live.owned(own):
            await run_dwn(settings, own, make, counter, current().codec(), stop)
    finally:
        typer.echo(f"{counter.total} messages written", err=True)


def _tenants(
    url: str | None, key: Path | None, dids: list[str], protocols: list[str], file: Path | None
) -> list[Tenant]:
    from streams.sources.dwn_config import (  # noqa: PLC0415
        check_size,
        make_tenant,
        read_signer,
        read_tenants,
    )

    found = read_tenants(file) if file is not None else []
    if url is not None and key is not None:
        signer = read_signer(key)
        wanted = tuple(protocols or [LINK_PROTOCOL])
        found += [make_tenant(url, did, signer, wanted) for did in dids or [signer.did]]
    elif url is not None or key is not None or dids or protocols or not found:
        raise UserError("no tenant is named", "give --url and --key, or --tenants FILE")
    check_size(found)
    return found


def _note(words: str) -> None:
    typer.echo(f"note: {words}", err=True)
