"""What happens around a node: the device slept, or came into another network.

Neither is told to a program in Termux; both show. After a sleep much more time has passed than was waited for; another
network gives other addresses, of which the system tells one by a socket that sends nothing (interfaces cannot be listed
on phones, research/mesh-and-messengers.md, 4.4).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from node.mesh.protocol.limits import SILENCE_MS

LOOK_S = 5.0

_log = logging.getLogger("nexus.mesh")


class Owner(Protocol):
    """Who is told."""

    def slept(self, passed_ms: int) -> None:
        """So much time passed unnoticed: peers have given this node up."""

    def moved(self, addresses: frozenset[str]) -> None:
        """The device has other addresses now; none: it is in no network."""


class Surroundings:
    """`addresses` are those of this device, `elapsed` counts sleep."""

    def __init__(self, owner: Owner, addresses: Callable[[], list[str]], elapsed: Callable[[], int]) -> None:
        self._owner = owner
        self._find = addresses
        self._elapsed = elapsed
        self._at = elapsed()
        self.addresses = frozenset(addresses())

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """See what is different since the last look."""
        at = self._elapsed()
        passed, self._at = at - self._at, at
        if passed >= SILENCE_MS:
            _log.info("this device slept for %d s", passed // 1_000)
            self._owner.slept(passed)
        found = frozenset(self._find())
        if found != self.addresses:
            _log.info("this device has other addresses now: %s", " ".join(sorted(found)) or "none")
            self.addresses = found
            self._owner.moved(found)
