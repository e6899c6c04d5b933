"""docker-compose.yml holds together, as far as that can be told without an engine."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest
import typer

from deploy.make_secrets import SECRETS, main
from sinks import catalog
from sinks.postgres_link import address
from streams.cli.main import app
from streams.config import host_and_port, load
from tests.deploy.compose import (
    CONTENT,
    FILE,
    OURS,
    ROOT,
    SERVICES,
    check,
    environment,
    mounts,
    once,
    schema,
)

ASKED_FOR = ["kafka", "registry", "postgres", "bitcoind", "dwn-server", "worker"]
PROFILES = {"sinks", "regtest", "web5"}
NAMED = [name for name in SERVICES if "depends_on" in SERVICES[name]]


def refusals(content: Any) -> list[str]:
    """What the compose specification says against a file."""
    known = schema()
    checker = jsonschema.validators.validator_for(known)(known)
    return [error.message for error in checker.iter_errors(content)]


def test_the_file_is_a_compose_file() -> None:
    """It obeys the schema of the compose specification."""
    assert [] == refusals(CONTENT)


def test_the_schema_refuses() -> None:
    """The schema that we check with is one that finds mistakes."""
    wrong = {"services": {"kafka": {"image": "apache/kafka:4.3.1", "healthchek": {}}}}
    assert [] != refusals(wrong)


@pytest.mark.parametrize("name", ASKED_FOR)
def test_servers_have_a_health_check(name: str) -> None:
    """Each server has one, with an end to its patience."""
    found = SERVICES[name]["healthcheck"]
    assert {"test", "interval", "timeout", "retries", "start_period"} <= found.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_no_health_check_is_forgotten(name: str) -> None:
    """Where there is none, that is said: the image's own would ask what does not listen."""
    found = SERVICES[name]["healthcheck"]
    assert found == {"disable": True} or "test" in found


@pytest.mark.parametrize("name", NAMED)
def test_waits_name_a_condition_that_can_come(name: str) -> None:
    """Servers are waited for until healthy, what runs once until it succeeded."""
    for other, how in SERVICES[name]["depends_on"].items():
        if once(other):
            assert {"condition": "service_completed_successfully"} == how
        else:
            assert {"condition": "service_healthy"} == how
            assert "test" in SERVICES[other]["healthcheck"]


@pytest.mark.parametrize("name", NAMED)
def test_waits_stay_inside_the_profile(name: str) -> None:
    """What a service waits for runs whenever it does itself."""
    own = set(SERVICES[name].get("profiles", ()))
    for other in SERVICES[name]["depends_on"]:
        assert set(SERVICES[other].get("profiles", ())) <= own


def test_topics_and_schemas_are_there_before_what_uses_them() -> None:
    """Whatever reads or writes topics starts after ``topics apply`` and ``schemas register``."""
    users = [name for name in OURS if not once(name)]
    assert {"topics", "schemas", "kafka"} <= set.intersection(
        *(set(SERVICES[name]["depends_on"]) for name in users)
    )


def test_profiles() -> None:
    """Kafka, the registry and the worker always run; the rest is asked for by name."""
    found = {profile for one in SERVICES.values() for profile in one.get("profiles", ())}
    always = {name for name, one in SERVICES.items() if "profiles" not in one}
    assert PROFILES == found
    assert {"kafka", "registry", "topics", "schemas", "worker"} == always


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    """Every image has a tag with a version."""
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+(\.\d+)?", SERVICES[name]["image"])


def test_ports_are_on_loopback() -> None:
    """What is published is for this machine alone, and no port is taken twice."""
    ports = [port for one in SERVICES.values() for port in one.get("ports", ())]
    assert [] == [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)]
    assert len(ports) == len({port.split(":")[1] for port in ports})


def test_no_secret_is_written_out() -> None:
    """Secrets are files, made by our script, and a service that names one gets it."""
    assert set(SECRETS) == set(CONTENT["secrets"])
    for name, one in CONTENT["secrets"].items():
        assert {"file": f"deploy/secrets/{name}"} == one
    for service in SERVICES.values():
        text = repr([service.get("command"), service.get("environment")])
        assert set(re.findall(r"/run/secrets/(\w+)", text)) == set(service.get("secrets", ()))
        names = [n for n in service.get("environment", {}) if re.search("PASSWORD|SECRET|KEY", n)]
        assert [] == [name for name in names if not name.endswith("_FILE")]


def test_volumes_are_declared_and_used() -> None:
    """Every named volume has its line, and somebody's data in it."""
    used = {volume for name in SERVICES for volume, _ in mounts(name)}
    assert set(CONTENT["volumes"]) == used


