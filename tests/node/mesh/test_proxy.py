"""Links through a SOCKS5 proxy: names go to the proxy, and what fails there is said."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from contextlib import AsyncExitStack

import pytest
from linked import GENEROUS, LOCAL, Node, nodes, serving, size, until  # type: ignore[import-not-found]

from node.api.errors import UsageError
from node.mesh.certificate import make_credentials
from node.mesh.link import LinkError, LinkLimits
from node.mesh.protocol.limits import BULK
from node.mesh.proxy import check_proxy
from node.mesh.transport import Transport


class Socks:
    """A SOCKS5 server that sends everything to one port of this machine. `asked` are the destinations it was told."""

    def __init__(self, target: int, user: bytes = b"", reply: int | None = 0) -> None:
        self._target, self._user, self._reply = target, user, reply
        self.asked: list[tuple[str, int]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        version, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        assert version == 5
        if self._user:
            assert 2 in methods
            writer.write(b"\5\2")
            assert await reader.readexactly(2 + len(self._user)) == b"\1" + bytes((len(self._user),)) + self._user
            password = await reader.readexactly((await reader.readexactly(1))[0])
            writer.write(b"\1" + bytes((password != b"secret",)))
        else:
            writer.write(b"\5\0")
        version, command, _, kind = await reader.readexactly(4)
        assert (version, command) == (5, 1)
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16)))
        self.asked.append((host, int.from_bytes(await reader.readexactly(2))))
        if self._reply is None:
            await reader.read()
            writer.close()
            return
        writer.write(b"\5" + bytes((self._reply,)) + b"\0\1" + bytes(6))
        if self._reply:
            writer.close()
            return
        there, back = await asyncio.open_connection(LOCAL, self._target)
        try:
            await asyncio.gather(pump(reader, back), pump(there, writer))
        finally:
            back.transport.abort()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


class Hidden(Node):  # type: ignore[misc]
    """A node that calls through a proxy."""

    def __init__(self, proxy: str, limits: LinkLimits | None = None) -> None:
        super().__init__()
        self.transport = Transport(make_credentials(self.key), lambda: b"hello", size, limits, GENEROUS, proxy)


@pytest.mark.parametrize("host", ["node.example", "a" * 56 + ".onion", LOCAL, "2001:db8::7"])
@pytest.mark.parametrize("login", ["", "user:secret@"])
async def test_a_link_through_a_proxy(host: str, login: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Node()
    looked_up: list[object] = []
    real = asyncio.BaseEventLoop.getaddrinfo

    async def watched(self: asyncio.BaseEventLoop, name: str, port: int, **options: int) -> object:
        looked_up.append(name)
        return await real(self, name, port, **options)

    async with AsyncExitStack() as stack:
        await server.listen()
        socks = Socks(server.port, b"user" if login else b"")
        proxy = await stack.enter_async_context(serving(socks.serve))
        client = Hidden(f"socks5://{login}{LOCAL}:{proxy}")
        await stack.enter_async_context(nodes(server, client))
        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", watched)
        link = await client.transport.connect(host, 7_777, server.key.id)
        monkeypatch.undo()
        assert socks.asked == [(host, 7_777)]
        assert host not in looked_up or host == LOCAL
        await until(lambda: bool(server.taken))
        assert server.taken[0].peer == client.key.id
        link.send(3, bytes(100_000), BULK)
        assert await server.taken[0].receive() == [(3, bytes(100_000))]


async def test_what_the_proxy_cannot_reach_is_said() -> None:
    socks = Socks(0, reply=4)
    async with serving(socks.serve) as port:
        client = Hidden(f"socks5://{LOCAL}:{port}")
        async with nodes(client):
            with pytest.raises(LinkError, match="proxy cannot reach") as caught:
                await client.transport.connect("node.example", 5)
            assert caught.value.code == "unreachable"


async def test_a_proxy_that_is_not_there_or_says_nothing_is_named() -> None:
    with socket.socket() as unused:
        unused.bind((LOCAL, 0))
        client = Hidden(f"socks5://{LOCAL}:{unused.getsockname()[1]}")
        async with nodes(client):
            with pytest.raises(LinkError, match="does not answer") as caught:
                await client.transport.connect("node.example", 5)
            assert caught.value.code == "proxy_down"
    socks = Socks(0, reply=None)
    async with serving(socks.serve) as port:
        slow = Hidden(f"socks5://{LOCAL}:{port}", LinkLimits(proxy_s=0.3))
        async with nodes(slow):
            with pytest.raises(LinkError) as caught:
                await slow.transport.connect("node.example", 5)
            assert caught.value.code == "timeout"


async def test_a_proxy_that_breaks_off_is_an_error_of_the_link() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async with serving(serve) as port:
        client = Hidden(f"socks5://{LOCAL}:{port}")
        async with nodes(client):
            with pytest.raises(LinkError):
                await client.transport.connect("node.example", 5)


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:9050", "http://127.0.0.1:80", "socks5://127.0.0.1", "socks5://:9050", "socks5://x:99999"]
)
def test_a_wrong_address_of_a_proxy_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_proxy(url)
    assert caught.value.code == "bad_proxy"
    assert caught.value.hint
