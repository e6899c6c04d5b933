"""The embedded broker that belongs to this process: for the demo, the tests, a notebook."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.broker import state
from streams.broker.detached import describe
from streams.broker.errors import BrokerError
from streams.broker.filelocks import exclusive
from streams.broker.launch import Launched, Spec, launch
from streams.broker.paths import Progress, cache_home, data_home, no_progress
from streams.broker.process import Child
from streams.broker.scratch import Scratch

_GRACE_S = 30.0
_SETTLED_S = "30"


class EmbeddedBroker:
    """One Apache Kafka on 127.0.0.1 that ends when this process ends.

    - ``home``: jars and caches, shared between brokers (default: the user's cache folder);
    - ``data_dir``: kept when given, with everything in it; by default a new temporary one;
    - ``port``: 0 takes a free one, and keeps it over ``stop`` and ``start`` of this object;
    - ``extra``: broker properties that win over ours; ``jvm``: further options for Java;
    - ``announce``: record it, so that other commands find it without being told its address;
    - ``warm``: prepare faster later starts in the background, at the lowest priority.

    All its methods raise BrokerError, which names the cause and a remedy.
    """

    def __init__(
        self,
        home: Path | None = None,
        data_dir: Path | None = None,
        port: int = 0,
        progress: Progress = no_progress,
        *,
        extra: Mapping[str, str] | None = None,
        jvm: Sequence[str] = (),
        announce: bool = False,
        warm: bool = False,
        timeout_s: float = 120.0,
    ) -> None:
        self.home = (home or cache_home()).absolute()
        self._kept = data_dir.absolute() if data_dir else None
        self._scratch: Scratch | None = None
        self._port = port
        self._progress = progress
        self._extra, self._jvm = dict(extra or {}), tuple(jvm)
        self._announce, self._warm = announce, warm
        self._timeout_s = timeout_s
        self._launched: Launched | None = None
        self._warmer: Child | None = None
        self._creator = os.getpid()

    def start(self) -> str:
        """Start it unless it runs; return the address for clients once it answers one."""
        if self._launched is None:
            self._creator = os.getpid()
            atexit.register(self.stop)
            spec = self._spec()
            self._launched = launch(spec, self._progress)
            self._port = self._launched.port
            self._after_start(spec, self._launched)
        return self.bootstrap

    def stop(self) -> None:
        """Ask it to end, wait, end it if it does not; nothing is left but a kept ``data_dir``."""
        if os.getpid() != self._creator:  # a fork inherits this object, not the broker
            return
        atexit.unregister(self.stop)
        if self._warmer is not None:
            self._warmer.terminate(_GRACE_S)
        if self._launched is not None:
            self._launched.child.terminate(_GRACE_S)
            state.remove(data_home(), self._launched.child.pid)
        self._launched = self._warmer = None
        if self._scratch is not None:
            self._scratch.remove()
            self._scratch = None

    def kill(self) -> None:
        """End it at once as a crash would; ``start`` then recovers the same data directory."""
        self._running().child.kill()
        self._launched = None

    @property
    def bootstrap(self) -> str:
        """Address for clients, ``127.0.0.1:PORT``."""
        return self._running().bootstrap

    @property
    def pid(self) -> int:
        """Process id of Java."""
        return self._running().child.pid

    @property
    def data_dir(self) -> Path:
        """Where its data lies: the kept directory, or the temporary one of this run."""
        if self._kept is not None:
            return self._kept
        if self._scratch is None:
            raise _not_running()
        return self._scratch.path

    @property
    def alive(self) -> bool:
        """Whether the process runs at this moment."""
        return self._launched is not None and self._launched.child.exit_code() is None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _running(self) -> Launched:
        if self._launched is None:
            raise _not_running()
        return self._launched

    def _spec(self) -> Spec:
        if self._kept is None and self._scratch is None:
            self._scratch = Scratch()
        return Spec(
            home=self.home,
            data_dir=self.data_dir,
            port=self._port,
            extra=self._extra,
            jvm=self._jvm,
            timeout_s=self._timeout_s,
        )

    def _after_start(self, spec: Spec, launched: Launched) -> None:
        if self._announce:
            with exclusive(data_home() / "start.lock"):
                if state.running() is None:
                    state.write(data_home(), describe(launched, spec))
        if self._warm:
            argv = [sys.executable, "-m", "streams.broker.background", str(self.home), _SETTLED_S]
            self._warmer = Child(argv, self.home / "warm.log", tied=True, nice=19)


def _not_running() -> BrokerError:
    return BrokerError("the broker is not running", "call start() first")