@pytest.mark.parametrize("name", [*OURS, "bitcoind", "dwn-server"])
def test_containers_of_ours_may_do_little(name: str) -> None:
    """No root, no rights, nothing to write to but volumes and /tmp."""
    one = SERVICES[name]
    assert ("10001:10001", True, ["ALL"], ["no-new-privileges:true"], ["/tmp"]) == (
        one["user"], one["read_only"], one["cap_drop"], one["security_opt"], one["tmpfs"],
    )  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with what the containers find mounted."""
    main(tmp_path / "run" / "secrets")
    (tmp_path / "cookie").mkdir()
    (tmp_path / "cookie" / "cookie").write_text("__cookie__:secret")
    return tmp_path


def words_of(name: str, files: Path) -> list[str]:
    """The command of a service of ours, its files where the test has them."""
    command = SERVICES[name]["command"]
    return [re.sub(r"(?<![:/\w])(/run/secrets|/cookie)/", f"{files}\\1/", word) for word in command]


def parsed(words: list[str]) -> Any:
    """What the parser of ``streams`` makes of a command line; nothing is run."""
    program, *rest = words
    assert "streams" == program
    command: Any = typer.main.get_command(app)
    context = command.make_context("streams", rest)
    while hasattr(command, "commands"):
        left = [*context._protected_args, *context.args]
        _, command, left = command.resolve_command(context, left)
        context = command.make_context(command.name, left, parent=context)
    return context


@pytest.mark.parametrize("name", OURS)
def test_commands_of_ours_are_understood(name: str, files: Path) -> None:
    """Every command line goes through the parser whole, files and all."""
    context = parsed(words_of(name, files))
    assert SERVICES[name]["command"][1] in (context.info_name, context.parent.info_name)


@pytest.mark.parametrize(
    "line", ["streams worker --wiat 60", "streams source bitcoin", "streams x"]
)
def test_the_parser_refuses(line: str) -> None:
    """A command with a slip in it would have been found."""
    with pytest.raises(Exception, match=r"No such|Missing"):
        parsed(shlex.split(line))


@pytest.mark.parametrize("name", OURS)
def test_settings_of_ours_are_settings(name: str) -> None:
    """Each STREAMS_ variable is one, with a value of its type; the settings file loads."""
    found = environment(name)
    path = ROOT / CONTENT["configs"]["settings"]["file"]
    mounted = SERVICES[name]["configs"]
    assert [{"source": "settings", "target": found["STREAMS_CONFIG"]}] == mounted
    assert all(name.startswith("STREAMS_") for name in found)
    loaded = load(environment={**found, "STREAMS_CONFIG": str(path)})
    assert "json" == loaded.config.log_format
    assert loaded.config.payments.watches("any")


def hosts(name: str) -> set[str]:
    """The hosts that a service of ours is told to talk to."""
    found = environment(name)
    texts = [found["STREAMS_SCHEMA_REGISTRY"], f"kafka://{found['STREAMS_BROKER']}"]
    texts += [word.rpartition("uri=")[2] for word in SERVICES[name]["command"] if "://" in word]
    return {str(urlsplit(text).hostname) for text in texts}


@pytest.mark.parametrize("name", OURS)
def test_hosts_are_services(name: str) -> None:
    """Every host that is named is a service of the file."""
    assert hosts(name) <= SERVICES.keys()


@pytest.mark.parametrize("name", [name for name in OURS if not once(name)])
def test_hosts_are_waited_for(name: str) -> None:
    """What is named is waited for: the registry by who registers the schemas."""
    waited = set(SERVICES[name]["depends_on"])
    for other in tuple(waited):
        waited |= set(SERVICES[other].get("depends_on", ()))
    assert hosts(name) <= waited


def test_the_worker_listens_where_its_check_asks() -> None:
    """The health check asks the port at which the worker answers."""
    host, port = host_and_port(environment("worker")["STREAMS_HEALTH_LISTEN"])
    assert ("0.0.0.0", [str(port)]) == (host, SERVICES["worker"]["expose"])
    assert f"http://127.0.0.1:{port}/readyz" in check("worker")[-1]


def test_the_sink_has_its_settings(files: Path) -> None:
    """The sink exists, takes these settings, and finds its password in the secret."""
    _, _, sink, *rest = words_of("sink-postgres", files)
    settings = dict(word.split("=", 1) for word in rest[1::2])
    settings["password"] = f"file:{files}{settings['password'].removeprefix('file:')}"
    assert {"-o"} == set(rest[::2])
    config: Any = msgspec.convert(settings, catalog.load(sink).Config)
    found = address(config.uri, config.password)
    made = (files / "run" / "secrets" / "postgres_password").read_text()
    assert made == found.password
    want = environment("postgres")
    parts = urlsplit(config.uri)
    assert ("postgres", 5432) == (parts.hostname, parts.port)
    assert (want["POSTGRES_USER"], f"/{want['POSTGRES_DB']}") == (parts.username, parts.path)


def test_the_source_and_the_node_agree() -> None:
    """RPC, ZMQ and the cookie are where the node has them."""
    node, source = SERVICES["bitcoind"]["command"], SERVICES["source-bitcoin"]["command"]
    cookie = next(word.split("=")[1] for word in node if word.startswith("-rpccookiefile="))
    zmq = {word.rpartition(":")[2] for word in node if word.startswith(("-zmqpubs", "-zmqpubr"))}
    options = dict(zip(source[3::2], source[4::2], strict=True))
    assert cookie == options["--cookie"]
    assert dict(mounts("bitcoind"))["cookie"] == dict(mounts("source-bitcoin"))["cookie"]
    assert urlsplit(options["--zmq"]).port in {int(port) for port in zmq if port.isdigit()}
    assert 18443 == urlsplit(options["--rpc"]).port
    assert "cookie:/cookie:ro" in SERVICES["source-bitcoin"]["volumes"]


def test_secrets_are_kept(tmp_path: Path) -> None:
    """A second run changes nothing; the folder is its owner's alone, and no file is for git."""
    folder = tmp_path / "secrets"
    main(folder)
    before = {name: (folder / name).read_text() for name in SECRETS}
    main(folder)
    assert before == {name: (folder / name).read_text() for name in SECRETS}
    assert (0o700, "*\n") == (folder.stat().st_mode & 0o777, (folder / ".gitignore").read_text())
    assert 20 <= len(before["postgres_password"])


def test_the_file_says_what_the_profiles_are() -> None:
    """The comment at its head names every profile."""
    head = FILE.read_text().partition("\nname:")[0]
    assert [] == [name for name in PROFILES if f"#   {name}" not in head]
