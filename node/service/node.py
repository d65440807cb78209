"""The running node: `NodeApi` in this process, over the chain, the mempool, the outbox and the database."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from node.api.errors import Damaged, NexusError, Refused
from node.api.events import EventHub
from node.api.interface import MAX_PAGE, TOPICS
from node.api.records import (
    AccountView,
    Alert,
    BlockSummary,
    BlockView,
    Event,
    HistoryPage,
    NetworkInfo,
    Place,
    Status,
    Submission,
    TransactionView,
    VerifyReport,
)
from node.consensus.chain import Applied, Chain
from node.ledger import bank, pools, stakes
from node.ledger.genesis import Genesis
from node.ledger.registry import effects_of, total_units
from node.ledger.types import SignedTransaction, TransactionError
from node.light.spectrum import VISIBLE
from node.mempool.pool import Mempool
from node.service.alerts import Alerts
from node.service.core import UNDO_KEPT, batch_of, changed_accounts
from node.service.production import Producer
from node.service.trace import trace
from node.service.verify import verify_file
from node.service.views import expired_view, waiting_view
from node.storage.outbox import Outbox, OutboxEntry
from node.storage.queries import Queries, network_info
from node.storage.writer import ChainWriter

_TIDY_AFTER_S = 30.0
_PRUNE_EVERY = 200

_log = logging.getLogger("nexus.node")


class Node:
    """Everything a node does between start and stop. Made by `node.service.opening`."""

    def __init__(
        self,
        genesis: Genesis,
        chain: Chain,
        writer: ChainWriter,
        outbox: Outbox,
        queries: Queries,
        clock: Callable[[], int],
    ) -> None:
        self.genesis = genesis
        self.chain = chain
        self.hub = EventHub()
        self.alerts = Alerts(clock, self._tell_alert)
        self.mempool = Mempool(genesis.parameters, chain.check)
        self.producer: Producer | None = None
        self.stop_requested = asyncio.Event()
        self._writer = writer
        self._outbox = outbox
        self._queries = queries
        self._clock = clock
        self._started_ms = clock()
        self._total = total_units(chain.state)
        self._confirmed: list[bytes] = []  # in a block, still in the outbox
        self._expired: dict[bytes, tuple[SignedTransaction, str]] = {}
        self._tidy_timer: asyncio.TimerHandle | None = None
        self._tidying: asyncio.Task[None] | None = None

    # -- life ---------------------------------------------------------------------------------------------------

    async def recover_outbox(self) -> None:
        """Take up again what was accepted before the last stop: into the mempool, or settled as executed or expired."""
        # By the chain, not by the clock: one that is a year ahead must not expire payments that it only delays.
        slot = self.chain.tip.slot + 1
        for entry in reversed(await self._outbox.expired()):
            self._expired[entry.txid] = (_kept(entry), entry.reason)
        waiting = await self._outbox.waiting()
        done = await self._queries.executed(entry.txid for entry in waiting)
        self._confirmed += done
        for entry in waiting:
            if entry.txid in done:
                continue
            transaction = _kept(entry)
            try:
                self.mempool.admit(transaction, self.chain.state, slot)
            except TransactionError as error:
                await self._expire([transaction], error.code)
        if self._confirmed:
            self._tidy_soon()

    async def close(self) -> None:
        """Write down what is still to be written. The owner closes the files."""
        if self._tidy_timer is not None:
            self._tidy_timer.cancel()
        if self._tidying is not None:
            await self._tidying
        try:
            await self._tidy()
        finally:
            await self._queries.close()

    # -- blocks ---------------------------------------------------------------------------------------------------

    async def make_block(self, slot: int) -> None:
        """Make, write and announce this validator's block of `slot`. Raises NexusError; nothing changed then."""
        producer, chain = self.producer, self.chain
        assert producer is not None
        gone = self.mempool.expire(slot)
        if gone:
            await self._expire(gone, "expired")
        applied, skipped = chain.produce(
            slot,
            producer.identity,
            producer.reveal,
            lambda message: producer.sign(slot, message),
            self.mempool.candidates(chain.state),
        )
        if applied is not None:  # written first: an error below must not leave it in memory alone
            await self._write(applied)
        for receipt in skipped:
            if receipt.reason != "nonce_ahead" and self.mempool.drop(receipt.transaction.txid):
                await self._expire([receipt.transaction], receipt.reason)

    async def _write(self, applied: Applied) -> None:
        height = applied.tip.height
        trace(f"commit begin {height}")
        try:
            await self._writer.apply_block(batch_of(applied, self.chain))
        except NexusError:
            self.chain.revert(applied)
            raise
        trace(f"commit end {height}")
        beaten = self.mempool.settle(applied.receipts, self.chain.state)
        self._confirmed += [receipt.transaction.txid for receipt in applied.receipts]
        if self._confirmed:
            self._tidy_soon()
        self._announce(applied)
        if beaten:
            await self._expire(beaten, "nonce_used")
        if height % _PRUNE_EVERY == 0 and height > UNDO_KEPT:
            await self._writer.run(self._writer.database.prune_undo, height - UNDO_KEPT)

    def _announce(self, applied: Applied) -> None:
        self.hub.publish(Event("block", block=self._summary(applied)))
        for receipt in applied.receipts:
            self.hub.publish(Event("transaction", txid=receipt.transaction.txid, text=receipt.status))
        for address, balance in changed_accounts(applied).items():
            self.hub.publish(Event("balance", address=address, units=balance))

    def _summary(self, applied: Applied) -> BlockSummary:
        header = applied.block.header
        encoded = header.encoded()
        return BlockSummary(
            id=applied.tip.id,
            height=applied.tip.height,
            slot=header.slot,
            time_ms=self.chain.slots.begins_ms(header.slot),
            creator=header.creator,
            region=VISIBLE[header.region].name,
            transactions=len(applied.receipts),
            failed=sum(receipt.status == "failed" for receipt in applied.receipts),
            fees=applied.fees,
            size=len(encoded) + len(applied.block.body()),
        )

    # -- the outbox -----------------------------------------------------------------------------------------------

    async def _expire(self, transactions: list[SignedTransaction], reason: str) -> None:
        for transaction in transactions:
            self._expired[transaction.txid] = (transaction, reason)
            self.hub.publish(Event("transaction", txid=transaction.txid, text="expired"))
        while len(self._expired) > 1_000:
            del self._expired[next(iter(self._expired))]
        await self._outbox.expire([item.txid for item in transactions], reason, self._clock())

    def _tidy_soon(self) -> None:
        if self._tidy_timer is None:
            self._tidy_timer = asyncio.get_running_loop().call_later(_TIDY_AFTER_S, self._start_tidying)

    def _start_tidying(self) -> None:
        self._tidy_timer = None
        self._tidying = asyncio.create_task(self._tidy_or_complain())

    async def _tidy_or_complain(self) -> None:
        try:
            await self._tidy()
        except NexusError as error:
            _log.warning("the outbox could not be tidied: %s", error.message)

    async def _tidy(self) -> None:
        """Forget outbox entries once their blocks are safe from a power cut: the chain's WAL is synced only here."""
        txids, self._confirmed = self._confirmed, []
        if txids:
            await self._writer.run(self._writer.database.sync)
            await self._outbox.remove(txids)

    # -- the interface ----------------------------------------------------------------------------------------------

    async def network(self) -> NetworkInfo:
        """See NodeApi."""
        return network_info(self.genesis)

    async def status(self) -> Status:
        """See NodeApi."""
        chain = self.chain
        if self.producer is not None:
            self.producer.clock_is_plausible()
        return Status(
            network=network_info(self.genesis),
            mode="producing" if self.producer is not None else "following",
            height=chain.tip.height,
            tip=chain.tip.id,
            tip_slot=chain.tip.slot,
            current_slot=self._slot(),
            final_height=chain.tip.height if len(chain.table.validators) == 1 else 0,
            epoch=chain.slots.epoch_of(chain.tip.slot),
            accounts=len(chain.state.rows(bank.ACCOUNTS)),
            mempool_transactions=len(self.mempool),
            mempool_bytes=self.mempool.bytes,
            peers=0,
            total_units=self._total,
            started_ms=self._started_ms,
            now_ms=self._clock(),
            pid=os.getpid(),
            database_bytes=self._writer.database.size_bytes(),
            alerts=self.alerts.standing(),
        )

    async def account(self, address: bytes) -> AccountView:
        """See NodeApi."""
        state, mempool = self.chain.state, self.mempool
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
            self.mempool.examine(transaction, self.chain.state, self._slot())
        except TransactionError as error:
            # The same one may have come twice, and be waiting or in a block since we looked.
            if await self._is_known(transaction.txid):
                return known
            raise _refused(error) from None
        # On disk first, in the mempool then: a block may only take what would survive a crash.
        expiry = transaction.body.expiry
        added = await self._outbox.add(OutboxEntry(transaction.txid, transaction.wid, raw, expiry, self._clock()))
        try:
            self.mempool.admit(transaction, self.chain.state, self._slot())
        except TransactionError as error:
            if await self._is_known(transaction.txid):
                return known
            if added:
                await self._outbox.remove([transaction.txid])
            raise _refused(error) from None
        self._expired.pop(transaction.txid, None)
        self.hub.publish(Event("transaction", txid=transaction.txid, text="pending"))
        if self.producer is not None:
            self.producer.wake()
        return Submission(transaction.txid, transaction.wid, known=False)

    async def _is_known(self, txid: bytes) -> bool:
        """Whether a transaction waits or was executed."""
        return txid in self.mempool or await self._queries.transaction(txid) is not None

    async def transaction(self, txid: bytes) -> TransactionView | None:
        """See NodeApi."""
        waiting = self.mempool.get(txid)
        if waiting is not None:
            return waiting_view(waiting, self.genesis.parameters, self.chain.state)
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
            waiting_view(item, self.genesis.parameters, self.chain.state)
            for item in self.mempool.transactions()
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

    async def places(self) -> tuple[Place, ...]:
        """See NodeApi."""
        return places_of(self.chain)

    async def verify(self) -> VerifyReport:
        """See NodeApi."""
        return await asyncio.to_thread(verify_file, self._writer.database.path, self.genesis)

    def subscribe(self, topics: tuple[str, ...] = TOPICS) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """See NodeApi."""
        return self.hub.subscribe(topics)

    async def stop(self) -> None:
        """Ask the process that runs this node to stop it."""
        self.stop_requested.set()

    def _slot(self) -> int:
        return self.chain.slots.slot_at(self._clock())

    def _tell_alert(self, alert: Alert) -> None:
        self.hub.publish(Event("alert", alert=alert))


