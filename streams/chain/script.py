"""What a script_pubkey is: its type, and the program or hash inside it."""

from __future__ import annotations

from typing import Literal

ScriptType = Literal[
    "p2pkh", "p2sh", "p2wpkh", "p2wsh", "p2tr", "p2a", "witness", "p2pk", "multisig",
    "op_return", "other",
]  # fmt: skip
"""``witness``: a witness program of a future version or length; ``p2a``: pay to anchor."""

OP_RETURN = 0x6A
_P2A = bytes.fromhex("51024e73")
_CHECKSIG, _CHECKMULTISIG = 0xAC, 0xAE
_OP_1, _OP_16 = 0x51, 0x60


def script_type(script: bytes) -> ScriptType:
    """Classify a script_pubkey by its bytes alone.

    >>> script_type(bytes.fromhex("0014" + "00" * 20)), script_type(bytes.fromhex("6a"))
    ('p2wpkh', 'op_return')
    """
    program = witness_program(script)
    if program is not None:
        return _witness_type(script, *program)
    if is_p2pkh(script):
        return "p2pkh"
    if is_p2sh(script):
        return "p2sh"
    if is_unspendable(script):
        return "op_return"
    return _bare_type(script)


def is_p2pkh(script: bytes) -> bool:
    """Pay to public key hash: DUP HASH160 <20> EQUALVERIFY CHECKSIG."""
    return len(script) == 25 and script[:3] == b"\x76\xa9\x14" and script[23:] == b"\x88\xac"


def is_p2sh(script: bytes) -> bool:
    """Pay to script hash (BIP 16): HASH160 <20> EQUAL."""
    return len(script) == 23 and script[:2] == b"\xa9\x14" and script[22] == 0x87


def is_unspendable(script: bytes) -> bool:
    """Whether the script starts with OP_RETURN, so that nobody can ever spend it."""
    return script[:1] == b"\x6a"


def witness_program(script: bytes) -> tuple[int, bytes] | None:
    """Version and program of a witness script_pubkey (BIP 141), None for any other script."""
    if not 4 <= len(script) <= 42 or script[1] != len(script) - 2:
        return None
    opcode = script[0]
    if opcode == 0:
        return 0, script[2:]
    return (opcode - 0x50, script[2:]) if _OP_1 <= opcode <= _OP_16 else None


def _witness_type(script: bytes, version: int, program: bytes) -> ScriptType:
    if version == 0:
        return {20: "p2wpkh", 32: "p2wsh"}.get(len(program), "other")  # type: ignore[return-value]
    if version == 1 and len(program) == 32:
        return "p2tr"
    return "p2a" if script == _P2A else "witness"


def _bare_type(script: bytes) -> ScriptType:
    key = {35: 33, 67: 65}.get(len(script))
    if key and script[0] == key and script[-1] == _CHECKSIG:
        return "p2pk"
    if len(script) >= 37 and script[-1] == _CHECKMULTISIG and _OP_1 <= script[0] <= _OP_16:
        return "multisig"
    return "other"
