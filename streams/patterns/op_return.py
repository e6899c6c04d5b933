"""OP_RETURN protocols: whose message a data output carries, told by its first bytes.

One match for each protocol in a transaction. Sources: the ord project (Runes), the Omni Layer and
Counterparty protocol specifications, Stacks SIP-007 and SIP-021, the Blockstack name wire format,
Open Assets, BIP 141 (witness commitment), the Sidetree specification (ION), Rootstock merge mining,
THORChain memos; VeriBlock, Hemi, Factom, Po.et and Komodo by what blocks show of them.

>>> classify(bytes.fromhex("6a5d0714c0a233"), None)
'runes'
>>> classify(b"\\x6a\\x14omni" + bytes(16), None)
'omni'
>>> classify(b"\\x6a\\x20" + bytes(range(32)), None)
'hash32'
"""

from __future__ import annotations

import msgspec

from schemas.events import PatternMatch, Transaction, TxOutput
from streams.patterns.about import About
from streams.patterns.rc4 import rc4
from streams.patterns.words import count, input_addresses

PATTERN_ID = "op_return"

ABOUT = About(
    definition="Whose message a data output carries, told by its first bytes: `runes`, `omni`, "
    "`counterparty`, `stacks` and others, one match for each protocol in a transaction.",
    severity="`info`",
    source="the protocols' specifications; BIP 141",
)

RUNESTONE = b"\x6a\x5d"
"""OP_RETURN OP_13."""
_PUSH_SIZES = {0x4C: 1, 0x4D: 2, 0x4E: 4}

COUNTERPARTY_MARK = b"CNTRPRTY"
VERIBLOCK_BYTES = 80
"""A proof-of-proof publication: a header of 64 bytes (height, version, ...) and 16 of its miner."""

KOMODO_BYTES, KOMODO_TAIL = 40, b"KMD\x00"
"""A notarisation: a block hash, its height, and the chain's ticker."""

PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"omni", "omni"),
    (COUNTERPARTY_MARK, "counterparty"),
    (b"OA\x01\x00", "open_assets"),
    (b"\xaa\x21\xa9\xed", "witness_commitment"),
    (b"ion:", "ion"),
    (b"RSKBLOCK:", "rsk"),
    (b"RSKB", "rsk"),
    (b"EW ", "eternity_wall"),
    (b"HEMI", "hemi"),
    (b"POET\x00", "poet"),
    (b"Fa\x00\x00", "factom"),
)
"""First bytes that one protocol alone uses."""

STACKS_OPERATIONS = frozenset(b"[^xp$#v")
"""Block commit, key registration, stack, pre-stack, transfer, delegate, vote."""

NAME_OPERATIONS = frozenset(b"?:+>~;*&!#$")
"""The operations of the Blockstack name system, version 1."""

THORCHAIN_ACTIONS = frozenset(
    b"= s swap + add - wd withdraw out refund migrate donate loan+ $+ loan- $- noop".split()
)
"""What stands before the first colon of a memo, in lower case."""

CONFIDENCE = {"veriblock": 0.9, "thorchain": 0.8, "hash32": 0.5, "text": 0.5}
"""Below 1 where the bytes are only a shape that others may use too."""


class OpReturnConfig(msgspec.Struct, frozen=True):
    """Which classes make a match."""

    ignored: frozenset[str] = frozenset({"witness_commitment", "text", "unknown", "empty"})
    """The witness commitment stands in every block and says nothing; of text and of unknown bytes
    no protocol is known."""
    severity: str = "info"
    """Severity of a match."""


DEFAULTS = OpReturnConfig()


def detect(tx: Transaction, config: OpReturnConfig = DEFAULTS) -> list[PatternMatch]:
    """One match for each protocol found, in order of the first output that carries it."""
    classes = protocols(tx)
    if not classes:
        return []
    found: dict[str, list[int]] = {}
    for index, protocol in classes:
        if protocol not in config.ignored:
            found.setdefault(protocol, []).append(index)
    return [_match(tx, protocol, places, config) for protocol, places in found.items()]


