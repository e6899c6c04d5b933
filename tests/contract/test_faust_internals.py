"""What the engine leans on inside Faust and aiokafka, pinned: each test says why it matters.

The versions are pinned too. Whoever raises one runs these tests first; a failure names the place
in ``streams/engine`` that has to be looked at.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import aiokafka
import pytest
from aiokafka.consumer import fetcher as aiokafka_fetcher
from aiokafka.consumer import group_coordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from faust import App, streams
from faust._cython.streams import StreamIterator
from faust.app import base as app_base
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.topics import Topic as FaustTopic
from faust.transport import base as transport_base
from faust.transport import conductor, consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from faust.types.tuples import Message
from mode import Service

from schemas.wire import Codec
from streams.engine import transport
from streams.engine.application import Application, build_app
from streams.engine.settings import EngineSettings
from streams.engine.topology import build
from tests.engine.world import OBSERVED, steps

ENGINE = Path(transport.__file__).parent


def _parameters(function: Any) -> list[str]:
    return list(inspect.signature(inspect.unwrap(function)).parameters)


def _source(function: Any) -> str:
    """The source of a function, decorated or not, without line breaks."""
    function = getattr(function, "fun", function)  # mode keeps a service's task in an object
    return re.sub(r"\s+", " ", inspect.getsource(inspect.unwrap(function)))


@pytest.fixture(scope="module")
def app() -> Any:
    """An application of ours; nothing connects before it starts."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    settings = EngineSettings(bootstrap="127.0.0.1:1", application="contract")
    return build_app(build(steps(OBSERVED)), settings, Codec())


# Versions and entry -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "pinned"), [("faust-streaming", "0.15.3"), ("aiokafka", "0.14.0")]
)
def test_versions_are_the_ones_that_were_read(package: str, pinned: str) -> None:
    """All below was read in these versions; private names may move in any other."""
    assert pinned == version(package)
    project = (ENGINE.parents[1] / "pyproject.toml").read_text()
    assert f'"{package}=={pinned}"' in project


def test_the_compiled_stream_is_the_one_in_use() -> None:
    """Budgets were measured with Faust's Cython wheel; without it a worker is slower, not wrong."""
    assert vars(streams)["_CStreamIterator"] is StreamIterator


def test_faust_finds_our_transport_by_its_url_scheme(app: Any) -> None:
    """The entry point ``faust.transports`` is how a transport gets in without a monkeypatch."""
    (entry,) = (e for e in entry_points(group="faust.transports") if e.name == "streams")
    assert "streams.engine.transport:Transport" == entry.value
    assert isinstance(app.transport, transport.Transport)


def test_the_transport_makes_consumers_of_its_class_attribute(app: Any) -> None:
    """``Transport.Consumer`` is read when the application asks for its consumer."""
    assert "self.Consumer(" in _source(transport_base.Transport.create_consumer)
    assert isinstance(app.consumer, transport.Consumer)


def test_the_consumer_makes_its_thread_in_a_method(app: Any) -> None:
    """``_new_consumer_thread`` gives us the group member; it gets ``loop`` and ``beacon``."""
    assert "self._new_consumer_thread()" in _source(consumer.ThreadDelegateConsumer.__init__)
    stock = _source(driver.Consumer._new_consumer_thread)
    assert "(self, loop=self.loop, beacon=self.beacon)" in stock
    assert isinstance(app.consumer._thread, transport.ConsumerThread)


# Overrides ----------------------------------------------------------------------------------------

OVERRIDES = [
    (transport.ConsumerThread, consumer.ConsumerThread, "on_partitions_assigned"),
    (transport.ConsumerThread, driver.AIOKafkaConsumerThread, "highwater"),
    (transport.ConsumerThread, driver.AIOKafkaConsumerThread, "_commit"),
    (transport.ConsumerThread, consumer.ConsumerThread, "on_partitions_revoked"),
    (transport.Consumer, driver.Consumer, "_new_consumer_thread"),
    (transport.Consumer, driver.Consumer, "verify_event_path"),
    (transport.Consumer, driver.Consumer, "assignment"),
    (transport.Consumer, consumer.Consumer, "_drain_messages"),
    (transport.Consumer, consumer.Consumer, "on_partitions_revoked"),
    (transport.Consumer, consumer.Consumer, "on_partitions_assigned"),
    (transport.Consumer, consumer.Consumer, "perform_seek"),
    (transport.Consumer, consumer.Consumer, "force_commit"),
    (transport.Consumer, driver.Consumer, "on_stop"),
    (transport.Consumer, Service, "on_start"),
    (Application, App, "stop"),
    (Application, Service, "_crash"),
]


