"""May this deposit be credited now? Each rule, each reason."""

from __future__ import annotations

import msgspec
import pytest

from schemas.events import Activity, AddressScore, Cancellation, IdentityLink
from streams.chain.payments import Known, PaymentSettings, Rule, confirmations, decide
from tests.shapes import name

SETTINGS = PaymentSettings(
    watch=["shop"],
    rules=[
        Rule(name="claimed", min_amount_sat=500, identity="claimed", confirmations=1),
        Rule(name="large", min_amount_sat=1_000, confirmations=3, max_score=0.8),
        Rule(name="small", confirmations=1),
    ],
)
CREDIT = Activity("regtest", "shop", name("t"), "credit", 1, 2_000, "confirmed", 100, name("B"))
UNCONFIRMED = msgspec.structs.replace(
    CREDIT, status="mempool", block_height=None, block_hash=None, replaceable=True
)
LINK = IdentityLink("shop", None, "did:x", "did_statement", "claimed", "r", "c")
GOOD = AddressScore("regtest", "shop", name("t"), 0.1, None, False, "s")
GONE = Cancellation("regtest", "shop", name("t"), 1, 2_000, "replaced", name("u"), 0)


def known(**more: object) -> Known:
    """What is known, with defaults."""
    facts: dict[str, object] = {
        "credit": CREDIT, "cancellation": None, "score": GOOD, "links": (), "tip_height": 102,
    }  # fmt: skip
    return Known(**{**facts, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("case", "decision", "rule", "now", "words"),
    [
        ({}, "credit", "large", 3, "3 confirmations, as rule 'large' asks"),
        ({"tip_height": 101}, "wait", "large", 2, "2 of 3 confirmations"),
        ({"tip_height": None}, "wait", "large", 0, "0 of 3 confirmations"),
        (
            {"credit": UNCONFIRMED},
            "wait",
            "large",
            0,
            "0 of 3 confirmations; it is unconfirmed and signals that it may be replaced",
        ),
        ({"score": None}, "review", "large", 3, "no score has arrived yet"),
        (
            {"score": msgspec.structs.replace(GOOD, score=0.9)},
            "review",
            "large",
            3,
            "score 0.900 is above the limit of 0.800",
        ),
        (
            {"score": msgspec.structs.replace(GOOD, score=None, reason="no label yet")},
            "review",
            "large",
            3,
            "the transaction has no score: no label yet",
        ),
        ({"links": (LINK,)}, "credit", "claimed", 1, "1 confirmations, as rule 'claimed' asks"),
        (
            {"links": (msgspec.structs.replace(LINK, revoked=True),)},
            "credit",
            "large",
            3,
            "3 confirmations, as rule 'large' asks",
        ),
        (
            {"credit": msgspec.structs.replace(CREDIT, amount_sat=999)},
            "credit",
            "small",
            1,
            "1 confirmations, as rule 'small' asks",
        ),
        (
            {"credit": None, "cancellation": GONE},
            "refuse",
            "large",
            0,
            f"replaced by {name('u')}, which no longer pays this address",
        ),
        (
            {"cancellation": GONE},
            "credit",
            "large",
            3,
            "3 confirmations, as rule 'large' asks",
        ),
    ],
)
def test_decision_and_first_reason(
    case: dict[str, object], decision: str, rule: str, now: int, words: str
) -> None:
    """Each situation has its decision, its rule and its reason."""
    found = decide(SETTINGS, known(**case))
    assert found is not None
    assert (decision, rule, now) == (found.decision, found.rule, found.confirmations)
    assert words == found.reasons[0]


def test_nobody_decides_for_an_address_that_is_not_watched() -> None:
    """Without a watcher there is no decision; ``*`` watches all."""
    other = msgspec.structs.replace(CREDIT, address="else")
    assert decide(SETTINGS, known(credit=other)) is None
    assert decide(PaymentSettings(watch=["*"]), known(credit=other)) is not None


def test_no_rule_is_a_review() -> None:
    """A payment that no rule fits is looked at by a person."""
    strict = PaymentSettings(watch=["*"], rules=[Rule(name="big", min_amount_sat=10**9)])
    found = decide(strict, known())
    assert found is not None
    assert ("review", "none") == (found.decision, found.rule)


@pytest.mark.parametrize(
    ("paid", "lost"), [(None, 2_000), (0, 2_000), (500, 1_500), (2_000, 0), (3_000, 0)]
)
def test_what_is_lost_is_what_the_replacement_does_not_pay(paid: int | None, lost: int) -> None:
    """Unknown outputs count as nothing paid; paying more is no negative loss."""
    gone = msgspec.structs.replace(GONE, still_paid_sat=paid)
    found = decide(SETTINGS, known(credit=None, cancellation=gone))
    assert found is not None
    assert lost == found.lost_sat


@pytest.mark.parametrize(
    ("height", "tip", "expected"),
    [(100, 100, 1), (100, 99, 0), (100, None, 0), (None, 100, 0), (100, 105, 6)],
)
def test_confirmations(height: int | None, tip: int | None, expected: int) -> None:
    """1 in the tip; a block above a known tip has none yet."""
    credit = msgspec.structs.replace(CREDIT, block_height=height)
    assert expected == confirmations(credit, tip)
