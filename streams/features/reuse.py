"""Reuse: scripts that occur more than once inside one transaction.

>>> from schemas.events import Prevout, Transaction, TxInput, TxOutput
>>> spent = TxInput("aa" * 32, 0, 0xFFFFFFFF, b"", [], Prevout(100_000, b"\\x51"))
>>> tx = Transaction("regtest", "bb" * 32, "bb" * 32, 2, 0, 110, 440, 110, False, [spent, spent],
...                  [TxOutput(60_000, b"\\x52"), TxOutput(130_000, b"\\x51")], fee_sat=10_000)
>>> extract(tx)[0]
{'repeated_output_script_count': 0.0, 'distinct_input_script_count': 1.0, \
'distinct_input_script_share': 0.5, 'self_output_count': 1.0, 'self_output_value_share': \
0.6842105263157895}
"""

from __future__ import annotations

from schemas.events import Transaction
from streams.features.reading import Extracted, absent, prevouts

WORDS = {
    "repeated_output_script_count": "a number of repeated output scripts of {}",
    "distinct_input_script_count": "a number of distinct input scripts of {}",
    "distinct_input_script_share": "a share of distinct input scripts of {}",
    "self_output_count": "a number of outputs back to an input's script of {}",
    "self_output_value_share": "a share of the amount back to an input's script of {}",
}
_NEED_PREVOUTS = tuple(WORDS)[1:]


def extract(tx: Transaction) -> Extracted:
    """Reuse of scripts; all but repeated outputs need every prevout."""
    scripts = [output.script for output in tx.outputs]
    values = {"repeated_output_script_count": float(len(scripts) - len(set(scripts)))}
    spent = prevouts(tx)
    if isinstance(spent, str):
        return values, absent(_NEED_PREVOUTS, spent)
    own = {prevout.script for prevout in spent}
    returned = [output.value_sat for output in tx.outputs if output.script in own]
    values |= {
        "distinct_input_script_count": float(len(own)),
        "distinct_input_script_share": len(own) / len(spent),
        "self_output_count": float(len(returned)),
    }
    total = sum([output.value_sat for output in tx.outputs])
    if not total:
        return values, {"self_output_value_share": "the outputs are worth 0 sat in all"}
    return values | {"self_output_value_share": sum(returned) / total}, {}
