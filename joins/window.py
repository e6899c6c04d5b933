"""Window joins by one name: the mode and the kind of window choose the machine."""

from __future__ import annotations

from typing import Any, Literal

from joins.errors import JoinError
from joins.group import GroupJoin
from joins.join import Join
from joins.product import ProductJoin
from joins.session import SessionGroup
from joins.session_product import SessionProduct
from joins.windows import Session, Windows


def WindowJoin(  # noqa: N802 - it reads as a class, like its siblings
    *, windows: Windows, mode: Literal["group", "product"] = "group", **common: Any
) -> Join:
    """A window join: ``group``, one record a window, or ``product``, every pair in it.

    ``common``: ``name, kind, sides, lateness, grace, retract_grace, emit`` as in ``Join``. The
    default kind is ``outer`` for a group and ``inner`` for a product.
    """
    if mode not in ("group", "product"):
        raise JoinError(f"mode is 'group' or 'product', not {mode!r}")
    if isinstance(windows, Session):
        machine = SessionGroup if mode == "group" else SessionProduct
        return machine(windows=windows, **common)
    if mode == "group":
        return GroupJoin(windows=windows, **common)
    return ProductJoin(windows=windows, **common)
