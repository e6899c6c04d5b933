"""Our schemas in a registry with Confluent's interface: look up, register, ask.

Subjects follow the rule that other clients assume (TopicNameStrategy): ``<topic>-value``, so a type
that two topics carry has two, and one id. The versions of a family of types are the versions of one
subject, so the registry compares them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self

from streams.registry.errors import Incompatible, RegistryAway, RegistryError
from streams.topics import STORED

INSTALL = "pip install 'streams[registry]'"
TIMEOUT_S = 10
RETRIES = 2
RETRY_MS = 200
_UNKNOWN = (40401, 40402, 40403, 40408)
"""Error codes: no such subject, version, schema, or rule of a subject."""
_SERVER_TROUBLE = 500
_BUSY = (408, 429)
_NO_ACCESS = (401, 403)
_REFUSED = (409, 422)
MOST_ID = 2**31 - 1
"""A registry's ids are Java's ints."""
_FOREIGN = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError,
)  # fmt: skip
"""What its client raises for an answer that no registry gives, since it does not look closely."""


class Registered(NamedTuple):
    """A schema as the registry has it."""

    type: str
    subject: str
    id: int
    version: int


class Verdict(NamedTuple):
    """What the registry says about a schema that is not registered by asking."""

    type: str
    subject: str
    level: str
    """The subject's compatibility rule, for example FULL_TRANSITIVE; NONE where there is none."""
    compatible: bool


def subjects_of(type_name: str) -> tuple[str, ...]:
    """The subjects of a type: one for each topic that carries its family.

    >>> subjects_of("patterns.contact.v1")
    ('patterns.payments-value', 'patterns.baits-value')
    """
    family = type_name.rsplit(".", 1)[0]
    typed = [topic for topic in STORED if topic.event_type is not None]
    found = tuple(f"{topic.name}-value" for topic in typed if topic.type.family == family)
    return found or (f"{family}-value",)


def _registered(type_name: str, subject: str, found: Any) -> Registered:
    number, version = _number(found.schema_id), _number(found.version)
    return Registered(type_name, subject, number, version)


def _number(found: Any) -> int:
    if type(found) is not int or not 0 <= found <= MOST_ID:
        raise ValueError("no number of a registry")
    return found


class Registry:
    """A connection; every method raises RegistryError, RegistryAway when nobody answers."""

    def __init__(self, url: str, user_info: str | None = None) -> None:
        try:
            import httpx2  # noqa: PLC0415 - an extra: most installations need no registry
            from confluent_kafka import schema_registry  # noqa: PLC0415
        except ImportError as error:
            missing = f"the schema registry's client needs the package {error.name}"
            raise RegistryError(missing, INSTALL) from error
        self.url = url
        self._module, self._network = schema_registry, httpx2.HTTPError
        options: dict[str, Any] = {"url": url, "timeout": TIMEOUT_S}
        options |= {"max.retries": RETRIES, "retries.wait.ms": RETRY_MS}
        if user_info is not None:
            options["basic.auth.user.info"] = user_info
        self._client = schema_registry.SchemaRegistryClient(options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def register(self, type_name: str, text: str, subject: str | None = None) -> Registered:
        """Give the id of a schema, which the registry numbers when it does not know it.

        ``subject``: one of the type's, the first by default. It is looked up first, so that
        credentials which may only read are enough once ``streams schemas register`` has run.
        Repeating it changes nothing.
        """
        subject = subject or subjects_of(type_name)[0]
        found = self.look_up(type_name, text, subject)
        if found is None:
            with self._asking(type_name, subject):
                self._client.register_schema(subject, self._schema(text))
            found = self.look_up(type_name, text, subject)
        if found is None:
            raise RegistryError(
                f"the schema registry took {type_name} under {subject} and does not know it",
                "see the registry's log",
            )
        return found

    def look_up(self, type_name: str, text: str, subject: str) -> Registered | None:
        """The registered schema, None when the registry does not know this text there."""
        with self._asking(type_name, subject):
            try:
                found = self._client.lookup_schema(subject, self._schema(text))
            except self._module.SchemaRegistryError as error:
                if error.error_code in _UNKNOWN:
                    return None
                raise
            return _registered(type_name, subject, found)

    def judge(self, type_name: str, text: str, subject: str) -> Verdict:
        """May this schema be registered beside those of the subject? Nothing is changed."""
        with self._asking(type_name, subject):
            level = self._unless_unknown(self._client.get_compatibility, subject)
            level = level or self._client.get_compatibility()
            if not isinstance(level, str):
                raise TypeError("no name of a rule")
            answer = self._unless_unknown(
                self._client.test_compatibility_all_versions, subject, self._schema(text)
            )
        return Verdict(type_name, subject, level, answer is not False)

    def _unless_unknown(self, ask: Any, *arguments: Any) -> Any:
        try:
            return ask(*arguments)
        except self._module.SchemaRegistryError as error:
            if error.error_code in _UNKNOWN:
                return None
            raise

    def _schema(self, text: str) -> Any:
        return self._module.Schema(text, "AVRO")

    @contextmanager
    def _asking(self, type_name: str, subject: str) -> Iterator[None]:
        try:
            yield
        except self._network as error:
            raise self._away(f"{type(error).__name__} {error}") from error
        except self._module.SchemaRegistryError as error:
            raise self._refusal(type_name, subject, error) from error
        except _FOREIGN as error:
            raise RegistryError(
                f"what answers at {self.url} is no schema registry", "check schema_registry"
            ) from error

    def _away(self, fault: str) -> RegistryAway:
        words = " ".join(fault.split())
        return RegistryAway(
            f"no schema registry answers at {self.url} ({words})", "check schema_registry"
        )

    def _refusal(self, type_name: str, subject: str, error: Any) -> RegistryError:
        status, message = int(error.http_status_code), error.error_message
        said = " ".join(message[:300].split()) if isinstance(message, str) else "no reason"
        if status >= _SERVER_TROUBLE or status in _BUSY:
            return self._away(f"HTTP status {status}")
        if status in _NO_ACCESS:
            return RegistryError(
                f"the schema registry gives no access to {subject} (HTTP status {status})",
                "set schema_registry_user_info, and let somebody who may register run "
                "`streams schemas register`",
            )
        if status in _REFUSED:
            return Incompatible(
                f"the schema registry refuses {type_name} under {subject}: {said}",
                "see `streams schemas check --registry`, and add fields with defaults only",
            )
        return RegistryError(
            f"the schema registry at {self.url} answers {status} to {subject}: {said}",
            "check the path in schema_registry",
        )
