"""An asyncio loop in a thread of its own: asynchronous drivers behind the plain calls of a sink."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for a caller that waits; the loop goes on between two calls.

    So a connection that the other side closes is noticed at once, not with the next write.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what ``work`` returns, or raise what it raises."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    @property
    def open(self) -> bool:
        """Whether the thread still runs."""
        return not self._loop.is_closed()

    def close(self) -> None:
        """End what still runs, then the thread; a second call does nothing.

        Who waits for something that another thread began gets CancelledError: else that thread
        would wait for ever, and with it the end of the process.
        """
        if not self.open:
            return
        self.run(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
