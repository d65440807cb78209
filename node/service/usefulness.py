"""Which peers bring new blocks first, and of which region: what a link is good for.

Nobody tells in the mesh whose validator a node is. But a validator's blocks come first over the shortest way, so the
region of the blocks that a peer brings first says where it is close to.
"""

from __future__ import annotations

from collections import Counter

from node.light.spectrum import VISIBLE

_ENOUGH = 4


class Usefulness:
    """Counts by the links' numbers; forgotten when a link ends."""

    def __init__(self) -> None:
        self._brought: dict[int, Counter[int]] = {}

    def brought(self, peer: int, region: int) -> None:
        """A peer was the first to bring a fresh block that was found good."""
        self._brought.setdefault(peer, Counter())[region] += 1

    def forget(self, peer: int) -> None:
        """The link is gone."""
        self._brought.pop(peer, None)

    def count(self, peer: int) -> int:
        """Fresh blocks that it brought first."""
        return sum(self._brought.get(peer, Counter()).values())

    def region(self, peer: int) -> str:
        """The region of more than half of them; "" where there are few or none stands out."""
        found = self._brought.get(peer, Counter())
        region, most = next(iter(found.most_common(1)), (0, 0))
        total = sum(found.values())
        return VISIBLE[region].name if total >= _ENOUGH and 2 * most > total else ""
