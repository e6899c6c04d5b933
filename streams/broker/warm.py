"""Making the AOT cache: run a broker once to learn what it loads, let Java write that down."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.broker import aot
from streams.broker.filelocks import exclusive
from streams.broker.jars import class_path
from streams.broker.launch import Spec, launch
from streams.broker.paths import Progress, cache_home, no_progress

_LOWEST = 19
_WRITE_S = 180.0


def warm_up(home: Path | None = None, progress: Progress = no_progress) -> bool:
    """Make the AOT cache unless it is there; whether there is one now.

    Takes some seconds to a minute of one core at the lowest priority. Raises BrokerError when a
    broker cannot be started at all.
    """
    home = home or cache_home()
    cache = aot.cache_file(home, class_path(home, progress))
    with exclusive(home / "warm.lock", "waiting for another warm-up", progress):
        if not aot.usable(cache):
            _make(home, cache, progress)
        return aot.usable(cache)


def _make(home: Path, cache: Path, progress: Progress) -> None:
    work = home / "warming"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    cache.parent.mkdir(exist_ok=True)
    progress("preparing faster starts")
    try:
        _train(home, work)
        if (work / "kafka.aot").exists():
            aot.record(work / "kafka.aot", cache)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _train(home: Path, work: Path) -> None:
    output = (f"-XX:AOTCacheOutput={work / 'kafka.aot'}",)
    spec = Spec(home=home, data_dir=work / "data", jvm=output, cached=False, nice=_LOWEST)
    launched = launch(spec, no_progress)
    with ExitStack() as undo:
        undo.callback(launched.child.kill)
        _round_trip(launched.bootstrap)
        launched.child.terminate(_WRITE_S)  # Java writes the cache before it ends


def _round_trip(bootstrap: str) -> None:
    """Do once what our workers do: a topic, a transaction, a read by a group."""
    common: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap, "log_level": 0}
    admin = AdminClient(common)
    admin.create_topics([NewTopic("warm", 1, 1)])["warm"].result(30)
    producer = Producer({**common, "transactional.id": "warm"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce("warm", b"value", b"key")
    producer.commit_transaction(30)
    consumer = Consumer({**common, "group.id": "warm", "auto.offset.reset": "earliest"})
    consumer.subscribe(["warm"])
    consumer.poll(10)
    consumer.close()
