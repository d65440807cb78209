"""A look at a node's files without running it: no lock is taken, nothing is written.

What waits in the outbox is shown as pending, because the next start takes it up. Nothing here needs the signature
library until something is to be verified: a balance must come up at once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from node.api.errors import NexusError, NoNode
from node.api.interface import MAX_FOUND, TOPICS
from node.api.records import (
    AccountView,
    Alert,
    BlockSummary,
    BlockView,
    DagBlockView,
    DagView,
    Event,
    EvidenceView,
    FinalityView,
    FindingView,
    HistoryPage,
    InvitationView,
    MeshView,
    NetworkInfo,
    Place,
    Status,
    Submission,
    TransactionView,
    VerifyReport,
)
from node.encoding.amounts import SUPPLY
from node.ledger.quotes import static_fee
from node.ledger.registry import effects_of
from node.ledger.types import SignedTransaction
from node.service.clock import system_clock
from node.service.fetch_progress import in_words, read_progress
from node.storage.queries import Queries, transaction_view

if TYPE_CHECKING:
    from node.profile.paths import ProfilePaths
    from node.storage.outbox import OutboxEntry


class ReadOnlyNode:
    """`NodeApi` over files. What would change something raises NoNode.

    `outbox` is what was accepted and is in no block yet, or never will be.
    """

    def __init__(
        self, paths: ProfilePaths, queries: Queries, outbox: tuple[OutboxEntry, ...], clock: Callable[[], int]
    ) -> None:
        self._paths = paths
        self._queries = queries
        self._clock = clock
        self._opened_ms = clock()
        self._kept = {entry.txid: _kept_view(entry, queries) for entry in outbox}

    async def network(self) -> NetworkInfo:
        """See NodeApi."""
        return await self._queries.network()

    async def status(self) -> Status:
        """See NodeApi."""
        height, tip, slot, final, accounts, _ = await self._queries.counts()
        waiting = [view for view in self._kept.values() if view.status == "pending"]
        now = self._clock()
        began_ms = await self._queries.began_ms()
        return Status(
            network=await self._queries.network(),
            mode="read-only",
            height=height,
            tip=tip,
            tip_slot=slot,
            current_slot=self._queries.slots.slot_at(now),
            final_height=final,
            epoch=self._queries.slots.epoch_of(slot),
            accounts=accounts,
            mempool_transactions=len(waiting),
            mempool_bytes=sum(view.size for view in waiting),
            peers=None,
            total_units=SUPPLY if not height else sum(place.units for place in await self._queries.places()),
            started_ms=self._opened_ms,
            now_ms=now,
            pid=os.getpid(),
            database_bytes=self._queries.path.stat().st_size,
            alerts=(self._alert(now),),
            began_ms=began_ms,
        )

    def _alert(self, now: int) -> Alert:
        """No node answers: none runs, or it is fetching what it begins from."""
        view = read_progress(self._paths)
        if view is not None:
            return Alert("fetching", "info", in_words(view), "The node answers when that is done.", now)
        return Alert("no_node", "info", "No node runs on this profile.", "Start one: nexus node start", now)

    async def account(self, address: bytes) -> AccountView:
        """See NodeApi."""
        view = await self._queries.account(address)
        waiting = [item for item in self._kept.values() if item.status == "pending"]
        mine = sorted((item for item in waiting if item.sender == address), key=lambda item: item.nonce)
        out = sum(_cost(item) for item in mine)
        nonce = view.nonce
        for item in mine:
            nonce += item.nonce == nonce
        coming = sum(
            output.amount
            for item in waiting
            if item.sender != address
            for output in item.outputs
            if output.recipient == address
        )
        return replace(view, next_nonce=nonce, spendable=max(0, view.balance - out), pending_in=coming, pending_out=out)

    async def submit(self, raw: bytes) -> Submission:
        """Refused: there is no node here."""
        raise _no_node("send a transaction")

    async def transaction(self, txid: bytes) -> TransactionView | None:
        """See NodeApi."""
        return await self._queries.transaction(txid) or self._kept.get(txid)

    async def history(self, addresses: tuple[bytes, ...], before: int | None = None, limit: int = 50) -> HistoryPage:
        """See NodeApi."""
        page = await self._queries.history(addresses, before, limit)
        if before is not None:
            return page
        wanted = set(addresses)
        listed = {view.txid for view in page.transactions}
        top = [
            view
            for view in reversed(self._kept.values())
            if view.txid not in listed
            and (view.sender in wanted or any(output.recipient in wanted for output in view.outputs))
        ]
        return HistoryPage((*top, *page.transactions), page.next_before)

    async def block(self, height: int | None = None, block_id: bytes | None = None) -> BlockView | None:
        """See NodeApi."""
        return await self._queries.block(height, block_id)

    async def blocks(self, before: int | None = None, limit: int = 20) -> tuple[BlockSummary, ...]:
        """See NodeApi."""
        return await self._queries.blocks(before, limit)

    async def dag(self, before_slot: int | None = None, limit: int = 60) -> DagView:
        """See NodeApi."""
        finality = await self.finality()
        view = await self._queries.dag(before_slot, limit)
        return replace(view, final=finality.final, justified=finality.justified)

    async def dag_block(self, block_id: bytes) -> DagBlockView | None:
        """See NodeApi."""
        return await self._queries.dag_block(block_id)

    async def find_blocks(self, prefix: str) -> tuple[bytes, ...]:
        """See NodeApi."""
        return await self._queries.find_blocks(prefix)

    async def find_transactions(self, prefix: str) -> tuple[bytes, ...]:
        """See NodeApi."""
        stored = await self._queries.find_transactions(prefix)
        found = {txid for txid in self._kept if txid.hex().startswith(prefix)}
        return tuple(sorted({*stored, *found})[:MAX_FOUND])

    async def finality(self) -> FinalityView:
        """See NodeApi. Restores the engine from the files, since only it can tell what is justified."""
        return await asyncio.to_thread(self._finality)

    def _finality(self) -> FinalityView:
        from node.service.finality import finality_view
        from node.service.restoring import read_engine

        return finality_view(read_engine(self._queries.path, self._queries.genesis))

    async def evidence(self) -> tuple[EvidenceView, ...]:
        """See NodeApi. Restores the engine from the files: what counts depends on its state and tables."""
        return await asyncio.to_thread(self._evidence)

    def _evidence(self) -> tuple[EvidenceView, ...]:
        from node.service.restoring import read_offences

        return read_offences(self._queries.path, self._queries.genesis).views()

    async def mesh(self) -> MeshView:
        """Refused: files have no links."""
        raise _no_node("tell of its links")

    async def invitation(self, host: str | None = None) -> InvitationView:
        """Refused: nobody could be reached."""
        raise _no_node("invite anybody")

    async def introduce(self, place: str) -> bytes:
        """Refused: nobody would call."""
        raise _no_node("call another")

    async def ban(self, node: bytes, seconds: int) -> bool:
        """Refused: there are no links."""
        raise _no_node("keep anybody out")

    async def diagnose(self) -> tuple[FindingView, ...]:
        """Refused: files have no links."""
        raise _no_node("tell of its links")

    async def wake(self) -> None:
        """Refused: nobody sleeps."""
        raise _no_node("be woken")

    async def places(self) -> tuple[Place, ...]:
        """See NodeApi."""
        return await self._queries.places()

    async def verify(self) -> VerifyReport:
        """See NodeApi."""
        return await asyncio.to_thread(self._verify)

    def _verify(self) -> VerifyReport:
        from node.service.verify import verify_file

        return verify_file(self._queries.path, self._queries.genesis)

    def subscribe(self, topics: tuple[str, ...] = TOPICS) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Refused: nothing happens in files."""
        raise _no_node("wait for news")

    async def stop(self) -> None:
        """Refused: there is no node to stop."""
        raise _no_node("be stopped")


