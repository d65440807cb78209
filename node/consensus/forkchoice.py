"""Fork choice: the tip of the selected chain among all blocks known (protocol section 4, "Fork choice").

Pure functions of the DAG, of what is justified and final by any votes known, and of which blocks came late here.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from node.consensus.dagblocks import DagBlock
from node.consensus.finality import Target
from node.consensus.known import KnownBlocks

LATE_SLOTS = 15


def choose(known: KnownBlocks, justified: Target, final: Target) -> DagBlock | None:
    """The tip; None where no lawful block holds what is justified and final."""
    tips = known.tips()
    anchors = [
        block for target in (justified, final) if (block := known.by_id.get(target.checkpoint.block)) is not None
    ]
    paid = [tip for tip in tips if _paid(known, tip, justified.height)]
    return _heaviest(known, paid, anchors) or _heaviest(known, tips, anchors)


def mark_late(block: DagBlock, selected: DagBlock, late: bool) -> None:
    """Who owes an on-time block of somebody else before this chain counts (clause `lateness`)."""
    assert block.header is not None
    creator = block.header.creator
    block.late = late
    if late:
        block.debt = selected.debt | {creator}
    elif selected.debt:
        block.debt = selected.debt & {creator}


def _paid(known: KnownBlocks, tip: DagBlock, justified: int) -> bool:
    """Whether no late block on this tip's chain waits for an on-time block of another creator.

    What lies up to the height of the justified checkpoint is not asked.
    """
    if not tip.debt:
        return True
    for item in known.selected(tip):
        if item.height <= justified:
            break
        if item.late and item.header is not None and item.header.creator in tip.debt:
            return False
    return True


def _heaviest(known: KnownBlocks, tips: Iterable[DagBlock], anchors: list[DagBlock]) -> DagBlock | None:
    """The block with the greatest (blue work, id) whose selected chain passes through all anchors.

    Searched from the tips downward, since good blocks may lie below one that is disqualified, or whose selected
    chain passes by what is justified and only merges it.
    """
    dag = known.dag
    heap = [_downward(known.key(tip), tip) for tip in tips]
    heapq.heapify(heap)
    seen = {tip.index for _, _, tip in heap}
    low = min((item.coloured.work for item in anchors), default=0)
    while heap:
        _, _, block = heapq.heappop(heap)
        if block.coloured.work < low:
            return None
        if not block.disqualified and all(known.on_chain(item, block) for item in anchors):
            return block
        for index in block.coloured.parents:
            if index in seen or index not in known.by_index:
                continue
            seen.add(index)
            parent = known.by_index[index]
            if all(item is parent or dag.is_ancestor(item.index, index) for item in anchors):
                heapq.heappush(heap, _downward(known.key(parent), parent))
    return None


def _downward(key: tuple[int, bytes], block: DagBlock) -> tuple[int, int, DagBlock]:
    """For a heap that gives the greatest (blue work, id) first."""
    return -key[0], -int.from_bytes(key[1]), block
