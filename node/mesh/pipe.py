"""The end of a circuit as a socket, so that a link over it is made as over any other: one end of a socket pair is the
link's, what goes in and out at the other is the circuit's (protocol section 10)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from node.mesh.protocol.limits import CIRCUIT_WINDOW

_BUFFER = 64 << 10


class Pipe(asyncio.Protocol):
    """The circuit's end of the pair. Use it from the loop's thread only."""

    def __init__(self, write: Callable[[bytes], int], took: Callable[[bytes], None], over: Callable[[], None]) -> None:
        """`write` sends bytes on the circuit and tells how many it took, `took` is told what has gone on to the link,
        and `over` once the link has ended and all of it is sent."""
        self._write, self._took, self._over = write, took, over
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._held: list[bytes] | None = None  # what came while the link was not reading
        self._lost = self._ended = False

    async def open(self) -> socket.socket:
        """The link's end. Nothing happens before that."""
        near, far = socket.socketpair()
        for end in (near, far):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, sock=near)
        except BaseException:
            near.close()
            far.close()
            raise
        if self._ended and self._transport is not None:
            self._transport.close()
        return far

    def came(self, data: bytes) -> None:
        """Bytes came on the circuit."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        if self._held is None:
            self._took(data)
        else:
            self._held.append(data)

    def room(self) -> None:
        """The circuit takes more again."""
        if self._rest:
            self._send(b"")

    def end(self) -> None:
        """The circuit is over: the link reads what came, and then the end."""
        self._ended = True
        self._rest = b""
        if self._transport is not None:
            self._transport.close()

    def _send(self, data: bytes) -> None:
        data = self._rest + data
        self._rest = data[self._write(data) :]
        if self._transport is not None and not self._lost:
            if self._rest:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()
        elif not self._rest:
            self._over()

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The pair is there."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(CIRCUIT_WINDOW // 2)

    def data_received(self, data: bytes) -> None:
        """The link sends."""
        if not self._ended:
            self._send(data)

    def pause_writing(self) -> None:
        """The link does not read."""
        self._held = []

    def resume_writing(self) -> None:
        """It does again."""
        held, self._held = self._held or [], None
        for data in held:
            self._took(data)

    def connection_lost(self, error: Exception | None) -> None:
        """The link has ended, or the circuit has."""
        self._lost = True
        if not self._rest:
            self._over()
