"""A link to one peer: TLS with both sides known, frames both ways, bounded in all (protocol section 10).

The certificate is judged before a byte is read. The first frame of each side is its greeting; until it came the link
is not believed, since in TLS 1.3 the side that opens it has finished before the other has judged. What comes in waits
for whoever reads; beyond a mark nothing more is read from the network. What goes out waits by class; beyond a mark it
is not taken, and a peer that reads nothing for long is given up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from node.mesh.certificate import CertificateError, judge, sent_certificates
from node.mesh.protocol.frames import HEAD_SIZE, Frame, FrameDecoder, FrameError, FrameLimit, frame_head
from node.mesh.protocol.limits import CONTROL, MAX_HELLO
from node.mesh.protocol.messages import HELLO
from node.mesh.sending import SendQueue, Waiting
from node.mesh.traffic import Traffic

_FRAME_COST = 100  # bytes of memory beside its body
_CLOSE_S = 2.0
_NOT_SENT = 64 << 10

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """What one link may hold (bytes) and how long it may wait (seconds).

    `budgets` are those of the send queue's classes, `waiting` that of all links of a node together. `stall_s`: how long
    a peer may take nothing while things wait; `unheard_s`: how long its system may confirm nothing of what was sent.
    """

    connect_s: float = 10.0
    proxy_s: float = 60.0
    handshake_s: float = 10.0
    hello_s: float = 10.0
    stall_s: float = 60.0
    unheard_s: float = 15.0
    unread: int = 256 << 10
    write_buffer: int = 64 << 10
    budgets: tuple[int, ...] = (64 << 10, 8 << 20, 2 << 20, 2 << 20, 1 << 20)
    waiting: int = 8 << 20


class LinkError(Exception):
    """A link that did not come about or has ended. `code` is for programs, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def again(self) -> LinkError:
        """To be raised: what is raised holds the frames it went through, and they the link that would hold it."""
        return LinkError(self.code, self.message)


def _tune(connection: socket.socket, unheard_s: float) -> None:
    """Let the system send at once (asyncio does not see that what a listener accepted is TCP, and an answer waited
    40 ms for others to be confirmed) and buffer little, so that what is urgent is not behind megabytes of what is not;
    and give up a peer that confirms nothing, where it would go on sending into a parted network, ever more rarely, for
    a quarter of an hour. Options that a system does not have are left alone."""
    wanted = {"TCP_NODELAY": 1, "TCP_NOTSENT_LOWAT": _NOT_SENT, "TCP_USER_TIMEOUT": int(unheard_s * 1000)}
    for name, value in wanted.items():
        if hasattr(socket, name):
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _greeting_limit(kind: int) -> int | None:
    return MAX_HELLO if kind == HELLO else None


