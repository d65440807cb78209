"""Finding nodes in the local network by multicast DNS (RFC 6762, 6763), with python-zeroconf.

A node says a random name, new at each start, and a port: nothing else, so that nobody is followed from network to
network. Termux may not receive multicast, so a phone cannot answer; but it can ask: a question from any port is
answered to that port (RFC 6762, 6.7). So who can, answers and listens; everybody may ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zeroconf import DNSIncoming, ServiceInfo  # type: ignore[attr-defined]
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

SERVICE = "_nexus._tcp.local."
GROUP, PORT = "224.0.0.251", 5353
ASK_SECONDS = 1.5
MAX_FOUND = 64
"""Places that one question may find, and that are remembered of what was heard."""
_RESOLVE_MS = 2_000

_log = logging.getLogger("nexus.mesh.discovery")

Found = Callable[[str, int], None]


def can_hear_multicast() -> bool:
    """Whether this system lets a program receive multicast. Android wants a lock that Termux does not take."""
    return sys.platform != "android" and "ANDROID_ROOT" not in os.environ


def own_addresses() -> list[str]:
    """Addresses of this device in local networks, best first; may be empty. Nothing is sent."""
    found: list[str] = []
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        # A UDP socket's own name tells which address the system would use; listing interfaces is refused on phones.
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            found.append(probe.getsockname()[0])
    return found


class Announcer:
    """Answers for this node and listens for others, where multicast is heard. `found` is called in the loop."""

    def __init__(self, port: int, found: Found, interfaces: Iterable[str] | None = None) -> None:
        """`interfaces` are addresses of the interfaces to use; None for those that the system uses by default."""
        self._port = port
        self._found = found
        self._interfaces = None if interfaces is None else list(interfaces)
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._own = ""
        self._heard: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> bool:
        """Whether it runs: a network that is down, or forbids it, is no reason to fail."""
        from zeroconf import InterfaceChoice, IPVersion, NonUniqueNameException, ServiceInfo
        from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

        addresses = self._interfaces or own_addresses()
        name = os.urandom(6).hex()
        self._own = f"{name}.{SERVICE}"
        info = ServiceInfo(
            SERVICE, self._own, port=self._port, parsed_addresses=addresses or None, server=f"{name}.local."
        )
        try:
            self._zeroconf = AsyncZeroconf(
                interfaces=self._interfaces or InterfaceChoice.Default, ip_version=IPVersion.V4Only
            )
            await self._zeroconf.async_register_service(info)
            self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE, handlers=[self._changed])
        except (TimeoutError, OSError, NonUniqueNameException) as error:
            _log.info("nodes of the local network are not looked for: %s", error)
            await self.close()
            return False
        return True

    async def close(self) -> None:
        """Say farewell and stop."""
        for task in self._tasks:
            task.cancel()
        if self._browser is not None:
            await self._browser.async_cancel()
        if self._zeroconf is not None:
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                await self._zeroconf.async_close()
        self._browser = self._zeroconf = None

    def _changed(self, zeroconf: object, service_type: str, name: str, state_change: object) -> None:
        from zeroconf import ServiceStateChange

        if state_change is ServiceStateChange.Removed:
            self._heard.discard(name)
        elif name != self._own and name not in self._heard and len(self._heard) < MAX_FOUND:
            self._heard.add(name)
            task = asyncio.create_task(self._resolve(name), name="mesh-discovery")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _resolve(self, name: str) -> None:
        from zeroconf.asyncio import AsyncServiceInfo

        if self._zeroconf is None:
            return
        info = AsyncServiceInfo(SERVICE, name)
        if await info.async_request(self._zeroconf.zeroconf, _RESOLVE_MS):
            for host in _hosts_of(info):
                self._found(host, info.port or 0)
        else:
            self._heard.discard(name)


def _hosts_of(info: ServiceInfo) -> list[str]:
    from zeroconf import IPVersion

    return [host for host in info.parsed_addresses(IPVersion.V4Only) if info.port][:4]


async def ask(seconds: float = ASK_SECONDS, target: tuple[str, int] = (GROUP, PORT)) -> list[tuple[str, int]]:
    """Ask the local network once, from any port: hosts and ports of the nodes that answer within `seconds`.

    Needs no multicast to be received. An empty list where the network is down.
    """
    loop = asyncio.get_running_loop()
    answers = _Answers()
    try:
        transport, _ = await loop.create_datagram_endpoint(lambda: answers, local_addr=("0.0.0.0", 0))
    except OSError as error:
        _log.info("the local network cannot be asked: %s", error)
        return []
    try:
        transport.sendto(_question(), target)
        await asyncio.sleep(seconds)
    except OSError as error:
        _log.info("the local network cannot be asked: %s", error)
    finally:
        transport.close()
    return list(answers.found)


def _question() -> bytes:
    from zeroconf import DNSOutgoing, DNSQuestion  # type: ignore[attr-defined]

    outgoing = DNSOutgoing(0)  # a query
    outgoing.add_question(DNSQuestion(SERVICE, 12, 1))  # PTR, IN
    packet: bytes = outgoing.packets()[0]
    return packet


class _Answers(asyncio.DatagramProtocol):
    """Collects host and port out of answers. An answer that is none is passed over."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, int], None] = {}

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        from zeroconf import DNSIncoming  # type: ignore[attr-defined]

        if len(data) <= 9_000 and len(self.found) < MAX_FOUND:
            message = DNSIncoming(data)
            if message.valid and message.is_response():
                self._read(message, addr[0])

    def error_received(self, exc: Exception) -> None:
        _log.debug("the local network answered with an error: %s", exc)

    def _read(self, message: DNSIncoming, sender: str) -> None:
        """The port is in SRV records. The host is whoever answered: nobody answers for another machine."""
        from zeroconf import DNSService  # type: ignore[attr-defined]

        for record in message.answers()[:32]:
            if isinstance(record, DNSService) and record.name.endswith(SERVICE) and 0 < record.port < 1 << 16:
                self.found[sender, record.port] = None