def _kept_view(entry: OutboxEntry, queries: Queries) -> TransactionView:
    transaction = SignedTransaction.from_raw(entry.raw)
    if entry.expired_ms is not None:
        from node.service.views import expired_view

        return expired_view(transaction, entry.reason)
    return transaction_view(transaction, "pending", "", static_fee(queries.genesis.parameters, transaction.body))


def _cost(view: TransactionView) -> int:
    transaction = SignedTransaction.from_raw(view.raw)
    return effects_of(transaction.body).spends + view.fee


def _no_node(what: str) -> NexusError:
    return NoNode("no_node", f"No node runs on this profile, so nothing can {what}.", "Start one: nexus node start")


@asynccontextmanager
async def read_only(paths: ProfilePaths, clock: Callable[[], int] | None = None) -> AsyncIterator[ReadOnlyNode]:
    """Look at a profile's files for the length of the context.

    Raises Refused where there is no chain yet, Damaged for files that cannot be used.
    """
    from node.storage.outbox import read_outbox

    queries = await Queries.open(paths)
    try:
        waiting, expired = await asyncio.to_thread(read_outbox, paths.outbox_db)
        done = await queries.executed(entry.txid for entry in waiting)
        waiting = tuple(entry for entry in waiting if entry.txid not in done)
        yield ReadOnlyNode(paths, queries, (*waiting, *expired), clock or system_clock)
    finally:
        await queries.close()
