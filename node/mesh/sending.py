"""What waits to be sent on one link, by class: urgent things overtake, and each class may hold only so much."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

_HEAD = 64
"""Counted for each frame beside its body, so that empty ones are not free."""


class SendQueue:
    """Frames by class, 0 being the most urgent. `budgets` are the bytes that may wait in each."""

    def __init__(self, budgets: Sequence[int]) -> None:
        self._budgets = budgets
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
        self._waiting[urgency].append((head, body))
        self._sizes[urgency] += cost
        return True

    def take(self, most: int) -> list[bytes]:
        """Pieces of whole frames, the most urgent first: about `most` bytes, at least one frame if any waits."""
        pieces: list[bytes] = []
        taken = 0
        for urgency, waiting in enumerate(self._waiting):
            while waiting and taken < most:
                head, body = waiting.popleft()
                pieces += (head, body)
                self._sizes[urgency] -= _HEAD + len(body)
                taken += len(head) + len(body)
        return pieces

    def clear(self) -> None:
        """Forget all that waits."""
        for waiting in self._waiting:
            waiting.clear()
        self._sizes = [0] * len(self._budgets)
