"""What a node keeps: pruning in small portions as finality moves on, so that disk and memory stay flat."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from node.api.errors import NexusError
from node.consensus.engine import Engine
from node.consensus.finality import Target
from node.service.restoring import base_record
from node.service.trace import trace
from node.storage.writer import ChainWriter

PRUNE_EVERY = 64
"""Final chain blocks between two moves of the DAG's root: each looks at every block that is kept."""
_BODIES_AT_ONCE = 400
_BLOCKS_AT_ONCE = 200

_log = logging.getLogger("nexus.retention")


@dataclass(frozen=True, slots=True)
class Keep:
    """How long things are kept, 0 for ever: bodies of blocks below the final ones, and the chain's history."""

    bodies_ms: int = 24 * 3_600_000
    history_ms: int = 400 * 86_400_000


class Retention:
    """Follows finality. Everything it fails to do is done the next time."""

    def __init__(self, writer: ChainWriter, keep: Keep, final_height: int) -> None:
        self.final_height = final_height
        self._writer = writer
        self.keep = keep
        self._moved_at = 0
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
        if final.height >= self._moved_at + PRUNE_EVERY or self._dropped:
            self._dropped += [block.index for block in engine.prune()]
            self._moved_at = final.height
            await self._traced(database.move_root, tuple(self._dropped), base_record(engine))
            self._dropped.clear()
            await self._traced(database.prune_undo, final.height)
            await self._traced(database.prune_votes, final.number)
        if self.keep.bodies_ms:
            before = slot - self.keep.bodies_ms // engine.parameters.slot_ms
            await self._traced(database.prune_bodies, before, _BODIES_AT_ONCE)
        if self.keep.history_ms:
            before = slot - self.keep.history_ms // engine.parameters.slot_ms
            await self._traced(database.prune_history, before, _BLOCKS_AT_ONCE)

    async def _traced(self, action: Callable[..., object], *arguments: object) -> None:
        trace(f"pruning begin {self.final_height}")
        await self._writer.run(action, *arguments)
        trace(f"pruning end {self.final_height}")
