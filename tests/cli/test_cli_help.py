"""Every command explains itself, with an example, and help is fast."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from streams import __version__
from streams.cli.group import hoist
from streams.cli.main import COMMANDS, app
from streams.cli.naming import complete_topic, complete_typed
from tests.cli.cli_support import Cli


def commands() -> Iterator[tuple[str, ...]]:
    """The words of every command and group."""
    yield from _walk(typer.main.get_command(app), ())


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield words
    for name, child in getattr(command, "commands", {}).items():
        yield from _walk(child, (*words, name))


ALL = list(commands())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_help_with_an_example(
    cli: Cli, words: tuple[str, ...], flag: str
) -> None:
    """Both flags print what the command does and a line to copy."""
    ended = cli(*words, flag)
    _, found, example = ended.out.partition("Example")
    assert (0, True) == (ended.code, bool(found))
    wanted = words if words else ("demo",)
    assert any("streams" in line and wanted[-1] in line for line in example.splitlines())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_option_says_what_it_is_for(words: tuple[str, ...]) -> None:
    """No option or argument is without a word of help."""
    command = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    silent = [p.name for p in command.params if not getattr(p, "help", None)]
    assert [] == silent


def test_the_table_of_commands_is_what_help_shows(cli: Cli) -> None:
    """``streams --help`` lists each command with its line."""
    out = cli("--help").out
    assert [] == [name for name, e in COMMANDS.items() if name not in out or e.summary not in out]


@pytest.mark.parametrize("words", [w for w in ALL if not w or len(w) == 1], ids=" ".join)
def test_a_group_without_a_command_prints_its_help(cli: Cli, words: tuple[str, ...]) -> None:
    """It is a usage error, and the help is the remedy."""
    command: Any = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    if hasattr(command, "commands"):
        ended = cli(*words)
        assert (2, True) == (ended.code, "Commands:" in ended.err)


def _modules(*args: str) -> set[str]:
    code = (
        "import sys\nfrom streams.cli.main import app\nsys.argv = ['streams', *sys.argv[1:]]\n"
        "try:\n    app()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=False
    )
    return set(ended.stderr.splitlines()[-1].split())


HEAVY = {"faust", "aiokafka", "river", "duckdb", "pyarrow", "pandas", "sklearn"}


def test_help_imports_next_to_nothing() -> None:
    """Neither Kafka nor rich nor a schema is loaded to print help."""
    heavy = {*HEAVY, "confluent_kafka", "rich", "msgspec", "fastavro"}
    assert set() == heavy & _modules("--help")


@pytest.mark.parametrize(
    "words",
    [
        ("schemas", "list"), ("schemas", "check"), ("topics", "list"), ("config", "show"),
        ("topology",), ("consume", "alerts", "--broker", "127.0.0.1:9"),
        ("topics", "plan", "--broker", "127.0.0.1:9"),
        ("produce", "ml.labels", "--broker", "127.0.0.1:9"),
        ("dlq", "ls", "--broker", "127.0.0.1:9"), ("doctor",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_tools_do_not_load_the_engine(words: tuple[str, ...]) -> None:
    """Reading, writing and listing start without Faust and the learning library."""
    assert set() == HEAVY & _modules(*words)


def test_help_is_fast() -> None:
    """The best of some runs takes less than 0.4 s of CPU, start of Python included."""

    def run() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "streams.cli.main", "--help"], capture_output=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(run() for _ in range(5)) < 0.4


def test_the_version_is_the_packages(cli: Cli) -> None:
    """``--version`` prints it."""
    assert f"streams {__version__}\n" == cli("--version").out


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a", "--broker", "h:1"], ["--broker", "h:1", "a"]),
        (["a", "--broker=h:1", "b"], ["--broker=h:1", "a", "b"]),
        (["a", "--set", "x=1", "--set", "y=2"], ["--set", "x=1", "--set", "y=2", "a"]),
        (["a", "--", "--debug"], ["a", "--", "--debug"]),
        (["a", "--broker"], ["--broker", "a"]),
    ],
)
def test_the_roots_options_may_follow_the_command(given: list[str], expected: list[str]) -> None:
    """They are moved in front; nothing after ``--`` is touched."""
    assert expected == hoist(given)


def test_completion_knows_the_topics() -> None:
    """The shell is offered the names that begin as the word does."""
    assert ["bitcoin.tip", "bitcoin.transactions"] == sorted(
        name for name, _ in complete_topic("bitcoin.t")
    )
    assert [] == complete_typed("dead")


def test_the_shell_gets_completions() -> None:
    """A completion request of bash is answered with topic names."""
    env = {"_STREAMS_COMPLETE": "complete_bash", "COMP_WORDS": "streams consume ml.l",
           "COMP_CWORD": "2"}  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "streams.cli.main"],
        capture_output=True, text=True, check=True, env=env,
    )  # fmt: skip
    assert "ml.labels" in ended.stdout