class Link(asyncio.Protocol):
    """One link. `peer` is the node's id and `hello` its greeting, both there once the link was handed out.

    `inbound` says who opened it, `host` and `port` where the peer is. With a `relay` (its node id) the link runs over a
    circuit, and `host` is where the relay is. `bytes_in` and `bytes_out` count frames, without what TLS adds. Use it
    from the loop's thread only.
    """

    def __init__(
        self,
        own: bytes,
        expected: bytes | None,
        inbound: bool,
        greeting: bytes,
        limit: FrameLimit,
        limits: LinkLimits,
        lost: Callable[[Link], None],
        traffic: Traffic | None = None,
        waiting: Waiting | None = None,
        hears: FrameLimit | None = None,
    ) -> None:
        """`limit` bounds the frames that are sent, and those that come as well unless `hears` does."""
        if len(greeting) > MAX_HELLO:
            raise ValueError(f"a greeting has at most {MAX_HELLO:,} bytes")
        self.peer = b""
        self.hello = b""
        self.inbound = inbound
        self.host, self.port, self.relay = "", 0, b""
        self.own_host = ""
        """The address of this device that the link uses; empty where it has none, as on a circuit."""
        self.bytes_in = self.bytes_out = 0
        self.fault: LinkError | None = None
        """Why the link has ended, or is ending."""
        self._own, self._expected, self._greeting = own, expected, greeting
        self._limit, self._hears, self._limits, self._lost = limit, hears or limit, limits, lost
        self._traffic = traffic or Traffic()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._decoder = FrameDecoder(_greeting_limit)
        self._greeted, self._arrived, self._gone = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._coming: deque[Iterator[Frame]] = deque()
        self._inbox: list[Frame] = []
        self._unread = 0
        self._queue = SendQueue(limits.budgets, waiting or Waiting(limits.waiting))
        self._flushing = self._paused = self._held_up = self._closing = False
        self._drained = asyncio.Event()
        self._drained.set()
        self._stall: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        way = "from" if self.inbound else "at"
        where = f"via {self.relay.hex()[:16]}" if self.relay else f"{self.host} {self.port}"
        return f"Link({self.peer.hex()[:16]} {way} {where})"

    @property
    def open(self) -> bool:
        """Whether frames can still be sent."""
        return self._transport is not None and self.fault is None and not self._closing

    @property
    def ended(self) -> bool:
        """Whether nothing is left of the link."""
        return self._gone.is_set()

    @property
    def queued(self) -> int:
        """Bytes that wait to be sent."""
        return self._queue.size

    async def greeted(self) -> None:
        """Wait for the peer's greeting. Raises LinkError when the link ends before it is used."""
        await self._greeted.wait()
        if self.fault is not None and not self._inbox:
            raise self.fault.again()

    async def receive(self) -> list[Frame]:
        """All frames that came since the last call; waits for one. Raises LinkError at the end, after the last frame.

        For one reader. As long as nobody calls, the peer is held up.
        """
        while not self._inbox:
            self._cut()
            if self._inbox:
                break
            if self.fault is not None:
                raise self.fault.again()
            self._read_on()
            self._arrived.clear()
            await self._arrived.wait()
        frames, self._inbox, self._unread = self._inbox, [], 0
        self._read_on()
        return frames

    def send(self, kind: int, body: bytes, urgency: int) -> bool:
        """Let a frame wait for its turn; whether it was taken. It never waits itself.

        False: the link has ended, or the peer takes things too slowly for this class (for the most urgent class that
        ends the link). Raises ValueError for a frame that breaks the limits which hold for both sides.
        """
        limit = self._limit(kind)
        if limit is None or len(body) > limit:
            raise ValueError(f"a frame of type {kind} with {len(body):,} bytes; allowed are {limit}")
        if not self.open:
            return False
        if not self._queue.add(urgency, frame_head(kind, len(body)), body):
            if urgency == CONTROL:
                self.abort("overflow", "The peer does not take even what is most urgent.")
            return False
        self._traffic.count_sent(kind, len(body))
        self._drained.clear()
        if not self._flushing and not self._paused:
            self._flushing = True
            self._loop.call_soon(self._flush)
        return True

    async def drain(self, timeout_s: float) -> None:
        """Wait until all that was sent is with the system. Raises TimeoutError, and LinkError when the link ends."""
        async with asyncio.timeout(timeout_s):
            await self._drained.wait()
        if self.fault is not None:
            raise self.fault.again()

    async def close(self, timeout_s: float = _CLOSE_S) -> None:
        """Send what waits, close, and wait for the end; after `timeout_s` it is cut."""
        if self._transport is None:
            return
        self._closing = True
        try:
            async with asyncio.timeout(timeout_s):
                await self._drained.wait()
                self._end("closed_here", "The link was closed.")
                self._transport.close()
                await self._gone.wait()
        except TimeoutError:
            pass
        finally:
            self.abort("closed_here", "The link was closed.")
        await self._gone.wait()

    def abort(self, code: str, message: str) -> None:
        """Cut the link now; what waits is lost. The first reason counts."""
        self._end(code, message)
        if self._transport is not None and not self._gone.is_set():
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the link has ended."""
        await self._gone.wait()

    def _end(self, code: str, message: str) -> None:
        if self.fault is None:
            self.fault = LinkError(code, message)
            for waited in (self._greeted, self._arrived, self._drained):
                waited.set()
            log.debug("%r ends: %s: %s", self, code, message)

    def _flush(self) -> None:
        self._flushing = False
        if self.fault is not None or self._transport is None:
            return
        while self._queue and not self._paused:
            data = b"".join(self._queue.take(self._limits.write_buffer))
            self.bytes_out += len(data)
            self._transport.write(data)
        if not self._queue and not self._paused:
            self._drained.set()

    def _cut(self) -> None:
        """Cut what has come into frames, up to as many as may wait; a flood of tiny ones stays the bytes it was."""
        try:
            while self._coming and self._unread <= self._limits.unread:
                frame = next(self._coming[0], None)
                if frame is None:
                    self._coming.popleft()
                elif self._greeted.is_set():
                    self._inbox.append(frame)
                    self._unread += _FRAME_COST + len(frame[1])
                    self._traffic.count_received(frame[0], len(frame[1]))
                else:
                    self.hello = frame[1]
                    self._traffic.count_received(HELLO, len(frame[1]))
                    self._decoder.limit = self._hears
                    self._greeted.set()
        except FrameError as error:
            self._coming.clear()
            self.abort(error.code, str(error))
        if self._inbox:
            self._arrived.set()

    def _read_on(self) -> None:
        """Read from the network again once all that came before is cut."""
        if self._held_up and not self._coming and self.fault is None and self._transport is not None:
            self._held_up = False
            self._transport.resume_reading()

    def _stalled(self) -> None:
        self.abort("stalled", "The peer has taken nothing for too long.")

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is up: judge the peer, then greet it."""
        self._transport = cast(asyncio.Transport, transport)
        if self.fault is not None:  # given up during the handshake
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(self._limits.write_buffer)
        if not self.relay:
            self.host, self.port = (transport.get_extra_info("peername") or ("", 0))[:2]
            self.own_host = (transport.get_extra_info("sockname") or ("",))[0]
        _tune(transport.get_extra_info("socket"), self._limits.unheard_s)
        connection: ssl.SSLObject = transport.get_extra_info("ssl_object")
        try:
            self.peer = judge(sent_certificates(connection), self._own, self._expected)
        except CertificateError as error:
            self.abort(error.code, str(error))
            return
        self.bytes_out += HEAD_SIZE + len(self._greeting)
        self._traffic.count_sent(HELLO, len(self._greeting))
        self._transport.write(frame_head(HELLO, len(self._greeting)) + self._greeting)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self.fault is not None:
            return
        self.bytes_in += len(data)
        self._coming.append(self._decoder.feed(data))
        self._cut()
        if self._coming and not self._held_up and self._transport is not None:
            self._held_up = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """The system takes no more for now."""
        self._paused = True
        self._drained.clear()
        self._stall = self._loop.call_later(self._limits.stall_s, self._stalled)

    def resume_writing(self) -> None:
        """It takes more again."""
        self._paused = False
        if self._stall is not None:
            self._stall.cancel()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        """The end, whoever made it."""
        if self._decoder.unfinished:
            self._end("cut", "The peer closed the link in the middle of a frame.")
        elif isinstance(error, ssl.SSLError):
            self._end("tls_failed", f"The peer ended the link: {error.reason or error}")
        elif error is not None:
            self._end("lost", f"The link broke: {error}")
        else:
            self._end("closed", "The peer closed the link.")
        if self._stall is not None:
            self._stall.cancel()
        self._queue.clear()
        self._gone.set()
        self._lost(self)
