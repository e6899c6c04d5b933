"""Fees: what the transaction pays to be mined, in all and for each virtual byte (BIP 141).

>>> from schemas.events import Prevout, Transaction, TxInput, TxOutput
>>> spent = TxInput("aa" * 32, 0, 0xFFFFFFFF, b"", [], Prevout(100_000, b"\\x51"))
>>> tx = Transaction("regtest", "bb" * 32, "bb" * 32, 2, 0, 110, 440, 110, False, [spent],
...                  [TxOutput(99_000, b"\\x52")], fee_sat=1_000)
>>> extract(tx)[0]["fee_sat"], extract(tx)[0]["feerate_msat_per_vb"], extract(tx)[0]["fee_share"]
(1000.0, 9090.0, 0.01)
"""

from __future__ import annotations

from schemas.events import Transaction
from schemas.units import Sat, VBytes, feerate
from streams.features.reading import Extracted, absent, magnitude

WORDS = {
    "fee_sat": "a fee of {} sat",
    "log10_fee_sat": "a fee of {} sat (order of magnitude)",
    "feerate_msat_per_vb": "a fee rate of {} msat/vB",
    "log10_feerate_msat_per_vb": "a fee rate of {} msat/vB (order of magnitude)",
    "fee_share": "a share of the input paid as fee of {}",
}


def extract(tx: Transaction) -> Extracted:
    """Fee features; all are missing where the fee is unknown, and for a coinbase."""
    if tx.is_coinbase:
        return {}, absent(WORDS, "a coinbase pays no fee")
    if tx.fee_sat is None:
        return {}, absent(WORDS, f"the fee is unknown: {tx.fee_missing or 'no reason given'}")
    rate = feerate(Sat(tx.fee_sat), VBytes(tx.vsize_vb))
    values = {
        "fee_sat": float(tx.fee_sat),
        "log10_fee_sat": magnitude(tx.fee_sat),
        "feerate_msat_per_vb": float(rate),
        "log10_feerate_msat_per_vb": magnitude(rate),
    }
    spent = tx.fee_sat + sum([output.value_sat for output in tx.outputs])
    if not spent:
        return values, {"fee_share": "the inputs are worth 0 sat in all"}
    return values | {"fee_share": tx.fee_sat / spent}, {}
