"""Whether an engine that was restored from a stranger's bytes stands where a trusted checkpoint says (section 5).

A checkpoint's hash covers its state and its view, and that names the checkpoints before it. So from the trusted one
downward each checkpoint's view is compared with the one that the engine computed, down to the base, from which all of
them follow; and the order of all blocks that the chain accepted is part of a view. What lies below the base was merged
long ago and decides nothing but colours of blocks that nobody can merge any more.
"""

from __future__ import annotations

from itertools import takewhile

from node.consensus.dagblocks import DagBlock
from node.consensus.engine import Engine
from node.consensus.finality import Checkpoint, Target
from node.ledger import staking


def proven(engine: Engine, checkpoint: Checkpoint) -> Target:
    """The trusted checkpoint at the engine's tip. Raises ValueError, saying what is not as it commits to."""
    tip = engine.chain.tip
    known = engine.views.targets(tip.known_view, engine.waves.commitment)
    target = next((target for target in known if target.checkpoint == checkpoint), None)
    if target is None:
        raise ValueError("what it says of validators and votes is not what its checkpoint commits to")
    if engine.active_sets.get(tip.id) != staking.active_set(engine.state):
        raise ValueError("it lists other validators than its state")
    chain = list(takewhile(lambda block: block.view is not None, engine.selected(tip)))
    _compare(engine, chain)
    if not engine.reaches_back(tip, chain[-1]):
        raise ValueError("its blocks do not reach back far enough to judge new ones")
    if any(block.disqualified for block in chain):
        raise ValueError("it calls a block of its own chain invalid")
    if any(block.view is not None and block.height != block.view.height for block in engine.blocks.values()):
        raise ValueError("it counts the height of a block wrong")
    return target


def _compare(engine: Engine, chain: list[DagBlock]) -> None:
    """The views at checkpoints' blocks, downward, each with what the one above it says."""
    above = chain[0].known_view
    for block in chain[1:]:
        view = block.known_view
        if block.header is None:
            same = view.digest == Engine.begin(engine.genesis, numpy=False).view.digest
        elif view.fresh is not None:
            named = [item.checkpoint for item in above.known.values() if item.checkpoint.block == block.id]
            same = bool(named) and all(item.view == view.digest for item in named)
            above = view
        else:
            same = block is not chain[-1]
        if not same:
            raise ValueError(f"what it says of validators and votes at block {block.height} is not what followed")
