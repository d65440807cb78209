"""A sparing node: it sleeps between looks where data costs, and keeps to its owner's megabytes a day.

On metered data a node of mode phone makes its links, catches up, and ends them again when nothing is awaited; it looks
again after some minutes, when its owner pays, or when somebody opens the app. Near the day's bound any node with one
does so, and asks for no transactions of others; at the bound it sleeps until the next day, and wakes only to hand over
its owner's payments (protocol section 10; research/mesh-and-messengers.md, 4.3: radio is nearly all that a phone pays).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from node.api.records import SparingView
from node.mesh.protocol.allowance import PLENTY, SPENT, WANTED, Allowance
from node.mesh.protocol.hello import SPARING
from node.service.metered import asks_system

if TYPE_CHECKING:
    from node.service.mesh import Mesh

TICK_S = 2.0
SETTLED_MS = 6_000
"""A link is so old before what it did not name counts as not missing."""
ALONE_MS = 60_000
"""Who reaches nobody for so long sleeps too: calling on costs."""
_ASK_S = 300.0
_MEGABYTE = 1_000_000
_TLS_PERCENT = 105
"""What TLS and TCP add to frames, about."""

_log = logging.getLogger("nexus.mesh")


def local_day(now_ms: int) -> int:
    """The day, by the calendar of who uses this device."""
    return datetime.fromtimestamp(now_ms // 1000).toordinal()


def next_day_ms(now_ms: int) -> int:
    """When the next one begins."""
    today = datetime.fromtimestamp(now_ms // 1000)
    midnight = (today + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return int(midnight.timestamp() * 1000)


class Thrift:
    """Belongs to a `Mesh`. `asleep` is looked at by whoever makes or takes links."""

    def __init__(self, mesh: Mesh, day: int, used: int) -> None:
        """`day` and `used` are what the last run counted."""
        settings = mesh.settings
        self.allowance = Allowance(settings.day_megabytes * _MEGABYTE, day, used)
        self.asleep = False
        self.next_look_ms: int | None = None
        """By the clock; None for an awake node."""
        self.metered: bool | None = {"yes": True, "no": False}.get(settings.metered)
        self._mesh = mesh
        self._awake_since = mesh.now_ms()
        self._asks = settings.metered == "auto" and settings.phone
        self._changed = asyncio.Event()
        self._was = PLENTY
        if settings.phone:
            mesh.gossip.services |= SPARING
            mesh.gossip.machine.sparing = True

    async def run(self) -> None:
        """Watch until cancelled; a node that need not spare does nothing."""
        settings = self._mesh.settings
        if not settings.phone and not self.allowance.limit:
            return
        due = 0.0
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            if self._asks and loop.time() >= due:
                self.metered = await asks_system()
                due = loop.time() + _ASK_S
            self.tick()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._changed.wait()

    def moved(self) -> None:
        """This device is in another network: ask anew whether data costs there, and look."""
        if self._asks:
            self.metered = None
        self.wake()

    def wake(self) -> None:
        """Somebody looks, or pays: make links now, unless nothing may be used any more and nothing is to be sent."""
        if self.asleep and (self.allowance.state != SPENT or self._to_hand_over()):
            self._rest(False)
            self.next_look_ms = None
            self._mesh.links_changed()
            self._mesh.dialling.wake()
        self._awake_since = self._mesh.now_ms()
        self._changed.set()

    def count(self) -> None:
        """Take note of what passed until now."""
        mesh = self._mesh
        passed = mesh.traffic.bytes_received + mesh.traffic.bytes_sent
        self.allowance.count(passed * _TLS_PERCENT // 100, local_day(mesh.clock()))

    def tick(self) -> None:
        """Count, and go to sleep or wake up if it is time."""
        self.count()
        now = self._mesh.clock()
        self._heed(now)
        if self.asleep:
            if self.next_look_ms is not None and self.next_look_ms <= now:
                self.wake()
        elif self._may_sleep() and self._has_done():
            self._sleep(now)

    def _heed(self, now: int) -> None:
        """Do and say what the day's bound wants."""
        state = self.allowance.state
        machine = self._mesh.gossip.machine
        machine.wanted = WANTED[state]
        if state == self._was:
            return
        if self._was == SPENT and self.asleep:
            self.next_look_ms = now
        self._was = state
        used, limit = self.allowance.used // _MEGABYTE, self.allowance.limit // _MEGABYTE
        alerts = self._mesh.node.alerts
        if state == PLENTY:
            alerts.clear("data_bound")
        elif state == SPENT:
            alerts.put(
                "data_bound",
                "warning",
                f"The {limit} MB that this node may use a day are used up: it sleeps until tomorrow. Your own payments "
                "are still sent, but what others do is not seen.",
                "To allow more: nexus config set mesh.day_megabytes NUMBER, and start the node again.",
            )
        else:
            alerts.put(
                "data_bound",
                "info",
                f"{used} of the {limit} MB that this node may use a day are used: it spares the rest of them.",
                "To allow more: nexus config set mesh.day_megabytes NUMBER, and start the node again.",
            )

    # -- sleep ----------------------------------------------------------------------------------------------------

    def _may_sleep(self) -> bool:
        """Whether links are to be ended when all is done. A validator is awaited by others as long as data is left."""
        if self.allowance.state == SPENT:
            return True
        if self._mesh.node.producer is not None:
            return False
        return self.allowance.state != PLENTY or (self._mesh.settings.phone and self.metered is True)

    def _has_done(self) -> bool:
        """Whether nothing is awaited."""
        mesh, now = self._mesh, self._mesh.now_ms()
        awake = now - self._awake_since
        if self._to_hand_over() and (mesh.peers or awake < ALONE_MS):
            return False
        if self.allowance.state == SPENT:
            return True
        if not mesh.peers:
            return awake >= ALONE_MS
        settled = any(now - peer.since_ms >= SETTLED_MS for peer in mesh.peers.values()) and awake >= SETTLED_MS
        return settled and not mesh.gossip.busy and not mesh.node.own_waiting()

    def _to_hand_over(self) -> bool:
        """Whether the owner's payments are here that no peer has asked for yet."""
        given = self._mesh.gossip.host.given
        return any(item.wid not in given for item in self._mesh.node.own_waiting())

    def _sleep(self, now: int) -> None:
        spent = self.allowance.state == SPENT
        self._rest(True)
        self.next_look_ms = next_day_ms(now) if spent else now + self._mesh.settings.look_minutes * 60_000
        _log.info("sleeping, %s", "the day's data is used up" if spent else "data is metered and nothing is awaited")
        self._mesh.end_all("sleeping", "The node sleeps between looks, to spare data.")

    def _rest(self, asleep: bool) -> None:
        self.asleep = asleep
        if (producer := self._mesh.node.producer) is not None:
            producer.resting = asleep
            producer.wake()

    def shift(self, by_ms: int) -> None:
        """The clock was set."""
        if self.next_look_ms is not None:
            self.next_look_ms += by_ms

    def view(self) -> SparingView | None:
        """What is shown of it; None for a node that need not spare."""
        settings, allowance = self._mesh.settings, self.allowance
        if not settings.phone and not allowance.limit:
            return None
        return SparingView(
            self.metered, self.asleep, self.next_look_ms, allowance.used, allowance.limit, allowance.state
        )
