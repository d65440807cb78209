"""The agenda: events in virtual time, and nothing else that moves it.

Times are milliseconds from the start of the simulation. Events of one moment happen in the order in which they were put
down, so that a run depends on its seed alone: no wall clock, no hash order, no threads.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any


class Agenda:
    """A heap of what is to happen."""

    __slots__ = ("_heap", "_put", "done", "now")

    def __init__(self) -> None:
        self.now = 0
        self.done = 0  # events that have happened
        self._put = 0
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, when: int, action: Callable[..., None], *arguments: Any) -> None:
        """Do `action(*arguments)` at a time; a time already past counts as now."""
        self._put += 1
        heappush(self._heap, (max(when, self.now), self._put, action, arguments))

    def after(self, delay: int, action: Callable[..., None], *arguments: Any) -> None:
        """Do it so many milliseconds from now."""
        self.at(self.now + delay, action, *arguments)

    def run(self, until: int) -> None:
        """Let everything happen that is due up to and including `until`; then it is `until`."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, action, arguments = heappop(heap)
            self.done += 1
            action(*arguments)
        self.now = max(self.now, until)
