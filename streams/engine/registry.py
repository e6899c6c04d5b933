"""Schema ids from a registry, when one is configured; without one the committed lock gives them.

The registry is asked once, at start: what a worker needs to run it then knows, so an outage of the
registry never stops a running worker.
"""

from __future__ import annotations

from schemas.catalog import TYPES
from schemas.registry import schema_text
from schemas.wire import Codec

INSTALL = "pip install 'streams[registry]'"


class RegistryError(RuntimeError):
    """The registry cannot give the ids; the message names cause and remedy."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}: {remedy}")
        self.cause, self.remedy = cause, remedy


def registered_ids(url: str) -> dict[str, int]:
    """Register every schema under ``<type>-value`` and return the ids; raises RegistryError.

    A registry answers a schema that it knows with the id that it has, so this changes nothing when
    it is repeated.
    """
    try:
        from confluent_kafka.schema_registry import Schema, SchemaRegistryClient  # noqa: PLC0415
        from confluent_kafka.schema_registry.error import SchemaRegistryError  # noqa: PLC0415
    except ImportError as error:
        raise RegistryError("the registry client is not installed", INSTALL) from error
    client = SchemaRegistryClient({"url": url})
    ids = {}
    for event_type in TYPES:
        schema = Schema(schema_text(event_type), "AVRO")
        try:
            ids[event_type.name] = client.register_schema(f"{event_type.name}-value", schema)
        except SchemaRegistryError as error:
            raise RegistryError(
                f"the registry refuses {event_type.name}: {error.error_message}",
                "compare with `streams schemas check`",
            ) from error
        except OSError as error:
            raise RegistryError(
                f"no schema registry answers at {url}: {error}",
                "check the address, or unset schema_registry to use the committed ids",
            ) from error
    return ids


def codec_for(url: str | None) -> Codec:
    """A codec with the ids of the registry at ``url``, or of the lock where there is none."""
    return Codec(registered_ids(url) if url else None)
