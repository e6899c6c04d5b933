"""A user's own steps: what the guide shows works, and what is wrong is said in two lines."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from schemas.envelope import Event
from schemas.wire import Codec
from streams import topics
from streams.client import fold, read_all
from streams.engine.own_types import OWN, forget, teach
from streams.ops.admin import Admin, Planned
from streams.ops.begin import until_it_may
from streams.ops.modules import load_steps, select
from streams.topics import Topic
from tests.kafka.world import DEMO, World, until
from tests.ops.own import from_guide, python, streams

MODULE = "my_steps"


def count(events: list[Event]) -> dict[str, int]:
    """How often each address is credited or debited, counted independently."""
    found: Counter[str] = Counter()
    for event in events:
        found[event.key] += 1 if event.op == "assert" else -1
    return {address: number for address, number in found.items() if number}


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The guide's module, imported once from a folder of its own."""
    folder = tmp_path_factory.mktemp("own")
    (folder / f"{MODULE}.py").write_text(from_guide(f"{MODULE}.py"))
    sys.path.insert(0, str(folder))
    yield __import__(MODULE)
    sys.path.remove(str(folder))
    forget(sys.modules.pop(MODULE).address_counts.event_type)


@pytest.fixture
def folder(own: Any, tmp_path: Path) -> Path:
    """A folder that holds the guide's module."""
    (tmp_path / f"{MODULE}.py").write_text(from_guide(f"{MODULE}.py"))
    return tmp_path


def test_the_guides_test_passes(folder: Path) -> None:
    """The test that the guide shows is one: it passes, and fails when the step is wrong."""
    (folder / "test_my_steps.py").write_text(from_guide("test_my_steps.py"))
    argv = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_steps.py")
    good = python(folder, *argv)
    assert (0, good.stdout) == (good.returncode, good.stdout)
    module = folder / f"{MODULE}.py"
    module.write_text(module.read_text().replace("else -1", "else 1"))
    assert 1 == python(folder, *argv).returncode


@pytest.mark.kafka
def test_own_steps_run_beside_the_main_job(world: World, own: Any, folder: Path) -> None:
    """The guide's worker counts what the main job writes, exactly, in a group of its own.

    ::

        main job    |------------------------------>
        own steps       |----x kill -9    |--------->
        input         |----------------|
    """
    refused = streams(world, folder, "worker", "--module", MODULE)
    assert (7, "my.address_counts" in refused.stderr) == (refused.returncode, True)
    assert "remedy: create them with --create-topics" in refused.stderr
    options = ("--module", MODULE, "--create-topics")
    main, first = world.worker(), world.worker(*options)
    until("the own steps run", lambda: first.said("task_recovered"))
    player = world.play(DEMO)
    player.finish()
    first.clean_up()
    second = world.worker(*options)
    until("they run again", lambda: second.said("task_recovered"))
    world.settle()
    until("own steps are through", lambda: behind(world, folder, "--module", MODULE) == 0)
    activity = [read.event for read in world.read(topics.activity) if read.event is not None]
    reads = read_all(world.bootstrap, own.address_counts.name, teach(Codec()))
    counted = {value.address: value.count for value in fold(reads).values()}
    assert len(counted) > 10
    assert count(activity) == counted
    groups = {"streams", f"streams.{MODULE}"}
    listed = world.admin.client.list_consumer_groups().result(10).valid
    assert groups <= {group.group_id for group in listed}
    assert (0, 0) == (second.end(), main.end())


