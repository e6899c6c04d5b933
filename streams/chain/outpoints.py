"""Which outputs of the blocks seen so far are unspent: what their inputs' prevouts come from."""

from __future__ import annotations

from schemas.events import Prevout
from streams.chain.build import prevout
from streams.chain.parse import RawTx
from streams.chain.script import is_unspendable


class OutpointTable:
    """The unspent outputs of the transactions added, by outpoint.

    Blocks go in by height and transactions in block order, as consensus has it, so a spender
    always finds an output that was added before it.
    """

    def __init__(self, network: str) -> None:
        self._network = network
        self._unspent: dict[tuple[str, int], tuple[int, bytes, int, bool]] = {}

    def __len__(self) -> int:
        return len(self._unspent)

    def add(self, tx: RawTx, height: int) -> None:
        """Make the outputs of a transaction spendable."""
        coinbase = tx.is_coinbase
        for index, (value, script) in enumerate(tx.outputs):
            if not is_unspendable(script):
                self._unspent[tx.txid, index] = value, script, height, coinbase

    def spend(self, txid: str, index: int) -> Prevout | None:
        """Take an output out of the table; None when it was never added or is already spent."""
        found = self._unspent.pop((txid, index), None)
        if found is None:
            return None
        value, script, height, coinbase = found
        return prevout(value, script, self._network, height, coinbase)
