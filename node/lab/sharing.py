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
from node.ledger.state import State
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
        for bucket, wave, digest in values:
            self._waves[bucket] = wave
            self._hashes[bucket] = digest


class Executed(NamedTuple):
    """What executing a block did, and the waves of the buckets that it touched, after it."""

    step: Step
    waves: BucketWaves


class SharedChain(SelectedChain):
    """A selected chain that looks up what another node has executed already."""

    waves: SharedWaves

    def adopt(self, executed: dict[bytes, Executed]) -> None:
        """Share `executed`, by block id, with other chains."""
        self._executed = executed
        self._before: dict[int, BucketWaves] = {}  # by height, of the buckets that a block touched

    def apply(self, block: DagBlock, merged: Sequence[tuple[DagBlock, bool]], table_of: TableOf) -> Step:
        """Execute a child of the tip, or put down what executing it does."""
        known = self._executed.get(block.id)
        if known is None:
            return self._execute(block, merged, table_of)
        step, waves = known
        for change in step.changes:
            self.state.put(change.table, change.key, change.new)
        self.state.settle()
        self._before[block.height] = self.waves.take(sorted(step.buckets))
        self.waves.put(waves)
        self._undo[block.height] = (block, self.tip, step.changes)
        self.tip = block
        return step._replace(block=block)

    def _execute(self, block: DagBlock, merged: Sequence[tuple[DagBlock, bool]], table_of: TableOf) -> Step:
        before = self.waves.take(range(BUCKETS))
        step = super().apply(block, merged, table_of)
        self._before[block.height] = [before[bucket] for bucket in sorted(step.buckets)]
        self._executed[block.id] = Executed(step, self.waves.take(sorted(step.buckets)))
        return step

    def undo(self) -> Undone:
        """Take the newest block back."""
        block, parent, changes = self._undo.pop(self.tip.height)
        before = self._before.pop(self.tip.height)
        self.state.restore(changes)
        self.waves.put(before)
        self.tip = parent
        return Undone(block.height, block, parent.id, changes, {bucket for bucket, _, _ in before})

    def forget(self, below: int) -> None:
        """Blocks up to height `below` are final and never taken back."""
        super().forget(below)
        for height in [height for height in self._before if height <= below]:
            del self._before[height]


def share(engine: Engine, executed: dict[bytes, Executed], first: Sequence[bytes] | None) -> list[bytes]:
    """Let an engine at its genesis share execution; `first` are the waves of the genesis, if they are known already."""
    waves = first or [engine.waves[bucket] for bucket in range(BUCKETS)]
    root = engine.chain.tip
    state: State = engine.state
    chain = SharedChain(engine.genesis, engine.slots, state, SharedWaves(waves), root)
    chain.adopt(executed)
    engine.chain = chain
    return list(waves)
