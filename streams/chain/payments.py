"""May this deposit be credited now? A pure function of what is known about one outpoint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from schemas.events import Activity, AddressScore, Cancellation, Decision, IdentityLink


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule; the first whose amount and identity fit a payment decides it."""

    name: str
    min_amount_sat: int = 0
    """Applies to payments of at least this much, satoshi."""
    identity: str = "any"
    """``any``, or ``claimed``: only to addresses that a DID claims."""
    confirmations: int = 1
    """Confirmations that are needed."""
    max_score: float | None = None
    """A score above it is reviewed, and so is a score that is not known; None: scores are not
    looked at."""
    on_replacement: str = "refuse"
    """The decision when the payment was replaced or left the mempool."""
    decision: str = "credit"
    """The decision when everything asked for is there."""


def default_rules() -> list[Rule]:
    """More confirmations for more money, and a look at the score of what is large."""
    return [
        Rule(name="large", min_amount_sat=100_000_000, confirmations=6, max_score=0.8),
        Rule(name="medium", min_amount_sat=1_000_000, confirmations=3),
        Rule(name="small", confirmations=1),
    ]


class PaymentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section ``[payments]``."""

    watch: list[str] = []
    """Addresses whose credits are decided; ``"*"`` watches all."""
    rules: list[Rule] = msgspec.field(default_factory=default_rules)
    """In order."""

    def watches(self, address: str) -> bool:
        """Whether credits of ``address`` are decided."""
        return address in self.watch or "*" in self.watch


class Known(msgspec.Struct, frozen=True):
    """What is known about one outpoint."""

    credit: Activity | None
    cancellation: Cancellation | None
    score: AddressScore | None
    links: Sequence[IdentityLink]
    tip_height: int | None


def confirmations(credit: Activity, tip_height: int | None) -> int:
    """1 in the tip, 0 in the mempool or where the tip is not known."""
    if credit.block_height is None or tip_height is None:
        return 0
    return max(0, tip_height - credit.block_height + 1)


def pick(rules: Iterable[Rule], amount_sat: int, claimed: bool) -> Rule | None:
    """The first rule that fits."""
    return next(
        (r for r in rules if amount_sat >= r.min_amount_sat and (r.identity == "any" or claimed)),
        None,
    )


def decide(settings: PaymentSettings, known: Known) -> Decision | None:
    """The decision about one outpoint; None when there is no payment, or nobody watches it."""
    payment = known.credit or known.cancellation
    if payment is None or not settings.watches(payment.address):
        return None
    claims = [link for link in known.links if not link.revoked]
    rule = pick(settings.rules, payment.amount_sat, bool(claims))
    vout = payment.index if isinstance(payment, Activity) else payment.vout
    decision, now, reasons = _weigh(rule, known, claims)
    return Decision(
        network=payment.network,
        txid=payment.txid,
        vout=vout,
        address=payment.address,
        amount_sat=payment.amount_sat,
        decision=decision,
        confirmations=now,
        needed=rule.confirmations if rule is not None else 0,
        rule=rule.name if rule is not None else "none",
        reasons=reasons,
        lost_sat=lost_sat(known.cancellation) if known.credit is None else 0,
    )


def _weigh(
    rule: Rule | None, known: Known, claims: Sequence[IdentityLink]
) -> tuple[str, int, list[str]]:
    reasons = [f"the address is claimed by {link.did}" for link in claims]
    if rule is None:
        return "review", 0, ["no rule fits this payment", *reasons]
    if known.credit is None:
        assert known.cancellation is not None
        return rule.on_replacement, 0, [_cancelled(known.cancellation), *reasons]
    now = min(confirmations(known.credit, known.tip_height), rule.confirmations)
    if rule.max_score is not None:
        doubt = _doubt(known.score, rule.max_score)
        if doubt is not None:
            return "review", now, [doubt, *reasons]
    if now < rule.confirmations:
        missing = f"{now} of {rule.confirmations} confirmations"
        if known.credit.status == "mempool" and known.credit.replaceable:
            missing += "; it is unconfirmed and signals that it may be replaced"
        return "wait", now, [missing, *reasons]
    return rule.decision, now, [f"{now} confirmations, as rule {rule.name!r} asks", *reasons]


def _doubt(score: AddressScore | None, limit: float) -> str | None:
    if score is None:
        return "no score has arrived yet"
    if score.score is None:
        return f"the transaction has no score: {score.reason}"
    if score.score > limit:
        return f"score {score.score:.3f} is above the limit of {limit:.3f}"
    return None


def lost_sat(gone: Cancellation | None) -> int:
    """How much less will come than was announced, satoshi; all of it where nobody knows."""
    if gone is None:
        return 0
    return max(0, gone.amount_sat - (gone.still_paid_sat or 0))


def _cancelled(gone: Cancellation) -> str:
    if gone.kind != "replaced":
        return f"the transaction left the mempool: {gone.kind}"
    if gone.still_paid_sat is None:
        return f"replaced by {gone.replaced_by}, whose outputs are not known"
    if gone.still_paid_sat == 0:
        return f"replaced by {gone.replaced_by}, which no longer pays this address"
    return f"replaced by {gone.replaced_by}, which pays this address {gone.still_paid_sat} sat"
