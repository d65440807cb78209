"""Text from others on its way to a widget (experience.md, "What a wallet in a terminal must not get wrong").

Textual writes what a widget is given to the terminal as it is, and reads markup out of plain strings. Whatever this
program did not write itself (memos, labels, names out of files, messages of errors that quote input) goes through
`sanitize` where it enters, and reaches a widget only as `text(...)`, which knows no markup. `Scrub` is the backstop
behind every widget: should something slip by, no control character leaves the app.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.content import Content
from textual.filter import LineFilter

from nexus_tui.foreign import BIDI, MAX_TEXT, REMOVED, sanitize

if TYPE_CHECKING:
    from textual.color import Color

__all__ = ["REMOVED", "Scrub", "sanitize", "text"]

_AT_TERMINAL = re.compile(f"[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff{BIDI}]")


def text(value: str, style: str = "", limit: int = MAX_TEXT, lines: bool = False) -> Content:
    """Foreign text for a widget: sanitized, and never read as markup. `style` is Textual's (`"$muted bold"`)."""
    return Content.styled(sanitize(value, limit, lines), style)


class Scrub(LineFilter):
    """Takes control characters out of rendered lines; the escape sequences of Textual's driver do not come this way."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """See `LineFilter.apply`."""
        return [
            segment
            if segment.control or not _AT_TERMINAL.search(segment.text)
            else Segment(_AT_TERMINAL.sub(REMOVED, segment.text), segment.style)
            for segment in segments
        ]