@pytest.mark.parametrize(("ours", "stock", "name"), OVERRIDES, ids=lambda value: str(value)[-40:])
def test_what_is_overridden_exists_and_takes_the_same(ours: Any, stock: Any, name: str) -> None:
    """A renamed method would turn an override into dead code, and stock behaviour back on."""
    assert name in vars(ours)
    assert _parameters(getattr(stock, name)) == _parameters(getattr(ours, name))
    stock_async = inspect.iscoroutinefunction(inspect.unwrap(getattr(stock, name)))
    assert stock_async == inspect.iscoroutinefunction(getattr(ours, name))


def test_the_table_manager_only_waits_and_starts_recovery() -> None:
    """``NoTables.on_start`` leaves out the one second that stock waits for tables to register."""
    stock = _source(TableManager.on_start)
    assert "await self.sleep(1.0)" in stock
    assert "await self._update_channels()" in stock
    assert "await self.recovery.start()" in stock
    assert "self.conf.TableManager(" in re.sub(r"\s+", " ", inspect.getsource(app_base))


def test_no_other_method_of_faust_is_shadowed_by_accident() -> None:
    """Our helpers must not carry the name of something that Faust calls."""
    for ours, stock in (
        (transport.Consumer, driver.Consumer),
        (transport.ConsumerThread, driver.AIOKafkaConsumerThread),
        (transport.Transport, driver.Transport),
    ):
        known = {name for cls, _, name in OVERRIDES if cls is ours} | {"Consumer"}
        names = {name for name in vars(ours) if not name.startswith("__")}
        names -= {"logger", "abstract", "log", "_abc_impl"}  # set on every class of theirs
        assert set() == {name for name in names - known if hasattr(stock, name)}


# Data ---------------------------------------------------------------------------------------------


def test_the_fetcher_only_drains_the_consumer() -> None:
    """``_drain_messages`` replaces the fetching: nothing else in the fetcher reads from Kafka."""
    assert "await consumer._drain_messages(self)" in _source(consumer.Fetcher._fetcher)


def test_a_message_is_built_by_position() -> None:
    """``_drain_messages`` gives ConsumerMessage 12 positional fields in this order."""
    assert [
        "self", "topic", "partition", "offset", "timestamp", "timestamp_type", "headers", "key",
        "value", "checksum", "serialized_key_size", "serialized_value_size", "tp", "time_in",
        "time_out", "time_total", "generation_id",
    ] == _parameters(Message.__init__)  # fmt: skip
    assert issubclass(ConsumerMessage, Message)


def test_the_consumer_hands_messages_to_the_conductor() -> None:
    """``self.callback`` is the conductor's ``on_message``, which looks the partition up."""
    assert "callback=self.topics.on_message" in _source(app_base.App._new_consumer)
    assert "self.callback = callback" in _source(consumer.Consumer.__init__)
    handler = _source(conductor.Conductor._compile_message_handler)
    assert "callback = get_callback_for_tp(message.tp)" in handler


def _through(app: Any, chunk: Any, generation: int, active: bool) -> tuple[bool, Any]:
    """Whether the compiled iterator skips a chunk, and what it gives."""

    async def run() -> tuple[bool, Any]:
        channel = app.topic("t.observed", key_serializer="raw", value_serializer="raw", acks=False)
        (app.flow_control.resume if active else app.flow_control.suspend)()
        stream = app.stream(channel)
        message = ConsumerMessage(
            "t.observed", 0, 9, 0.0, 0, [], None, chunk, None, 0, 0, TP("t.observed", 0),
            generation_id=app.consumer_generation_id + generation,
        )  # fmt: skip
        stream.channel.queue.put_nowait(await channel.decode(message, propagate=True))
        iterator = StreamIterator(stream)
        value, state = await iterator.next()
        iterator.after(stream.current_event, stream.enable_acks, state)
        return value is stream._skipped_value, value

    return asyncio.get_event_loop().run_until_complete(run())


def test_a_chunk_passes_through_faust_as_it_is(app: Any) -> None:
    """``raw`` serializers return any object unchanged, so an agent gets the mover's chunk.

    Without acks nobody counts references: the ack lists stay empty.
    """
    chunk = object()
    assert (False, chunk) == _through(app, chunk, generation=0, active=True)
    assert {} == app.consumer._acked