WRONG = {
    "no steps": ("x = 1", "module bad has no steps", "give it `steps = (...)`"),
    "not a step": ("steps = (1,)", "`steps` holds a int, not a Step", "make it a tuple of Steps"),
    "a failing import": ("import nothing_like_it", "No module named 'nothing_like_it'", "--debug"),
    "a mistake": ("x = (", "(SyntaxError:", "correct it"),
    "an error": ("1 / 0", "ZeroDivisionError: division by zero) in", "correct it"),
    "a bad name": (
        "steps = (Step('a b', (topics.tip,), (), print),)",
        "names a step 'a b'",
        "use letters",
    ),
    "no tuple": ("step = Step('a', topics.tip, (), print)", "`reads` is not a tuple", "reads=("),
    "reads nothing": ("step = Step('a', (), (), print)", "reads nothing", "name a topic"),
    "a topic of ours": (
        "step = Step('a', (topics.tip,), (topics.alerts,), print)",
        "writes alerts, a topic of the main job",
        "write to a topic of your own",
    ),
    "a topic that looks like ours": (
        "t = Topic('alerts', 'txid', 'x', 'bitcoin.tip.v1')\nstep = Step('a', (t,), (), print)",
        "has a topic alerts that is not ours",
        "import ours from streams.topics",
    ),
    "a topic without a type": (
        "t = Topic('t', 'txid', 'x', 'bitcoin.tipp.v1')\nstep = Step('a', (t,), (), print)",
        "carries bitcoin.tipp.v1",
        "did you mean bitcoin.tip.v1?",
    ),
    "a bad topic name": (
        "t = Topic('a/b', 'txid', 'x', 'bitcoin.tip.v1')\nstep = Step('a', (t,), (), print)",
        "a topic named 'a/b'",
        "use letters",
    ),
    "a name of ours for a type": (
        "event_type('bitcoin.tip.v1', Value, str)",
        "bitcoin.tip.v1 is a type of ours",
        "correct it",
    ),
    "a field that Avro cannot hold": (
        "class V(Value):\n    x: set[str]\nevent_type('v.v1', V, str)",
        "field V.x has a type that Avro cannot hold",
        "correct it",
    ),
}
HEAD = """from streams import Step, Topic, event_type, topics
from schemas.events import Value
"""


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_in_a_module_is_said(wrong: str, world_free: Any) -> None:
    """Every mistake ends with code 2 and two lines: what it is, and what to do."""
    text, cause, remedy = WRONG[wrong]
    code, err = world_free("bad", HEAD + text)
    lines = err.splitlines()
    assert (2, 2) == (code, len(lines)), err
    assert cause in lines[0]
    assert lines[1].startswith("remedy: ") and remedy in lines[1]


@pytest.fixture
def world_free(tmp_path: Path) -> Any:
    """Draw a module of this name and text in a process of its own: code and error output."""

    def run(name: str, text: str, *more: str) -> tuple[int, str]:
        (tmp_path / f"{name}.py").write_text(text)
        ended = python(tmp_path, "-m", "streams", "topology", "--module", name, *more)
        return ended.returncode, ended.stderr

    return run


def test_debug_shows_the_traceback_of_somebodys_import(world_free: Any) -> None:
    """With --debug the traceback names the line; without, there is none."""
    assert "Traceback" not in world_free("bad", "1 / 0")[1]
    assert "ZeroDivisionError" in world_free("bad", "1 / 0", "--debug")[1].split("error:")[0]


@pytest.mark.parametrize(
    ("name", "cause"),
    [("nothing", "there is no module nothing"), ("a.b.c", "there is no module a.b.c"),
     ("my_steps.py", "there is no module my_steps.py"), ("/x", "is not the name of a module")],
)  # fmt: skip
def test_a_module_that_is_not_there(name: str, cause: str, tmp_path: Path) -> None:
    """A name that leads nowhere is said, with where modules are looked for."""
    ended = python(tmp_path, "-m", "streams", "topology", "--module", name)
    assert (2, True, 2) == (ended.returncode, cause in ended.stderr, ended.stderr.count("\n"))


def test_an_entry_point_offers_steps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package's entry point is a name for ``--module`` too."""
    monkeypatch.syspath_prepend(folder)
    info = folder / "counts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: counts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[streams.steps]\ncounts = my_steps:step\n")
    assert ("count_by_address",) == tuple(step.name for step in load_steps("counts"))


@pytest.mark.kafka
def test_a_topic_that_is_read_and_is_not_there_is_never_created(
    world: World, tmp_path: Path
) -> None:
    """A wrong name of an input is refused with the nearest one, also with --create-topics."""
    text = (
        f"{HEAD}t = Topic('bitcoin.activities', 'address', 'x', 'bitcoin.tip.v1')\n"
        "step = Step('a', (t,), (), print)\n"
    )
    (tmp_path / "typo.py").write_text(text)
    ended = streams(world, tmp_path, "worker", "--module", "typo", "--create-topics")
    assert (7, True) == (ended.returncode, "did you mean bitcoin.activity?" in ended.stderr)
    assert "bitcoin.activities" not in world.admin.partitions()


ALONE = f"""{HEAD}

class Seen(Value, frozen=True):
    who: str


event_type("alone.seen.v1", Seen, key=lambda value: value.who)
seen = Topic("alone.seen", "who", "who was seen", "alone.seen.v1", source=True, declared=False)
told = Topic("alone.told", "who", "who was told of", "alone.seen.v1")


def tell(batch, state, emit):
    for event in batch:
        if event.value.who == "nobody":
            raise ValueError("nobody was seen")
        emit.derive(told, event, [("", event.value)])


step = Step("tell", (seen,), (told,), tell)
"""


