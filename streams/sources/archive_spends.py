"""What the inputs of an archive's blocks spend, from whichever place knows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from schemas.events import Prevout
from streams.chain.build import COINBASE, Spent, prevout
from streams.chain.outpoints import OutpointTable
from streams.chain.parse import RawBlock, RawTx
from streams.sources.archive_index import Index
from streams.sources.archive_outpoints import OutpointStore
from streams.sources.archive_prevouts import PrevoutFiles
from streams.sources.archive_undo import Coin

NOT_IN_ARCHIVE = "not in archive"
_Table = OutpointStore | OutpointTable


class Spends:
    """Outputs of earlier blocks, a node's undo files, and prevouts files, in this order."""

    def __init__(
        self, index: Index, files: PrevoutFiles, table: OutpointStore | None, network: str
    ) -> None:
        self._index, self._files, self.table = index, files, table
        self._network = network
        self.missing = 0
        """Inputs whose prevout nothing knew."""

    def of(self, number: int, raw: RawBlock, height: int, stale: bool) -> list[list[Spent]]:
        """One list a transaction, coinbase included; raises SourceError.

        The outputs of the block become spendable; what a stale block spends stays so.
        """
        coins = self._coins(number, raw)
        listed = self._files.of(height, raw)
        if coins is not None and self.table is None:
            return [[COINBASE], *(list[Spent](map(self._known, of)) for of in coins)]
        table = self.table or OutpointTable(self._network)
        rows = [] if coins is None else [[], *coins]
        return [
            self._spent(tx, height, table, rows[place] if rows else (), listed, stale)
            for place, tx in enumerate(raw.transactions)
        ]

    def apply(self, raw: RawBlock, height: int, stale: bool = False) -> None:
        """Only keep the table: a block that was written before."""
        if self.table is None:
            return
        for tx in raw.transactions:
            if not (stale or tx.is_coinbase):
                for previous, index, *_ in tx.inputs:
                    self.table.drop(previous, index)
            self.table.add(tx, height)

    def _coins(self, number: int, raw: RawBlock) -> list[list[Coin]] | None:
        undo = self._index.undo(number)
        inputs = [len(tx.inputs) for tx in raw.transactions[1:]]
        return None if undo is None else undo.spent(raw.header.previous, inputs)

    def _spent(
        self,
        tx: RawTx,
        height: int,
        table: _Table,
        coins: Sequence[Coin],
        listed: Iterator[Prevout] | None,
        stale: bool,
    ) -> list[Spent]:
        if tx.is_coinbase:
            table.add(tx, height)
            return [COINBASE]
        take = table.look if stale and isinstance(table, OutpointStore) else table.spend
        spent: list[Spent] = []
        for place, (previous, index, *_) in enumerate(tx.inputs):
            row = next(listed) if listed is not None else None
            known = take(previous, index) or (self._known(coins[place]) if coins else row)
            self.missing += known is None
            spent.append(NOT_IN_ARCHIVE if known is None else known)
        table.add(tx, height)
        return spent

    def _known(self, coin: Coin) -> Prevout:
        return prevout(coin.value_sat, coin.script, self._network, coin.height, coin.is_coinbase)
