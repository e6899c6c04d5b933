"""Settings of topics under which something acknowledged can be lost are seen at the start."""

from __future__ import annotations

import sys

import pytest

from streams.engine.durability import Finding, Kept, Remedies
from streams.engine.durability import findings as of
from streams.ops.cluster import LOGS, MOST_OPEN, OFFSETS, Cluster
from streams.ops.cluster import findings as cluster_findings
from streams.ops.redriving import limits_of

SAFE = {
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
    "cleanup.policy": "compact",
    "message.timestamp.type": "LogAppendTime",
    "delete.retention.ms": "86400000",
}


REMEDIES = Remedies("k:9092", "my.steps")


def findings(topics: list[Kept]) -> list[Finding]:
    """What is wrong with topics of one's own steps."""
    return of(topics, REMEDIES)


def kept(replicas: int = 3, changelog: bool = True, **settings: str) -> Kept:
    """A topic that is safe but for what is named (with _ for dots)."""
    said = {name.replace("_", "."): value for name, value in settings.items()}
    return Kept("t", replicas, {**SAFE, **said}, changelog, append_time=True, local=changelog)


def test_safe_topics_are_not_mentioned() -> None:
    """Three replicas of which two are in sync, no unclean election, compacted, broker's time."""
    assert [] == findings([kept(), kept(changelog=False, cleanup_policy="delete")])


def test_a_single_broker_is_as_safe_as_it_can_be() -> None:
    """The embedded broker has one replica of everything: nothing could be set to help."""
    said = {"min_insync_replicas": "1", "unclean_leader_election_enable": "true"}
    assert [] == findings([kept(1, **said)])


@pytest.mark.parametrize(
    ("topic", "setting", "fatal"),
    [
        (kept(unclean_leader_election_enable="true"), "unclean.leader.election.enable=false", True),
        (kept(2, min_insync_replicas="3"), "min.insync.replicas=2", False),
        (kept(cleanup_policy="delete"), "cleanup.policy=compact", True),
        (kept(cleanup_policy="compact,delete"), "cleanup.policy=compact", True),
        (kept(delete_retention_ms="1000"), "delete.retention.ms=86400000", True),
        (kept(min_insync_replicas="1"), "min.insync.replicas=2", False),
        (kept(2, min_insync_replicas="1"), "min.insync.replicas=2", False),
        (kept(message_timestamp_type="CreateTime"), "message.timestamp.type=LogAppendTime", False),
    ],
)
def test_what_can_lose_something_is_named_with_its_remedy(
    topic: Kept, setting: str, fatal: bool
) -> None:
    """The line that mends it can be pasted; what would lose results in silence is fatal."""
    (finding,) = findings([topic])
    line = f"kafka-configs.sh --bootstrap-server k:9092 --alter --topic t --add-config {setting}"
    assert (fatal, True) == (finding.fatal, f"({line})" in finding.remedy)


def test_a_single_copy_is_told_where_there_could_be_more() -> None:
    """One replica on three brokers, whether or not we may see its settings."""
    alone = Kept("t", 1, {**SAFE, "min.insync.replicas": "1"}, brokers=3)
    for topic in (alone, alone._replace(settings={})):
        (finding,) = findings([topic])
        assert not finding.fatal
        assert finding.remedy.startswith(
            "give it three replicas (streams topics copies --broker k:9092 --module my.steps "
            "> copies.json && kafka-reassign-partitions.sh --bootstrap-server k:9092 "
            "--execute --reassignment-json-file copies.json), then set min.insync.replicas=2 ("
        )
    assert [] == findings([alone._replace(brokers=1)])
    (finding,) = findings([alone._replace(brokers=2)])
    assert finding.remedy.startswith("run three brokers, and give it three replicas")


def test_one_finding_says_what_a_single_copy_needs() -> None:
    """Two that want to be in sync of one that is there: more copies help, fewer in sync do not."""
    (finding,) = findings([Kept("t", 1, SAFE, brokers=3)])
    assert "min.insync.replicas=1" not in finding.remedy


def test_the_fatal_come_first() -> None:
    """So that a refusal names what has to be mended."""
    found = findings([kept(min_insync_replicas="1"), kept(cleanup_policy="delete")])
    assert [True, False] == [finding.fatal for finding in found]


def test_settings_that_are_no_numbers_are_as_good_as_hidden() -> None:
    """A broker may tell anything of itself; nobody ends for it."""
    for text in ("None", "", "1e9", "9" * 40, "\u0663"):
        found = findings([kept(min_insync_replicas=text, delete_retention_ms=text)])
        assert ["min.insync.replicas=2" in one.remedy for one in found] == [True]
        told = {"retention.ms": text, "max.message.bytes": text, "cleanup.policy": "delete"}
        assert (sys.maxsize, 0) == limits_of(told, 7)
        cluster = Cluster(3, dict.fromkeys((MOST_OPEN, *LOGS[OFFSETS]), text), {}, frozenset())
        assert ["warn"] * 4 == [said.state for said in cluster_findings(cluster, 7)]
