"""Which block lies in which one's past, exactly, for blocks that are added one by one.

A block keeps its *missing* set: the earlier blocks that are not in its past. In a healthy DAG nearly everything is, so
the set is written from the block backwards, bit d for the block 1 + d before it, and is an integer of a few bits. But
a branch beside a long one misses all of that, and one block that nobody merges is missing for ever after. So the set is
cut at a chunk's edge, and what lies before it (`far`) is one object that the blocks of a chunk share: n unpruned blocks
cost O(n) however they lie, and n²/(8·CHUNK) bytes for each branch at worst. Both parts are exact; there is no window.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

CHUNK = 1_024  # a block's own part reaches back one to two chunks


class Missing(NamedTuple):
    """The blocks before index `at` that are not in the past of the block there."""

    at: int
    edge: int
    near: int  # bit d: block at - 1 - d, down to the edge
    far: int  # bit d: block edge - 1 - d

    def __contains__(self, block: object) -> bool:
        if not isinstance(block, int) or block >= self.at:
            return False
        if block >= self.edge:
            return bool((self.near >> (self.at - 1 - block)) & 1)
        return bool((self.far >> (self.edge - 1 - block)) & 1)

    def whole(self) -> int:
        """Both parts as one set: bit d for block at - 1 - d."""
        return self.near | self.far << (self.at - self.edge) if self.far else self.near

    def unseen(self, at: int) -> Missing:
        """The blocks before index `at` that are neither this block nor in its past."""
        since = at - self.at
        near = (self.near << since) | ((1 << (since - 1)) - 1)
        edge = edge_of(at)
        if edge == self.edge:
            return Missing(at, edge, near, self.far)
        return parted(at, near | self.far << (at - self.edge))

    def both(self, other: Missing) -> Missing:
        """What is missing from both; with the very `far` of one of them where that is the same set."""
        far = self.far
        if far is not other.far and far != other.far:
            far &= other.far
            if far == other.far:
                far = other.far
            elif far == self.far:
                far = self.far
        return Missing(self.at, self.edge, self.near & other.near, far)

    def beyond(self, part: Missing) -> int:
        """What this set holds and its part of the same index does not, as `whole`."""
        near = self.near ^ part.near
        return near if self.far is part.far else near | (self.far ^ part.far) << (self.at - self.edge)


NOTHING = Missing(0, 0, 0, 0)


class Holes:
    """Indices above the root without a block. They count as past, so that nothing ever merges them."""

    def __init__(self, root: int) -> None:
        self.newest = root
        self._bits = 0  # bit d: newest - d

    def punch(self, holes: Iterable[int]) -> None:
        for hole in holes:
            if hole > self.newest:
                self._bits <<= hole - self.newest
                self.newest = hole
            self._bits |= 1 << (self.newest - hole)

    def forget(self, root: int) -> None:
        """Those up to a new root are under it now."""
        self._bits &= (1 << max(0, self.newest - root)) - 1

    def __len__(self) -> int:
        return self._bits.bit_count()

    def fill(self, missing: Missing) -> Missing:
        """The set without the holes."""
        if not self._bits:
            return missing
        above = missing.at - 1 - self.newest
        holes = self._bits << above if above >= 0 else self._bits >> -above
        whole = missing.whole()
        kept = whole & ~holes
        return missing if kept == whole else parted(missing.at, kept)

    def cut(self, missing: Missing, root: int, shared: dict[tuple[int, int], int]) -> Missing:
        """The set above a new root, without the holes. `shared` keeps one far part for all blocks that shared it."""
        if not missing.far and missing.at - missing.near.bit_length() > max(root, self.newest):
            return missing  # nothing in it is as old as what goes
        whole = missing.whole() & ((1 << max(0, missing.at - 1 - root)) - 1)
        cut = self.fill(parted(missing.at, whole))
        far = shared.setdefault((id(missing.far), missing.edge), cut.far)
        return cut._replace(far=far)


def edge_of(at: int) -> int:
    """Where the far part of a block of this index begins: the same for a whole chunk of blocks."""
    return max(0, (at // CHUNK - 1) * CHUNK)


def parted(at: int, whole: int) -> Missing:
    """A set as `whole` in its two parts."""
    edge = edge_of(at)
    return Missing(at, edge, whole & ((1 << (at - edge)) - 1), whole >> (at - edge))
