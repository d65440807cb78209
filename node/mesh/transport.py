"""Opening and taking links (protocol section 10; limits from research/mesh-and-messengers.md, section 5.5).

Whoever connects costs nothing until they were counted: the accept loop reads addresses, refuses what is too much and
begins TLS for few at a time. A handshake or a greeting that does not come in time is cut; when all places for
beginners are taken, the oldest of them makes room, so that nobody can hold the door shut by being slow.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from asyncio import sslproto
from collections.abc import Callable, Iterator, Sequence

from node.api.errors import Refused, UsageError
from node.mesh.admission import Admission, AdmissionLimits
from node.mesh.certificate import Credentials
from node.mesh.link import Link, LinkError, LinkLimits
from node.mesh.protocol.frames import FrameLimit
from node.mesh.proxy import check_proxy, dial_through
from node.mesh.sending import Waiting
from node.mesh.traffic import Traffic

EVERYWHERE = ("0.0.0.0", "::")
PORT_TRIES = 32
HALF_OPEN = 32
HALF_OPEN_S = 2.0
"""A beginner may be turned out for another after so long."""
_DIAL_S = 4.0
"""For one address of a host that may have several."""
_BACKLOG = 128
_BATCH = 32
_NO_FILES_S = 1.0
_SHUTDOWN_S = 1.0

sslproto.SSLProtocol.max_size = 64 << 10
"""asyncio keeps a buffer of that size for each link, and has 256 kB of its own accord: 13 MB with fifty peers."""

log = logging.getLogger(__name__)


class Transport:
    """All links of one node. `greeting` gives the bytes of its hello for each link, `limit` the sizes of frames.

    With a `proxy` (`socks5://HOST:PORT`) every link that this node opens goes through it. `hears` bounds what comes
    where that is less than what is sent.
    """

    def __init__(
        self,
        credentials: Credentials,
        greeting: Callable[[], bytes],
        limit: FrameLimit,
        limits: LinkLimits | None = None,
        admission: AdmissionLimits | None = None,
        proxy: str | None = None,
        hears: FrameLimit | None = None,
    ) -> None:
        self._credentials = credentials
        self._greeting = greeting
        self._limit, self._hears = limit, hears
        self._limits = limits or LinkLimits()
        self._admission = Admission(admission or AdmissionLimits())
        self._proxy = None if proxy is None else check_proxy(proxy)
        self._listeners: list[socket.socket] = []
        self._beginners: dict[asyncio.Task[None], float] = {}  # the oldest first
        self._inbound: set[asyncio.Task[None]] = set()
        self._links: set[Link] = set()
        self._closed = False
        self.refused = 0
        """Connections that were not let in."""
        self.traffic = Traffic()
        self._waiting = Waiting(self._limits.waiting)

    @property
    def links(self) -> int:
        """Links whose peer is known, also those whose greeting is waited for."""
        return len(self._links)

    @property
    def half_open(self) -> int:
        """Inbound connections whose other side has not shown who it is."""
        return len(self._beginners)

    async def connect(self, host: str, port: int, expected: bytes | None = None) -> Link:
        """A link to the node that answers there, which must be `expected` if that is given.

        Raises LinkError: unreachable, proxy_down, timeout, tls_failed, a code of `judge`, no_hello, or why the peer
        closed.
        """
        if self._closed:
            raise LinkError("closed_here", "The node stops.")
        link = self._new_link(expected, False)
        with _attempt(link, f"{host} port {port}"):
            if self._proxy is not None:
                connection = await dial_through(self._proxy, host, port, self._limits.proxy_s)
            else:
                async with asyncio.timeout(self._limits.connect_s):
                    connection = await _dial(host, port)
            await self._secure(link, connection, server=False)
            await self._greeted(link)
        return link

    async def connect_over(self, circuit: socket.socket, expected: bytes, relay: bytes, host: str) -> Link:
        """A link to `expected` over a circuit whose bytes a socket carries, made by `relay` at `host`.

        The socket is the link's, or closed. Raises LinkError.
        """
        link = self._new_link(expected, False, relay, host)
        with _attempt(link, "the other end of a circuit"):
            await self._secure(link, circuit, server=False)
            await self._greeted(link)
        return link

    def take_over(
        self, circuit: socket.socket, expected: bytes, relay: bytes, host: str, accept: Callable[[Link], None]
    ) -> bool:
        """Take a link over a circuit, as `listen` does from outside; whether it may try. It is counted as one from the
        relay's host, whoever is behind it, and must be `expected`. The socket is the link's, or closed."""
        return self._admit(circuit, host, lambda: self._new_link(expected, True, relay, host), accept)

    async def listen(
        self, hosts: Sequence[str], port: int, accept: Callable[[Link], None], tries: int = PORT_TRIES
    ) -> int:
        """Take links on these addresses and one port, the first free one from `port` on (0: any); the port.

        `accept` is given each link once it is believed, and owns it then. Raises Refused or UsageError.
        """
        listeners, taken = _bound(hosts, port, tries)
        loop = asyncio.get_running_loop()
        for listener in listeners:
            loop.add_reader(listener, self._readable, listener, accept)
        self._listeners += listeners
        return taken

    async def close(self, timeout_s: float = 2.0) -> None:
        """Stop listening and end all links, politely for so long."""
        self._closed = True
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.remove_reader(listener)
            listener.close()
        self._listeners.clear()
        await asyncio.sleep(0)  # a task that has not begun would not clean up
        for task in self._beginners:
            task.cancel()
        await asyncio.gather(*(link.close(timeout_s) for link in tuple(self._links)))
        await asyncio.gather(*self._inbound, return_exceptions=True)

    def _new_link(self, expected: bytes | None, inbound: bool, relay: bytes = b"", host: str = "") -> Link:
        link = Link(
            self._credentials.node,
            expected,
            inbound,
            self._greeting(),
            self._limit,
            self._limits,
            self._links.discard,
            None if relay else self.traffic,  # what a circuit carries is counted on the relay's link
            self._waiting,
            self._hears,
        )
        link.relay, link.host = relay, host
        return link

    async def _secure(self, link: Link, connection: socket.socket, server: bool) -> None:
        """Do the TLS handshake; the connection is the link's then, or closed."""
        loop = asyncio.get_running_loop()
        handshake_s = self._limits.handshake_s
        try:
            if server:
                await loop.connect_accepted_socket(
                    lambda: link,
                    connection,
                    ssl=self._credentials.server,
                    ssl_handshake_timeout=handshake_s,
                    ssl_shutdown_timeout=_SHUTDOWN_S,
                )
            else:
                await loop.create_connection(
                    lambda: link,
                    sock=connection,
                    ssl=self._credentials.client,
                    server_hostname="",
                    ssl_handshake_timeout=handshake_s,
                    ssl_shutdown_timeout=_SHUTDOWN_S,
                )
        except BaseException:
            # asyncio forgets to close a connection that is given up before the handshake has begun.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            raise

    async def _greeted(self, link: Link) -> None:
        if not link.ended:
            self._links.add(link)
        try:
            async with asyncio.timeout(self._limits.hello_s):
                await link.greeted()
        except TimeoutError:
            link.abort("no_hello", "The peer did not say hello in time.")
            assert link.fault is not None
            raise link.fault.again() from None
        if self._closed:
            raise LinkError("closed_here", "The node stops.")

    # The accept loop.

    def _readable(self, listener: socket.socket, accept: Callable[[Link], None]) -> None:
        """Take a few of those who wait; the loop comes back for the rest after others had their turn."""
        for _ in range(_BATCH):
            try:
                connection, remote = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("no link can be taken for %.0f s: %s", _NO_FILES_S, error.strerror)
                loop = asyncio.get_running_loop()
                loop.remove_reader(listener)
                loop.call_later(_NO_FILES_S, self._listen_again, listener, accept)
                return
            connection.setblocking(False)
            self._admit(connection, remote[0], lambda: self._new_link(None, True), accept)

    def _listen_again(self, listener: socket.socket, accept: Callable[[Link], None]) -> None:
        if not self._closed:
            asyncio.get_running_loop().add_reader(listener, self._readable, listener, accept)

    def _admit(
        self, connection: socket.socket, host: str, make: Callable[[], Link], accept: Callable[[Link], None]
    ) -> bool:
        loop = asyncio.get_running_loop()
        now = loop.time()
        reason = self._admission.enter(host, now)
        if reason is None and len(self._beginners) >= HALF_OPEN and not self._make_room(now):
            self._admission.leave(host)
            reason = "busy"
        if reason is not None:
            self.refused += 1
            log.debug("refused a connection from %s: %s", host, reason)
            connection.close()
            return False
        task = loop.create_task(self._take(connection, host, make, accept))
        self._beginners[task] = now
        self._inbound.add(task)
        task.add_done_callback(self._inbound.discard)
        return True

    def _make_room(self, now: float) -> bool:
        task, since = next(iter(self._beginners.items()))
        if now - since < HALF_OPEN_S:
            return False
        del self._beginners[task]
        task.cancel()
        return True

    async def _take(
        self, connection: socket.socket, host: str, make: Callable[[], Link], accept: Callable[[Link], None]
    ) -> None:
        """One inbound link from TLS to its end."""
        task = asyncio.current_task()
        assert task is not None
        link = make()
        try:
            await self._secure(link, connection, server=True)
            await self._greeted(link)
            self._beginners.pop(task, None)
            accept(link)
            await link.wait_closed()
        except (LinkError, OSError) as error:
            log.debug("no link with %s: %s", host, error)
        finally:
            self._beginners.pop(task, None)
            link.abort("cancelled", "The node made room for another, or stops.")
            self._admission.leave(host)


