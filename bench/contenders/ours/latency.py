"""Ours, until it is told to stop: features and score fused, or the whole main job.

Exactly once, with a timer a task; the interval between two checkpoints is the bench's choice.
"""

from __future__ import annotations

import msgspec
from running import run, settings
from stamps import SETTINGS

from joins.state import Store
from schemas.wire import Codec
from streams import topics
from streams.agents import extract_features, score_transactions
from streams.agents.pipeline import steps
from streams.config import Config
from streams.engine.application import build_app
from streams.engine.selection import whole
from streams.engine.step import Batch, Emit, Step
from streams.engine.topology import build
from streams.ops.admin import Admin


def take(batch: Batch, state: Store, emit: Emit) -> None:
    """Every transaction is a fact: there is no mempool here."""
    for event in batch:
        emit(topics.facts, msgspec.structs.replace(event))


fused = (
    Step("take_facts", (topics.transactions,), (topics.facts,), take),
    extract_features.step,
    score_transactions.step,
)
selection = whole(build(steps(Config()) if SETTINGS["whole"] else fused), settings.application)
Admin(settings).apply(selection.part)
run(build_app(selection, settings, Codec()))
