"""Prometheus reads a node's measurements over HTTP: `GET /metrics`, and nothing else.

A visitor costs little: few at a time, a small request within a few seconds, one answer, and the connection is closed.
It listens on the loopback address unless the owner names another one.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable

from node.api.errors import Refused
from node.service.exposition import CONTENT_TYPE, Histogram
from node.service.metrics import LAG_BOUNDS

MAX_REQUEST = 8_192
MAX_VISITORS = 8
PATIENCE_S = 5.0
_LAG_EVERY_S = 0.5

_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}

_log = logging.getLogger("nexus.metrics")


class MetricsServer:
    """Answers with what `measure` makes of the event loop's lag, which is measured here while it runs."""

    def __init__(self, measure: Callable[[Histogram], Awaitable[str]]) -> None:
        self._measure = measure
        self._lag = Histogram(LAG_BOUNDS)
        self._server: asyncio.Server | None = None
        self._visitors: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen (port 0: any free one). Raises Refused where that is not possible."""
        try:
            self._server = await asyncio.start_server(self._visit, host, port, limit=MAX_REQUEST)
        except (OSError, UnicodeError) as error:
            raise Refused(
                "metrics_port",
                f"Measurements cannot be given on {ascii(host)[1:-1]}, port {port}: {_reason(error)}. "
                "The node runs all the same.",
                "Choose another port (nexus config set node.metrics_port PORT; 0 is off), and start the node again.",
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]
        self._watch = asyncio.create_task(self._watch_lag(), name="metrics-lag")
        _log.info("measurements at http://%s:%d/metrics", f"[{host}]" if ":" in host else host, self.port)

    async def close(self) -> None:
        """Stop listening; who is being answered is cut off."""
        if self._server is None:
            return
        self._server.close()
        tasks = [*self._visitors, *([self._watch] if self._watch is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_EVERY_S
            await asyncio.sleep(_LAG_EVERY_S)
            self._lag.observe(max(0.0, loop.time() - due))

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._visitors) >= MAX_VISITORS:
            writer.transport.abort()
            return
        self._visitors.add(task)
        try:
            async with asyncio.timeout(PATIENCE_S):
                status, body = await self._answer(reader)
                kind = CONTENT_TYPE if status == 200 else "text/plain; charset=utf-8"
                allowed = "Allow: GET\r\n" if status == 405 else ""
                writer.write(
                    f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                    f"{allowed}Connection: close\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
                writer.write_eof()
                while await reader.read(MAX_REQUEST):  # closing on unread bytes would take the answer back
                    pass
        except (OSError, TimeoutError):
            pass
        finally:
            self._visitors.discard(task)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return 431, b"The request is too long.\n"
        except asyncio.IncompleteReadError:
            return 400, b"The request ended too early.\n"
        words = request.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return 400, b"This is no HTTP/1.1 request.\n"
        if words[1].split(b"?")[0] != b"/metrics":
            return 404, b"Only /metrics is here.\n"
        if words[0] != b"GET":
            return 405, b"Only GET is answered.\n"
        work = asyncio.ensure_future(self._measure(self._lag))
        try:
            await asyncio.wait((work,))
        finally:
            work.cancel()
        if (fault := work.exception()) is not None:  # it must not look like a node that does not run
            _log.error("a fault in the measurements", exc_info=fault)
            return 500, b"A fault inside the node; its log has details.\n"
        return 200, work.result().encode()


def _reason(error: OSError | UnicodeError) -> str:
    """asyncio says the address once more."""
    number = getattr(error, "errno", None) or 0
    if number > 0:
        return os.strerror(number)
    return "that is no address" if isinstance(error, UnicodeError) else str(error.strerror or error)
