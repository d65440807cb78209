"""What a running node does with each step of its engine: at once in memory, then on disk, then to everybody.

Blocks and votes come in here, this validator's own as well; the mempool follows the chain back and forth; what was
accepted from this machine stays in the outbox until it is final.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from node.api.errors import Damaged, Internal, NexusError
from node.api.events import EventHub
from node.api.records import (
    Alert,
    BlockSummary,
    Event,
)
from node.consensus import duties
from node.consensus.blocks import Block, BlockError
from node.consensus.dagblocks import DagBlock, Progress, Step
from node.consensus.engine import Engine
from node.consensus.finality import Target
from node.consensus.votes import Vote
from node.ledger.genesis import Genesis
from node.ledger.registry import total_units
from node.ledger.types import SignedTransaction, TransactionError
from node.light.spectrum import VISIBLE
from node.mempool.pool import Displaced, Mempool
from node.service.alerts import Alerts
from node.service.core import batch_of, changed_balances
from node.service.journal import MAX_BEHIND, Entry, Journal
from node.service.offences import Offences
from node.service.production import Producer
from node.service.retention import Retention
from node.service.tally import Tally
from node.service.watch import Watch
from node.storage.outbox import MAX_WAITING, Outbox, OutboxEntry
from node.storage.queries import Queries
from node.storage.records import Batch
from node.storage.writer import ChainWriter

TOO_FAR_BEHIND = "too_far_behind"
"""The alert of a node that lacks blocks which no peer keeps any more; over when its chain makes something final."""
_TIDY_AFTER_S = 30.0
_MANY = MAX_WAITING // 4
"""Own transactions in the outbox, settled or not, that are worth a sync."""
_SOONEST_S, _LATEST_S = 1.0, 3_600.0  # before the clock is looked at again: it may have been set, or have stood still

_log = logging.getLogger("nexus.node")


class Follower:
    """Follows the engine. `Node` adds the interface."""

    def __init__(
        self,
        genesis: Genesis,
        engine: Engine,
        writer: ChainWriter,
        outbox: Outbox,
        queries: Queries,
        retention: Retention,
        offences: Offences,
        clock: Callable[[], int],
    ) -> None:
        self.genesis = genesis
        self.engine = engine
        self.hub = EventHub()
        self.alerts = Alerts(clock, self._tell_alert)
        self.mempool = Mempool(genesis.parameters, engine.check)
        self.journal = Journal(writer, self.alerts, self._written)
        self.retention = retention
        self.offences = offences
        self._watch = Watch(engine, self.alerts, offences, genesis.prefix, retention.final_height)
        self.tally = Tally(clock)
        self.producer: Producer | None = None
        self.step_taken: Callable[[Progress], None] = lambda progress: None
        """Told of each step once it is written, so that others hear of it."""
        self.admitted: Callable[[SignedTransaction], None] = lambda transaction: None
        """Told of each transaction that waits now."""
        self.final_written: Callable[[Target], None] = lambda final: None
        """Told of the newest checkpoint that the chain proves final, once that is written."""
        self.cut_off: Callable[[], None] = lambda: None
        """Told when no peer keeps the blocks any more that this node lacks."""
        self.again_requested = asyncio.Event()
        """The node is to be closed and opened again: its chain begins anew then."""
        self.stop_requested = asyncio.Event()
        self._writer = writer
        self._outbox = outbox
        self._queries = queries
        self._clock = clock
        self._started_ms = clock()
        self._total = total_units(engine.state)
        self._mine: set[bytes] = set()  # in the outbox and not expired
        self._expired: dict[bytes, tuple[SignedTransaction, str]] = {}
        self._tidy_timer: asyncio.TimerHandle | None = None
        self._look_timer: asyncio.TimerHandle | None = None
        self._tidying: asyncio.Task[None] | None = None

    # -- life ---------------------------------------------------------------------------------------------------

    async def recover(self, steps: list[Progress]) -> None:
        """Take up again what was accepted before the last stop: into the mempool, or settled as executed or expired.

        `steps` are those that the engine took while it was restored.
        """
        for progress in steps:
            await self._take(progress)
        # By the chain, not by the clock: one that is a year ahead must not expire payments that it only delays.
        slot = self.engine.tip.slot + 1
        for entry in reversed(await self._outbox.expired()):
            self._expired[entry.txid] = (_kept(entry), entry.reason)
        waiting = await self._outbox.waiting()
        done = await self._queries.executed(entry.txid for entry in waiting)
        self._mine.update(entry.txid for entry in waiting)
        for entry in waiting:
            if entry.txid in done:
                continue
            transaction = _kept(entry)
            try:
                await self._displace(self.mempool.admit(transaction, self.engine.state, slot))
            except TransactionError as error:
                await self._expire([transaction], error.code)
        if done:
            # Now, not in a while: a node that never lives long enough would keep them until the outbox is full.
            await self._tidy_or_complain()
        self.look()

    async def close(self) -> None:
        """Write down what is still to be written. The owner closes the files."""
        for timer in (self._tidy_timer, self._look_timer):
            if timer is not None:
                timer.cancel()
        if self._tidying is not None:
            await self._tidying
        try:
            await self.journal.close()
            await self._tidy()
        finally:
            await self._queries.close()

    def own_waiting(self) -> list[SignedTransaction]:
        """What was accepted from this node's owner and is in no block yet."""
        return [item for txid in self._mine if (item := self.mempool.get(txid)) is not None]

    def clock_ms(self) -> int:
        """Unix time by this node's clock."""
        return self._clock()

    async def whole_block(self, block_id: bytes) -> tuple[bytes, bytes] | None:
        """Encoded header and body of a stored block; None where it, or its body, is not kept."""
        return await self._queries.whole_block(block_id)

    # -- blocks and votes -------------------------------------------------------------------------------------------

    async def receive(self, block: Block) -> Progress:
        """Take a block of somebody else. Raises BlockError or TransactionError for an invalid one, NexusError where
        the disk holds the node up; nothing changed then."""
        self._check_room()
        return await self._take(self.engine.add(block, self._slot()))

    async def receive_vote(self, vote: Vote) -> Progress:
        """Take a vote of somebody else; one that is not good changes nothing."""
        self._check_room()
        return await self._take(self.engine.add_vote(vote))

    async def receive_transaction(self, transaction: SignedTransaction) -> None:
        """Take a transaction of somebody else, who keeps it himself. Raises TransactionError where it cannot wait."""
        await self._admitted(transaction, self.mempool.admit(transaction, self.engine.state, self._slot()))

    async def _admitted(self, transaction: SignedTransaction, displaced: list[Displaced]) -> None:
        """A transaction waits now: tell of it, and of what it took the place of."""
        await self._displace(displaced)
        self.hub.publish(Event("transaction", txid=transaction.txid, text="pending"))
        self.admitted(transaction)
        if self.producer is not None:
            self.producer.wake()

    def _check_room(self) -> None:
        if len(self.journal) >= MAX_BEHIND:
            self.journal.check()

    async def make_block(self, slot: int) -> None:
        """Make, write and announce this validator's block of `slot`. Raises NexusError where none could be made."""
        producer, engine = self.producer, self.engine
        assert producer is not None
        await self.journal.write()
        self.journal.check()  # a block on top of what is in memory only would leave the node before it is written
        await self._drop_expired(slot)
        try:
            block = duties.make_block(
                engine,
                producer.identity,
                slot,
                self._candidates(slot),
                producer.reveal,
                lambda message: producer.sign_block(slot, message),
            )
            progress = engine.add(block, max(slot, self._slot()))
        except (BlockError, TransactionError) as error:
            raise Internal(error.code, f"The block of slot {slot} was not made: {error}") from None
        await self._take(progress)

    def _candidates(self, slot: int) -> Iterator[SignedTransaction]:
        """What the block of `slot` may carry."""
        assert self.producer is not None
        choice = duties.choice(self.engine, self.producer.identity, slot)
        return self.mempool.candidates(self.engine.state, choice.colour, choice.carried, choice.others_since)

    async def cast_votes(self) -> None:
        """Vote for every checkpoint that is due. Raises NexusError where the signing record cannot be written."""
        producer = self.producer
        assert producer is not None
        while (vote := producer.vote()) is not None:
            await self._take(self.engine.add_vote(vote))

    async def _take(self, progress: Progress) -> Progress:
        """Follow a step of the engine: at once in memory, then on disk, then to everybody."""
        if not progress:
            return progress
        self.tally.count(progress)
        batch = batch_of(progress, self.engine, self.retention.final_height, self.offences.learn())
        state, slot = self.engine.state, self.engine.tip.slot + 1
        executed = {accepted.receipt.transaction.txid for step in progress.applied for accepted in step.receipts}
        lost: list[Displaced] = []
        for step in progress.applied:
            receipts = tuple(accepted.receipt for accepted in step.receipts)
            lost += [Displaced(item, "nonce_used") for item in self.mempool.settle(receipts, state)]
            for receipt, _ in step.skipped:  # it would be carried, and passed by, again and again
                if receipt.reason != "nonce_ahead" and self.mempool.drop(receipt.transaction.txid):
                    lost.append(Displaced(receipt.transaction, receipt.reason))
        back = [item for undone in reversed(progress.undone) for item in self._carried(undone.block)]
        lost += self.mempool.readmit((item for item in back if item.txid not in executed), state, slot)
        self.journal.note(progress, batch, self._events(progress, batch))
        await self.journal.write()
        if batch.certificates:
            self.alerts.clear(TOO_FAR_BEHIND)
            self.final_written(self.engine.view.final)
        await self._displace(lost)
        await self._drop_expired(slot)
        self.step_taken(progress)
        if self.producer is not None:
            self.producer.wake()
        self.look()
        return progress

    def look(self) -> None:
        """See what is to be warned of, now and when the next reason for it may have come."""
        if self._look_timer is not None:
            self._look_timer.cancel()
            self._look_timer = None
        own = None if self.producer is None else self.producer.identity
        again = self._watch.look(self._slot(), own)
        if again is not None:
            wait = max(_SOONEST_S, (self.engine.slots.begins_ms(again) - self._clock()) / 1_000)
            self._look_timer = asyncio.get_running_loop().call_later(min(wait, _LATEST_S), self.look)

    def _events(self, progress: Progress, batch: Batch) -> tuple[Event, ...]:
        """What is told of a step once it is written."""
        sizes = {new.index: len(new.header) + len(new.body) for new in batch.added}
        events = [Event("dag", block_id=block.id) for block in progress.added]
        for step in progress.applied:
            events.append(Event("block", block=self._summary(step, sizes.get(step.block.index))))
            for accepted in step.receipts:
                receipt = accepted.receipt
                events.append(Event("transaction", txid=receipt.transaction.txid, text=receipt.status))
        back = {item.txid for undone in progress.undone for item in self._carried(undone.block)}
        events += [Event("transaction", txid=txid, text="pending") for txid in back if txid in self.mempool]
        for address, balance in changed_balances(progress, self.engine.state).items():
            events.append(Event("balance", address=address, units=balance))
        if progress.undone or progress.applied or progress.final:
            events.append(Event("dag"))
        return tuple(events)

    def _carried(self, block: DagBlock) -> list[SignedTransaction]:
        """The transactions that a chain block had before it: those of what it merged, and its own."""
        carriers = [*(member for member, _ in self.engine.merged(block)), block]
        return [item for carrier in carriers if carrier.block is not None for item in carrier.block.transactions]

    async def _written(self, entry: Entry) -> None:
        """A step is on disk: tell of it, and let go what it settled."""
        for event in entry.events:
            self.hub.publish(event)
        if entry.final is not None:
            await self.retention.finalised(self.engine, entry.final, self._slot())
            self._show_bound()
            self._tidy_soon()

    def _show_bound(self) -> None:
        if not self.retention.over:
            self.alerts.clear("disk_bound")
            return
        self.alerts.put(
            "disk_bound",
            "warning",
            f"The chain does not fit into the {self.retention.keep.disk_bytes // 1_000_000} MB that it may use: its "
            "state and its newest blocks alone take more. Nothing older is left that could go.",
            "Allow it more: nexus config set node.keep_megabytes NUMBER, and start again.",
        )

    def _summary(self, step: Step, size: int | None) -> BlockSummary:
        block = step.block
        header = block.header
        assert header is not None
        assert block.block is not None
        return BlockSummary(
            id=block.id,
            height=step.height,
            slot=header.slot,
            time_ms=self.engine.slots.begins_ms(header.slot),
            creator=header.creator,
            region=VISIBLE[header.region].name,
            transactions=len(step.receipts),
            failed=sum(accepted.receipt.status == "failed" for accepted in step.receipts),
            fees=step.fees,
            size=len(block.header_bytes) + len(block.block.body()) if size is None else size,
        )

    # -- the outbox -----------------------------------------------------------------------------------------------

    async def _displace(self, lost: list[Displaced]) -> None:
        """Tell of transactions that wait no more, and why. Those of others may be executed yet: only own ones count."""
        for transaction, reason in lost:
            if transaction.txid in self._mine:
                await self._expire([transaction], reason)

    async def _drop_expired(self, slot: int) -> None:
        """What can no longer be executed in `slot` or later waits in vain."""
        if gone := self.mempool.expire(slot):
            await self._expire(gone, "expired")

    async def _expire(self, transactions: list[SignedTransaction], reason: str) -> None:
        for transaction in transactions:
            self._mine.discard(transaction.txid)
            self._expired[transaction.txid] = (transaction, reason)
            self.hub.publish(Event("transaction", txid=transaction.txid, text="expired"))
        while len(self._expired) > 1_000:
            del self._expired[next(iter(self._expired))]
        await self._outbox.expire([item.txid for item in transactions], reason, self._clock())

    def _tidy_soon(self) -> None:
        """In a while, since it costs a sync; at once where so many were accepted that the outbox might fill."""
        if len(self._mine) > _MANY and (self._tidying is None or self._tidying.done()):
            self._start_tidying()
        elif self._tidy_timer is None:
            self._tidy_timer = asyncio.get_running_loop().call_later(_TIDY_AFTER_S, self._start_tidying)

    def _start_tidying(self) -> None:
        if self._tidy_timer is not None:
            self._tidy_timer.cancel()
            self._tidy_timer = None
        self._tidying = asyncio.create_task(self._tidy_or_complain())

    async def _tidy_or_complain(self) -> None:
        try:
            await self._tidy()
        except NexusError as error:
            _log.warning("the outbox could not be tidied: %s", error.message)

    async def _tidy(self) -> None:
        """Forget outbox entries once their blocks are final and safe from a power cut: the WAL is synced only here."""
        txids = await self._queries.executed(self._mine, self.retention.final_height)
        if txids:
            await self._writer.run(self._writer.database.sync)
            await self._outbox.remove(txids)
            self._mine -= txids

    def _slot(self) -> int:
        return self.engine.slots.slot_at(self._clock())

    def _tell_alert(self, alert: Alert | None, code: str) -> None:
        self.hub.publish(Event("alert", alert=alert, text=code))


def _kept(entry: OutboxEntry) -> SignedTransaction:
    try:
        return SignedTransaction.from_raw(entry.raw)
    except TransactionError as error:
        raise Damaged(
            "damaged_outbox",
            f"An accepted payment in outbox.db cannot be read: {error} The file was left as it is.",
            "Restore a backup with `nexus node restore`, or move outbox.db away: what waits in it is then forgotten.",
        ) from None
