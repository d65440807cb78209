"""A line in which the most wanted stands first, and of what is wanted alike the first that came."""

from __future__ import annotations

from bisect import bisect_left, insort

_Place = tuple[int, int]


class Line:
    """Names by what they are worth. The list is short (`MAX_QUEUED`), so moving its end costs little."""

    __slots__ = ("_count", "_line", "_places")

    def __init__(self) -> None:
        self._places: dict[bytes, _Place] = {}
        self._line: list[tuple[_Place, bytes]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._line)

    def __bool__(self) -> bool:
        return bool(self._line)

    def __contains__(self, name: bytes) -> bool:
        return name in self._places

    def add(self, name: bytes, worth: int) -> None:
        """Stand in line, unless one does already."""
        if name not in self._places:
            self._count += 1
            place = self._places[name] = -worth, self._count
            insort(self._line, (place, name))

    def remove(self, name: bytes) -> None:
        """Leave the line, if one stands there."""
        place = self._places.pop(name, None)
        if place is not None:
            del self._line[bisect_left(self._line, (place, name))]

    def pop(self) -> bytes:
        """Take the first."""
        _, name = self._line.pop(0)
        del self._places[name]
        return name

    @property
    def last(self) -> bytes:
        """The least wanted, and of those the newest."""
        return self._line[-1][1]

    @property
    def least(self) -> int:
        """What that is worth."""
        return -self._line[-1][0][0]
