"""What a block may merge: mergeset limit and merge depth, and what follows from them for parents and for pruning
(protocol section 4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, permutations, takewhile

from node.consensus.blocks import MAX_PARENTS, BlockError, Header
from node.consensus.dagblocks import DagBlock
from node.consensus.ghostdag import Coloured, MergesetError, PrunedError
from node.consensus.known import KnownBlocks

MAX_MERGESET = 180


class Merging:
    """The limits on one network: a block merges nothing that left its chain more than `depth` slots ago."""

    def __init__(self, known: KnownBlocks, depth: int) -> None:
        self._known = known
        self._depth = depth

    def judge(self, header: Header, parents: Sequence[DagBlock]) -> Coloured:
        """What the DAG says of a block with these parents, if it may have them. Raises BlockError."""
        dag = self._known.dag
        indices = [parent.index for parent in parents]
        try:
            coloured = dag.judge(indices, MAX_MERGESET)
        except MergesetError:
            raise BlockError("big_mergeset", f"A block merges at most {MAX_MERGESET} blocks.") from None
        except PrunedError:
            raise _too_deep() from None
        if coloured.selected != indices[0]:
            raise BlockError("bad_selected_parent", "The first parent is not the one with the most blue work.")
        if any(dag.is_ancestor(one, other) for one, other in permutations(indices, 2)):
            raise BlockError("bad_parents", "A parent lies in the past of another.")
        if not self._depth_holds(coloured, header.slot):
            raise _too_deep()
        return coloured

    def parents(self, tip: DagBlock, slot: int) -> tuple[list[DagBlock], Coloured]:
        """The parents that a block of `slot` on `tip` names, the selected one first, and its colouring.

        The tip, and of as many other tips as the limits allow, none greater than it, what they allow (see `_steps`).
        """
        known = self._known
        chosen, coloured = [tip], known.dag.judge([tip.index])
        greatest = known.key(tip)
        others = [item for item in known.tips() if item is not tip and item.slot < slot and known.key(item) < greatest]
        others.sort(key=known.key, reverse=True)
        for item in others:
            for step in self._steps(chosen, item, slot):
                wider = [*(parent for parent in chosen if not known.dag.is_ancestor(parent.index, step.index)), step]
                trial = self._trial(wider, slot) if len(wider) <= MAX_PARENTS else None
                if trial is not None:
                    chosen, coloured = wider, trial
        return chosen, coloured

    def mergeable(self, tip: DagBlock) -> Iterator[DagBlock]:
        """The blocks outside the past of the tip that blocks on it can merge, at once or step by step: their number is
        no matter, but neither they nor what they bring along may have left the chain too long ago."""
        within = self._within(tip, tip.slot + 1)
        barred: set[int] = set()
        for index in self._known.dag.unseen(tip.index):
            block = self._known.by_index[index]
            if barred.isdisjoint(block.coloured.parents) and within(index):
                yield block
            else:
                barred.add(index)

    def pruning_points(self, final: DagBlock | None) -> tuple[DagBlock, DagBlock]:
        """The root of what must be kept, and the base, whose view and its future's are enough.

        A new block that counts merges only what has in its past the base, the merge root of the final block; and what
        those merged in their time has in its past the merge root of the base. The root lies one merge depth deeper:
        a late block beside the final one may merge a double whose twin lies there. The base is a checkpoint's block,
        since later checkpoints commit to the view there.
        """
        if final is None:
            base = self._known.by_index[self._known.dag.root]
        else:
            below = self._known.selected(self._merge_root(final))
            base = next(item for item in below if item.header is None or item.known_view.fresh is not None)
        return self._merge_root(self._merge_root(base)), base

    def reaches_back(self, final: DagBlock, base: DagBlock) -> bool:
        """Whether what is kept goes as far below a final block as `pruning_points` says, with `base` as the base."""
        middle = self._merge_root(base)
        steps = pairwise((final, base, middle, self._merge_root(middle)))
        return all(low.header is None or low.slot <= high.slot - self._depth for high, low in steps)

    def _steps(self, chosen: Sequence[DagBlock], tip: DagBlock, slot: int) -> Sequence[DagBlock]:
        """What to name of another tip's branch, beside the parents chosen so far: the tip, or where that would merge
        too much, as after a long partition, the highest block of its selected chain that does not.

        Where already the lowest one does, its other parents come first.
        """
        dag = self._known.dag

        def is_new(block: DagBlock) -> bool:
            return not any(block is item or dag.is_ancestor(block.index, item.index) for item in chosen)

        def fits(block: DagBlock) -> bool:
            return self._trial([*chosen, block], slot) is not None

        if fits(tip):
            return [tip]
        branch = list(takewhile(is_new, self._known.selected(tip)))
        if fits(branch[-1]):
            # Whoever is lower brings less along.
            return [branch[bisect_left(branch, True, key=fits)]]
        parents = (self._known.by_index.get(index) for index in branch[-1].coloured.parents)
        return [parent for parent in parents if parent is not None and is_new(parent)]

    def _trial(self, parents: Sequence[DagBlock], slot: int) -> Coloured | None:
        """The colouring of a block with these parents, None where the limits forbid it."""
        try:
            trial = self._known.dag.judge([block.index for block in parents], MAX_MERGESET)
        except (MergesetError, PrunedError):
            return None
        return trial if self._depth_holds(trial, slot) else None

    def _depth_holds(self, coloured: Coloured, slot: int) -> bool:
        """Merge depth of all that is merged."""
        within = self._within(self._known.by_index[coloured.selected], slot)
        return all(map(within, (*coloured.blues[1:], *coloured.reds)))

    def _within(self, selected: DagBlock, slot: int) -> Callable[[int], bool]:
        """Merge depth: whether a block has in its past the newest ancestor of the merge depth's age on the chain of
        `selected`, for a block of `slot` on that.

        The chain is gone down only as far as the blocks that are asked about make it needed.
        """
        chain, limit = self._known.selected(selected), slot - self._depth
        item = next(chain)

        def within(member: int) -> bool:
            nonlocal item
            while not self._known.dag.is_ancestor(item.index, member):
                if item.slot <= limit:
                    return False
                item = next(chain)  # at its end lies the root, in the past of all that is kept
            return True

        return within

    def _merge_root(self, block: DagBlock) -> DagBlock:
        limit = block.slot - self._depth
        for item in self._known.selected(block):
            root = item
            if item is not block and item.slot <= limit:
                break
        return root


def _too_deep() -> BlockError:
    return BlockError("merge_depth", "The block merges blocks that left its chain too long ago.")