async def _dial(host: str, port: int) -> socket.socket:
    """A connection to the first of the host's addresses that answers."""
    # Not `create_connection`: given up while it tries several addresses, it loses a socket (Python 3.11 to 3.13).
    loop = asyncio.get_running_loop()
    failure: OSError | None = None
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.setblocking(False)
            async with asyncio.timeout(_DIAL_S):
                await loop.sock_connect(connection, address)
            return connection
        except OSError as error:  # a TimeoutError is one
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
    raise failure or OSError("the name has no address")


@contextlib.contextmanager
def _attempt(link: Link, place: str) -> Iterator[None]:
    """Give a link up where it does not come about, and say what went wrong."""
    try:
        yield
    except (LinkError, OSError) as error:
        link.abort("cancelled", "The attempt was given up.")
        raise _failure(error, place) from None
    except BaseException:
        link.abort("cancelled", "The attempt was given up.")
        raise


def _failure(error: LinkError | OSError, place: str) -> LinkError:
    """What went wrong with an attempt, for people."""
    if isinstance(error, LinkError):
        return error
    if isinstance(error, TimeoutError):
        return LinkError("timeout", f"Nothing answered in time at {place}.")
    if isinstance(error, ConnectionAbortedError | ConnectionResetError | ssl.SSLError):
        return LinkError("tls_failed", f"What answers at {place} is no node of this mesh, or it closed: {error}.")
    return LinkError("unreachable", f"{place} cannot be reached: {error.strerror or error}.")


