"""Fine lines: two by four dots a character in braille, or a character a cell where there is no UTF-8."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import floor

# Bits of a braille character by (column, row) of the dot (Unicode, "Braille Patterns").
_BITS = {(0, 0): 1, (0, 1): 2, (0, 2): 4, (1, 0): 8, (1, 1): 16, (1, 2): 32, (0, 3): 64, (1, 3): 128}
_EMPTY = 0x2800

Cell = tuple[int, int]
Point = tuple[float, float]


@dataclass(slots=True)
class Lines:
    """Lines between cells' middles; `cells` gives the characters. A later style wins over an earlier one."""

    ascii: bool
    _cells: dict[Cell, tuple[int, str, str]] = field(default_factory=dict)  # dots, ASCII character, style

    def line(self, one: Point, other: Point, style: str, *, every: int = 1) -> None:
        """A line from cell to cell; of its dots every so many-th is drawn."""
        sign = _slope(one, other) if every == 1 else "."
        for number, (x, y) in enumerate(_between(_dots(one), _dots(other))):
            if number % every == 0:
                self._dot(x, y, style, sign)

    def dot(self, at: Point, style: str) -> None:
        """One dot. Where there are only whole characters it is left out: a ring of them would be all there is."""
        if not self.ascii:
            x, y = _dots(at)
            self._dot(_nearest(x), _nearest(y), style, "")

    def _dot(self, x: int, y: int, style: str, sign: str) -> None:
        cell = x // 2, y // 4
        bits, before, _ = self._cells.get(cell, (0, "", ""))
        self._cells[cell] = bits | _BITS[x % 2, y % 4], sign or before, style

    def cells(self) -> Iterator[tuple[Cell, str, str]]:
        """Each cell with its character and style."""
        for cell, (bits, sign, style) in self._cells.items():
            yield cell, (sign if self.ascii else chr(_EMPTY + bits)), style


def _dots(point: Point) -> Point:
    return point[0] * 2 + 0.5, point[1] * 4 + 1.5


def _between(one: Point, other: Point) -> Iterator[Cell]:
    steps = max(round(abs(other[0] - one[0])), round(abs(other[1] - one[1])), 1)
    for step in range(steps + 1):
        yield (
            _nearest(one[0] + (other[0] - one[0]) * step / steps),
            _nearest(one[1] + (other[1] - one[1]) * step / steps),
        )


def _nearest(value: float) -> int:
    """Halves always up: `round` takes them to even numbers, and a line would double its dots."""
    return floor(value + 0.5)


def _slope(one: Point, other: Point) -> str:
    wide, high = other[0] - one[0], (other[1] - one[1]) * 2
    if abs(wide) > 2 * abs(high):
        return "-"
    if abs(high) > 2 * abs(wide):
        return "|"
    return "\\" if wide * high > 0 else "/"
