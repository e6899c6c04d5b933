"""A source that kills itself at a chosen commit, as ``kill -9`` would.

``python -m tests.archive.doomed POINT COUNT ARGUMENTS``: runs ``streams ARGUMENTS`` with small
transactions, and dies at its COUNTth commit: ``before`` it (outputs are in the log, unfinished),
``within`` it, or ``after`` it. COUNT 0 never dies.
"""

from __future__ import annotations

import sys

from streams.cli.main import main
from streams.ops import archive
from streams.sources import archive_outpoints
from tests.kafka.doomed import doom

EVENTS = 12
OUTPUTS = 20

if __name__ == "__main__":
    archive.MOST_EVENTS, archive_outpoints.MOST = EVENTS, OUTPUTS
    point, count, *arguments = sys.argv[1:]
    if int(count):
        doom(point, int(count))
    sys.argv = ["streams", *arguments]
    main()