def _bound(hosts: Sequence[str], port: int, tries: int) -> tuple[list[socket.socket], int]:
    """Sockets that listen on the first port that is free on all these addresses, and that port."""
    last = min(port + tries, 1 << 16) if port else 1
    for candidate in range(port, last):
        try:
            found = _bind_all(hosts, candidate)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            raise UsageError(
                "cannot_listen",
                f"The node cannot listen on {' and '.join(hosts)}, port {candidate}: {error.strerror or error}.",
                "Choose an address of this device, and a port from 1024 on.",
            ) from error
        return found, found[0].getsockname()[1]
    raise Refused(
        "port_taken",
        f"Other programs have the ports {port} to {last - 1}. The node takes no links from outside.",
        "Stop one of them, or choose another port.",
    )


def _bind_all(hosts: Sequence[str], port: int) -> list[socket.socket]:
    found: list[socket.socket] = []
    try:
        for host in hosts:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                bound = socket.socket(family, socket.SOCK_STREAM)
            except OSError:
                if host == "::" and found:  # a system without IPv6
                    continue
                raise
            found.append(bound)
            bound.setblocking(False)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                bound.bind((host, port))
            except OSError as error:
                if host != "::" or len(found) == 1 or error.errno != errno.EADDRNOTAVAIL:
                    raise
                found.pop().close()
                continue
            port = bound.getsockname()[1]
        for bound in found:
            bound.listen(_BACKLOG)  # only now two nodes that start at once learn that they chose the same port
    except BaseException:
        for bound in found:
            bound.close()
        raise
    return found
