"""Strands: call stacks of their own, of which one runs at a time, until it pauses.

Threads with a baton, so that code without ``await`` can stop anywhere. Each has an event loop that
waits for nothing: what the engine gives to its pool is done at once, in the same strand.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Deadlock(RuntimeError):
    """The engine waits for something that nobody will do."""


class _Selector:
    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock
        return []


class _Loop(asyncio.BaseEventLoop):
    """An event loop without files and clocks."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Selector()

    def _process_events(self, events: Any) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class Inline(ThreadPoolExecutor):
    """A pool that does at once what it is given."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - what a pool does
            done.set_exception(error)
        return done


class _Thread(threading.Thread):
    """Runs one strand after the other."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.go, self.back = threading.Semaphore(0), threading.Semaphore(0)
        self.body: Callable[[], None] | None = None
        self.failed: BaseException | None = None
        self.loop = _Loop()
        self.start()

    def run(self) -> None:
        while True:
            self.go.acquire()
            assert self.body is not None
            try:
                self.body()
            except BaseException as error:  # noqa: BLE001 - it is raised by who resumes it
                self.failed = error
            self.body = None
            self.back.release()


_idle: list[_Thread] = []


class Strand:
    """One call stack."""

    def __init__(self, body: Callable[[], None]) -> None:
        self._thread = _idle.pop() if _idle else _Thread()
        self._thread.body = body
        self.over = False

    def resume(self) -> None:
        """Let it run until it pauses or is over; raises what it raised."""
        thread = self._thread
        thread.go.release()
        thread.back.acquire()
        if thread.body is None:
            self.over = True
            failed, thread.failed = thread.failed, None
            _idle.append(thread)
            if failed is not None:
                raise failed

    def pause(self) -> None:
        """Called in the strand: stand still until it is resumed."""
        thread = self._thread
        thread.back.release()
        thread.go.acquire()

    def wait_for(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Called in the strand: run what is asynchronous."""
        return self._thread.loop.run_until_complete(work)
