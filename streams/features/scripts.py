"""Script types: what kind of lock is on each output paid and spent, as shares of their number.

P2PKH, P2SH (BIP 16), P2WPKH and P2WSH (BIP 141), P2TR (BIP 341) and the data carrier ``OP_RETURN``
have a share each; all the rest, old or rare, is ``other``.

>>> from schemas.events import Prevout, Transaction, TxInput, TxOutput
>>> p2wpkh, p2tr = b"\\x00\\x14" + b"a" * 20, b"\\x51\\x20" + b"a" * 32
>>> spent = TxInput("aa" * 32, 0, 0xFFFFFFFF, b"", [b"sig"], Prevout(100_000, p2wpkh))
>>> tx = Transaction("regtest", "bb" * 32, "bb" * 32, 2, 0, 110, 440, 110, False, [spent],
...                  [TxOutput(90_000, p2tr), TxOutput(0, b"\\x6a")], fee_sat=10_000)
>>> values, _ = extract(tx)
>>> {name: value for name, value in values.items() if value}
{'output_share_p2tr': 0.5, 'output_share_op_return': 0.5, 'input_share_p2wpkh': 1.0}
"""

from __future__ import annotations

from schemas.events import Transaction
from streams.chain.script import script_type
from streams.features.reading import Extracted, absent, prevouts

TYPES = ("p2pkh", "p2sh", "p2wpkh", "p2wsh", "p2tr", "op_return", "other")
_SPENDABLE = tuple(kind for kind in TYPES if kind != "op_return")

_USUAL = {(22, b"\0\x14"): "p2wpkh", (34, b"\0\x20"): "p2wsh", (34, b"\x51\x20"): "p2tr"}
"""Length and first two bytes decide these (BIPs 141, 341): most scripts need no closer look."""

WORDS = {f"output_share_{kind}": f"a share of {kind} outputs of {{}}" for kind in TYPES} | {
    f"input_share_{kind}": f"a share of {kind} inputs of {{}}" for kind in _SPENDABLE
}


def named_type(script: bytes) -> str:
    """The type of a script as the features name it: one of ``TYPES``.

    >>> named_type(b"\\xa9\\x14" + b"h" * 20 + b"\\x87"), named_type(b"\\x51")
    ('p2sh', 'other')
    """
    known = _USUAL.get((len(script), script[:2]))
    if known is not None:
        return known
    kind = script_type(script)
    return kind if kind in TYPES else "other"


def extract(tx: Transaction) -> Extracted:
    """Shares of script types; those of the inputs need every prevout."""
    missing: dict[str, str] = {}
    values: dict[str, float] = {}
    if tx.outputs:
        values = _shares("output_share_", [output.script for output in tx.outputs])
    else:
        missing = absent(_names("output_share_", TYPES), "there are no outputs")
    spent = prevouts(tx)
    if isinstance(spent, str):
        return values, missing | absent(_names("input_share_", _SPENDABLE), spent)
    return values | _shares("input_share_", [p.script for p in spent]), missing


def _names(prefix: str, kinds: tuple[str, ...]) -> list[str]:
    return [prefix + kind for kind in kinds]


_NOTHING = {
    "output_share_": dict.fromkeys(_names("output_share_", TYPES), 0.0),
    "input_share_": dict.fromkeys(_names("input_share_", _SPENDABLE), 0.0),
}


def _shares(prefix: str, scripts: list[bytes]) -> dict[str, float]:
    found = [named_type(script) for script in scripts]
    shares = _NOTHING[prefix].copy()
    for kind in set(found):
        if prefix + kind in shares:
            shares[prefix + kind] = found.count(kind) / len(found)
    return shares
