"""Address poisoning: dust from an address made to look like one that the victim trusts.

The attacker makes addresses until one begins and ends like an address that the victim uses, and
sends a few satoshi. Who later copies an address from the history, having compared its beginning and
end, pays the attacker. Two forms:

- *own*: the sender looks like the very address that gets the dust. One transaction decides.
- *counterparty*: the sender, or another receiver of dust in the same transaction, looks like an
  address that the victim has paid. That takes the victim's history: ``payments`` and ``approaches``
  give it, keyed by the victim and the look, so that a lookup is an equality and never a search.

Left out: dust that comes with data or beside a payment (tokens and inscriptions are sent so), dust
to oneself, and equal addresses. Only the addresses that a payment was made from are known as the
payer's; who takes a fresh address for every payment shows less, and has less to fear.

Source: J. Lopp, "Bitcoin address poisoning attacks", 2025 (first and last four characters; 48,000
transactions since July 2023); Tsuchiya et al., "Blockchain Address Poisoning", USENIX Security
2025.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.events import Contact, PatternMatch, Transaction, TxOutput
from streams.patterns.about import About
from streams.patterns.lookalike import FIRST, LAST, look
from streams.patterns.words import btc, count, input_addresses

PATTERN_ID = "address_poisoning"

ABOUT = About(
    definition="Dust from an address that has the kind, the first and the last characters of "
    "another: `own`, of the address that gets the dust; `counterparty`, of an address that the "
    "victim paid. Left out: dust beside data or beside a payment (tokens and inscriptions are sent "
    "so), dust to oneself, equal addresses.",
    severity="`high`",
    source="Lopp, Bitcoin address poisoning attacks, 2025; Tsuchiya et al., Blockchain Address "
    "Poisoning, USENIX Security 2025",
)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MAX_SAT = 2_100_000_000_000_001
"""Above every amount."""

MAX_EVIDENCE = 5
"""Payments named, the latest."""


class AddressPoisoningConfig(msgspec.Struct, frozen=True):
    """Limits of address poisoning."""

    dust_below_sat: int = 2_000
    """An output below this is bait: the attacks seen send 500 to 1,000 satoshi."""
    first: int = FIRST
    """Characters behind the prefix that are equal."""
    last: int = LAST
    """Characters at the end that are equal."""
    min_payment_sat: int = 10_000_000
    """Payments from 0.1 BTC on are remembered, which is what the one known victim lost. In block
    367891 one transaction in eight has one, in 866342 one in 140."""
    max_payees: int = 3
    """A transaction with more outputs beside change is a batch: nobody copies its addresses."""
    max_spenders: int = 3
    """Distinct addresses spent from: with more, it is a service or a CoinJoin."""
    max_baits: int = 20
    """Up to so many receivers of dust in one transaction are compared with each other's
    counterparties; the senders are always."""
    horizon_ms: int = 2 * DAY_MS
    """How long a payment is remembered: an attacker strikes soon, while it is in sight. With the
    undo horizon, each is 1.4 kB of state for some three days."""
    slack_ms: int = 6 * HOUR_MS
    """The bait may confirm before the payment that it follows."""
    severity: str = "high"
    """Severity of a match: it is an attack on a person, under way."""
    confidence: float = 0.99
    """Eight characters of bech32 agree by chance once in 1.1e12 pairs."""


DEFAULTS = AddressPoisoningConfig()


def detect(tx: Transaction, config: AddressPoisoningConfig = DEFAULTS) -> list[PatternMatch]:
    """One match for each address that gets dust from an address that looks like it."""
    if not _any_of(tx.outputs, 1, config.dust_below_sat):
        return []
    own = set(input_addresses(tx))
    dusted = [o for o in tx.outputs if 0 < o.value_sat < config.dust_below_sat]
    strange = [o for o in dusted if o.address is not None and o.address not in own]
    if not strange:
        return []
    senders = {look(address, config.first, config.last): address for address in own}
    senders.pop("", None)
    found: list[PatternMatch] = []
    for output in strange:
        sender = senders.get(look(output.address or "", config.first, config.last))
        if sender is not None:
            found.append(_own_match(tx, output, sender, config))
    return found


def payments(tx: Transaction, config: AddressPoisoningConfig = DEFAULTS) -> list[Contact]:
    """Whom a confirmed transaction pays, once for each address that it spends from."""
    if len(tx.outputs) > config.max_payees + 1 or tx.block_hash is None or tx.is_coinbase:
        return []
    if not _any_of(tx.outputs, config.min_payment_sat, MAX_SAT):
        return []
    paid = {
        o.address: o.value_sat
        for o in tx.outputs
        if o.value_sat >= config.min_payment_sat and o.address is not None
    }
    spenders = input_addresses(tx)
    if len(spenders) > config.max_spenders:
        return []
    others = [(payee, amount) for payee, amount in paid.items() if payee not in spenders]
    return [c for o, amount in others for c in _contacts(tx, spenders, o, amount, config)]


def approaches(tx: Transaction, config: AddressPoisoningConfig = DEFAULTS) -> list[Contact]:
    """Who may pose as somebody else to each address that gets dust and nothing more."""
    if not _any_of(tx.outputs, 1, config.dust_below_sat):
        return []
    senders = input_addresses(tx)
    if len(senders) > config.max_spenders:
        return []
    foreign = [output for output in tx.outputs if output.address not in senders]
    if not foreign or any(
        not 0 < o.value_sat < config.dust_below_sat or o.address is None for o in foreign
    ):
        return []
    baits = {o.address: o.value_sat for o in foreign if o.address is not None}
    poses = [*senders, *(baits if 1 < len(baits) <= config.max_baits else ())]
    pairs = [(pose, victim) for pose in poses for victim in baits if victim != pose]
    return [c for pose, v in pairs for c in _contacts(tx, [v], pose, baits[v], config)]


def judge(
    bait: Contact, paid: Sequence[Contact], config: AddressPoisoningConfig = DEFAULTS
) -> PatternMatch | None:
    """Whether the pose of ``bait`` looks like somebody whom the victim paid: all have one look."""
    real = [contact for contact in paid if contact.other != bait.other]
    if not real:
        return None
    lost = sum(contact.amount_sat for contact in paid if contact.other == bait.other)
    genuine = list(dict.fromkeys(contact.other for contact in real))
    reasons = [
        f"{bait.other} looks like {', '.join(genuine[:MAX_EVIDENCE])}, which {bait.address} paid "
        f"{count(len(real), 'time')}",
        f"it came with {bait.amount_sat} sat of dust",
    ]
    if lost:
        reasons.append(f"it was paid too: {btc(lost)} ({lost} sat)")
    return _match(bait, "counterparty", reasons, [c.txid for c in real], genuine, config)


def _any_of(outputs: Sequence[TxOutput], least: int, below: int) -> bool:
    for output in outputs:  # noqa: SIM110 - asked of every transaction: no generator
        if least <= output.value_sat < below:
            return True
    return False


def _contacts(
    tx: Transaction, victims: Sequence[str], other: str, amount: int, config: AddressPoisoningConfig
) -> list[Contact]:
    seen = look(other, config.first, config.last)
    if not seen:
        return []
    return [Contact(tx.network, victim, seen, other, tx.txid, amount) for victim in victims]


def _own_match(
    tx: Transaction, output: TxOutput, sender: str, config: AddressPoisoningConfig
) -> PatternMatch:
    victim = output.address or ""
    bait = Contact(tx.network, victim, look(sender), sender, tx.txid, output.value_sat)
    reasons = [
        f"{sender} looks like {victim}, to which it sends {output.value_sat} sat of dust",
        f"the first {config.first} and the last {config.last} characters are equal",
    ]
    return _match(bait, "own", reasons, [], [], config)


def _match(
    bait: Contact,
    form: str,
    reasons: list[str],
    payments: list[str],
    genuine: list[str],
    config: AddressPoisoningConfig,
) -> PatternMatch:
    return PatternMatch(
        network=bait.network,
        pattern=f"{PATTERN_ID}.{form}",
        subject=bait.txid,
        severity=config.severity,
        confidence=config.confidence,
        reasons=reasons,
        evidence=[bait.txid, *list(dict.fromkeys(payments))[-MAX_EVIDENCE:]],
        addresses=[bait.address, bait.other, *genuine[:MAX_EVIDENCE]],
    )
