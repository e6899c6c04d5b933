"""A thread for the blocking calls of a client in asyncio.

librdkafka's own asyncio classes were not used: each of their calls may run on any of a hundred
threads, while a consumer's folds belong to one; and a cancelled call loses the records it had read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

R = TypeVar("R")
P = ParamSpec("P")


class Thread:
    """One thread for the blocking calls of one object, in their order."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    def call(
        self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[R]:
        """Run a function there; its future survives the cancellation of who waits for it."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._executor, lambda: function(*args, **kwargs))

    def end(self) -> None:
        """Let the thread end when it has done what it was given."""
        self._executor.shutdown(wait=False)
