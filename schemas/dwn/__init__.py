"""Decentralized Web Nodes, the pure part: CIDs, DIDs, signatures, messages and their checks.

Nothing here does input or output. ``verify`` checks a message from a DWN, ``message`` builds one,
``signer`` holds keys.
"""

from schemas.dwn.errors import Cause, DwnInvalid
from schemas.dwn.signer import Signer
from schemas.dwn.verify import Verified, verify

__all__ = ["Cause", "DwnInvalid", "Signer", "Verified", "verify"]
