"""What a block may merge: mergeset limit and merge depth, and what follows from them for parents and for pruning
(protocol section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

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

        The tip, and as many other tips as the limits allow, none greater than it.
        """
        known = self._known
        chosen, coloured = [tip], known.dag.judge([tip.index])
        greatest = known.key(tip)
        others = [item for item in known.tips() if item is not tip and item.slot < slot and known.key(item) < greatest]
        others.sort(key=known.key, reverse=True)
        for item in others:
            if len(chosen) == MAX_PARENTS:
                break
            trial = self._trial([*chosen, item], slot)
            if trial is not None:
                chosen.append(item)
                coloured = trial
        return chosen, coloured

    def may_merge(self, tip: DagBlock, block: DagBlock) -> bool:
        """Whether the limits allow a block that merges this one with the tip."""
        return self._trial([tip, block], tip.slot + 1) is not None

    def pruning_points(self, final: DagBlock | None) -> tuple[DagBlock, DagBlock]:
        """The root of what must be kept, and the base, whose view and its future's are enough.

        A new block that counts merges only what has in its past the base, the merge root of the final block; and what
        those merged in their time has in its past the merge root of the base. The root lies one merge depth deeper:
        a late block beside the final one may merge a double whose twin lies there.
        """
        base = self._merge_root(final) if final is not None else self._known.by_index[self._known.dag.root]
        return self._merge_root(self._merge_root(base)), base

    def _trial(self, parents: Sequence[DagBlock], slot: int) -> Coloured | None:
        """The colouring of a block with these parents, None where the limits forbid it."""
        try:
            trial = self._known.dag.judge([block.index for block in parents], MAX_MERGESET)
        except (MergesetError, PrunedError):
            return None
        return trial if self._depth_holds(trial, slot) else None

    def _depth_holds(self, coloured: Coloured, slot: int) -> bool:
        """Merge depth: each block merged has in its past the newest selected-chain ancestor of the merge depth's age.

        For a member, the newest chain block in its past is sought from above; the rule holds as long as the chain
        blocks passed on the way are younger than the depth.
        """
        known, limit = self._known, slot - self._depth
        if limit <= 0:
            return True
        for member in (*coloured.blues[1:], *coloured.reds):
            for item in known.selected(known.by_index[coloured.selected]):
                if known.dag.is_ancestor(item.index, member):
                    break
                if item.slot <= limit:
                    return False
        return True

    def _merge_root(self, block: DagBlock) -> DagBlock:
        limit = block.slot - self._depth
        for item in self._known.selected(block):
            root = item
            if item is not block and item.slot <= limit:
                break
        return root


def _too_deep() -> BlockError:
    return BlockError("merge_depth", "The block merges blocks that left its chain too long ago.")
