"""A drawing in the terminal's own sixteen colours: what the person chose there is what they get."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nexus_tui.drawing.picture import Picture

_CODES = {
    "region-violet": "35",
    "region-blue": "34",
    "region-green": "32",
    "region-yellow": "33",
    "region-orange": "93",
    "region-red": "31",
    "chain": "1",
    "other": "2",
    "faint": "2",
    "final": "32",
    "red": "31",
    "void": "31;9",
}
"""SGR parameters of styles; the others are drawn as they are."""


def coloured(picture: Picture) -> list[str]:
    """All rows of a picture with the escape sequences of their colours."""
    lines = []
    for y in range(picture.height):
        line, column = "", 0
        for piece in picture.row(y):
            line += " " * (piece.x - column)
            code = _CODES.get(piece.style)
            line += f"\x1b[{code}m{piece.text}\x1b[0m" if code and piece.text.strip() else piece.text
            column = piece.x + len(piece.text)
        lines.append(line.rstrip())
    return lines
