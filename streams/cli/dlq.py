"""``streams dlq``: records that could not be processed."""

from __future__ import annotations

from streams.cli.letters import app_of

app = app_of("dlq", "Look at records that could not be processed; write them back.")
