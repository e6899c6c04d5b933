"""Structure: how many inputs and outputs, how large, and how much of it is witness.

>>> from schemas.events import Transaction, TxInput, TxOutput
>>> spent = TxInput("aa" * 32, 0, 0xFFFFFFFF, b"", [b"sig"], None, "pruned")
>>> tx = Transaction("regtest", "bb" * 32, "bb" * 32, 2, 0, 200, 561, 141, False, [spent],
...                  [TxOutput(1_000, b"\\x52")] * 4)
>>> extract(tx)[0]
{'input_count': 1.0, 'output_count': 4.0, 'outputs_per_input': 4.0, 'vsize_vb': 141.0, \
'witness_input_share': 1.0, 'version': 2.0}
"""

from __future__ import annotations

from schemas.events import Transaction
from streams.features.reading import Extracted

WORDS = {
    "input_count": "a number of inputs of {}",
    "output_count": "a number of outputs of {}",
    "outputs_per_input": "a number of outputs for each input of {}",
    "vsize_vb": "a size of {} vB",
    "witness_input_share": "a share of inputs with a witness of {}",
    "version": "a version of {}",
}


def extract(tx: Transaction) -> Extracted:
    """Counts and sizes: known for every transaction."""
    inputs = len(tx.inputs)
    return {
        "input_count": float(inputs),
        "output_count": float(len(tx.outputs)),
        "outputs_per_input": len(tx.outputs) / inputs,
        "vsize_vb": float(tx.vsize_vb),
        "witness_input_share": sum([1 for i in tx.inputs if i.witness]) / inputs,
        "version": float(tx.version),
    }, {}
