"""The loop in a thread of its own: what it still runs when it is closed has an end."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError

from sinks.loop import LoopThread


def test_closing_ends_what_another_thread_waits_for() -> None:
    """A call that hangs, as on a server that is stopped, holds up no exit of the process."""
    loop, began = LoopThread("test"), threading.Event()
    ended: list[type[BaseException]] = []

    async def hang() -> None:
        began.set()
        await asyncio.Event().wait()

    def wait() -> None:
        try:
            loop.run(hang())
        except CancelledError as error:
            ended.append(type(error))

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    assert began.wait(10)
    loop.close()
    loop.close()
    waiting.join(10)
    assert ([CancelledError], False) == (ended, loop.open)
