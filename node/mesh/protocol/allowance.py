"""How much of a day's data is used: what a phone's owner allows, counted over restarts (protocol section 10)."""

from __future__ import annotations

from node.mesh.protocol.messages import BLOCK, KINDS, VOTE

PLENTY, NEAR, SPENT = "plenty", "near", "spent"
NEAR_PERCENT = 80

WANTED = {
    PLENTY: frozenset(KINDS),
    # Transactions of others are the bulk of the talk, and come again inside blocks.
    NEAR: frozenset((VOTE, BLOCK)),
    SPENT: frozenset[int](),
}
"""Kinds of things that a node asks for. What it has itself, its owner's payments, it gives at any time."""


class Allowance:
    """`limit` bytes a day, 0 for any number. A day is any number that names it; the count begins anew with another."""

    def __init__(self, limit: int, day: int = 0, used: int = 0) -> None:
        """`day` and `used` are those of the last run."""
        self.limit = limit
        self.day = day
        self.used = used
        self._seen = 0

    def count(self, total: int, day: int) -> None:
        """So many bytes passed since this run began."""
        if day != self.day:
            self.day, self.used = day, 0
        self.used += total - self._seen
        self._seen = total

    @property
    def state(self) -> str:
        """PLENTY, NEAR or SPENT."""
        if not self.limit or self.used * 100 < self.limit * NEAR_PERCENT:
            return PLENTY
        return NEAR if self.used < self.limit else SPENT
