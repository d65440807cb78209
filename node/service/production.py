"""Making blocks: the slot loop of a validator (protocol section 4, "A quiet network is silent").

A block is made when a transaction waits, and in heartbeat slots. Between them the loop sleeps until woken: an idle node
burns nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from node.api.errors import NexusError, Refused
from node.consensus.chain import Chain
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


class Producer:
    """Decides when this validator makes a block. `make(slot)` makes, writes and announces it."""

    def __init__(
        self,
        chain: Chain,
        mempool: Mempool,
        identity: bytes,
        key: ValidatorKey,
        record: SigningRecord,
        clock: Callable[[], int],
        alerts: Alerts,
        accept_long_gap: bool,
    ) -> None:
        self.identity = identity
        self._chain = chain
        self._mempool = mempool
        self._key = key
        self._record = record
        self._clock = clock
        self._alerts = alerts
        self._accept_long_gap = accept_long_gap
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something waits for a block."""
        self._wake.set()

    def sign(self, slot: int, message: bytes) -> bytes:
        """A signature for the block of `slot`, once the slot is on disk in the signing record."""
        self._record.record_block(slot)
        return self._key.sign(message)

    def reveal(self, number: int) -> bytes:
        """This epoch's preimage. Raises Refused when the chain of them is used up."""
        try:
            return self._key.reveals.preimage(number)
        except ValueError as error:
            raise Refused("reveals_used_up", f"{error} No blocks are made; payments are kept.") from None

    def next_slot(self) -> int | None:
        """The slot of the next block: soon when something waits, else a heartbeat; None where no slot is led."""
        chain = self._chain
        first = max(chain.tip.slot, self._record.slot, 0) + 1
        now = chain.slots.slot_at(self._clock())
        if self._mempool.has_candidates(chain.state):
            slot = max(first, now)
            for candidate in range(slot, slot + _LOOK_AHEAD):
                if chain.leads(self.identity, candidate) is not None:
                    return candidate
            return None
        slot = max(first, now) - 1  # the slot that runs counts: its heartbeat is due now
        for _ in range(_LOOK_AHEAD):
            slot = chain.slots.next_heartbeat(slot)
            if chain.leads(self.identity, slot) is not None:
                return slot
        return None

    def clock_is_plausible(self) -> bool:
        """Whether blocks may be made by this clock; raises or clears the alerts that say otherwise."""
        chain, now = self._chain, self._clock()
        last = chain.slots.begins_ms(max(chain.tip.slot, self._record.slot, 0))
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

    async def run(self, make: Callable[[int], Awaitable[None]]) -> None:
        """Make blocks until cancelled."""
        failure = ""
        while True:
            self._wake.clear()
            if not self.clock_is_plausible():
                await self._sleep(_RETRY_S)
                continue
            slot = self.next_slot()
            if slot is None:
                await self._sleep(_LONGEST_SLEEP_S)
                continue
            wait_ms = self._chain.slots.begins_ms(slot) - self._clock()
            if wait_ms > 0:
                await self._sleep(wait_ms / 1000)
                continue
            try:
                await make(slot)
            except NexusError as error:
                _log.error("block of slot %d: %s", slot, error.message)
                self._alerts.put(error.code, "error", error.message, error.hint)
                failure = error.code
                await asyncio.sleep(_RETRY_S)
            else:
                self._alerts.clear(failure)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(min(seconds, _LONGEST_SLEEP_S)):
                await self._wake.wait()
        except TimeoutError:
            pass
