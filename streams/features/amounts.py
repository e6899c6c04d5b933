"""Amounts: how much is spent and paid, and how it is split.

>>> from schemas.events import Prevout, Transaction, TxInput, TxOutput
>>> spent = TxInput("aa" * 32, 0, 0xFFFFFFFF, b"", [], Prevout(100_000, b"\\x51"))
>>> tx = Transaction("regtest", "bb" * 32, "bb" * 32, 2, 0, 110, 440, 110, False, [spent],
...                  [TxOutput(69_999, b"\\x52"), TxOutput(29_000, b"\\x53")], fee_sat=1_001)
>>> values, missing = extract(tx)
>>> for name, value in values.items():
...     print(f"{name} {value:.4f}")
log10_output_sat 4.9956
log10_max_output_sat 4.8451
max_output_share 0.7071
equal_output_count 1.0000
round_output_count 0.0000
small_output_count 0.0000
log10_input_sat 5.0000
log10_mean_input_sat 5.0000
>>> missing
{}
"""

from __future__ import annotations

from collections import Counter

from schemas.events import Prevout, Transaction
from streams.features.reading import Extracted, absent, magnitude, prevouts

ROUND_SAT = 100_000
"""0.001 BTC: a person types such amounts, a wallet's change has them once in 100,000."""

SMALL_SAT = 1_000
"""At or below this no output is worth its own spending fee: dust, markers, anchors."""

WORDS = {
    "log10_output_sat": "a total output of {} sat",
    "log10_max_output_sat": "a largest output of {} sat",
    "max_output_share": "a largest output's share of {}",
    "equal_output_count": "a number of equal outputs of {}",
    "round_output_count": "a number of round outputs of {}",
    "small_output_count": "a number of outputs up to 1,000 sat of {}",
    "log10_input_sat": "a total input of {} sat",
    "log10_mean_input_sat": "a mean input of {} sat",
}


def extract(tx: Transaction) -> Extracted:
    """Amounts of a transaction; those of the inputs need every prevout."""
    values, missing = _outputs([output.value_sat for output in tx.outputs])
    spent = prevouts(tx)
    if isinstance(spent, str):
        return values, missing | absent(("log10_input_sat", "log10_mean_input_sat"), spent)
    return values | _inputs(spent), missing


def _outputs(amounts: list[int]) -> Extracted:
    total, largest = sum(amounts), max(amounts, default=0)
    if not total:
        share, missing = {}, {"max_output_share": "the outputs are worth 0 sat in all"}
    else:
        share, missing = {"max_output_share": largest / total}, {}
    return {
        "log10_output_sat": magnitude(total),
        "log10_max_output_sat": magnitude(largest),
        **share,
        "equal_output_count": float(_most_alike(amounts)),
        "round_output_count": float(sum([1 for a in amounts if a and a % ROUND_SAT == 0])),
        "small_output_count": float(sum([1 for a in amounts if a <= SMALL_SAT])),
    }, missing


def _most_alike(amounts: list[int]) -> int:
    distinct = len(set(amounts))
    if distinct == len(amounts):
        return min(distinct, 1)
    return max(Counter(amounts).values())


def _inputs(spent: list[Prevout]) -> dict[str, float]:
    total = sum(prevout.value_sat for prevout in spent)
    return {
        "log10_input_sat": magnitude(total),
        "log10_mean_input_sat": magnitude(total // len(spent)),
    }
