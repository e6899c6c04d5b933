"""Does a parsed block keep the promises of its header: merkle root, witness commitment, work."""

from __future__ import annotations

from collections.abc import Sequence

from streams.chain.parse import ParseError, RawBlock, RawHeader, RawTx, double_sha256

_COMMITMENT = bytes.fromhex("6a24aa21a9ed")


def check_block(block: RawBlock) -> None:
    """Raise ParseError unless the transactions are the ones that the header commits to.

    Checks the proof of work against the header's own target, the place of the coinbase, the
    merkle root (with the duplication of CVE-2012-2459 refused) and the witness commitment
    (BIP 141). Scripts, amounts and the target's own history are not checked.
    """
    check_work(block.header)
    check_coinbase(block.transactions)
    root = merkle_root([tx.txid for tx in block.transactions])
    if root != block.header.merkle_root:
        raise ParseError(f"merkle root is {root}, header says {block.header.merkle_root}")
    check_witness(block.transactions)


def check_work(header: RawHeader) -> None:
    """The header's hash must not exceed the target that its ``bits`` state."""
    target = target_of(header.bits)
    if target == 0 or int(header.hash, 16) > target:
        raise ParseError(f"block {header.hash} does not meet its target {header.bits:08x}")


def target_of(bits: int) -> int:
    """The target of a compact form; 0 for a negative or overflowing one (Core, SetCompact)."""
    exponent, mantissa = bits >> 24, bits & 0x7FFFFF
    target = mantissa << 8 * (exponent - 3) if exponent > 3 else mantissa >> 8 * (3 - exponent)
    return 0 if bits & 0x800000 or target >> 256 else target


def check_coinbase(transactions: Sequence[RawTx]) -> None:
    """The first transaction and no other is a coinbase."""
    coinbases = [number for number, tx in enumerate(transactions) if tx.is_coinbase]
    if coinbases != [0]:
        raise ParseError(f"coinbase transactions at {coinbases[:3]}, expected only at 0")


def merkle_root(hashes: Sequence[str]) -> str:
    """Root over display-order hashes, in display order.

    Raises ParseError when two equal hashes pair up, since a block mutated by repeating
    transactions has the same root (CVE-2012-2459).
    """
    level = [bytes.fromhex(text)[::-1] for text in hashes]
    while len(level) > 1:
        if any(level[i] == level[i + 1] for i in range(0, len(level) - 1, 2)):
            raise ParseError("repeated transactions under one merkle root (CVE-2012-2459)")
        if len(level) % 2:
            level.append(level[-1])
        level = [double_sha256(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    return level[0][::-1].hex()


def check_witness(transactions: Sequence[RawTx]) -> None:
    """A block with any witness must commit to all of them in its coinbase (BIP 141).

    Before activation miners could write the commitment without a witness; that is accepted.
    """
    if not any(tx.has_witness for tx in transactions):
        return
    committed = witness_commitment(transactions[0])
    if committed is None:
        raise ParseError("block has witness data but no witness commitment")
    reserved = transactions[0].inputs[0][4]
    if len(reserved) != 1 or len(reserved[0]) != 32:
        raise ParseError("coinbase lacks the 32-byte witness reserved value")
    hashes = ["00" * 32, *(tx.wtxid for tx in transactions[1:])]
    root = bytes.fromhex(merkle_root(hashes))[::-1]
    if double_sha256(root + reserved[0]) != committed:
        raise ParseError("witness commitment differs from the transactions' witnesses")


def witness_commitment(coinbase: RawTx) -> bytes | None:
    """The 32-byte commitment; the last matching output counts (BIP 141)."""
    for _, script in reversed(coinbase.outputs):
        if script[:6] == _COMMITMENT and len(script) >= 38:
            return script[6:38]
    return None
