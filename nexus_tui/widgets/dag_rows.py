"""Rows of the DAG's drawing as segments: what is under the cursor stays readable, and few changes of style are sent."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.color import Color

CONTRAST = 0.3
"""So much lighter or darker than the cursor's background a colour has to be to be kept on it."""

Cells = list[tuple[int, str, str, bool]]
"""Column, text, name of its style, and whether the cursor is on it."""


def under(cursor: Style, style: Style, ansi: bool) -> Style:
    """A style on the cursor's background. A colour stays where it can be told from that: sixteen colours of a
    terminal can be anything."""
    kept = Style(bold=style.bold, strike=style.strike)
    if cursor.reverse or cursor.bgcolor is None or style.color is None or ansi:
        return cursor + kept
    light, ground = (Color.from_rich_color(colour).brightness for colour in (style.color, cursor.bgcolor))
    return cursor + kept + Style(color=style.color) if abs(light - ground) >= CONTRAST else cursor + kept


def add(segments: list[Segment], words: str, style: Style) -> None:
    """Text at the end of a row. Blanks take the style before them, if they look the same in it: each change of style
    costs some thirty bytes on the way to the terminal."""
    last = segments[-1].style if segments else None
    if last is not None and not words.strip() and last.bgcolor == style.bgcolor and not _shows_on_blanks(last, style):
        style = last
    if segments and last == style:
        words = segments.pop().text + words
    segments.append(Segment(words, style))


def bracketed(pieces: Cells, mark: int, start: int, end: int) -> Cells:
    """Brackets around a mark, over whatever line is there."""
    cells = {
        x + place: (character, style, on)
        for x, text, style, on in pieces
        for place, character in enumerate(text)
        if x + place not in (mark - 1, mark + 1)
    }
    for x, bracket in ((mark - 1, "["), (mark + 1, "]")):
        if start <= x < end:
            cells[x] = (bracket, "chain", True)
    return [(x, *cells[x]) for x in sorted(cells)]


def _shows_on_blanks(*styles: Style) -> bool:
    return any(style.reverse or style.strike or style.underline for style in styles)
