"""What nodes tell each other of their DAGs to catch up: where one stands, and what comes after that.

A locator names the blocks on which nobody builds, then chain blocks at growing distances down to the root that is
kept. What comes after it is every block that is not in the past of one that both know, parents before children. So two
nodes that were parted exchange just what the other made, whichever chain either selected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from node.consensus.dagblocks import DagBlock
from node.consensus.engine import Engine

MAX_TIPS = 16
_NEAR = 5_000
"""Blocks that are sought backwards from the tips; a peer that lacks more is first told the oldest."""


def locator(engine: Engine) -> tuple[bytes, ...]:
    """Ids of this node's blocks, the newest first; never more than 64 below a height of 2⁴⁰."""
    tip = engine.chain.tip
    tips = [engine.by_index[index] for index in engine.dag.tips()]
    tips.sort(key=lambda block: (block is tip, block.slot, block.id), reverse=True)
    chosen = [block.id for block in tips[:MAX_TIPS]]
    height, step = tip.height, 1
    root = engine.by_index[engine.dag.root]
    while height > root.height:
        if height in engine.chain.at:
            chosen.append(engine.chain.at[height].id)
        height -= step
        step *= 2
    return tuple(dict.fromkeys((*chosen, root.id)))


def joins(engine: Engine, known: Iterable[bytes]) -> bool:
    """Whether somebody who has only what is in the past of `known` can go on by blocks that are kept here."""
    return engine.genesis_hash in engine.blocks or any(name in engine.blocks for name in known)


def after(engine: Engine, known: Iterable[bytes], limit: int) -> tuple[list[DagBlock], bool]:
    """At most `limit` blocks that somebody who has `known` lacks, parents first, and whether there are more."""
    dag = engine.dag
    common = [engine.blocks[name].index for name in known if name in engine.blocks]
    heads = [one for one in common if not any(one != other and dag.is_ancestor(one, other) for other in common)]
    found = _backwards(engine, heads)
    if found is not None:
        return [engine.by_index[index] for index in found[:limit]], len(found) > limit
    return [engine.by_index[index] for index in _forwards(engine, heads, limit)], True


def _backwards(engine: Engine, heads: Sequence[int]) -> list[int] | None:
    """All that lie outside the pasts of `heads`, from the tips down; None where they are many."""
    dag = engine.dag
    found: set[int] = set()
    doing = list(dag.tips())
    while doing:
        index = doing.pop()
        if index in found or index not in engine.by_index or _is_known(engine, index, heads):
            continue
        found.add(index)
        if len(found) > _NEAR:
            return None
        doing += engine.by_index[index].coloured.parents
    return sorted(found)


def _forwards(engine: Engine, heads: Sequence[int], limit: int) -> list[int]:
    """The first of them: those newer than the newest common one, and where there are none, the older ones."""
    first, end = engine.dag.root + 1, max(engine.by_index) + 1
    newest = max(heads, default=engine.dag.root)
    for start in (newest + 1, first):
        lacking = (index for index in range(start, end) if index in engine.by_index)
        found = list(islice((index for index in lacking if not _is_known(engine, index, heads)), limit))
        if found:
            break
    return found


def _is_known(engine: Engine, index: int, heads: Sequence[int]) -> bool:
    if index == engine.dag.root:
        return True
    return any(index == head or engine.dag.is_ancestor(index, head) for head in heads)
