"""The embedded broker: Apache Kafka from pip-installed parts, on 127.0.0.1 only.

``EmbeddedBroker`` belongs to this process; ``start_detached`` starts one that stays. Both verify
every jar against the committed lock before each start and fetch what is missing, once.
"""

from streams.broker.detached import start_detached, stop_detached
from streams.broker.errors import BrokerError, PortTaken
from streams.broker.server import EmbeddedBroker
from streams.broker.state import BrokerInfo, default_bootstrap, running
from streams.broker.warm import warm_up

__all__ = [
    "BrokerError",
    "BrokerInfo",
    "EmbeddedBroker",
    "PortTaken",
    "default_bootstrap",
    "running",
    "start_detached",
    "stop_detached",
    "warm_up",
]
