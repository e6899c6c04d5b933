"""A DWN source that kills itself at a chosen commit, as ``kill -9`` would.

``python -m tests.dwn.doomed POINT COUNT ARGUMENTS`` runs ``streams ARGUMENTS`` with transactions of
three messages; COUNT 0 never dies.
"""

from __future__ import annotations

import sys

from streams.cli.main import main
from streams.ops import dwn
from tests.kafka.doomed import doom

if __name__ == "__main__":
    dwn.MOST = 3
    point, count, *arguments = sys.argv[1:]
    if int(count):
        doom(point, int(count))
    sys.argv = ["streams", *arguments]
    main()
