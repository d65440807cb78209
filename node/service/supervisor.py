"""Word to the system that supervises a daemon: it is ready, it lives, it stops (systemd's sd_notify(3)).

One datagram a word, to the socket that the environment names; without one nothing is sent. A supervisor that does not
listen is no reason for a node to fail.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, MutableMapping

_log = logging.getLogger("nexus.run")


class Supervisor:
    """Made from the environment, which is cleared of it: a program started from here is not the one that is meant."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        place = environment.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + place[1:] if place.startswith("@") else place if place.startswith("/") else ""
        self._every_s = _watchdog_s(environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", ""))

    @property
    def watches(self) -> bool:
        """Whether signs of life are wanted."""
        return bool(self._address) and self._every_s is not None

    def tell(self, *words: str) -> bool:
        """Send words like "READY=1"; whether they left. Never waits."""
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.setblocking(False)
                out.sendto("\n".join(words).encode("utf-8", "replace"), self._address)
        except OSError as error:
            _log.warning("the supervisor was not reached: %s", error.strerror or error)
            return False
        return True

    async def live(self, state: Callable[[], str]) -> None:
        """Give signs of life as often as they are wanted, with a line for people, until cancelled."""
        while self._address and self._every_s is not None:
            self.tell("WATCHDOG=1", f"STATUS={state()}")
            await asyncio.sleep(self._every_s)


def _watchdog_s(microseconds: str, process: str) -> float | None:
    """Half of the time after which this process is taken for dead; None where nobody watches it."""
    if not (microseconds.isascii() and microseconds.isdecimal() and len(microseconds) < 19 and int(microseconds)):
        return None
    if process and process != str(os.getpid()):
        return None
    return max(int(microseconds) / 2_000_000, 0.01)
