"""What the engine did and the disk does not know yet.

The engine changes its state at once; a step leaves the node (an event, a relay, an outbox entry forgotten) only after
it was written. Where the disk refuses, steps queue in their order, the owner is told, and the write is tried again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from node.api.errors import NexusError
from node.api.records import Event
from node.consensus.dagblocks import Progress
from node.consensus.finality import Target
from node.ledger.types import SignedTransaction
from node.service.alerts import Alerts
from node.service.trace import trace
from node.storage.records import Batch
from node.storage.writer import ChainWriter

RETRY_S = 15.0
MAX_BEHIND = 256
"""Steps that may wait for the disk before the node takes nothing new: it would only grow in memory."""

_log = logging.getLogger("nexus.journal")


@dataclass(frozen=True, slots=True)
class Entry:
    """A step to be written, what is told once it is, and what it executed: that is shown as waiting until then."""

    kind: str
    batch: Batch
    events: tuple[Event, ...]
    final: Target | None
    executed: dict[bytes, SignedTransaction]


class Journal:
    """Writes steps in their order; `told` hears of each that is written."""

    def __init__(self, writer: ChainWriter, alerts: Alerts, told: Callable[[Entry], Awaitable[None]]) -> None:
        self._writer = writer
        self._alerts = alerts
        self._told = told
        self._entries: deque[Entry] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._failure: NexusError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._retry: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def check(self) -> None:
        """Raises what the disk last said, as long as steps wait for it."""
        if self._failure is not None:
            raise self._failure

    def find(self, txid: bytes) -> SignedTransaction | None:
        """A transaction that was executed in a step that is not written yet."""
        return next((entry.executed[txid] for entry in self._entries if txid in entry.executed), None)

    def unwritten(self) -> list[SignedTransaction]:
        """All such transactions, oldest first."""
        return [item for entry in self._entries for item in entry.executed.values()]

    def note(self, progress: Progress, batch: Batch, events: tuple[Event, ...]) -> None:
        """Take up a step at once after the engine made it: what it looked like cannot be told later."""
        executed = {
            accepted.receipt.transaction.txid: accepted.receipt.transaction
            for step in progress.applied
            for accepted in step.receipts
        }
        kind = "reorganisation" if progress.undone else "commit" if progress.applied else "note"
        self._entries.append(Entry(kind, batch, events, progress.final, executed))

    async def write(self) -> None:
        """Write everything that waits, in order. Where the disk refuses, it stays and is tried again later."""
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        # who gives up waiting must not leave a step half done: written, and still in the queue
        await asyncio.shield(self._writing)

    async def _write_all(self) -> None:
        while self._entries:
            entry = self._entries[0]
            try:
                trace(f"{entry.kind} begin {len(self._entries)}")
                await self._writer.advance(entry.batch)
                trace(f"{entry.kind} end {len(self._entries)}")
            except NexusError as error:
                self._refused(error)
                return
            self._entries.popleft()
            await self._told(entry)
        if self._failure is not None:
            self._alerts.clear(self._failure.code)
            self._failure = None

    def _refused(self, error: NexusError) -> None:
        if self._failure is not None and self._failure.code != error.code:
            self._alerts.clear(self._failure.code)
        self._failure = error
        self._alerts.put(error.code, "error", error.message, error.hint)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(RETRY_S, self._again)

    def _again(self) -> None:
        self._timer = None
        self._retry = asyncio.create_task(self.write())

    async def close(self) -> None:
        """Try a last time to write what waits."""
        if self._timer is not None:
            self._timer.cancel()
        if self._retry is not None:
            await self._retry
        await self.write()
        if self._timer is not None:
            self._timer.cancel()
        if self._entries:
            _log.error("%d steps could not be written; they are made or fetched again", len(self._entries))
