"""Ids as people give them: their first digits as lists show them, or all 64 where nothing else will do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nexus_tui.cli.output import foreign
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


def hash_of(text: str, what: str, least: int = 32) -> bytes:
    """The 32 bytes written in `text`, or the first `least` or more of them. Raises Refused (bad_id)."""
    try:
        value = bytes.fromhex(text.strip()) if len(text) <= 80 else b""
    except ValueError:
        value = b""
    if not least <= len(value) <= 32:
        digits = "64 hexadecimal digits" if least == 32 else f"64 hexadecimal digits, or the first {2 * least} or more"
        raise Refused("bad_id", f"{foreign(text[:80])!r} is not {what}: {digits}.")
    return value
