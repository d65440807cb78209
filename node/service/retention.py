"""What a node keeps: pruning in small portions as finality moves on, so that disk and memory stay flat."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from node.api.errors import NexusError
from node.consensus.dagblocks import DagBlock
from node.consensus.engine import Engine
from node.consensus.finality import Target
from node.service.restoring import base_record
from node.service.trace import trace
from node.storage.writer import ChainWriter

PRUNE_EVERY = 64
"""Final chain blocks between two moves of the DAG's root: each looks at every block that is kept."""
_BODIES_AT_ONCE = 400
_BLOCKS_AT_ONCE = 200
_PORTION, _ROUNDS = 10, 64
"""What goes at one time where the disk's bound asks for it: small portions, which the WAL has to hold as well, and only
so many of them; the rest goes with the next final checkpoint."""
_LEAST_WAL, _MOST_WAL = 1 << 19, 1 << 24

Result = TypeVar("Result")

_log = logging.getLogger("nexus.retention")


@dataclass(frozen=True, slots=True)
class Keep:
    """How long things are kept, 0 for ever: bodies of blocks below the final ones, and the chain's history.

    And in how many bytes of disk, the WAL included, 0 for any number: then the oldest goes earlier. What no rule lets
    go (the state, and the DAG down to its root) stays whatever it takes. Writing between two final checkpoints, and
    readers that hold the WAL, may pass the bound for a while by a sixteenth of it.
    """

    bodies_ms: int = 24 * 3_600_000
    history_ms: int = 400 * 86_400_000
    disk_bytes: int = 0

    @property
    def wal_bytes(self) -> int:
        """The part of the bound that is left to the WAL."""
        return min(max(self.disk_bytes // 8, _LEAST_WAL), _MOST_WAL)

    @property
    def used_bytes(self) -> int:
        """What the pages of the database may hold before the oldest goes."""
        return max(0, self.disk_bytes - self.wal_bytes) * 15 // 16


class Retention:
    """Follows finality. Everything it fails to do is done the next time."""

    def __init__(self, writer: ChainWriter, keep: Keep, final_height: int) -> None:
        self.final_height = final_height
        self._writer = writer
        self.keep = keep
        self.over = False
        """Whether the disk's bound is passed although nothing is left that may go."""
        self._moved_at = 0
        self._before: DagBlock | None = None  # the newest final block when this was asked last
        self._dropped: list[int] = []  # gone from memory, and from the stored DAG not yet

    async def finalised(self, engine: Engine, final: Target, slot: int) -> None:
        """A checkpoint became final and that is written: let go what nothing asks for any more."""
        if final.height <= self.final_height:
            return
        self.final_height = final.height
        try:
            await self._prune(engine, final, slot)
        except NexusError as error:
            _log.warning("pruning waits for the disk: %s", error.message)

    async def _prune(self, engine: Engine, final: Target, slot: int) -> None:
        database = self._writer.database
        # By votes in the chain, and the one before the newest: so far whoever makes a snapshot can go back.
        newest = engine.blocks[engine.view.final.checkpoint.block]
        begin, self._before = self._before or newest, newest
        if final.height >= self._moved_at + PRUNE_EVERY or self._dropped:
            self._dropped += [block.index for block in engine.prune(begin)]
            self._moved_at = final.height
            await self._traced(database.move_root, tuple(self._dropped), base_record(engine, begin))
            self._dropped.clear()
            await self._traced(database.prune_undo, begin.height)
            await self._traced(database.prune_votes, engine.view.final.number)
            await self._traced(database.prune_proofs, slot - engine.parameters.unbonding_slots // 2)
        if self.keep.bodies_ms:
            before = slot - self.keep.bodies_ms // engine.parameters.slot_ms
            await self._traced(database.prune_bodies, before, _BODIES_AT_ONCE)
        if self.keep.history_ms:
            before = slot - self.keep.history_ms // engine.parameters.slot_ms
            await self._traced(database.prune_history, before, _BLOCKS_AT_ONCE)
        if self.keep.disk_bytes:
            await self._prune_to_bound(final.checkpoint.slot)

    async def _prune_to_bound(self, before: int) -> None:
        """Let the oldest go until the bound holds: bodies first, since the history keeps what they carried."""
        database = self._writer.database
        for _ in range(_ROUNDS):
            if await self._writer.run(database.used_bytes) <= self.keep.used_bytes:
                self.over = False
                return
            if await self._traced(database.prune_bodies, before, _PORTION):
                continue
            if not await self._traced(database.prune_history, before, _PORTION):
                self.over = True
                return

    async def _traced(self, action: Callable[..., Result], *arguments: object) -> Result:
        trace(f"pruning begin {self.final_height}")
        result = await self._writer.run(action, *arguments)
        trace(f"pruning end {self.final_height}")
        return result


async def fit_to_bound(writer: ChainWriter, keep: Keep) -> str:
    """Before a node begins: hold the WAL in its part of the disk's bound, and where the file is larger than that
    because it once held more, make it smaller. Returns a line for the start's report, or ""."""
    if not keep.disk_bytes:
        return ""
    database = writer.database
    await writer.run(database.limit_wal, keep.wal_bytes)
    before = database.size_bytes()
    if before <= keep.disk_bytes or await writer.run(database.used_bytes) > before * 3 // 4:
        return ""
    try:
        await writer.run(database.shrink)
    except NexusError as error:  # it needs room to make room
        _log.warning("the database could not be made smaller: %s", error.message)
        return ""
    return f"Made {database.path.name} smaller: {database.size_bytes():,} bytes instead of {before:,}."
