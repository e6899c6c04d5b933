"""A real registry: ids are given once, the same for ever, and incompatible schemas are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from fastavro.schema import to_parsing_canonical_form

from schemas.catalog import AVRO_DIR, BY_NAME, TYPES
from schemas.registry import canonical, locked_ids, schema_text
from streams.config import Config
from streams.registry import Incompatible, Registry, RegistryError, codec_for, subjects_of
from streams.topics import ALL
from tests.cli.cli_support import Cli
from tests.registry.server import RegistryServer

pytestmark = pytest.mark.registry

STRICT = "alerts.alert.v1"
"""Its subject has a compatibility rule in these tests."""
SUBJECTS = {(kind.name, subject) for kind in TYPES for subject in subjects_of(kind.name)}
"""Each type with each of its subjects."""


@pytest.fixture
def strict(server: RegistryServer) -> str:
    """The registry's address; one of its subjects holds our schema and a rule."""
    with Registry(server.url) as registry:
        registry.register(STRICT, schema_text(BY_NAME[STRICT]))
    client = SchemaRegistryClient({"url": server.url})
    client.set_compatibility(subjects_of(STRICT)[0], "FULL_TRANSITIVE")
    return server.url


def retyped(name: str) -> dict[str, Any]:
    """A type's schema with its first field made a boolean: nobody can read the other's data."""
    schema: dict[str, Any] = json.loads(BY_NAME[name].path.read_text())
    schema["fields"][0]["type"] = "boolean"
    return schema


def normal(text: str) -> str:
    """Avro's canonical form: registries may write attributes and namespaces in their own way."""
    return to_parsing_canonical_form(json.loads(text))


def test_subjects_are_those_of_the_topics() -> None:
    """Every topic with events has the subject that other clients look for: its name and -value.

    A type that only passes between steps in memory has one, too, though nobody will look for it.
    """
    typed = [(t, (t.event_type, f"{t.name}-value")) for t in ALL if t.event_type]
    expected = {subject for topic, subject in typed if topic.stored}
    in_memory = {subject for topic, subject in typed if not topic.stored}
    assert SUBJECTS >= expected
    assert SUBJECTS - expected <= in_memory
    assert len(TYPES) < len(SUBJECTS)


def test_versions_of_a_family_share_a_subject() -> None:
    """The next version of a type is compared with this one."""
    assert subjects_of("bitcoin.block.v1") == subjects_of("bitcoin.block.v2")


def test_registering_lists_every_type(cli: Cli, server: RegistryServer) -> None:
    """``streams schemas register`` shows every type with its subjects; again, the same."""
    words = ("schemas", "register", "-o", "ndjson", "--set", f"schema_registry={server.url}")
    first, again = cli(*words), cli(*words)
    assert (0, first.lines()) == (again.code, again.lines())
    rows = [(row["type"], row["subject"], row["version"]) for row in first.lines()]
    assert sorted((*pair, 1) for pair in SUBJECTS) == sorted(rows)
    assert len(TYPES) == len({row["id"] for row in first.lines()})
    there = SchemaRegistryClient({"url": server.url}).get_subjects()
    assert set() == {subject for _, subject in SUBJECTS} - set(there)


def test_ids_are_the_registrys(home: Path, server: RegistryServer) -> None:
    """The codec has the registry's ids, which are not the lock's, and has the same ones again."""
    config = Config(schema_registry=server.url)
    ids = codec_for(config).ids
    assert ids == codec_for(config).ids
    assert ids.keys() == locked_ids().keys()
    assert [] == [name for name, number in locked_ids().items() if ids[name] == number]


def test_ids_lead_to_our_schemas(home: Path, server: RegistryServer) -> None:
    """Another client that asks for an id is given the schema that we encode with."""
    ids = codec_for(Config(schema_registry=server.url)).ids
    client = SchemaRegistryClient({"url": server.url})
    told = {name: client.get_schema(number).schema_str or "" for name, number in ids.items()}
    assert {t.name: normal(schema_text(t)) for t in TYPES} == {
        n: normal(s) for n, s in told.items()
    }


def test_an_incompatible_schema_is_refused_by_name(strict: str) -> None:
    """The error of a registration names the type, and the registry keeps what it had."""
    with Registry(strict) as registry, pytest.raises(Incompatible, match=STRICT) as refused:
        registry.register(STRICT, canonical(retyped(STRICT)))
    assert "add fields with defaults" in refused.value.remedy
    client = SchemaRegistryClient({"url": strict})
    assert [1] == client.get_versions(subjects_of(STRICT)[0])


def test_the_committed_schemas_pass_the_registrys_check(cli: Cli, strict: str) -> None:
    """``streams schemas check --registry`` accepts what is committed, and shows the rules."""
    words = ("schemas", "check", "--registry", "-o", "ndjson", "--set", f"schema_registry={strict}")
    ended = cli(*words)
    asked = {(row["type"], row["subject"]) for row in ended.lines()}
    assert (0, SUBJECTS) == (ended.code, asked)
    assert all(row["compatible"] for row in ended.lines())
    levels = {row["type"]: row["level"] for row in ended.lines()}
    assert ("FULL_TRANSITIVE", "NONE") == (levels[STRICT], levels["bitcoin.block.v1"])


def test_the_registrys_check_names_what_it_would_refuse(
    cli: Cli, strict: str, tmp_path: Path
) -> None:
    """An edited schema ends the check with exit code 9 and its name; nothing was registered."""
    present = tmp_path / "present"
    shutil.copytree(AVRO_DIR, present)
    (present / f"{STRICT}.avsc").write_text(json.dumps(retyped(STRICT)))
    words = ("schemas", "check", "--registry", "--present", str(present))
    ended = cli(*words, "-o", "ndjson", "--set", f"schema_registry={strict}")
    assert 9 == ended.code
    assert [STRICT] == [row["type"] for row in ended.lines() if not row["compatible"]]
    assert f"error: the schema registry would refuse {STRICT}\nremedy: " in ended.err


def test_a_check_registers_nothing(cli: Cli, doomed: RegistryServer) -> None:
    """An empty registry is still empty of our subjects after it was asked."""
    ended = cli("schemas", "check", "--registry", "--set", f"schema_registry={doomed.url}")
    subjects = SchemaRegistryClient({"url": doomed.url}).get_subjects()
    assert (0, set()) == (ended.code, {subject for _, subject in SUBJECTS} & set(subjects))


def test_a_wrong_path_is_not_an_empty_registry(home: Path, server: RegistryServer) -> None:
    """An address below which there is no registry is an error, not a registry without schemas."""
    url = server.url.replace("ccompat", "nowhere")
    with pytest.raises(RegistryError, match="404") as wrong:
        codec_for(Config(schema_registry=url))
    assert "check the path in schema_registry" == wrong.value.remedy
