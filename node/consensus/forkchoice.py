"""Fork choice: the tip of the selected chain among all blocks known (protocol section 4, "Fork choice").

Pure functions of the DAG, of what is justified and final by any votes known, and of which blocks came late here.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from node.consensus.dagblocks import DagBlock, Debt
from node.consensus.finality import Target
from node.consensus.known import KnownBlocks

LATE_SLOTS = 15
FORGIVEN_SLOTS = 30
"""Then a late block is late no longer: a network of many parts, none with a third of the stake, must heal too."""


def choose(known: KnownBlocks, here: DagBlock, justified: Target, final: Target) -> DagBlock | None:
    """The tip; None where no lawful block holds what is justified and final. `here` is the one so far.

    The heaviest, unless its chain owes for late blocks and there is a living one that went on without them: `here`
    stays one even when somebody on the late chain merges it.
    """
    tips = known.tips()
    needed = dict.fromkeys((justified.checkpoint.block, final.checkpoint.block))  # often one and the same
    anchors = [known.by_id[block] for block in needed if block in known.by_id]
    low = min((item.coloured.work for item in anchors), default=0)
    heaviest = _heaviest(known, tips, anchors, low)
    if heaviest is None or heaviest.debt is None or not _owes(heaviest, justified):
        return heaviest

    def lives(block: DagBlock) -> bool:
        return not _owes(block, justified)

    living = set(filter(lives, (*tips, here)))
    return _heaviest(known, living, anchors, heaviest.debt.work + 1, lives) or heaviest


def mark_late(block: DagBlock, selected: DagBlock, late: int) -> None:
    """What the chain of a block that came `late` slots too late owes before it counts (clause `lateness`).

    Creators of on-time blocks vouch for what they build on. It takes more than a third of the stake: whoever fills the
    silent seats of the past afterwards has less, and all of his could vouch for each other.
    """
    block.late = late
    work = selected.coloured.work if selected.debt is None else selected.debt.work
    if late:
        block.debt = Debt(block.height, work, block.slot + late, frozenset())
    elif selected.debt is not None:
        assert block.header is not None
        debt = selected.debt._replace(vouchers=selected.debt.vouchers | {block.header.creator})
        table = block.known_view.table
        vouched = 3 * sum(map(table.stake_of, debt.vouchers)) > table.total_stake
        block.debt = None if vouched or block.slot > debt.since + FORGIVEN_SLOTS else debt


def _owes(block: DagBlock, justified: Target) -> bool:
    """Whether a late block on this one's chain waits for those who vouch for it.

    What lies up to the height of the justified checkpoint is not asked.
    """
    return block.debt is not None and block.debt.height > justified.height


def _heaviest(
    known: KnownBlocks,
    tips: Iterable[DagBlock],
    anchors: list[DagBlock],
    low: int,
    accept: Callable[[DagBlock], bool] = lambda block: True,
) -> DagBlock | None:
    """The acceptable block with the greatest (blue work, id), of work `low` at least, on whose chain all anchors lie.

    Searched from the tips downward, since good blocks may lie below one that is disqualified, or whose selected
    chain passes by what is justified and only merges it.
    """
    dag = known.dag
    heap = [_downward(known.key(tip), tip) for tip in tips]
    heapq.heapify(heap)
    seen = {tip.index for _, _, tip in heap}
    while heap:
        _, _, block = heapq.heappop(heap)
        if block.coloured.work < low:
            return None
        if not block.disqualified and accept(block) and all(known.on_chain(item, block) for item in anchors):
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