@pytest.mark.parametrize(("generation", "active"), [(-1, True), (0, False)])
def test_faust_skips_chunks_of_a_rebalance(app: Any, generation: int, active: bool) -> None:
    """So every revoke must begin a new session of the mover, which reads them again.

    A chunk skipped for any other reason would break the chain, and the task stops loudly.
    """
    skipped, _ = _through(app, object(), generation, active)
    assert skipped
    assert "await self.mover.clear()" in _source(transport.Consumer.on_partitions_revoked)


def test_topics_without_acks_are_left_out_of_faust_offsets(app: Any) -> None:
    """``acks=False`` keeps the ack lists empty: positions belong to the tasks."""
    (agent,) = app.agents.values()
    assert agent.channel.acks is False
    assert "if channel.acks: self._acking_topics.add(topic)" in _source(
        conductor.Conductor._update_indices
    )
    assert "acks" in _parameters(FaustTopic.__init__)


def test_one_agent_reads_all_inputs_of_a_sub_topology(app: Any) -> None:
    """One agent on several topics is what makes Faust's assignor co-partition them."""
    (agent,) = app.agents.values()
    assert ("by_txid", (OBSERVED.name,)) == (agent.name.rpartition(".")[2], agent.channel.topics)


# Group --------------------------------------------------------------------------------------------


def test_the_member_is_paused_before_anything_else_learns_of_an_assignment() -> None:
    """aiokafka must fetch nothing: its listener calls the thread, which pauses and goes on."""
    listener = _source(driver.ConsumerRebalanceListener.on_partitions_assigned)
    assert "self._thread.on_partitions_assigned(ensure_TPset(assigned), generation)" in listener
    ours = _source(transport.ConsumerThread.on_partitions_assigned)
    assert ours.index(".pause(") < ours.index("super().on_partitions_assigned")
    assert ["self", "partitions"] == _parameters(aiokafka.AIOKafkaConsumer.pause)
    assert "raise ConsumerNotStarted" in _source(driver.AIOKafkaConsumerThread._ensure_consumer)


def test_nobody_resumes_the_member() -> None:
    """Faust pauses and resumes in its own sets; aiokafka's partitions stay paused."""
    text = inspect.getsource(consumer) + inspect.getsource(driver)
    assert [] == re.findall(r"_consumer\(?\)?\.resume\(", text)
    assert "self._assigned_state(tp).pause()" in _source(SubscriptionState.pause)


def test_rebalance_callbacks_run_on_the_applications_loop() -> None:
    """Tasks live on the main loop: the thread hands both callbacks over and waits for them."""
    for name in ("revoked", "assigned"):
        threadsafe = getattr(consumer.ThreadDelegateConsumer, f"threadsafe_partitions_{name}")
        source = _source(threadsafe)
        assert "await self._method_queue.call(" in source
        assert f"self.on_partitions_{name}," in source
        assert "await promise" in source


def test_tasks_begin_where_stock_faust_seeks() -> None:
    """After each rebalance recovery calls ``perform_seek`` once; a late one is dropped before."""
    source = _source(Recovery._resume_streams)
    assert 1 == source.count("consumer.perform_seek()")
    assert source.index("Recovery rebalancing again") < source.index("consumer.perform_seek()")
    assert source.index("consumer.perform_seek()") < source.index("consumer.resume_flow()")


def test_the_pulse_keeps_the_member_in_its_group() -> None:
    """aiokafka leaves the group when nobody fetches for ``max.poll.interval``, and stays out.

    An empty fetch counts: ``_getmany(assignment, timeout=0.0)`` reaches ``fetched_records`` inside
    ``fetch_context``, whose end resets the poll timer. While the flow is stopped it does nothing.
    """
    assert ["self", "active_partitions", "timeout"] == _parameters(
        consumer.ThreadDelegateConsumer._getmany
    )
    fetch = _source(driver.AIOKafkaConsumerThread._fetch_records)
    assert "if not self.consumer.flow_active: return {}" in fetch
    assert "with fetcher._subscriptions.fetch_context():" in fetch
    assert "self._last_fetch_ended = time.monotonic()" in _source(SubscriptionState.fetch_context)
    group = inspect.getsource(group_coordinator.GroupCoordinator)
    assert "if idle_time < self._max_poll_interval:" in group
    assert "if prev_assignment is not None and idle_time >= self._max_poll_interval:" in group
    assert "async def fetched_records" in inspect.getsource(aiokafka_fetcher)


