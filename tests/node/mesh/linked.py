"""Nodes that link to each other on the loopback, and a watch over what they leave behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from node.mesh.admission import AdmissionLimits
from node.mesh.certificate import make_context, make_credentials
from node.mesh.identity import NodeKey
from node.mesh.link import Link, LinkLimits
from node.mesh.protocol.limits import BULK
from node.mesh.transport import Transport

LOCAL = "127.0.0.1"
GENEROUS = AdmissionLimits(total=2_000, local_per_address=2_000, local_per_network=2_000, local_attempts=1_000_000)
PATIENCE_S = 60.0
"""Far more than anything needs; only a fault makes a test wait so long."""
MAX_BODY = 1 << 20


def size(kind: int) -> int | None:
    """The types these tests use: 1 to 9."""
    return MAX_BODY if 0 < kind < 10 else None


class Node:
    """A node with a key of its own that keeps the links it took."""

    def __init__(
        self, limits: LinkLimits | None = None, admission: AdmissionLimits = GENEROUS, hello: bytes = b"hello"
    ) -> None:
        self.key = NodeKey(os.urandom(32))
        self.transport = Transport(make_credentials(self.key), lambda: hello, size, limits, admission)
        self.taken: list[Link] = []
        self.port = 0

    async def listen(self) -> int:
        self.port = await self.transport.listen((LOCAL,), 0, self.taken.append)
        return self.port


async def until(condition: Callable[[], bool], what: str = "what was expected") -> None:
    """Wait for a condition, with much patience."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"{what} did not come") from None


@asynccontextmanager
async def nodes(*made: Node) -> AsyncIterator[None]:
    """Close the nodes at the end, and see that they leave no task, no socket and no noise behind."""
    noise: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: noise.append(context))
    handler = _Noise(noise)
    logging.getLogger().addHandler(handler)
    before = asyncio.all_tasks()
    files = _open_files()
    try:
        yield
    finally:
        await asyncio.gather(*(node.transport.close() for node in made))
    await until(lambda: asyncio.all_tasks() <= before, "the end of all tasks")
    await until(lambda: _open_files() <= files, "the end of all sockets")
    gc.collect()  # tasks and transports that nobody waited for complain when they go
    await asyncio.sleep(0)
    logging.getLogger().removeHandler(handler)
    loop.set_exception_handler(None)
    assert not noise, noise
    assert all(node.transport.links == node.transport.half_open == 0 for node in made)


class _Noise(logging.Handler):
    def __init__(self, noise: list[Any]) -> None:
        super().__init__(logging.WARNING)
        self._noise = noise

    def emit(self, record: logging.LogRecord) -> None:
        self._noise.append(record.getMessage())


def _open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


async def pair(limits: LinkLimits | None = None) -> tuple[Node, Node, Link, Link]:
    """(who listens, who connects, the link as the first sees it, as the second)."""
    server, client = Node(limits), Node(limits)
    await server.listen()
    link = await client.transport.connect(LOCAL, server.port)
    await until(lambda: bool(server.taken), "the link at the other side")
    return server, client, server.taken[0], link


async def fill(link: Link) -> int:
    """Send frames of type 2 until neither the queue nor the system takes more; how many were taken."""
    sent = idle = 0
    while idle < 20:
        while link.send(2, bytes(1_000), BULK):
            sent, idle = sent + 1, 0
        idle += 1
        await asyncio.sleep(0.005)
    return sent


def context_with(
    *certificates: x509.Certificate, key: ec.EllipticCurvePrivateKey | bytes, server: bool = False
) -> ssl.SSLContext:
    """A TLS context that shows certificates of the test's making; `key` may be PEM."""
    pem = key if isinstance(key, bytes) else key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    context = make_context(server)
    context.verify_mode = ssl.CERT_NONE  # the hostile side looks at nothing
    with TemporaryDirectory() as folder:
        file = Path(folder) / "pem"
        file.write_bytes(pem + b"".join(item.public_bytes(Encoding.PEM) for item in certificates))
        context.load_cert_chain(file)
    return context


async def closed_by_peer(reader: asyncio.StreamReader) -> bytes:
    """What the other side says until it closes."""
    data = b""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                part = await reader.read(1 << 16)
            except (ssl.SSLError, ConnectionError):
                return data
            if not part:
                return data
            data += part


async def shown(server: Node, client: ssl.SSLContext) -> bytes:
    """What a node says to somebody who shows that certificate, until it closes."""
    try:
        reader, writer = await asyncio.open_connection(LOCAL, server.port, ssl=client, server_hostname="")
    except (ssl.SSLError, ConnectionError):
        return b""
    try:
        return await closed_by_peer(reader)
    finally:
        writer.transport.abort()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server of the test's own making; its port. It does not outlive the block."""
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        task = asyncio.ensure_future(serve(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(begin, LOCAL, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
