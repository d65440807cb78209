"""Which peers bring new blocks first, and of which region: what a link is good for.

Nobody tells in the mesh whose validator a node is. But a validator's blocks come first over the shortest way, so the
region of the blocks that a peer brings first says where it is close to. Validators change regions with the epochs
(protocol section 4), so only the last blocks count for that.
"""

from __future__ import annotations

from collections import Counter, deque

from node.light.spectrum import VISIBLE

_ENOUGH, _LAST = 4, 32


class Usefulness:
    """Counts by the links' numbers; forgotten when a link ends."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._last: dict[int, deque[int]] = {}

    def brought(self, peer: int, region: int) -> None:
        """A peer was the first to bring a fresh block that was found good."""
        self._counts[peer] += 1
        self._last.setdefault(peer, deque(maxlen=_LAST)).append(region)

    def forget(self, peer: int) -> None:
        """The link is gone."""
        self._counts.pop(peer, None)
        self._last.pop(peer, None)

    def count(self, peer: int) -> int:
        """Fresh blocks that it brought first."""
        return self._counts[peer]

    def region(self, peer: int) -> str:
        """The region of more than half of the last ones; "" where they are few or none stands out."""
        last = self._last.get(peer, ())
        region, most = next(iter(Counter(last).most_common(1)), (0, 0))
        return VISIBLE[region].name if len(last) >= _ENOUGH and 2 * most > len(last) else ""
