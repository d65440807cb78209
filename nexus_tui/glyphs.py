"""The characters that the app draws with: one set for UTF-8 terminals, one for the rest.

Only characters that are one cell wide in every font; no emoji. Meaning never rests on a glyph's colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One set."""

    ascii: bool
    line: str
    line_bright: str
    received: str
    sent: str
    own: str
    good: str
    wait: str
    bad: str
    warning: str
    dot: str
    ring: str
    cursor: str
    ellipsis: str
    hidden: str
    bar: str


UNICODE = Glyphs(
    ascii=False,
    line="─",
    line_bright="━",
    received="↓",
    sent="↑",
    own="↻",
    good="✓",
    wait="…",
    bad="×",
    warning="!",
    dot="●",
    ring="○",
    cursor="›",
    ellipsis="…",
    hidden="•",
    bar="▎",
)

ASCII = Glyphs(
    ascii=True,
    line="-",
    line_bright="=",
    received="+",
    sent="-",
    own="~",
    good="v",
    wait="~",
    bad="x",
    warning="!",
    dot="*",
    ring="o",
    cursor=">",
    ellipsis="~",
    hidden="*",
    bar="|",
)


def choose(setting: str, unicode: bool) -> Glyphs:
    """The set for `app.glyphs` ("auto", "unicode", "ascii") on a terminal that can or cannot show Unicode."""
    wanted = unicode if setting == "auto" else setting == "unicode"
    return UNICODE if wanted else ASCII
