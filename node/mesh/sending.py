"""What waits to be sent on one link, by class: urgent things overtake, and each class may hold only so much."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

_HEAD = 64
"""Counted for each frame beside its body, so that empty ones are not free."""


class Waiting:
    """What waits on all links of a node together: `most` bytes, of which each link where something waits has its share
    in any case."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.size = 0
        self.links = 0

    def has_room(self, cost: int, own: int) -> bool:
        """Whether a link on which `own` bytes wait may let `cost` more wait."""
        return self.size + cost <= self._most or (own + cost) * self.links <= self._most


class SendQueue:
    """Frames by class, 0 being the most urgent. `budgets` are the bytes that may wait in each, `shared` counts those of
    all links."""

    def __init__(self, budgets: Sequence[int], shared: Waiting) -> None:
        self._budgets = budgets
        self._shared = shared
        self._waiting: tuple[deque[tuple[bytes, bytes]], ...] = tuple(deque() for _ in budgets)
        self._sizes = [0] * len(budgets)

    def __bool__(self) -> bool:
        return any(self._waiting)

    @property
    def size(self) -> int:
        """Bytes that wait, heads and bodies."""
        return sum(self._sizes)

    def add(self, urgency: int, head: bytes, body: bytes) -> bool:
        """Let a frame wait in its class; False if that has no room. A class that is empty takes a frame of any size.

        The body is not copied, so that one that goes to many peers is held once.
        """
        cost = _HEAD + len(body)
        if self._waiting[urgency] and self._sizes[urgency] + cost > self._budgets[urgency]:
            return False
        if not self:
            self._shared.links += 1
        elif not self._shared.has_room(cost, self.size):
            return False
        self._waiting[urgency].append((head, body))
        self._sizes[urgency] += cost
        self._shared.size += cost
        return True

    def take(self, most: int) -> list[bytes]:
        """Pieces of whole frames, the most urgent first: about `most` bytes, at least one frame if any waits."""
        pieces: list[bytes] = []
        taken, before = 0, self.size
        for urgency, waiting in enumerate(self._waiting):
            while waiting and taken < most:
                head, body = waiting.popleft()
                pieces += (head, body)
                self._sizes[urgency] -= _HEAD + len(body)
                taken += len(head) + len(body)
        self._shared.size -= before - self.size
        if before and not self:
            self._shared.links -= 1
        return pieces

    def clear(self) -> None:
        """Forget all that waits."""
        if self:
            self._shared.size -= self.size
            self._shared.links -= 1
        for waiting in self._waiting:
            waiting.clear()
        self._sizes = [0] * len(self._budgets)
