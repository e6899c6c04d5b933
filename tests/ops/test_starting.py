"""What a worker tells about itself while it is being started."""

from __future__ import annotations

import asyncio
import gc

from schemas.wire import Codec
from streams.agents.pipeline import topology
from streams.engine.application import build_app, no_report
from streams.engine.settings import EngineSettings
from streams.ops.health import alive, ready
from streams.ops.outage import Outage
from streams.ops.watching import Stalls, Unread, Watch, Worker


async def _asked_too_early() -> tuple[dict[str, str], bool]:
    """What /readyz and /livez say between the start of the consumer and that of its thread.

    ::

        consumer    | started ...................................
        its thread             | made ........ | in the group ...
        asked          here
    """
    settings = EngineSettings(bootstrap="127.0.0.1:1", application="starting")
    outage = Outage()
    watch = Watch(no_report, outage)
    app = build_app(topology(), settings, Codec())
    worker = Worker(app, watch, outage)
    looking = Stalls(lambda: worker.held, outage, 30), Unread(worker.unread, outage, 30)
    consumer, thresholds = app.consumer, gc.get_threshold()
    await consumer.on_start()
    try:
        lives = all(check.ok for check in alive(worker, *looking))
        failed = {check.name: check.detail for check in ready(worker) if not check.ok}
    finally:
        consumer.mover.stop()
        gc.unfreeze()
        gc.set_threshold(*thresholds)
    return failed, lives


def test_a_worker_that_is_not_yet_in_its_group_is_alive_and_not_ready() -> None:
    """Whoever asks before the group member exists gets an answer, not an error of the server."""
    said = "not yet in the group"
    assert ({"assigned": said, "recovered": said}, True) == asyncio.run(_asked_too_early())
