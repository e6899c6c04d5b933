"""Warm up behind a broker: ``python -m streams.broker.background HOME SECONDS``.

Waits those seconds, until the foreground has settled; ends quietly when asked to.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from streams.broker.errors import BrokerError
from streams.broker.warm import warm_up


def main() -> None:
    """Wait, then make the AOT cache unless it is there."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    home, delay_s = Path(sys.argv[1]), float(sys.argv[2])
    time.sleep(delay_s)
    try:
        warm_up(home)
    except BrokerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
