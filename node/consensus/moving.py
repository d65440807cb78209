"""Moving the state along the DAG: back over blocks that are taken back, forth over those that are executed.

A block that commits to another state than the one before it is *disqualified*, not invalid: it is coloured and merged,
but no selected chain passes through it (protocol section 4, "Execution").
"""

from __future__ import annotations

from bisect import bisect_right

from node.consensus.dagblocks import DagBlock, Progress
from node.consensus.known import KnownBlocks
from node.consensus.selected import SelectedChain, TableOf
from node.consensus.tables import Table
from node.consensus.views import Views
from node.ledger.staking import Validator


class Moving:
    """Moves a selected chain and tells the Progress; `evidence_slots` is how far back evidence of seats reaches.

    `active_sets` takes up those of the states after checkpoints' blocks.
    """

    def __init__(
        self,
        known: KnownBlocks,
        views: Views,
        active_sets: dict[bytes, tuple[Validator, ...]],
        evidence_slots: int,
    ) -> None:
        self._known = known
        self._views = views
        self._active_sets = active_sets
        self._evidence_slots = evidence_slots
        self.executing = [0]
        """Heights of the chain blocks that executed a transaction, ascending; of the final ones only the newest."""

    def move(self, chain: SelectedChain, target: DagBlock, progress: Progress) -> bool:
        """Undo and execute until the state is the one after `target`. False where a block on the way had to be
        disqualified, or final blocks would have to be undone; the state is at a lawful block then."""
        path: list[DagBlock] = []
        for item in self._known.selected(target):
            if self._known.main.get(item.height) is item:
                fork = item
                break
            path.append(item)
        else:
            return False
        if not chain.can_undo_to(fork.height):
            return False
        while chain.tip is not fork:
            self._undo(chain, progress)
        for block in reversed(path):
            if not chain.commits(block):
                self._disqualify(block, progress)
                return False
            self._apply(chain, block, progress)
        return True

    def settle(self, final: int) -> None:
        """Blocks up to height `final` are never taken back."""
        del self.executing[: max(0, bisect_right(self.executing, final) - 1)]

    def table_of(self, block: DagBlock) -> TableOf:
        """For evidence in `block`: the table for children, in a slot, of a recent block of its chain."""

        def table_of(parent: bytes, slot: int) -> Table | None:
            known = self._known.by_id.get(parent)
            if known is None or known.slot < block.slot - self._evidence_slots:
                return None
            if not self._known.on_chain(known, block):
                return None
            return None if known.view is None else self._views.tables(known.view, slot)[0]

        return table_of

    def _undo(self, chain: SelectedChain, progress: Progress) -> None:
        undone = chain.undo()
        if progress.applied and progress.applied[-1].block is undone.block:
            progress.applied.pop()
        else:
            progress.undone.append(undone)
        while self.executing[-1] > chain.tip.height:
            self.executing.pop()

    def _apply(self, chain: SelectedChain, block: DagBlock, progress: Progress) -> None:
        step = chain.apply(block, self._known.merged(block), self.table_of(block))
        if step.active_set is not None:
            self._active_sets[block.id] = step.active_set
        progress.applied.append(step)
        if step.receipts:
            self.executing.append(step.height)

    def _disqualify(self, block: DagBlock, progress: Progress) -> None:
        """No selected chain passes through this block, so through no block whose chain does."""
        block.disqualified = True
        progress.disqualified.append(block)
        by_index = self._known.by_index
        for index in sorted(index for index in by_index if index > block.index):
            item = by_index[index]
            parent = by_index.get(item.coloured.selected)
            if parent is not None and parent.disqualified and not item.disqualified:
                item.disqualified = True
                progress.disqualified.append(item)