def protocols(tx: Transaction) -> list[tuple[int, str]]:
    """Each data output's index and class, in order."""
    scripts = [(n, o.script) for n, o in enumerate(tx.outputs) if o.script[:1] == b"\x6a"]
    if not scripts:
        return []
    key = None if tx.is_coinbase else bytes.fromhex(tx.inputs[0].prev_txid)
    return [(index, classify(script, key)) for index, script in scripts]


def classify(script: bytes, first_input_txid: bytes | None) -> str:
    """Name what a data script carries; ``unknown`` where no rule knows it.

    ``first_input_txid`` (32 bytes, display order) is the key of Counterparty's RC4; None where
    there is none, as in a coinbase.
    """
    if script[:2] == RUNESTONE:
        return "runes"
    data = pushed(script)
    if not data:
        return "empty" if len(script) <= 2 else "unknown"
    named = _by_prefix(data)
    if named is not None:
        return named
    if first_input_txid is not None and _is_counterparty(data, first_input_txid):
        return "counterparty"
    return _by_shape(data)


def pushed(script: bytes) -> bytes:
    """The bytes of the first push after OP_RETURN; empty if there is none or it is cut short.

    >>> pushed(bytes.fromhex("6a026869")), pushed(bytes.fromhex("6a4c026869"))
    (b'hi', b'hi')
    >>> pushed(b"\\x6a\\x05cut")
    b''
    """
    opcode = script[1] if len(script) > 1 else 0
    width = _PUSH_SIZES.get(opcode, 0)
    start = 2 + width
    size = int.from_bytes(script[2:start], "little") if width else opcode
    if not width and opcode >= min(_PUSH_SIZES):
        return b""
    data = script[start : start + size]
    return data if len(data) == size else b""


def _by_prefix(data: bytes) -> str | None:
    for prefix, protocol in PREFIXES:
        if data.startswith(prefix):
            return protocol
    if len(data) > 2 and data[:2] in (b"X2", b"T2") and data[2] in STACKS_OPERATIONS:
        return "stacks"
    if len(data) > 2 and data[:2] == b"id" and data[2] in NAME_OPERATIONS:
        return "blockstack_names"
    return "thorchain" if _is_thorchain(data) else None


def _is_thorchain(data: bytes) -> bool:
    action, colon, rest = data.partition(b":")
    return bool(colon and rest) and action.lower() in THORCHAIN_ACTIONS


def _is_counterparty(data: bytes, key: bytes) -> bool:
    size = len(COUNTERPARTY_MARK)
    return len(data) > size and rc4(key, data[:size]) == COUNTERPARTY_MARK


def _by_shape(data: bytes) -> str:
    if len(data) == 32:
        return "hash32"
    if len(data) == VERIBLOCK_BYTES and data[0] == 0 and data[4:6] in (b"\x00\x01", b"\x00\x02"):
        return "veriblock"
    if len(data) == KOMODO_BYTES and data.endswith(KOMODO_TAIL):
        return "komodo"
    return "text" if _is_text(data) else "unknown"


def _is_text(data: bytes) -> bool:
    try:
        return data.decode().isprintable()
    except UnicodeDecodeError:
        return False


def _match(
    tx: Transaction, protocol: str, places: list[int], config: OpReturnConfig
) -> PatternMatch:
    outputs: list[TxOutput] = [tx.outputs[index] for index in places]
    size = sum(len(output.script) for output in outputs)
    return PatternMatch(
        network=tx.network,
        pattern=f"{PATTERN_ID}.{protocol}",
        subject=tx.txid,
        severity=config.severity,
        confidence=CONFIDENCE.get(protocol, 1.0),
        reasons=[
            f"output {places[0]} carries {protocol} data "
            f"({count(len(places), 'such output')}, {size:,} bytes of script)"
        ],
        evidence=[tx.txid],
        addresses=input_addresses(tx),
    )
