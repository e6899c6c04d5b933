"""``streams source bitcoin`` that kills itself at a chosen point of one of its transactions.

``python -m tests.bitcoin.doomed POINT COUNT OPTION...``: at its COUNTth transaction, ``before`` the
commit (all is in the log, unfinished), ``within`` it, or ``after`` it (the source has not heard of
it); or ``between``: while it makes the COUNTth batch, so that only its memory knows of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count

from streams.cli.main import main
from streams.sources.batch import SourceBatch
from streams.sources.bitcoin import BitcoinSource
from tests.kafka.doomed import die, doom


def doom_between(fatal: int) -> None:
    """Let the process die with the ``fatal``th batch made and not written."""
    batches, number = BitcoinSource.batches, count(1)

    def dying(self: BitcoinSource, *args: object) -> Iterator[SourceBatch]:
        for batch in batches(self, *args):  # type: ignore[arg-type]
            if next(number) >= fatal:
                die()
            yield batch

    BitcoinSource.batches = dying  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    point, number, *options = sys.argv[1:]
    if point == "between":
        doom_between(int(number))
    else:
        doom(point, int(number))
    sys.argv = ["streams", "source", "bitcoin", *options]
    main()
