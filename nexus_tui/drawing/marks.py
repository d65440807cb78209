"""The signs of the drawing: a mark a region, filled for blue blocks and hollow for red ones; lines of two weights.

Without UTF-8 a region is its letter, large for blue and small for red. Every character is one cell wide.
"""

from __future__ import annotations

from dataclasses import dataclass

REGIONS = ("Violet", "Blue", "Green", "Yellow", "Orange", "Red")
THIN, HEAVY, CHAIN = 1, 2, 3
"""Weights of a line: to any parent, to the selected parent, along the selected chain."""

_FILLED, _HOLLOW, _LETTERS = "▼■●★◆▲", "▽□○☆◇△", "VBGYOR"
# Box drawing by its arms: up·27 + right·9 + down·3 + left, each 0 (none), 1 (light) or 2 (heavy); light corners round.
_BOXES = " ╴╸╷╮┑╻┒┓╶─╾╭┬┭┎┰┱╺╼━┍┮┯┏┲┳╵╯┙│┤┥╽┧┪╰┴┵├┼┽┟╁╅┕┶┷┝┾┿┢╆╈╹┚┛╿┦┩┃┨┫┖┸┹┞╀╃┠╂╉┗┺┻┡╄╇┣╊╋"


def region_style(region: str) -> str:
    """The style of a region's mark and name; of a name that is no region, none of its own."""
    return f"region-{region.lower()}" if region in REGIONS else "label"


@dataclass(frozen=True, slots=True)
class Marks:
    """One set. `final_across` and `final_along` draw the finality line; `before` says on which side of it all is final,
    and with `after`, `above` and `below` where a line is that is out of sight."""

    ascii: bool
    final_across: str
    final_along: str
    cut: str
    before: str
    after: str
    above: str
    below: str
    hollow: str
    """Red blocks in the legend."""

    def node(self, region: str, colour: str) -> str:
        """The mark of a block; a region that is none of the six gets a plain one."""
        red = colour == "red"
        if region not in REGIONS:
            return "?" if self.ascii else "◌"
        if self.ascii:
            letter = _LETTERS[REGIONS.index(region)]
            return letter.lower() if red else letter
        return (_HOLLOW if red else _FILLED)[REGIONS.index(region)]

    def line(self, up: int, right: int, down: int, left: int) -> str:
        """The character for arms of these weights (0: none)."""
        up, right, down, left = (min(weight, HEAVY) for weight in (up, right, down, left))
        if not self.ascii:
            return _BOXES[up * 27 + right * 9 + down * 3 + left]
        if not (up or down):
            return " " if not (right or left) else "=" if HEAVY in (right, left) else "-"
        if not (right or left):
            return "|" if HEAVY in (up, down) else ":"
        return "+"


UNICODE = Marks(
    ascii=False, final_across="┄", final_along="┊", cut="…", before="‹", after="›", above="↑", below="↓", hollow="▽□○"
)
ASCII = Marks(
    ascii=True, final_across=".", final_along=".", cut="~", before="<", after=">", above="^", below="v", hollow="vbg"
)


def choose(ascii_only: bool) -> Marks:
    """The set for a terminal."""
    return ASCII if ascii_only else UNICODE
