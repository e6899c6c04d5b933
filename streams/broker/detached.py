"""The broker that outlives its command: what ``streams broker start|stop`` do."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from streams.broker import state
from streams.broker.errors import BrokerError
from streams.broker.filelocks import exclusive
from streams.broker.launch import Launched, Spec, launch
from streams.broker.paths import Progress, cache_home, data_home, no_progress
from streams.broker.process import gone
from streams.broker.state import BrokerInfo

_POLL_S = 0.02


def start_detached(
    data_dir: Path | None = None,
    *,
    home: Path | None = None,
    port: int = 0,
    state_dir: Path | None = None,
    extra: Mapping[str, str] | None = None,
    jvm: Sequence[str] = (),
    timeout_s: float = 120.0,
    progress: Progress = no_progress,
) -> BrokerInfo:
    """Start a broker that stays when this process ends, or return the one that already runs.

    Raises BrokerError when it cannot start, or when another one runs than was asked for.
    """
    folder = state_dir or data_home()
    with exclusive(folder / "start.lock", "waiting for another start or stop", progress):
        if (present := state.running(folder)) is not None:
            return _same(present, data_dir, port)
        spec = Spec(
            home=home or cache_home(),
            data_dir=(data_dir or folder / "data").absolute(),
            port=port,
            extra=extra or {},
            jvm=jvm,
            tied=False,
            timeout_s=timeout_s,
        )
        with ExitStack() as undo:
            launched = launch(spec, progress)
            undo.callback(launched.child.kill)
            info = describe(launched, spec)
            state.write(folder, info)
            undo.pop_all()
        return info


def stop_detached(
    state_dir: Path | None = None, *, grace_s: float = 30.0, progress: Progress = no_progress
) -> BrokerInfo | None:
    """Stop the recorded broker and return what it was; None when none was running.

    Asks it to end, waits ``grace_s`` seconds, then ends it. Raises BrokerError for a broker that
    belongs to another program.
    """
    folder = state_dir or data_home()
    with exclusive(folder / "start.lock", "waiting for another start or stop", progress):
        info = state.read(folder)
        if info is None or not info.alive:
            return None
        if not info.detached:
            raise _not_ours(info)
        _end(info, grace_s)
        state.remove(folder, info.pid)
        return info


def describe(launched: Launched, spec: Spec) -> BrokerInfo:
    """The record of a broker that was just started."""
    return BrokerInfo(
        port=launched.port,
        pid=launched.child.pid,
        data_dir=spec.data_dir,
        cluster_id=launched.cluster_id,
        kafka=launched.kafka,
        started_ms=time.time_ns() // 1_000_000,
        detached=not spec.tied,
    )


def _same(present: BrokerInfo, data_dir: Path | None, port: int) -> BrokerInfo:
    if port in (0, present.port) and data_dir in (None, present.data_dir):
        return present
    raise BrokerError(
        f"a broker already runs on {present.bootstrap} with its data in {present.data_dir}",
        "use it, or stop it first with `streams broker stop`",
    )


def _not_ours(info: BrokerInfo) -> BrokerError:
    return BrokerError(
        f"the broker on {info.bootstrap} belongs to a running program, such as `streams demo`",
        "end that program (Ctrl-C); its broker ends with it",
    )


def _end(info: BrokerInfo, grace_s: float) -> None:
    # Kafka lets go of its directory some time before its process ends, so the process decides
    deadline = time.monotonic() + grace_s
    with suppress(ProcessLookupError):
        os.kill(info.pid, signal.SIGTERM)
        while not gone(info.pid):
            if time.monotonic() > deadline:
                os.kill(info.pid, signal.SIGKILL)
            time.sleep(_POLL_S)