def _refused(error: TransactionError) -> Refused:
    return Refused(error.code, str(error), "Nothing was sent and nothing was charged.")


def _kept(entry: OutboxEntry) -> SignedTransaction:
    try:
        return SignedTransaction.from_raw(entry.raw)
    except TransactionError as error:
        raise Damaged(
            "damaged_outbox",
            f"An accepted payment in outbox.db cannot be read: {error} The file was left as it is.",
            "Restore a backup with `nexus node restore`, or move outbox.db away: what waits in it is then forgotten.",
        ) from None


def _touches(transaction: SignedTransaction, wanted: set[bytes]) -> bool:
    return transaction.sender in wanted or any(address in wanted for address, _ in effects_of(transaction.body).outputs)


def places_of(chain: Chain) -> tuple[Place, ...]:
    """All named places of the sum."""
    state = chain.state
    accounts = sum(balance for balance in (bank.account(state, key)[0] for key in state.rows(bank.ACCOUNTS)))
    return (
        Place("accounts", "accounts", accounts),
        *(Place(name, "reserve", pools.units(state, name)) for name in pools.RESERVES),
        *(Place(name, "service", pools.units(state, name)) for name in pools.SERVICES),
        Place("stakes", "stake", sum(item.stake for item in stakes.validators(state))),
    )
