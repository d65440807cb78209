"""Token buckets: how many messages and bytes of each type may pass a minute, and how many at once."""

from __future__ import annotations

from node.mesh.protocol.forms import weight
from node.mesh.protocol.limits import ANY, AT_ONCE, LIMITS, SELDOM
from node.mesh.protocol.messages import AnyMessage

_MINUTE_MS = 60_000


class Bucket:
    """Fills at a rate and holds so much at most. Thousandths of a token, so that nothing is rounded away."""

    __slots__ = ("_a_minute", "_at", "_full", "_left")

    def __init__(self, a_minute: int, now_ms: int, at_once: int | None = None) -> None:
        """`at_once` is a minute's worth where nothing else is said."""
        self._a_minute = a_minute
        self._full = self._left = (a_minute if at_once is None else at_once) * _MINUTE_MS
        self._at = now_ms

    def has(self, amount: int, now_ms: int) -> bool:
        """Whether so much may pass now."""
        passed = now_ms - self._at
        if passed:
            self._at = now_ms
            if passed > 0 and self._left < self._full:
                self._left = min(self._full, self._left + passed * self._a_minute)
        return self._left >= amount * _MINUTE_MS

    def take(self, amount: int) -> None:
        """Let so much pass."""
        self._left -= amount * _MINUTE_MS


class Quota:
    """What one side of a link may say: a pair of buckets for each type of message that was ever said.

    `percent` of the limits: the sender keeps below what the hearer allows, since what was sent evenly may come at once.
    """

    def __init__(self, percent: int = 100) -> None:
        self._percent = percent
        self._buckets: dict[type[AnyMessage], tuple[Bucket, Bucket]] = {}

    def allows(self, message: AnyMessage, now_ms: int) -> bool:
        """Whether a message may pass; if so, it is counted."""
        kind = type(message)
        found = self._buckets.get(kind)
        if found is None:
            limit = LIMITS[kind]
            if limit.rate == ANY:
                return True
            parts = 1 if limit.rate <= SELDOM else AT_ONCE
            rate, most = limit.rate * self._percent // 100, limit.volume * self._percent // 100
            found = self._buckets[kind] = Bucket(rate, now_ms, rate // parts), Bucket(most, now_ms, most // parts)
        number, volume = found
        size = weight(message)
        if not number.has(1, now_ms) or not volume.has(size, now_ms):
            return False
        number.take(1)
        volume.take(size)
        return True
