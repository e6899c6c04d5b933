"""Amounts and counts in words for reasons: integer arithmetic only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from schemas.events import Transaction, TxOutput

SAT_PER_BTC = 100_000_000


def btc(amount_sat: int) -> str:
    """Write an amount in bitcoin, exactly.

    >>> btc(123_450_000_000), btc(1), btc(10_000_000_000), btc(-250_000_000)
    ('1,234.5 BTC', '0.00000001 BTC', '100 BTC', '-2.5 BTC')
    """
    sign = "-" if amount_sat < 0 else ""
    whole, rest = divmod(abs(amount_sat), SAT_PER_BTC)
    fraction = f".{rest:08d}".rstrip("0").rstrip(".")
    return f"{sign}{whole:,}{fraction} BTC"


def count(number: int, noun: str, plural: str = "") -> str:
    """Write a number of things.

    >>> count(1, "output"), count(1200, "output"), count(2, "body", "bodies")
    ('1 output', '1,200 outputs', '2 bodies')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def percent(part: int, whole: int) -> str:
    """Write a share, rounded down to a tenth of a percent.

    >>> percent(1, 3), percent(2, 2)
    ('33.3 %', '100.0 %')
    """
    tenths = part * 1000 // whole
    return f"{tenths // 10}.{tenths % 10} %"


def input_addresses(tx: Transaction) -> list[str]:
    """The distinct addresses that the transaction spends from, in order of input."""
    found: dict[str, None] = {}
    for spent in tx.inputs:  # asked of most transactions: no generators
        prevout = spent.prevout
        if prevout is not None and prevout.address is not None:
            found[prevout.address] = None
    return list(found)


def output_addresses(outputs: Iterable[TxOutput]) -> list[str]:
    """The distinct addresses that these outputs pay, in order."""
    return _distinct(output.address for output in outputs)


def all_addresses(tx: Transaction) -> list[str]:
    """The distinct addresses on both sides, inputs first."""
    return _distinct([*input_addresses(tx), *output_addresses(tx.outputs)])


def _distinct(addresses: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(_known(addresses)))


def _known(addresses: Iterable[str | None]) -> Iterator[str]:
    return (address for address in addresses if address is not None)
