"""The main job: every step, in the order in which data flows."""

from __future__ import annotations

from streams.agents import (
    decide_payments,
    detect_patterns,
    detect_poisoning,
    extract_features,
    fan_out_activity,
    follow_lifecycle,
    follow_peel_chains,
    identify_activity,
    identify_scores,
    join_dids,
    join_entities,
    label_examples,
    link_identities,
    list_identities,
    pass_on_links,
    raise_alerts,
    raise_history_alerts,
    raise_payment_alerts,
    score_addresses,
    score_transactions,
    trace_history,
    track_tip,
    train_model,
)
from streams.config import Config
from streams.engine.step import Step
from streams.engine.topology import Topology, build


def steps(config: Config) -> tuple[Step, ...]:
    """The steps of the main job."""
    return (
        track_tip.step,
        follow_lifecycle.step(config),
        fan_out_activity.step,
        extract_features.step,
        detect_patterns.step,
        trace_history.step,
        score_transactions.step,
        score_addresses.step(config),
        label_examples.step(config),
        raise_alerts.step,
        train_model.step(config),
        link_identities.step,
        list_identities.step,
        identify_activity.step(config),
        identify_scores.step(config),
        pass_on_links.step(config),
        join_entities.step(config),
        join_dids.step(config),
        decide_payments.step(config),
        raise_payment_alerts.step,
        follow_peel_chains.step(config),
        detect_poisoning.step(config),
        raise_history_alerts.step,
    )


def topology(config: Config | None = None) -> Topology:
    """The main job as a topology."""
    return build(steps(config or Config()))
