"""The one error of the embedded broker: what went wrong, and what to do about it."""

from __future__ import annotations


class BrokerError(Exception):
    """The embedded broker cannot do what was asked.

    ``cause`` says what is wrong, ``remedy`` what the user can do; both are whole phrases without
    a full stop. ``detail`` holds further lines (the end of the broker's log), possibly none.
    """

    def __init__(self, cause: str, remedy: str, detail: str = "") -> None:
        self.cause = cause
        self.remedy = remedy
        self.detail = detail
        super().__init__(f"{cause}; {remedy}" + (f"\n{detail}" if detail else ""))


OTHER_BROKER = "or name another Kafka by --broker or STREAMS_BROKER"
"""The remedy that always exists: the embedded broker is a convenience, never a requirement."""


class PortTaken(BrokerError):
    """Another program listens on the port the broker was to use."""

    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(cause, "choose another port, or 0 for a free one", detail)
