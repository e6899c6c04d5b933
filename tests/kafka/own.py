"""An application of somebody's own steps on a real Kafka."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from confluent_kafka import KafkaException

from schemas.wire import Codec
from streams.client import fold
from streams.config import Config
from streams.engine.own_types import teach
from streams.engine.selection import Selection
from streams.ops.lag import lag_of
from streams.ops.modules import select
from streams.ops.own_topics import apply, shares
from streams.ops.runs import Known
from streams.topics import Topic
from streams.tuning import EngineTuning
from tests.kafka.world import SESSION_MS, NetSets, Worker, World, until

NEVER_MS = 3_600_000


def config_of(name: str, partitions: int, **engine: int) -> Config:
    """Settings for a group that soon notices a dead worker, where nothing is ever idle."""
    tuning = EngineTuning(
        session_timeout_ms=SESSION_MS, idle_timeout_ms=NEVER_MS, future_cap_ms=NEVER_MS, **engine
    )
    return Config(application=name, partitions=partitions, engine=tuning)


class Own(World):
    """Fresh topics of a module, and its workers."""

    def __init__(self, bootstrap: str, folder: Path, config: Config, module: str) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(bootstrap, folder, config)
        self.module = module
        self.codec = teach(Codec())
        self.selection = select(config, module)
        self.topology = self.selection.part

    def create(self) -> None:
        """Create the topics."""
        apply(self.admin, shares(self.config, Known(), self.bootstrap, [self.module]))

    def own_worker(self, *options: str, **environment: str) -> Worker:
        """Start a worker of the module's steps."""
        return self.worker("--module", self.module, *options, **environment)

    def caught_up(self, selection: Selection | None = None) -> bool:
        """Whether every task's last checkpoint covers all there is."""
        try:
            lag = lag_of(selection or self.selection, self.settings)
        except KafkaException:
            return False
        return all(item.lag == 0 for item in lag.inputs)

    def settle_own(self) -> None:
        """Wait until every input has been read to its end."""
        until("every input is read to its end", self.caught_up, 120)

    def sets(self, derived: Iterable[Topic]) -> NetSets:
        """The net set of each of these topics."""
        return {name: fold(reads) for name, reads in self.read_each(derived).items()}
