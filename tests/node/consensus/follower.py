"""An engine and somebody who reads what it says, and the result that must be the same for everybody."""

from __future__ import annotations

from node.consensus.blocks import Block
from node.consensus.dagblocks import DagBlock, Progress, Step
from node.consensus.engine import Engine
from node.consensus.restore import encode_view
from node.consensus.votes import Vote, VoteVerdicts
from node.encoding.amounts import SUPPLY
from node.ledger.genesis import Genesis, initial_state
from node.ledger.registry import broken_invariants, total_units
from node.ledger.signatures import Verdicts
from node.ledger.state import Change, waves_of
from tests.node.world import contents

AHEAD = 1 << 30
"""A slot after all: a node that hears of it then takes nothing for late."""
SHARED = {"verdicts": Verdicts(), "vote_verdicts": VoteVerdicts()}


class Follower:
    """An engine, and what somebody who only reads each Progress makes of it: they never part."""

    def __init__(self, genesis: Genesis) -> None:
        self.engine = Engine.begin(genesis, numpy=False, **SHARED)  # type: ignore[arg-type]
        self.engine.awake_since = AHEAD
        self.state = initial_state(genesis)
        self.steps: list[Step] = []
        self.known = {genesis.hash}

    def hear(self, item: Block | Vote, now: int = AHEAD) -> Progress:
        progress = self.engine.add(item, now) if isinstance(item, Block) else self.engine.add_vote(item)
        self.read(progress)
        return progress

    def read(self, progress: Progress) -> None:
        for undone in progress.undone:
            step = self.steps.pop()
            assert (undone.height, undone.block, undone.parent) == (step.height, step.block, step.parent)
            assert undone.changes == step.changes
            assert undone.buckets == step.buckets
            self.state.restore(undone.changes)
        for step in progress.applied:
            assert step.height == len(self.steps) + 1
            assert step.parent == (self.steps[-1].block.id if self.steps else self.engine.genesis_hash)
            self.state.restore([Change(table, name, new, old) for table, name, old, new in step.changes])
            self.steps.append(step)
        for block in progress.added:
            assert block.header is not None
            assert self.known.issuperset(block.header.parents)
            self.known.add(block.id)
        assert self.engine.tip == (self.steps[-1].tip if self.steps else (0, self.engine.genesis_hash, 0))
        assert [step.block for step in self.steps] == [self.engine.chain.at[n + 1] for n in range(len(self.steps))]

    def check(self) -> None:
        state = self.engine.state
        assert contents(self.state) == contents(state)
        assert self.engine.waves.commitment == waves_of(state).commitment
        assert total_units(state) == SUPPLY
        assert broken_invariants(state) == []


def result(engine: Engine) -> tuple[object, ...]:
    """Everything that must be the same for everybody who knows the same."""
    return (
        engine.tip,
        engine.waves.commitment,
        encode_view(engine.view),
        engine.final.hash,
        engine.justified.hash,
        engine.ballots.conflict,
        {item.validator for item in engine.evidence},
        {block.id: colours(engine, block) for block in engine.blocks.values()},
    )


def colours(engine: Engine, block: DagBlock) -> tuple[object, ...]:
    names, coloured = engine.dag.ids, block.coloured
    return (
        [names[index] for index in coloured.parents],
        [names[index] for index in coloured.blues],
        [names[index] for index in coloured.reds],
        coloured.score,
        coloured.work,
        block.known_view.digest,
        encode_view(block.known_view),
    )
