"""Ends a worker when its run has caught up, and tells how far it is meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException
from mode import Service

from streams.ops.replaying import Progress

LOOK_SECONDS = 3.0


class CatchingUp(Service):
    """Lives beside an application; asks the broker, so it sees what other workers do, too."""

    def __init__(
        self, look: Callable[[], Progress], tell: Callable[[Progress], None], **more: Any
    ) -> None:
        super().__init__(**more)
        self.look, self.tell = look, tell

    @Service.task
    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.should_stop:
            await self.sleep(LOOK_SECONDS)
            try:
                found = await loop.run_in_executor(None, self.look)
            except KafkaException:
                continue  # the broker is away: the worker says so
            self.tell(found)
            if found.caught_up:
                os.kill(os.getpid(), signal.SIGTERM)
                return
