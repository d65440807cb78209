"""The running node: `NodeApi` in this process, over the chain, the mempool, the outbox and the database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from node.api.errors import Refused
from node.api.interface import MAX_FOUND, MAX_PAGE, TOPICS
from node.api.records import (
    AccountView,
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
    SyncView,
    TransactionView,
    VerifyReport,
)
from node.ledger import bank, pools, staking
from node.ledger.registry import TABLES, effects_of
from node.ledger.state import State
from node.ledger.types import SignedTransaction, TransactionError
from node.profile.modes import FULL
from node.service.finality import checkpoint_views, finality_view
from node.service.follower import Follower
from node.service.verify import verify_file
from node.service.views import expired_view, waiting_view
from node.storage.outbox import OutboxEntry
from node.storage.queries import network_info

if TYPE_CHECKING:
    from node.service.mesh import Mesh


class Node(Follower):
    """Everything a node does between start and stop. Made by `node.service.opening`."""

    links: Mesh | None = None
    """To other nodes."""
    kind = FULL
    """See `node.profile.modes`."""
    began_ms: int | None = None
    """See `Status`."""

    async def network(self) -> NetworkInfo:
        """See NodeApi."""
        return network_info(self.genesis)

    async def status(self) -> Status:
        """See NodeApi."""
        engine = self.engine
        if self.producer is not None:
            self.producer.clock_is_plausible()
        self.look()
        return Status(
            network=network_info(self.genesis),
            mode="producing" if self.producer is not None else "following",
            height=engine.tip.height,
            tip=engine.tip.id,
            tip_slot=engine.tip.slot,
            current_slot=self._slot(),
            final_height=self.retention.final_height,
            epoch=engine.slots.epoch_of(engine.tip.slot),
            accounts=len(engine.state.rows(bank.ACCOUNTS)),
            mempool_transactions=len(self.mempool),
            mempool_bytes=self.mempool.bytes,
            peers=None if self.links is None else len(self.links.peers),
            total_units=self._total,
            started_ms=self._started_ms,
            now_ms=self._clock(),
            pid=os.getpid(),
            database_bytes=self._writer.database.size_bytes(),
            alerts=self.alerts.standing(),
            sync=self._sync(),
            kind=self.kind,
            began_ms=self.began_ms,
        )

    def _sync(self) -> SyncView | None:
        if self.links is None:
            return None
        from node.service.mesh_view import sync_view

        return sync_view(self.links)

    async def account(self, address: bytes) -> AccountView:
        """See NodeApi."""
        state, mempool = self.engine.state, self.mempool
        balance, nonce = bank.account(state, address)
        pending_out = mempool.pending_out(state, address)
        return AccountView(
            address=address,
            exists=bank.exists(state, address),
            balance=balance,
            nonce=nonce,
            next_nonce=mempool.next_nonce(state, address),
            spendable=max(0, balance - pending_out),
            pending_in=mempool.pending_in(address),
            pending_out=pending_out,
        )

    async def submit(self, raw: bytes) -> Submission:
        """See NodeApi."""
        try:
            transaction = SignedTransaction.from_raw(raw)
        except TransactionError as error:
            raise _refused(error) from None
        known = Submission(transaction.txid, transaction.wid, known=True)
        if await self._is_known(transaction.txid):
            return known
        try:
            self.mempool.examine(transaction, self.engine.state, self._slot())
        except TransactionError as error:
            # The same one may have come twice, and be waiting or in a block since we looked.
            if await self._is_known(transaction.txid):
                return known
            raise _refused(error) from None
        # On disk first, in the mempool then: a block may only take what would survive a crash.
        expiry = transaction.body.expiry
        added = await self._outbox.add(OutboxEntry(transaction.txid, transaction.wid, raw, expiry, self._clock()))
        try:
            displaced = self.mempool.admit(transaction, self.engine.state, self._slot())
        except TransactionError as error:
            if await self._is_known(transaction.txid):
                return known
            if added:
                await self._outbox.remove([transaction.txid])
            raise _refused(error) from None
        self._mine.add(transaction.txid)
        self._expired.pop(transaction.txid, None)
        await self._admitted(transaction, displaced)
        if self.links is not None:
            self.links.thrift.wake()
        return Submission(transaction.txid, transaction.wid, known=False)

    async def _is_known(self, txid: bytes) -> bool:
        """Whether a transaction waits or was executed."""
        if txid in self.mempool or self.journal.find(txid) is not None:
            return True
        return await self._queries.transaction(txid) is not None

    async def transaction(self, txid: bytes) -> TransactionView | None:
        """See NodeApi."""
        waiting = self.mempool.get(txid) or self.journal.find(txid)
        if waiting is not None:
            return waiting_view(waiting, self.genesis.parameters, self.engine.state)
        found = await self._queries.transaction(txid)
        if found is None and txid in self._expired:
            return expired_view(*self._expired[txid])
        return found

    async def history(self, addresses: tuple[bytes, ...], before: int | None = None, limit: int = 50) -> HistoryPage:
        """See NodeApi. Waiting and expired transactions stand at the top of the first page, beside its limit."""
        if before is not None:
            return await self._queries.history(addresses, before, limit)
        wanted = set(addresses)
        # The waiting ones before the page: one that gets into a block meanwhile is then in both, and never in neither.
        top = [
            waiting_view(item, self.genesis.parameters, self.engine.state)
            for item in (*self.journal.unwritten(), *self.mempool.transactions())
            if _touches(item, wanted)
        ]
        top.reverse()
        lost = [expired_view(item, why) for item, why in reversed(self._expired.values()) if _touches(item, wanted)]
        page = await self._queries.history(addresses, before, limit)
        listed = {item.txid for item in page.transactions}
        top = [item for item in (*top, *lost) if item.txid not in listed][:MAX_PAGE]
        return HistoryPage((*top, *page.transactions), page.next_before)

    async def block(self, height: int | None = None, block_id: bytes | None = None) -> BlockView | None:
        """See NodeApi."""
        return await self._queries.block(height, block_id)

    async def blocks(self, before: int | None = None, limit: int = 20) -> tuple[BlockSummary, ...]:
        """See NodeApi."""
        return await self._queries.blocks(before, limit)

    async def dag(self, before_slot: int | None = None, limit: int = 60) -> DagView:
        """See NodeApi."""
        view = await self._queries.dag(before_slot, limit)
        final, justified = checkpoint_views(self.engine)
        return replace(view, final=final, justified=justified)

    async def dag_block(self, block_id: bytes) -> DagBlockView | None:
        """See NodeApi."""
        return await self._queries.dag_block(block_id)

    async def find_blocks(self, prefix: str) -> tuple[bytes, ...]:
        """See NodeApi."""
        return await self._queries.find_blocks(prefix)

    async def find_transactions(self, prefix: str) -> tuple[bytes, ...]:
        """See NodeApi. Finds waiting and expired ones too."""
        stored = await self._queries.find_transactions(prefix)
        waiting = (item.txid for item in (*self.journal.unwritten(), *self.mempool.transactions()))
        found = {txid for txid in (*waiting, *self._expired) if txid.hex().startswith(prefix)}
        return tuple(sorted({*stored, *found})[:MAX_FOUND])

    async def finality(self) -> FinalityView:
        """See NodeApi."""
        return finality_view(self.engine)

    async def evidence(self) -> tuple[EvidenceView, ...]:
        """See NodeApi."""
        return self.offences.views(None if self.producer is None else self.producer.identity)

    async def mesh(self) -> MeshView:
        """See NodeApi."""
        from node.service.mesh_view import mesh_view

        return mesh_view(self._linked())

    async def invitation(self, host: str | None = None) -> InvitationView:
        """See NodeApi."""
        from node.service.mesh_view import invitation

        return invitation(self._linked(), host)

    async def introduce(self, place: str) -> bytes:
        """See NodeApi."""
        return self._linked().introduce_place(place)

    async def ban(self, node: bytes, seconds: int) -> bool:
        """See NodeApi."""
        mesh = self._linked()
        return mesh.ban(node, seconds * 1000) if seconds else mesh.unban(node)

    async def diagnose(self) -> tuple[FindingView, ...]:
        """See NodeApi."""
        from node.service.mesh_doctor import examine

        return await examine(self._linked())

    async def wake(self) -> None:
        """See NodeApi."""
        if self.links is not None:
            self.links.thrift.wake()

    def _linked(self) -> Mesh:
        if self.links is None:
            raise Refused(
                "no_mesh",
                "This node has no links to others: its network is for this device alone, or mesh.enabled is off.",
                "A network that others can join: nexus init --network create --profile NAME",
            )
        return self.links

    async def places(self) -> tuple[Place, ...]:
        """See NodeApi."""
        return places_of(self.engine.state)

    async def verify(self) -> VerifyReport:
        """See NodeApi."""
        return await asyncio.to_thread(verify_file, self._writer.database.path, self.genesis)

    def subscribe(self, topics: tuple[str, ...] = TOPICS) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """See NodeApi."""
        return self.hub.subscribe(topics)

    async def stop(self) -> None:
        """Ask the process that runs this node to stop it."""
        self.stop_requested.set()


def _refused(error: TransactionError) -> Refused:
    return Refused(error.code, str(error), "Nothing was sent and nothing was charged.")


def _touches(transaction: SignedTransaction, wanted: set[bytes]) -> bool:
    return transaction.sender in wanted or any(address in wanted for address, _ in effects_of(transaction.body).outputs)


def places_of(state: State) -> tuple[Place, ...]:
    """All named places of the sum."""
    held: dict[str, int] = {}
    for name, table in TABLES.items():
        if name not in (bank.ACCOUNTS, staking.STAKES, pools.POOLS):
            held[name] = sum(table.holds(record) for record in state.rows(name).values())
    return (
        Place("accounts", "accounts", sum(bank.account(state, key)[0] for key in state.rows(bank.ACCOUNTS))),
        *(Place(name, "reserve", pools.units(state, name)) for name in pools.RESERVES),
        *(Place(name, "service", pools.units(state, name)) for name in pools.SERVICES),
        Place("stakes", "stake", sum(item.stake for item in staking.validators(state))),
        *(Place(name, "other", units) for name, units in sorted(held.items()) if units),
    )
