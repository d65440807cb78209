"""The duties of a validator in time: the slot loop and votes (protocol section 4, "A quiet network is silent").

A block is made while there is something to do, and in heartbeat slots. Between them the loop sleeps until woken: an
idle node burns nothing. What is to be signed is in the signing record before the signature exists.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from node.api.errors import NexusError, Refused
from node.consensus import duties
from node.consensus.engine import Engine
from node.consensus.tables import Table
from node.consensus.votes import Vote
from node.mempool.pool import Mempool
from node.service.alerts import Alerts
from node.service.validator_key import ValidatorKey
from node.storage.signing_record import SigningRecord

LONG_GAP_MS = 180 * 86_400_000
_CLOCK_SLACK_MS = 60_000
_RETRY_S = 15.0
_LONGEST_SLEEP_S = 3_600.0
_LOOK_AHEAD = 100_000  # slots searched for one that this validator leads

_log = logging.getLogger("nexus.production")


def exactly(time_ms: int) -> str:
    """Date and minute of a Unix time, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(time_ms // 1000))


class Producer:
    """Decides when this validator makes a block. `make(slot)` makes, writes and announces it."""

    def __init__(
        self,
        engine: Engine,
        mempool: Mempool,
        identity: bytes,
        key: ValidatorKey,
        record: SigningRecord,
        clock: Callable[[], int],
        alerts: Alerts,
        accept_long_gap: bool,
    ) -> None:
        self.identity = identity
        self._engine = engine
        self._mempool = mempool
        self._key = key
        self._record = record
        self._clock = clock
        self._alerts = alerts
        self._accept_long_gap = accept_long_gap
        self._wake = asyncio.Event()
        self.resting = False
        """Whether no links are made for now: blocks made alone would come to the others too late."""

    def wake(self) -> None:
        """Something waits for a block, or the tip moved."""
        self._wake.set()

    def sign_block(self, slot: int, message: bytes) -> bytes:
        """A signature for the block of `slot`, once the slot is on disk in the signing record."""
        self._record.record_block(slot)
        return self._key.sign(message)

    def vote(self) -> Vote | None:
        """The vote that is due after the newest tip, if any; its source and target are on disk when it returns.

        Raises Refused or Damaged where the record cannot be written: then there is no vote.
        """
        if self._record.held >= 0 and not self._release():
            return None
        target = duties.target_to_vote(self._engine, *(max(0, number) for number in self._record.vote))
        if target is None:
            return None

        def sign(digest: bytes) -> bytes:
            self._record.record_vote(target.source.number, target.number)
            return self._key.sign_digest(digest)

        return duties.make_vote(self._engine, self.identity, target, sign)

    def _release(self) -> bool:
        """Whether a key that goes on from a backup may vote again: where it is the only one, at once, since nobody else
        saw what was lost; else above what the others made final since, beyond all that it can have voted for."""
        engine, final = self._engine, self._engine.final
        if len(engine.view.table.validators) == 1:
            cast = [vote for votes in engine.ballots.links.values() for vote in votes.values()]
            cast = [vote for vote in cast if vote.voter == self.identity]
            self._record.release(
                max((vote.source for vote in cast), default=0), max((vote.target for vote in cast), default=0)
            )
        elif final.checkpoint.slot > self._record.held:
            self._record.release(final.number, final.number)
        else:
            self._alerts.put(
                "votes_held",
                "warning",
                "This validator goes on from a backup. It makes blocks, and votes again when the others have made "
                "something final after that: a second vote for a checkpoint would cost its stake.",
            )
            return False
        self._alerts.clear("votes_held")
        return True

    def reveal(self, number: int) -> bytes:
        """This epoch's preimage. Raises Refused when the chain of them is used up."""
        try:
            return self._key.reveals.preimage(number)
        except ValueError as error:
            raise Refused("reveals_used_up", f"{error} No blocks are made; payments are kept.") from None

    def next_slot(self) -> int | None:
        """The slot of the next block: soon while there is something to do, else a heartbeat; None where none is led."""
        engine, slots = self._engine, self._engine.slots
        first = max(engine.tip.slot + 1, self._record.slot + 1, slots.slot_at(self._clock()), 1)
        if duties.is_busy(engine, self._waiting()):
            step = 1 << duties.sparse(engine)
            busy = self._led(first + -first % step, step)
        else:
            busy = None
        beat = self._led(slots.next_heartbeat(first - 1), slots.heartbeat_slots)
        return min((slot for slot in (busy, beat) if slot is not None), default=None)

    def _waiting(self) -> bool:
        return self._mempool.has_candidates(self._engine.state)

    def _led(self, slot: int, step: int) -> int | None:
        """The first of the slots `slot`, `slot` + `step`, … that this validator leads."""
        seats = range(self._engine.parameters.seats)
        tables: dict[bool, Table] = {}  # of the epoch of the tip, and of all later ones: a chain turns its tables once
        for candidate in range(slot, slot + _LOOK_AHEAD * step, step):
            later = self._engine.slots.epoch_of(candidate) > self._engine.view.epoch
            if later not in tables:
                tables[later] = duties.table_for(self._engine, candidate)
            if any(tables[later].leader(candidate, seat) == self.identity for seat in seats):
                return candidate
        return None

    def clock_is_plausible(self) -> bool:
        """Whether blocks may be made by this clock; raises or clears the alerts that say otherwise."""
        engine, now = self._engine, self._clock()
        last = engine.slots.begins_ms(max(engine.tip.slot, self._record.slot, 0))
        if now + _CLOCK_SLACK_MS < last and max(engine.tip.slot, self._record.slot) <= 0:
            self._alerts.put(
                "not_begun",
                "warning",
                f"This network begins on {exactly(last)} UTC. No blocks are made before; payments are kept.",
                "If that is past, this device's date and time are wrong: set them.",
            )
            return False
        self._alerts.clear("not_begun")
        if now + _CLOCK_SLACK_MS < last:
            days = (last - now) // 86_400_000
            self._alerts.put(
                "clock_behind",
                "error",
                f"The clock is {f'{days} days' if days else 'more than a minute'} behind the newest block. "
                "No blocks are made until it has caught up; payments are kept.",
                "Set the date and time of this device.",
            )
            return False
        self._alerts.clear("clock_behind")
        if now - last > LONG_GAP_MS and not self._accept_long_gap:
            self._alerts.put(
                "clock_ahead",
                "error",
                f"The newest block is {(now - last) // 86_400_000} days old by this clock. In case the clock is wrong, "
                "no blocks are made; payments are kept.",
                "If the date is right: nexus config set node.accept_long_gap true, and start again.",
            )
            return False
        self._alerts.clear("clock_ahead")
        return True

    async def run(self, make: Callable[[int], Awaitable[None]], vote: Callable[[], Awaitable[None]]) -> None:
        """Vote and make blocks until cancelled. What fails is told, and tried again."""
        failure = ""
        while True:
            self._wake.clear()
            if self.resting or not self.clock_is_plausible():
                await self._sleep(_RETRY_S)
                continue
            try:
                await vote()
                slot = self.next_slot()
                if slot is None:
                    await self._sleep(_LONGEST_SLEEP_S)
                    continue
                wait_ms = self._engine.slots.begins_ms(slot) - self._clock()
                if wait_ms > 0:
                    await self._sleep(wait_ms / 1000)
                    continue
                await make(slot)
            except NexusError as error:
                if error.code != failure:
                    self._alerts.clear(failure)
                self._alerts.put(error.code, "error", error.message, error.hint)
                failure = error.code
                await asyncio.sleep(_RETRY_S)
            else:
                self._alerts.clear(failure)
                failure = ""

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(min(seconds, _LONGEST_SLEEP_S)):
                await self._wake.wait()
        except TimeoutError:
            pass
