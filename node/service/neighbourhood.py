"""Finding nodes in the local network for as long as a node runs: answering and listening, or asking now and then.

Who cannot hear multicast (a phone), or listens nowhere, asks; so does everybody in a network just entered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from node.mesh.discovery import Announcer, ask, can_hear_multicast

AGAIN_S = 120.0


class Neighbourhood:
    """`found` is told of places, `wants` says whether more of them are of use."""

    def __init__(
        self, found: Callable[[str, int], None], wants: Callable[[], bool], interfaces: tuple[str, ...] | None
    ) -> None:
        self._found = found
        self._wants = wants
        self._interfaces = interfaces
        self._renewed = asyncio.Event()
        self.listens: bool | None = None
        """Whether nodes nearby are heard without asking; None before that is known."""
        self.places: set[tuple[str, int]] = set()
        """What was found since the network was entered."""

    def renew(self) -> None:
        """This device is in another network."""
        self._renewed.set()

    async def run(self, port: int) -> None:
        """Look until cancelled. `port` is where this node listens, 0 for nowhere."""
        while True:
            self._renewed.clear()
            self.places.clear()
            if port and can_hear_multicast():
                await self._announce(port)
            else:
                await self._ask_on()

    async def _announce(self, port: int) -> None:
        announcer = Announcer(port, self._note, self._interfaces)
        try:
            self.listens = await announcer.start()
            await self._renewed.wait()
        finally:
            await announcer.close()

    async def _ask_on(self) -> None:
        self.listens = False
        while not self._renewed.is_set():
            if self._wants():
                for host, port in await ask():
                    self._note(host, port)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S):
                    await self._renewed.wait()

    def _note(self, host: str, port: int) -> None:
        self.places.add((host, port))
        self._found(host, port)
