"""Why a DWN message is refused: one exception with a cause that code can branch on."""

from __future__ import annotations

from typing import Literal

Cause = Literal[
    "attestation",
    "context_id",
    "data_cid",
    "data_size",
    "descriptor_cid",
    "did",
    "encryption_cid",
    "initial_write",
    "json",
    "message_cid",
    "mismatch",
    "not_authorised",
    "record_id",
    "shape",
    "signature",
    "timestamp",
    "too_deep",
    "too_large",
    "unsupported",
]


class DwnInvalid(ValueError):
    """A message, key or CID that does not hold; ``cause`` says which check it failed.

    Everything that comes from a DWN is untrusted, so this is the only exception that the checks of
    ``schemas.dwn`` raise, whatever they are given.
    """

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause: Cause = cause
        self.detail = detail
