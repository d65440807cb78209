"""Links between honest nodes: frames both ways, back-pressure, urgency, and every way in which one ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import weakref

import pytest
from linked import LOCAL, MAX_BODY, Node, fill, nodes, pair, size, until  # type: ignore[import-not-found]

from node.api.errors import Refused, UsageError
from node.mesh.link import Link, LinkError, LinkLimits
from node.mesh.protocol.limits import BULK, CONTROL, MAX_HELLO, TRANSACTIONS
from node.mesh.transport import EVERYWHERE

SMALL = LinkLimits(unread=10_000, write_buffer=10_000, budgets=(2_000, 100_000, 20_000, 20_000))


async def test_both_sides_know_each_other() -> None:
    server, client = Node(hello=b"I listen"), Node(hello=b"I call")
    async with nodes(server, client):
        await server.listen()
        link = await client.transport.connect(LOCAL, server.port, server.key.id)
        await until(lambda: bool(server.taken))
        (taken,) = server.taken
        assert (link.peer, link.hello, link.inbound) == (server.key.id, b"I listen", False)
        assert (taken.peer, taken.hello, taken.inbound) == (client.key.id, b"I call", True)
        assert (link.host, link.port) == (LOCAL, server.port)
        assert taken.host == LOCAL
        assert taken.port != 0
        assert link.open
        assert taken.open


async def test_frames_go_both_ways_in_order() -> None:
    server, client, there, here = await pair()
    async with nodes(server, client):
        bodies = [bytes((number % 251,)) * (number * 37 % 5_000) for number in range(500)]
        for side, other in ((here, there), (there, here)):
            for body in bodies:
                assert side.send(3, body, BULK)
            got: list[tuple[int, bytes]] = []
            while len(got) < len(bodies):
                got += await other.receive()
            assert got == [(3, body) for body in bodies]
        assert here.bytes_out == there.bytes_in > sum(map(len, bodies))
        assert here.bytes_in == there.bytes_out


async def test_the_largest_frame_and_the_smallest_arrive() -> None:
    server, client, there, here = await pair(SMALL)
    async with nodes(server, client):
        for body in (bytes(MAX_BODY), b""):
            assert here.send(9, body, BULK)
            assert await there.receive() == [(9, body)]


async def test_own_frames_are_held_to_the_limits_too() -> None:
    server, client, _, here = await pair()
    async with nodes(server, client):
        with pytest.raises(ValueError, match="allowed"):
            here.send(9, bytes(MAX_BODY + 1), BULK)
        with pytest.raises(ValueError, match="allowed"):
            here.send(200, b"", BULK)
        with pytest.raises(ValueError, match="greeting"):
            await Node(hello=bytes(MAX_HELLO + 1)).transport.connect(LOCAL, server.port)


async def test_who_does_not_read_is_held_up_and_holds_up_nobody_else() -> None:
    server, client, there, here = await pair(SMALL)
    other = Node(SMALL)
    async with nodes(server, client, other):
        sent = await fill(here)
        assert here.queued <= 20_000
        with pytest.raises(TimeoutError):
            await here.drain(0.05)
        assert there._unread < 1_000_000
        honest = await other.transport.connect(LOCAL, server.port)
        await until(lambda: len(server.taken) == 2)
        assert honest.send(1, b"ping", CONTROL)
        assert await server.taken[1].receive() == [(1, b"ping")]
        got = 0
        while got < sent:  # nothing of what was taken is lost
            got += len(await there.receive())
        await here.drain(30)
        assert here.queued == 0


async def test_what_is_urgent_overtakes() -> None:
    server, client, there, here = await pair(SMALL)
    async with nodes(server, client):
        await fill(here)
        assert here.send(1, b"urgent", CONTROL)
        waiting = here.queued // 1_064  # bulk frames that were there before it
        assert waiting > 5
        got: list[int] = []
        while 1 not in got:
            got += [kind for kind, _ in await there.receive()]
        after = 0
        while after < waiting - got[got.index(1) + 1 :].count(2):
            after += len(await there.receive())


async def test_a_peer_that_never_takes_the_urgent_is_given_up() -> None:
    server, client, there, here = await pair(SMALL)
    async with nodes(server, client):
        await fill(here)
        assert not here.send(2, bytes(1_000), BULK)
        assert here.open
        while here.send(1, bytes(500), CONTROL):
            pass
        assert here.fault is not None
        assert here.fault.code == "overflow"
        await here.wait_closed()
        assert not here.send(2, b"", TRANSACTIONS)
        await until(lambda: there.fault is not None or bool(there._inbox))


async def test_a_peer_that_takes_nothing_for_long_is_given_up() -> None:
    limits = LinkLimits(unread=10_000, write_buffer=10_000, stall_s=0.2)
    server, client, _, here = await pair(limits)
    async with nodes(server, client):
        while here.open:
            here.send(2, bytes(10_000), BULK)
            await asyncio.sleep(0)
        assert here.fault is not None
        assert here.fault.code == "stalled"
        with pytest.raises(LinkError):
            await here.drain(1)


async def test_what_was_sent_before_closing_arrives() -> None:
    server, client, there, here = await pair()
    async with nodes(server, client):
        for number in range(100):
            here.send(4, bytes((number,)) * 5_000, BULK)
        closing = asyncio.create_task(here.close(30))
        got: list[tuple[int, bytes]] = []
        while len(got) < 100:
            got += await there.receive()
        with pytest.raises(LinkError) as caught:
            await there.receive()
        assert caught.value.code == "closed"
        assert [body[0] for _, body in got] == list(range(100))
        await closing
        with pytest.raises(LinkError) as here_caught:
            await here.receive()
        assert here_caught.value.code == "closed_here"
        await here.close()  # twice does no harm


async def test_closing_does_not_wait_for_a_peer_that_hangs() -> None:
    server, client, _, here = await pair(SMALL)
    async with nodes(server, client):
        await fill(here)
        await asyncio.wait_for(here.close(0.1), 30)
        assert here.ended
        assert client.transport.links == 0


async def test_a_reader_that_waits_learns_of_the_end() -> None:
    server, client, there, here = await pair()
    async with nodes(server, client):
        reading = asyncio.create_task(there.receive())
        mine = asyncio.create_task(here.receive())
        await asyncio.sleep(0)
        here.abort("test", "The test ends it.")
        with pytest.raises(LinkError) as caught:
            await mine
        assert caught.value.code == "test"
        with pytest.raises(LinkError):
            await reading


async def test_a_wrong_id_is_not_linked_and_the_right_one_is() -> None:
    server, client = Node(), Node()
    async with nodes(server, client):
        await server.listen()
        with pytest.raises(LinkError) as caught:
            await client.transport.connect(LOCAL, server.port, Node().key.id)
        assert caught.value.code == "wrong_id"
        with pytest.raises(LinkError) as caught:
            await server.transport.connect(LOCAL, server.port)
        assert caught.value.code == "self"
        await until(lambda: server.transport.half_open == 0)
        assert not server.taken
        await client.transport.connect(LOCAL, server.port, server.key.id)


async def test_nobody_there_is_said_at_once() -> None:
    client = Node()
    async with nodes(client):
        with socket.socket() as unused:
            unused.bind((LOCAL, 0))
            with pytest.raises(LinkError) as caught:
                await client.transport.connect(LOCAL, unused.getsockname()[1])
        assert caught.value.code == "unreachable"
        with pytest.raises(LinkError):
            await client.transport.connect("no.such.name.invalid", 5)


async def test_a_cancelled_attempt_leaves_nothing() -> None:
    server, client = Node(), Node()
    async with nodes(server, client):
        await server.listen()
        for moment in range(12):
            attempt = asyncio.create_task(client.transport.connect(LOCAL, server.port))
            for _ in range(moment):
                await asyncio.sleep(0)
            if attempt.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await attempt
            else:  # so many turns of the loop were enough
                await (await attempt).close()
        await until(lambda: server.transport.links == server.transport.half_open == 0)


async def test_a_taken_port_moves_to_the_next() -> None:
    first, second, third = Node(), Node(), Node()
    async with nodes(first, second, third):
        port = await first.listen()
        assert await second.transport.listen((LOCAL,), port, second.taken.append) > port
        with pytest.raises(Refused) as caught:
            await third.transport.listen((LOCAL,), port, third.taken.append, tries=1)
        assert caught.value.code == "port_taken"
        with pytest.raises(UsageError):
            await third.transport.listen(("203.0.113.1",), 4_000, third.taken.append)


async def test_two_nodes_that_start_at_once_take_two_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both may bind a port on which nobody listens yet; who listens second finds it taken."""
    real = socket.socket.bind
    with socket.socket() as rival:
        rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        rival.bind((LOCAL, 0))
        port = rival.getsockname()[1]

        def bind(self: socket.socket, address: tuple[str, int]) -> None:
            real(self, address)
            if address[1] == port:
                rival.listen()

        monkeypatch.setattr(socket.socket, "bind", bind)
        node = Node()
        async with nodes(node):
            assert await node.transport.listen((LOCAL,), port, node.taken.append) > port


