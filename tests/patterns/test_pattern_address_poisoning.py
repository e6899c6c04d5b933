"""Address poisoning: which addresses look alike, what is bait, and whom it may fool.

Victim, payee and look-alike (the first and last four characters behind ``bc1q`` are equal)::

    bc1qw508..f3t4   pays   bc1qar0s..5mdq   then gets dust from   bc1qar0s(other)..5mdq
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Contact, Prevout, Transaction, TxInput, TxOutput
from streams.patterns.address_poisoning import (
    AddressPoisoningConfig,
    approaches,
    detect,
    judge,
    payments,
)
from streams.patterns.lookalike import look

from .build import TXID, transaction
from .data import block, coinjoins

VICTIM = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
PAYEE = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"
POSER = "bc1qar0sqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5mdq"
OTHER = "bc1qh0qsrrr7xfkvy5l643lydnw9re59gtzzwf5zzz"
BTC = 100_000_000

Paid = tuple[int, str | None]


def tx(spent: Sequence[Paid], outputs: Sequence[Paid], confirmed: bool = True) -> Transaction:
    """A transaction between addresses."""
    body = transaction([(1, b"\x51")], [(1, b"\x52")])
    inputs = [
        TxInput("ef" * 32, n, 0, b"", [], Prevout(v, (a or "").encode(), a))
        for n, (v, a) in enumerate(spent)
    ]
    return msgspec.structs.replace(
        body,
        inputs=inputs,
        outputs=[TxOutput(v, (a or "\x6a").encode(), a) for v, a in outputs],
        block_hash="bb" * 32 if confirmed else None,
    )


def like(address: str) -> str:
    """An address that looks like another one."""
    return address[:8] + "q" * (len(address) - 12) + address[-4:]


# Looks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (PAYEE, POSER, True),
        (PAYEE, POSER[:-1] + "p", False),
        (PAYEE, "bc1qar0p" + POSER[8:], False),
        (PAYEE, "bc1p" + POSER[4:], False),
        ("1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "1BoatQQQQQQQQQQQQQQQQQQQQQQQQQtpyT", True),
        ("1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "3BoatSLRHtKNngkdXEeobR76b53LETtpyT", False),
        ("bcrt1q" + PAYEE[4:], "bcrt1q" + POSER[4:], True),
        ("bcrt1q" + PAYEE[4:], "bcrt1q" + "zzz" + POSER[7:], False),
    ],
)
def test_looks(one: str, other: str, expected: bool) -> None:
    """Kind, first four and last four characters decide; the prefix of the kind is not counted."""
    assert expected == (look(one) == look(other))


@given(st.text(alphabet="qpzry9x8gf2tvdw0s3jn54khce6mua7l", min_size=38, max_size=38))
def test_what_is_between_plays_no_part(payload: str) -> None:
    """Whatever stands between the first and last four characters, the look is the same."""
    assert look(f"bc1q{payload}") == look(like(f"bc1q{payload}"))


def test_too_short_for_a_look() -> None:
    """An address without a middle looks like nothing."""
    assert ["", "", "bc1qaaaa..bbbb"] == [look(a) for a in ("", "bc1qaaaabbb", "bc1qaaaabbbb")]


# The own address --------------------------------------------------------------------------------


def test_dust_from_ones_own_look() -> None:
    """One input that looks like the one output: what the known attacks do."""
    (found,) = detect(tx([(3_000, like(VICTIM))], [(600, VICTIM)], confirmed=False))
    assert (
        found.pattern, found.subject, found.severity, found.confidence, found.evidence,
    ) == ("address_poisoning.own", TXID, "high", 0.99, [TXID])  # fmt: skip
    assert found.addresses == [VICTIM, like(VICTIM)]
    assert found.reasons == [
        f"{like(VICTIM)} looks like {VICTIM}, to which it sends 600 sat of dust",
        "the first 4 and the last 4 characters are equal",
    ]


@pytest.mark.parametrize(("amount", "expected"), [(0, 0), (1, 1), (1_999, 1), (2_000, 0)])
def test_below_the_limit_of_dust(amount: int, expected: int) -> None:
    """2,000 sat are no dust any more, and nothing is no bait."""
    assert expected == len(detect(tx([(9_000, like(VICTIM))], [(amount, VICTIM)])))


@pytest.mark.parametrize(
    "sender",
    [VICTIM, OTHER, "bc1p" + like(VICTIM)[4:], None],
    ids=["self", "other", "kind", "none"],
)
def test_other_senders(sender: str | None) -> None:
    """Dust to oneself, from a stranger, or from another kind of address is no poisoning."""
    assert [] == detect(tx([(3_000, sender)], [(600, VICTIM)]))


def test_one_match_for_each_victim() -> None:
    """Two victims of one transaction are two matches, each with its own look-alike."""
    senders = [(3_000, like(VICTIM)), (3_000, POSER)]
    found = detect(tx(senders, [(600, VICTIM), (700, PAYEE), (500, OTHER)]))
    assert [[VICTIM, like(VICTIM)], [PAYEE, POSER]] == [match.addresses for match in found]


def test_how_many_characters_can_be_set() -> None:
    """Who compares three characters is fooled by more."""
    near = "bc1qw50" + "q" * 30 + "3t4"
    body = tx([(3_000, near)], [(600, VICTIM)])
    assert [] == detect(body)
    assert 1 == len(detect(body, AddressPoisoningConfig(first=3, last=3)))


@pytest.mark.parametrize("height", [277647, 367891, 866342])
def test_real_blocks_have_none(height: int) -> None:
    """Of 5,494 transactions none matches, though 457 of 2024 send dust to others, without data.

    A search of another kind, over all pairs of addresses of a transaction, finds none either.
    """
    transactions = block(height, with_prevouts=True)
    assert [] == [found for body in transactions for found in detect(body)]
    assert [] == [body.txid for body in transactions if _any_pair(body)]


def _any_pair(body: Transaction) -> bool:
    """Whether an input and an output differ but have equal ends, whatever the amount."""
    ends = {i.prevout.address for i in body.inputs if i.prevout and i.prevout.address}
    return any(
        (a[:8], a[-4:]) == (o.address[:8], o.address[-4:])
        for o in body.outputs
        if o.address is not None and o.address not in ends
        for a in ends
    )


def test_no_mix_is_poisoning() -> None:
    """None of 3,641 labelled transactions around CoinJoins matches."""
    assert [] == [found for _, body in coinjoins() for found in detect(body)]


# The counterparty -------------------------------------------------------------------------------


def contact(other: str, amount: int) -> Contact:
    return Contact("regtest", VICTIM, "bc1qar0s..5mdq", other, TXID, amount)


def test_a_payment_is_a_contact_of_its_payer() -> None:
    """The victim paid the payee; its change is no payee."""
    body = tx([(2 * BTC, VICTIM)], [(BTC, PAYEE), (BTC - 500, VICTIM)])
    assert [contact(PAYEE, BTC)] == list(payments(body))


@pytest.mark.parametrize(("amount", "expected"), [(9_999_999, 0), (10_000_000, 1)])
def test_the_least_payment(amount: int, expected: int) -> None:
    """Below 0.1 BTC nothing is remembered."""
    assert expected == len(list(payments(tx([(BTC, VICTIM)], [(amount, PAYEE)]))))


@pytest.mark.parametrize(("payees", "expected"), [(3, 3), (4, 0)])
def test_the_most_payees(payees: int, expected: int) -> None:
    """Three payees and change are a payment by hand, more a batch."""
    outputs = [(BTC, f"bc1q{n}{PAYEE[5:]}") for n in range(payees)]
    body = tx([(9 * BTC, VICTIM)], [*outputs, (1, VICTIM)])
    assert expected == len(list(payments(body)))


@pytest.mark.parametrize(("spenders", "expected"), [(3, 3), (4, 0)])
def test_the_most_spenders(spenders: int, expected: int) -> None:
    """Each of three addresses may be fooled; with more it is a service, or a mix."""
    spent = [(BTC, f"bc1q{n}{VICTIM[5:]}") for n in range(spenders)]
    assert expected == len(list(payments(tx(spent, [(BTC, PAYEE)]))))


def test_a_payment_counts_once_confirmed() -> None:
    """In the mempool its time may yet change."""
    assert [] == list(payments(tx([(BTC, VICTIM)], [(BTC, PAYEE)], confirmed=False)))


def test_dust_is_an_approach_of_its_sender() -> None:
    """From the mempool on: who waits for a block warns too late."""
    body = tx([(3_000, POSER)], [(600, VICTIM), (2_000, POSER)], confirmed=False)
    assert [contact(POSER, 600)] == list(approaches(body))


def test_dust_to_the_look_alike_is_an_approach_too() -> None:
    """Both get dust in one transaction: each may pose to the other."""
    body = tx([(9_000, OTHER)], [(600, VICTIM), (700, POSER)])
    assert {(VICTIM, OTHER), (POSER, OTHER), (VICTIM, POSER), (POSER, VICTIM)} == {
        (found.address, found.other) for found in approaches(body)
    }


@pytest.mark.parametrize(("victims", "expected"), [(20, 20 + 20 * 19), (21, 21)])
def test_the_most_receivers_that_are_compared(victims: int, expected: int) -> None:
    """Beyond, only the sender poses: the number of pairs stays bounded."""
    outputs: list[Paid] = [(600, f"bc1q{n:04d}{VICTIM[8:]}") for n in range(victims)]
    assert expected == len(list(approaches(tx([(99_999, POSER)], outputs))))


@pytest.mark.parametrize(
    "outputs",
    [
        [(600, VICTIM), (0, None)],
        [(600, VICTIM), (BTC, OTHER)],
        [(600, POSER)],
        [(2_000, VICTIM)],
    ],
    ids=["token", "sale", "to itself", "no dust"],
)
def test_what_is_no_approach(outputs: list[Paid]) -> None:
    """Tokens, inscriptions that are sold, dust to oneself, and more than dust."""
    assert [] == list(approaches(tx([(BTC, POSER)], outputs)))


def test_dust_from_the_look_of_a_payee_is_judged() -> None:
    """The match names victim, poser and payee, and both transactions."""
    paid = msgspec.structs.replace(contact(PAYEE, BTC), txid="cd" * 32)
    found = judge(contact(POSER, 600), [paid])
    assert found is not None
    assert (found.pattern, found.severity) == ("address_poisoning.counterparty", "high")
    assert [TXID, "cd" * 32] == found.evidence
    assert [VICTIM, POSER, PAYEE] == found.addresses
    assert found.reasons == [
        f"{POSER} looks like {PAYEE}, which {VICTIM} paid 1 time",
        "it came with 600 sat of dust",
    ]


def test_dust_from_the_payee_itself_is_none() -> None:
    """Equal addresses do not look alike, they are the same."""
    assert judge(contact(PAYEE, 600), [contact(PAYEE, BTC)]) is None
    assert judge(contact(POSER, 600), []) is None


def test_a_payment_to_the_poser_is_said() -> None:
    """Who has fallen for it should know."""
    found = judge(contact(POSER, 600), [contact(PAYEE, BTC), contact(POSER, BTC // 10)])
    assert found is not None
    assert found.reasons[-1] == "it was paid too: 0.1 BTC (10000000 sat)"