@pytest.mark.kafka
def test_a_module_needs_no_topic_that_it_does_not_touch(world: World, tmp_path: Path) -> None:
    """On a broker without the main job: what it reads and writes, and where it puts records aside.

    ::

        alone.seen  a, nobody, b   -->   alone.told  a, b      dead_letters  nobody
    """
    world.delete_topics(name for name in world.admin.partitions() if not name.startswith("__"))
    (tmp_path / "alone.py").write_text(ALONE)
    module = ("--module", "alone")
    ended = streams(world, tmp_path, "worker", *module)
    words = "topics are missing (alone.seen, alone.told, dead_letters, late_records)"
    assert (7, True) == (ended.returncode, words in ended.stderr), ended.stderr
    worker = world.worker(*module, "--create-topics")
    until("the module runs", lambda: worker.said("task_recovered"))
    own = {"alone.seen", "alone.told", "dead_letters", "late_records"}
    found = {name for name in world.admin.partitions() if not name.startswith("__")}
    assert own | {"streams-alone-by_who-changelog"} == found
    lines = [{"payload": {"who": who}, "id": who, "timestamp": 1} for who in ("a", "nobody", "b")]
    (tmp_path / "seen.ndjson").write_text("\n".join(map(json.dumps, lines)))
    made = streams(world, tmp_path, "produce", "alone.seen", "--file", "seen.ndjson", *module)
    assert 0 == made.returncode, made.stderr
    until("all is through", lambda: behind(world, tmp_path, *module) == 0)
    listed = streams(world, tmp_path, "consume", "alone.told", *module, "--from-beginning",
                     "--until-end", "--output", "ndjson")  # fmt: skip
    rows = [json.loads(line)["payload"]["who"] for line in listed.stdout.splitlines()]
    assert ["a", "b"] == sorted(rows), listed.stderr
    assert "nobody was seen" in streams(world, tmp_path, "dlq", "ls").stdout
    assert 0 == streams(world, tmp_path, "topology", *module, "--live").returncode
    assert 0 == worker.end()


@pytest.mark.kafka
def test_a_module_that_reads_what_the_main_job_writes_needs_that_topic(
    world: World, tmp_path: Path
) -> None:
    """And no other one of the main job: the remedy names the command that makes them."""
    world.delete_topics([topics.activity.name, topics.alerts.name])
    (tmp_path / "reader.py").write_text(f"{HEAD}step = Step('a', (topics.activity,), (), print)\n")
    ended = streams(world, tmp_path, "worker", "--module", "reader")
    words = "topic bitcoin.activity of the main job, which is to be read, does not exist"
    assert (7, True) == (ended.returncode, words in ended.stderr), ended.stderr
    assert "remedy: create the main job's topics with `streams topics apply`" in ended.stderr


def behind(world: World, folder: Path, *module: str) -> int:
    """What a module's steps have not read yet."""
    found = streams(world, folder, "lag", *module, "--json")
    assert 0 == found.returncode, found.stderr
    return sum(row["lag"] for row in json.loads(found.stdout)["inputs"])


def test_own_types_keep_their_ids(own: Any) -> None:
    """The id of a type is a digest of its schema, far above those that are counted."""
    made = OWN["my.address_count.v1"]
    assert (True, True) == (made.number >= 1 << 30, made.number == OWN[made.name].number)
    value = own.AddressCount("a", 3)
    codec = teach(Codec())
    assert value == codec.decode(codec.encode(made.name, value))[1]
    assert isinstance(own.address_counts, Topic)


class Forgetful(Admin):
    """Asks a cluster of which some brokers hear of new topics a little later than others."""

    unheard = 0

    def create(self, plan: Sequence[Planned]) -> None:
        super().create(plan)
        self.unheard = 3

    def partitions(self) -> dict[str, int]:
        self.unheard -= 1
        return super().partitions() if self.unheard < 0 else {}


def test_a_broker_that_hears_late_of_new_topics_is_waited_for(world: World, own: Any) -> None:
    """Also by who was not told to wait: the topics are there, one broker has listed them."""
    admin = Forgetful(world.settings)
    until_it_may(admin, select(world.config, MODULE), 0, create_topics=True)
    assert own.address_counts.name in admin.partitions()