def test_the_commit_timer_ends_in_our_hint() -> None:
    """``commit`` ends in ``force_commit``, which stock fills from ack lists: ours from tasks."""
    assert "await self.commit()" in _source(consumer.Consumer._commit_handler)
    assert "return await self.force_commit(" in _source(consumer.Consumer.commit)
    assert ["self", "offsets"] == _parameters(consumer.ThreadDelegateConsumer._commit)
    assert ["self", "offsets"] == _parameters(driver.AIOKafkaConsumerThread._commit)


def test_the_stall_detector_can_be_switched_off_in_one_place() -> None:
    """``verify_event_path`` looks at acks, which are not used: it would cry wolf."""
    assert "self.verify_event_path(now, tp)" in inspect.getsource(consumer.Consumer)


def test_high_water_is_asked_of_the_thread() -> None:
    """aiokafka fetches nothing and so knows no ends: the mover answers instead."""
    assert "self._thread.highwater(tp)" in _source(consumer.ThreadDelegateConsumer.highwater)


@pytest.mark.parametrize(
    "name",
    ["loop", "beacon", "app", "callback", "flow_active", "should_stop", "assignment", "sleep"],
)
def test_what_the_transport_reads_of_a_consumer_is_there(app: Any, name: str) -> None:
    """Attributes and methods of Faust's consumer and mode's service."""
    assert hasattr(app.consumer, name)


def test_the_generation_is_known_to_the_application(app: Any) -> None:
    """A message carries the group's generation, or Faust would drop it as stale."""
    assert hasattr(app, "consumer_generation_id")
    listener = _source(driver.ConsumerRebalanceListener.on_partitions_assigned)
    assert "app.consumer_generation_id = generation" in listener


# Settings -----------------------------------------------------------------------------------------


def test_settings_of_the_application_took_effect(app: Any) -> None:
    """An unknown setting would raise; these values are what delivery and tests rely on."""
    conf = app.conf
    assert (False, False, True) == (
        conf.stream_wait_empty, conf.topic_allow_declare, conf.topic_disable_leader,
    )  # fmt: skip
    assert "at_least_once" == conf.processing_guarantee.value
    assert conf.table_standby_replicas >= 1, "else Faust assigns round robin, not co-partitioned"


def test_faust_app_command_line_runs_our_application() -> None:
    """``faust -A streams.app worker`` finds ``app`` by attribute, made when asked for."""
    from streams import app as module  # noqa: PLC0415

    assert isinstance(module.app, App)


@pytest.mark.parametrize("session_ms", [6_000, 90_000, 1_800_000])
def test_a_session_may_be_as_long_as_brokers_accept(session_ms: int) -> None:
    """Faust refuses a session that is longer than a request may take, so that grows with it."""
    refused = "if session_timeout > request_timeout: raise"
    assert refused in _source(driver.AIOKafkaConsumerThread._create_worker_consumer)
    settings = EngineSettings(bootstrap="127.0.0.1:1", session_timeout_ms=session_ms)
    conf = build_app(build(steps(OBSERVED)), settings, Codec()).conf
    assert session_ms / 1000 == conf.broker_session_timeout <= conf.broker_request_timeout


# No monkeypatch -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(ENGINE.glob("*.py")), ids=lambda path: path.name)
def test_the_engine_patches_nobody(path: Path) -> None:
    """No assignment to an attribute of an imported name, no ``setattr``, no mock."""
    tree = ast.parse(path.read_text())
    imported = {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in targets:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                assert target.value.id not in imported, ast.unparse(node)
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called != "setattr" and "mock" not in called and "patch" not in called


def test_a_member_with_a_name_is_static() -> None:
    """``engine.instance_id`` reaches Kafka, and whoever has one does not leave when it stops."""
    made = inspect.getsource(driver.AIOKafkaConsumerThread._create_worker_consumer)
    assert "group_instance_id=conf.consumer_group_instance_id" in made
    left = inspect.getsource(group_coordinator.GroupCoordinator._maybe_leave_group)
    assert "self._group_instance_id is None" in left
    settings = EngineSettings(instance_id="a")
    app = build_app(build(steps(OBSERVED)), settings, Codec())
    assert "a" == app.conf.consumer_group_instance_id
