"""Watching a process by its log, while it writes there."""

from __future__ import annotations

import os
from pathlib import Path
from signal import SIGKILL

from tests.kafka.processes import Supervisor, Worker, until


def test_a_line_that_is_still_being_written_is_not_read(tmp_path: Path) -> None:
    """A write that ends in the middle of a line: what is whole is told."""
    text = '{"event": "one", "n": 1}\n{"event": "one", "n": 2}\n{"event": "o'
    worker = Worker(["printf", "%s", text], tmp_path / "log", dict(os.environ))
    try:
        assert 0 == worker.process.wait(10)
        assert [1, 2] == [facts["n"] for facts in worker.told("one")]
    finally:
        worker.clean_up()


def test_a_supervisor_that_is_cleaned_up_leaves_no_process(tmp_path: Path) -> None:
    """The worker is killed like any other, and nobody starts the next one."""
    made = list[Worker]()

    def start() -> Worker:
        made.append(Worker(["sleep", "600"], tmp_path / f"log{len(made)}", dict(os.environ)))
        return made[-1]

    supervisor = Supervisor(start)
    supervisor.start()
    try:
        made[0].process.kill()
        until("the next one runs", lambda: len(made) == 2)
    finally:
        supervisor.clean_up()
    assert not supervisor.is_alive()
    assert [-SIGKILL, -SIGKILL] == [worker.process.poll() for worker in made]
