"""``streams late``: records that came too late."""

from __future__ import annotations

from streams.cli.letters import app_of

app = app_of("late", "Look at records that came too late; write them back.")