async def test_both_families_share_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    bound: list[tuple[object, ...]] = []
    real = socket.socket.bind

    def loopback_only(self: socket.socket, address: tuple[str, int]) -> None:
        bound.append(address)
        real(self, ({"0.0.0.0": LOCAL, "::": "::1"}[address[0]], address[1]))

    server, client = Node(), Node()
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
    monkeypatch.setattr(socket.socket, "bind", loopback_only)  # a test listens to nobody outside
    async with nodes(server, client):
        port = await server.transport.listen(EVERYWHERE, 0, server.taken.append)
        assert {address[0] for address in bound} == set(EVERYWHERE)
        monkeypatch.undo()
        for host in (LOCAL, "::1", "localhost"):
            link = await client.transport.connect(host, port)
            assert link.peer == server.key.id


async def test_stopping_ends_all_links_and_takes_no_more() -> None:
    server, clients = Node(), [Node() for _ in range(5)]
    async with nodes(server, *clients):
        await server.listen()
        links = [await client.transport.connect(LOCAL, server.port) for client in clients]
        await until(lambda: len(server.taken) == 5)
        await server.transport.close()
        for link in links:
            await link.wait_closed()
        with pytest.raises(LinkError):
            await clients[0].transport.connect(LOCAL, server.port)
        with pytest.raises(LinkError) as caught:
            await server.transport.connect(LOCAL, server.port)
        assert caught.value.code == "closed_here"


