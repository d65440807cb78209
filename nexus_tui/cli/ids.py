"""Ids as people give them: whole, or their first digits as lists show them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from node.api.bounds import check_arguments
from node.api.errors import Refused


async def whole_id(
    text: str, find: Callable[[str], Awaitable[tuple[bytes, ...]]], what: str = "blocks"
) -> bytes | None:
    """The one id that begins as `text`, None where none does. Raises UsageError, Refused (ambiguous_id)."""
    prefix = text.strip().lower()
    check_arguments({"prefix": prefix})
    found = await find(prefix)
    if len(found) > 1:
        from nexus_tui.drawing.words import ambiguous

        raise Refused("ambiguous_id", ambiguous(prefix, found, what), hint="Give more digits.")
    return found[0] if found else None
