"""Work that is the same for every node is done once: what executing a block does follows from the block alone.

The first node that executes a block really does so; the others put down its changes and the waves of the buckets that
it touched. Nothing is skipped that could differ: the DAG, votes, fork choice and orders are every node's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from node.consensus.dagblocks import DagBlock, Step, Undone
from node.consensus.engine import Engine
from node.consensus.selected import SelectedChain, TableOf
from node.light.waves import BUCKETS, StateWaves

BucketWaves = list[tuple[int, bytes, bytes]]
"""(bucket, its wave, the wave's hash)."""


class SharedWaves(StateWaves):
    """Waves whose buckets can be read and set whole. By big integers: NumPy's rows cannot be shared."""

    def __init__(self, waves: Sequence[bytes]) -> None:
        super().__init__(waves, numpy=False)

    def take(self, buckets: Iterable[int]) -> BucketWaves:
        """The waves of some buckets."""
        return [(bucket, self._waves[bucket], self._hashes[bucket]) for bucket in buckets]

    def put(self, values: BucketWaves) -> None:
        """Set buckets to what they were or will be."""
        if values:
            self._commitment = None
        for bucket, wave, digest in values:
            self._waves[bucket] = wave
            self._hashes[bucket] = digest


class Executed(NamedTuple):
    """What executing a block did, and the waves of the buckets that it touched, before and after."""

    step: Step
    before: BucketWaves
    after: BucketWaves


class SharedChain(SelectedChain):
    """A selected chain that looks up what another node has executed already."""

    waves: SharedWaves
    executed: dict[bytes, Executed]  # by block id, shared with other chains

    def apply(self, block: DagBlock, merged: Sequence[tuple[DagBlock, bool]], table_of: TableOf) -> Step:
        """Execute a child of the tip, or put down what executing it does."""
        known = self.executed.get(block.id)
        if known is None:
            before = self.waves.take(range(BUCKETS))
            step = super().apply(block, merged, table_of)
            touched = sorted(step.buckets)
            self.executed[block.id] = Executed(step, [before[bucket] for bucket in touched], self.waves.take(touched))
            return step
        for change in known.step.changes:
            self.state.put(change.table, change.key, change.new)
        self.state.settle()
        self.waves.put(known.after)
        self._undo[block.height] = (block, self.tip, known.step.changes)
        self.tip = self.at[block.height] = block
        return known.step._replace(block=block)

    def undo(self) -> Undone:
        """Take the newest block back."""
        block, parent, changes = self._undo.pop(self.tip.height)
        known = self.executed[block.id]
        self.state.restore(changes)
        self.waves.put(known.before)
        self.tip = parent
        del self.at[block.height]
        return Undone(block.height, block, parent.id, changes, known.step.buckets)


def share(engine: Engine, executed: dict[bytes, Executed], first: Sequence[bytes] | None) -> list[bytes]:
    """Let an engine at its genesis share execution; `first` are the waves of the genesis, if they are known already."""
    waves = first or [engine.waves[bucket] for bucket in range(BUCKETS)]
    chain = engine.chain
    engine.chain = SharedChain(
        engine.genesis_hash,
        engine.parameters,
        engine.slots,
        chain.state,
        SharedWaves(waves),
        chain.tip,
        chain.at,
    )
    engine.chain.executed = executed
    return list(waves)
