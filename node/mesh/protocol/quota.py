"""Token buckets: how many messages and bytes of each type may pass a minute, and how many at once."""

from __future__ import annotations

from node.mesh.protocol.limits import ANY, AT_ONCE, FEW, LIMITS
from node.mesh.protocol.messages import AnyMessage, weight

_MINUTE_MS = 60_000


class Bucket:
    """Fills at a rate and holds so much at most. Thousandths of a token, so that nothing is rounded away."""

    __slots__ = ("_a_minute", "_at", "_full", "_left")

    def __init__(self, a_minute: int, at_once: int, now_ms: int) -> None:
        self._a_minute = a_minute
        self._full = self._left = at_once * _MINUTE_MS
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
            found = self._buckets[kind] = (
                self._bucket(limit.rate, FEW, now_ms),
                self._bucket(limit.volume, FEW * limit.size, now_ms),
            )
        number, volume = found
        size = weight(message)
        if not number.has(1, now_ms) or not volume.has(size, now_ms):
            return False
        number.take(1)
        volume.take(size)
        return True

    def _bucket(self, a_minute: int, few: int, now_ms: int) -> Bucket:
        at_once = min(a_minute, max(a_minute // AT_ONCE, few))
        return Bucket(a_minute * self._percent // 100, at_once * self._percent // 100, now_ms)
