"""GHOSTDAG: which blocks of the DAG are blue, and in what order they count (protocol section 4).

The rules are those of PHANTOM/GHOSTDAG (Sompolinsky, Wyborski, Zohar, eprint 2018/104) in Kaspa's form:

- The selected parent is the parent of the greatest (blue work, id); the larger raw id wins a tie.
- The mergeset of a block is its past without the past of its selected parent: that parent first, the others ascending
  by (blue work, id). A block's work exceeds its ancestors', so this order never puts a block before its past.
- Going through it, a block is blue if at most k blue blocks lie in its anticone, and none of those has k already.

What a block says of the DAG depends on its own past alone, is computed once, and is never edited: the anticone sizes
that it changes are kept with it, and a reader takes the newest down the selected chain.

Blocks go by their index, the order in which this node added them. It is local and never part of any rule.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from node.consensus.reachability import NOTHING, Holes, Missing, parted


class PrunedError(LookupError):
    """A block merges something so old that judging it needs blocks that were pruned (far below the merge depth)."""


class MergesetError(ValueError):
    """A block merges more blocks than its judge allows."""


@dataclass(slots=True)
class Coloured:
    """What the DAG says of one block, seen from its own past. The root of a DAG without history has no parents."""

    at: int  # the block's own index
    parents: tuple[int, ...] = ()
    selected: int = -1
    blues: tuple[int, ...] = ()  # the selected parent, then ascending (work, id)
    reds: tuple[int, ...] = ()  # ascending (work, id)
    sizes: dict[int, int] = field(default_factory=dict)  # blue anticone sizes that this block made or raised
    score: int = 0  # blue blocks in the past
    work: int = 0  # and their weight
    reach: Missing = NOTHING  # which earlier blocks are not in the past; computed anew when restored

    @property
    def missing(self) -> int:
        """`reach` as one set: bit d for block at - 1 - d."""
        return self.reach.whole()


class Ghostdag:
    """The DAG above one root: reachability, colours, tips. A root above index 0 is the one that pruning left."""

    def __init__(
        self, k: int, root_id: bytes, root: Coloured | None = None, twin: Hashable = None, weight: int = 1
    ) -> None:
        self.k = k
        self.index: dict[bytes, int] = {}
        self.ids: dict[int, bytes] = {}
        self.coloured: dict[int, Coloured] = {}
        root = root or Coloured(at=0)
        root.reach = parted(root.at, 0)
        self.root = self.next = root.at
        self._tips: set[int] = set()
        self._weights: dict[int, int] = {}  # of the blocks that do not weigh 1
        self._twin: dict[int, Hashable] = {}
        self._twins: dict[Hashable, tuple[int, ...]] = {}
        self._holes = Holes(root.at)
        self._torn: set[int] = set()  # blocks some of whose mergeset was pruned
        self._insert(root_id, root, twin, weight)

    def judge(self, parents: Sequence[int], limit: int | None = None) -> Coloured:
        """What the next block would be, had it these parents. Changes nothing, so it serves the virtual block too.

        Raises MergesetError if it merges more than `limit` blocks, its selected parent counted, before any colouring;
        PrunedError if colouring it would need blocks under the root.
        """
        at, coloured = self.next, self.coloured
        selected = max(parents, key=self.key) if len(parents) > 1 else parents[0]
        unseen = self._unseen(selected, at)
        reach = unseen
        for parent in parents:
            if parent != selected:
                reach = reach.both(self._unseen(parent, at))
        merged = unseen.beyond(reach)
        if limit is not None and merged.bit_count() >= limit:
            raise MergesetError(f"The block merges {merged.bit_count() + 1} blocks, more than {limit}.")
        blues, reds, sizes = [selected], [], dict[int, int]()
        candidates = self._sorted(merged, at)
        chain = [sizes]  # the anticone sizes of the new block, of its selected parent, of that one's …
        for place, candidate in enumerate(candidates):
            touched = None
            if len(blues) <= self.k and not self._is_second(candidate, selected, candidates[:place]):
                touched = self._blue_anticone(candidate, selected, blues, chain)
            if touched is None:
                reds.append(candidate)
                continue
            blues.append(candidate)
            if touched:
                sizes.update(touched)
                sizes[candidate] = len(touched)
        base = coloured[selected]
        work = base.work + (sum(self._weights.get(blue, 1) for blue in blues) if self._weights else len(blues))
        return Coloured(
            at, tuple(parents), selected, tuple(blues), tuple(reds), sizes, base.score + len(blues), work, reach
        )

    def add(self, block_id: bytes, coloured: Coloured, twin: Hashable = None, weight: int = 1) -> int:
        """Put a judged block in and return its index. `twin` is what its double would share: (creator, slot)."""
        if coloured.at != self.next or block_id in self.index:
            raise ValueError("the block is in the DAG already, or was judged before another one came")
        self._insert(block_id, coloured, twin, weight)
        return coloured.at

    def restore(self, block_id: bytes, coloured: Coloured, twin: Hashable = None, weight: int = 1) -> None:
        """Put a kept block back from storage, in ascending order of index. `reach` is computed from its parents."""
        at = coloured.at
        if at < self.next or block_id in self.index:
            raise ValueError("blocks are restored once, in ascending order of their index")
        known = [parent for parent in coloured.parents if parent in self.coloured]
        if not known:
            raise ValueError("no parent of the block is in the DAG")
        self._holes.punch(range(self.next, at))
        coloured.reach = self._unseen(known[0], at)
        for parent in known[1:]:
            coloured.reach = coloured.reach.both(self._unseen(parent, at))
        if not all(blue in self.coloured for blue in coloured.blues):
            self._torn.add(at)
        self._insert(block_id, coloured, twin, weight)

    def is_ancestor(self, a: int, b: int) -> bool:
        """Whether block `a` lies strictly in the past of block `b`; both are in the DAG."""
        if a not in self.coloured:
            raise KeyError(a)
        return a < b and a not in self.coloured[b].reach

    def key(self, block: int) -> tuple[int, bytes]:
        """What blocks are compared by: blue work, then the raw id."""
        return self.coloured[block].work, self.ids[block]

    def mergeset(self, coloured: Coloured) -> list[int]:
        """The order in which a block merges: its selected parent, then ascending (work, id), red ones too."""
        blues, reds = coloured.blues, coloured.reds
        return [*blues[:1], *sorted((*blues[1:], *reds), key=self.key)]

    def chain(self, block: int) -> Iterator[int]:
        """The block, its selected parent and so on, down to the last one that was not pruned."""
        while block in self.coloured:
            yield block
            block = self.coloured[block].selected

    def unseen(self, block: int) -> Iterator[int]:
        """The blocks that are neither this one nor in its past, in the order in which they came."""
        return _members(self._unseen(block, self.next).whole(), self.next)

    def tips(self) -> set[int]:
        """The blocks that no other names as parent."""
        return set(self._tips)

    def prune(self, root: int) -> list[int]:
        """Forget every block but `root` and its future; the others keep their index. Returns what was dropped.

        Answers about what is left stay the same as long as no new block merges, or has in the mergeset of a chain
        block above its merge root, a dropped block: the root must lie that deep below the last final block.
        """
        dropped = [block for block in self.coloured if block != root and not self.is_ancestor(root, block)]
        if not dropped:
            return dropped
        for block in dropped:
            del self.coloured[block]
            del self.index[self.ids.pop(block)]
            self._weights.pop(block, None)
            twin = self._twin.pop(block, None)
            if twin is not None:
                left = tuple(other for other in self._twins[twin] if other != block)
                if left:
                    self._twins[twin] = left
                else:
                    del self._twins[twin]
        self.root = root
        self._tips &= self.coloured.keys()
        self._holes.forget(root)
        self._holes.punch(block for block in dropped if block > root)
        shared: dict[tuple[int, int], int] = {}
        newest = max(dropped)
        before = [coloured.reach for coloured in self.coloured.values()]  # holds what `shared` knows by its address
        for (block, coloured), reach in zip(self.coloured.items(), before, strict=True):
            coloured.reach = self._holes.cut(reach, root, shared)
            if block != root and min(coloured.blues) <= newest and not self.coloured.keys() >= set(coloured.blues):
                self._torn.add(block)
        self._torn &= self.coloured.keys() - {root}
        return dropped

    def _insert(self, block_id: bytes, coloured: Coloured, twin: Hashable, weight: int) -> None:
        at = coloured.at
        self.index[block_id] = at
        self.ids[at] = block_id
        self.coloured[at] = coloured
        self.next = at + 1
        self._tips.difference_update(coloured.parents)
        self._tips.add(at)
        if weight != 1:
            self._weights[at] = weight
        if twin is not None:
            self._twin[at] = twin
            self._twins[twin] = (*self._twins.get(twin, ()), at)

    def _unseen(self, parent: int, at: int) -> Missing:
        """The blocks before index `at` that are neither `parent` nor in its past."""
        unseen = self.coloured[parent].reach.unseen(at)
        return self._holes.fill(unseen) if parent < self._holes.newest else unseen

    def _sorted(self, merged: int, at: int) -> list[int]:
        """The blocks of a set relative to `at`, ascending by (work, id)."""
        return sorted(_members(merged, at), key=self.key)

    def _is_second(self, block: int, selected: int, before: Sequence[int]) -> bool:
        """Whether a twin comes earlier in the order of a block that has this selected parent and merged `before`."""
        twins = self._twins.get(self._twin.get(block), ())
        return len(twins) > 1 and any(
            other != block and (other == selected or self.is_ancestor(other, selected) or other in before)
            for other in twins
        )

    def _blue_anticone(
        self, block: int, selected: int, blues: Sequence[int], chain: list[dict[int, int]]
    ) -> dict[int, int] | None:
        """The blue blocks in the anticone of a candidate, with the size of their own once it is blue; None if red.

        `blues` are the new block's so far. Below them lie those of the selected chain, down to the first chain block
        in the candidate's past: all further ones are in its past as well. A peer is never in the candidate's future,
        since the order is topological, so it is in the anticone if it is not in the past.
        """
        k, coloured, reach = self.k, self.coloured, self.coloured[block].reach
        near, edge = reach.near, reach.edge
        touched: dict[int, int] = {}
        peers, below, depth = blues, selected, 1
        while True:
            for peer in peers:
                if peer > block or ((near >> (block - 1 - peer)) & 1 if peer >= edge else peer in reach):
                    size = next((sizes[peer] for sizes in chain if peer in sizes), 0)
                    if len(touched) == k or size == k:
                        return None
                    touched[peer] = size + 1
            if below < block and below not in reach:
                return touched
            if below in self._torn or below == self.root:
                raise PrunedError(f"Block {block} is merged from under the root {self.root}.")
            chain_block = coloured[below]
            if depth == len(chain):
                chain.append(chain_block.sizes)
            peers, below, depth = chain_block.blues, chain_block.selected, depth + 1


def _members(blocks: int, at: int) -> Iterator[int]:
    """The indices in a set relative to `at`, ascending."""
    while blocks:
        top = blocks.bit_length()
        yield at - top
        blocks ^= 1 << (top - 1)


class Colour(NamedTuple):
    """What `colour` says of a block, by ids. The root has itself neither selected parent nor blues."""

    selected: bytes
    blues: tuple[bytes, ...]
    reds: tuple[bytes, ...]
    score: int
    work: int


def colour(blocks: Iterable[tuple[bytes, Sequence[bytes], int]], k: int) -> dict[bytes, Colour]:
    """The colouring of a whole DAG given as (id, parents, weight), in any order in which parents come first.

    The first block is the root. The answer does not depend on the order.
    """
    blocks = iter(blocks)
    root, _, weight = next(blocks)
    dag = Ghostdag(k, root, weight=weight)
    answers = {root: Colour(b"", (), (), 0, 0)}
    for block_id, parents, weight in blocks:
        coloured = dag.judge([dag.index[parent] for parent in parents])
        dag.add(block_id, coloured, weight=weight)
        answers[block_id] = Colour(
            selected=dag.ids[coloured.selected],
            blues=tuple(dag.ids[blue] for blue in coloured.blues),
            reds=tuple(dag.ids[red] for red in coloured.reds),
            score=coloured.score,
            work=coloured.work,
        )
    return answers