async def test_a_link_given_up_during_the_handshake_says_nothing() -> None:
    class Late(asyncio.Transport):
        aborted = False
        written = b""

        def abort(self) -> None:
            self.aborted = True

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self.written += bytes(data)

    link = Link(bytes(32), None, False, b"hello", size, LinkLimits(), lambda _: None)
    link.abort("cancelled", "The attempt was given up.")
    late = Late()
    link.connection_made(late)
    assert late.aborted
    assert not late.written


async def test_a_link_that_has_ended_leaves_nothing_for_the_collector() -> None:
    """Whoever waited on it is told why it ended; a flood of short links must not pile up by that."""
    server, client = Node(), Node()
    gone: list[weakref.ref[Link]] = []
    async with nodes(server, client):
        await server.listen()
        gc.disable()
        try:
            for _ in range(5):
                link = await client.transport.connect(LOCAL, server.port)
                await until(lambda: bool(server.taken))
                ends = [link, server.taken.pop()]
                gone += map(weakref.ref, ends)
                link.abort("test", "That was all.")
                for end in ends:
                    with contextlib.suppress(LinkError):
                        await end.receive()
                del link, ends, end
            await until(lambda: all(item() is None for item in gone))
        finally:
            gc.enable()


async def test_what_is_sent_does_not_wait_to_be_gathered() -> None:
    server, client, there, here = await pair()
    async with nodes(server, client):
        for link in (there, here):
            assert link._transport is not None
            connection = link._transport.get_extra_info("socket")
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
