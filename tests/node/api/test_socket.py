"""The interface over a socket: the same answers, errors and events as in the process; hostile clients do no harm."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import shutil
import socket
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from api_fakes import ALERT, NETWORK, STATUS, SUMMARY, FakeNode, transaction  # type: ignore[import-not-found]

from node.api import client as client_module
from node.api import framing, server
from node.api.client import RemoteNode
from node.api.errors import Internal, Locked, NexusError, NoNode, Refused, TimedOut, UsageError
from node.api.interface import NodeApi
from node.api.records import Event
from node.api.server import ApiServer
from node.encoding.canonical import decode, encode

A = b"\0" * 21


class Running:
    def __init__(self, node: FakeNode, api: ApiServer, path: Path) -> None:
        self.node = node
        self.server = api
        self.path = path
        self.stopped = 0


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    node = FakeNode()
    checked: NodeApi = node  # the types of the fake are the interface's
    path = tmp_path / "node.sock"
    made: Running

    def stop() -> None:
        made.stopped += 1

    api = ApiServer(checked, path, stop)
    made = Running(node, api, path)
    await api.start()
    yield made
    await api.close()
    assert not path.exists()


class Raw:
    """A client that says whatever it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, path: Path, greet: bool = True) -> Raw:
        raw = cls(*await asyncio.open_unix_connection(str(path)))
        if greet:
            assert await raw.receive() == (2, "hello", (framing.VERSION,))
        return raw

    def send(self, value: Any) -> None:
        body = encode(value)
        self.writer.write(len(body).to_bytes(4) + body)

    async def receive(self) -> Any:
        async with asyncio.timeout(60):
            length = int.from_bytes(await self.reader.readexactly(4))
            return decode(await self.reader.readexactly(length), 1 << 26)

    async def ask(self, *request: Any) -> Any:
        self.send((0, 1, *request))
        return await self.receive()

    async def until_closed(self) -> list[Any]:
        """What comes until the server closes."""
        said = []
        try:
            while True:
                said.append(await self.receive())
        except (asyncio.IncompleteReadError, ConnectionError):
            return said

    def close(self) -> None:
        self.writer.transport.abort()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def assert_still_serving(running: Running) -> None:
    async with await RemoteNode.connect(running.path) as node:
        assert await node.status() == STATUS


async def test_every_method_gives_the_same_answer(running: Running) -> None:
    local = running.node
    async with await RemoteNode.connect(running.path) as remote:
        node: NodeApi = remote
        assert await node.network() == NETWORK
        assert await node.status() == STATUS
        assert await node.account(A) == await local.account(A)
        assert await node.submit(b"x") == await local.submit(b"x")
        assert await node.transaction(b"\1" * 32) == transaction(int.from_bytes(b"\1" * 32))
        assert await node.transaction(b"?" * 32) is None
        assert await node.history((A, b"\1" * 33), 7, 9) == await local.history((A,), 7)
        assert await node.history((A,)) == await local.history((A,))
        assert await node.block() == await local.block()
        assert await node.block(404) is None
        assert await node.block(block_id=b"i" * 32) is not None
        assert await node.blocks(limit=500) == (SUMMARY,) * 500
        assert await node.dag() == await local.dag()
        assert await node.dag(7, 500) == await local.dag(7)
        assert await node.dag_block(b"i" * 32) == await local.dag_block(b"i" * 32)
        assert await node.dag_block(b"?" * 32) is None
        assert await node.find_blocks("69") == (b"i" * 32,)
        assert await node.find_blocks("6") == (b"i" * 32,)
        assert await node.find_blocks("a" * 64) == ()
        assert await node.find_transactions("747") == (b"t" * 32,)
        assert await node.find_transactions("a") == ()
        assert await node.finality() == await local.finality()
        assert ("dag", 7, 500) in local.calls
        assert await node.places() == await local.places()
        assert await node.evidence() == await local.evidence()
        assert await node.mesh() == await local.mesh()
        assert await node.invitation() == await local.invitation()
        assert await node.invitation("here.example") == await local.invitation("here.example")
        assert await node.introduce("nxn1…@here:1") == b"p" * 32
        assert ("introduce", "nxn1…@here:1") in local.calls
        assert await node.ban(b"p" * 32, 60)
        assert not await node.ban(b"p" * 32, 0)
        assert await node.verify() == await local.verify()
        assert ("history", (A, b"\1" * 33), 7, 9) in local.calls


async def test_errors_keep_class_code_text_and_hint(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    async with await RemoteNode.connect(running.path) as node:
        with pytest.raises(Refused) as caught:
            await node.submit(b"refuse")
        assert (caught.value.code, caught.value.message, caught.value.hint) == (
            "insufficient_funds",
            "Not enough — sorry",
            "Send less",
        )
        with pytest.raises(Locked):
            await node.submit(b"locked")
        with pytest.raises(Internal) as fault:
            await node.submit(b"crash")
        assert "secret" not in fault.value.message
        assert "secret detail" in caplog.text
        with pytest.raises(Refused, match="bad"):
            await node.submit(b"surrogate")
        with pytest.raises(Refused, match="stopping"):
            await node.submit(b"cancel")
        assert await node.status() == STATUS


async def test_bounds_are_refused_by_name(running: Running) -> None:
    async with await RemoteNode.connect(running.path) as node:
        for call, words in (
            (node.account(b"short"), "address"),
            (node.transaction(b"x"), "32 bytes"),
            (node.history(()), "1 to 100"),
            (node.history((A,) * 101), "1 to 100"),
            (node.history((A,), limit=0), "1 to 500"),
            (node.blocks(limit=501), "1 to 500"),
            (node.block(1 << 63), "height"),
            (node.dag(1 << 63), "slot"),
            (node.dag(limit=501), "1 to 500"),
            (node.dag_block(b"i" * 31), "32 bytes"),
            *((node.find_blocks(prefix), "hexadecimal") for prefix in ("", "xy", "AB", "a" * 65, "a\n", "\x1b[2J")),
            (node.find_transactions("x"), "hexadecimal"),
            (node.submit(b""), "at most"),
            (node.submit(b"x" * 32_769), "at most"),
        ):
            with pytest.raises(UsageError, match=words):
                await call
        with pytest.raises(Refused, match="too large"):
            await node.submit(b"x" * 70_000)
        with pytest.raises(UsageError):
            async with node.subscribe(("weather",)):
                pass


async def test_large_pages_pass_and_larger_ones_are_refused(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    running.node.page, running.node.raw = 500, b"r" * 2_000
    async with await RemoteNode.connect(running.path) as node:
        assert len((await node.history((A,), limit=500)).transactions) == 500
        monkeypatch.setattr(server, "MAX_RESPONSE", 100_000)
        with pytest.raises(Refused, match="too large"):
            await node.history((A,), limit=500)
        assert await node.status() == STATUS


async def test_events_arrive_and_end(running: Running) -> None:
    hub = running.node.hub
    sent = [
        Event("block", block=SUMMARY),
        Event("transaction", txid=b"t" * 32, text="done"),
        Event("balance", address=A, units=5),
        Event("alert", alert=ALERT),
        Event("dag", block_id=b"i" * 32),
        Event("dag"),
    ]
    async with await RemoteNode.connect(running.path) as node:
        async with node.subscribe() as everything, node.subscribe(("balance",)) as balances:
            for event in sent:
                hub.publish(event)
            assert [await anext(everything) for _ in sent] == sent
            assert await anext(balances) == sent[2]
            assert hub.subscribers == 2
        await node.status()
        await until(lambda: not hub.subscribers)
        async with node.subscribe() as events:
            hub.close()
            assert [event async for event in events] == []


async def test_stop_asks_the_owner(running: Running) -> None:
    async with await RemoteNode.connect(running.path) as node:
        await node.stop()
    assert running.stopped == 1


async def test_lost_node_is_told_to_every_waiter(running: Running) -> None:
    running.node.gate = asyncio.Event()
    node = await RemoteNode.connect(running.path)
    calls = [asyncio.create_task(node.status()) for _ in range(5)]
    async with node.subscribe() as events:
        await running.server.close()
        for call in calls:
            with pytest.raises(NoNode) as caught:
                await call
            assert caught.value.hint
        with pytest.raises(NoNode):
            await anext(events)
    with pytest.raises(NoNode):
        await node.network()
    await node.close()
    with pytest.raises(NoNode, match="No node answers"):
        await RemoteNode.connect(running.path)


async def test_an_answer_that_does_not_come(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "CALL_TIMEOUT_S", 0.1)
    running.node.gate = asyncio.Event()
    async with await RemoteNode.connect(running.path) as node:
        with pytest.raises(TimedOut):
            await node._request("status", (), 0.1)
        running.node.gate.set()
        assert await node.status() == STATUS


async def test_socket_is_private(running: Running) -> None:
    assert stat.S_IMODE(running.path.stat().st_mode) == 0o600
    assert not running.path.with_suffix(".s~").exists()


async def test_stale_socket_is_taken_over_and_a_live_one_is_not(running: Running, tmp_path: Path) -> None:
    second = ApiServer(FakeNode(), running.path, lambda: None)
    with pytest.raises(Refused) as caught:
        await second.start()
    assert caught.value.code == "socket_taken"
    await second.close()
    await assert_still_serving(running)

    stale = tmp_path / "stale.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(stale))
    dead.close()
    third = ApiServer(FakeNode(), stale, lambda: None)
    await third.start()
    async with await RemoteNode.connect(stale) as node:
        assert await node.network() == NETWORK
    await third.close()

    plain = tmp_path / "plain.sock"
    plain.write_text("precious")
    with pytest.raises(Refused, match="no socket"):
        await ApiServer(FakeNode(), plain, lambda: None).start()
    assert plain.read_text() == "precious"


async def test_longest_usual_path_works() -> None:
    folder = Path("/tmp") / f"nx-{os.getpid()}"
    folder.mkdir(mode=0o700)
    try:
        path = folder / ("s" * (100 - len(str(folder)) - 6) + ".sock")
        assert len(os.fsencode(path)) == 100
        api = ApiServer(FakeNode(), path, lambda: None)
        await api.start()
        async with await RemoteNode.connect(path) as node:
            assert await node.network() == NETWORK
        await api.close()
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        (framing.MAX_REQUEST + 1).to_bytes(4) + b"x",
        b"\0\0\0\1\x81",
        b"\0\0\0\1\x05",
        b"\0\0\0\1\x90",
        b"\0\0\0\5\xdd\xff\xff\xff\xff",
        b"\0\0\0\x20" + b"\x91" * 31 + b"\x90",
        b"\0\0\xff\xff" + b"\x91" * 65_535,
        b"\0\0\0\3\x92\x00\xcb",
    ],
)
async def test_garbage_ends_only_its_own_connection(running: Running, data: bytes) -> None:
    raw = await Raw.connect(running.path)
    raw.writer.write(data)
    said = await raw.until_closed()
    assert all(message[:2] == (2, "goodbye") for message in said)
    assert said[-1][2][0][1] == "bad_frame"
    await assert_still_serving(running)


async def test_random_garbage(running: Running) -> None:
    chance = random.Random(11)
    for _ in range(200):
        raw = await Raw.connect(running.path, greet=False)
        body = chance.randbytes(chance.randrange(1, 60))
        raw.writer.write(len(body).to_bytes(4) + body if chance.random() < 0.7 else body)
        if chance.random() < 0.5:
            raw.writer.write_eof()
            await raw.until_closed()
        raw.close()
    await assert_still_serving(running)
    assert running.node.calls == []


@pytest.mark.parametrize(
    "frame",
    [(1, 1, None, None), (2, "status", ()), (0, 1, "status"), (0, -0 + 2**32, "status", ()), (0, "1", "status", ())],
)
async def test_frames_that_are_no_requests(running: Running, frame: Any) -> None:
    raw = await Raw.connect(running.path)
    raw.send(frame)
    assert (await raw.until_closed())[-1][1] == "goodbye"
    await assert_still_serving(running)


@pytest.mark.parametrize(
    ("name", "params", "code"),
    [
        ("frobnicate", (), "unknown_method"),
        ("__class__", (), "unknown_method"),
        ("_call", (), "unknown_method"),
        ("hub", (), "unknown_method"),
        ("page", (), "unknown_method"),
        (b"status", (), "unknown_method"),
        (5, (), "unknown_method"),
        ("x" * 5_000, (), "unknown_method"),
        ("status", None, "bad_request"),
        ("status", (1,), "bad_request"),
        ("account", (), "bad_request"),
        ("account", ("text",), "bad_request"),
        ("account", (None,), "bad_request"),
        ("account", (A, A), "bad_request"),
        ("history", ((A,), True), "bad_request"),
        ("history", ((A,), None, None), "bad_request"),
        ("history", (A,), "bad_request"),
        ("block", (b"x",), "bad_request"),
        ("block", (2**63,), "bad_height"),
        ("subscribe", (), "bad_request"),
        ("subscribe", ((b"block",),), "bad_request"),
        ("subscribe", (("weather",),), "bad_request"),
        ("unsubscribe", (7,), "bad_request"),
        ("unsubscribe", 7, "bad_request"),
    ],
)
async def test_wrong_calls_are_answered_by_name(running: Running, name: Any, params: Any, code: str) -> None:
    raw = await Raw.connect(running.path)
    kind, number, error, result = await raw.ask(name, params)
    assert (kind, number, result) == (1, 1, None)
    assert error[:2] == ("UsageError", code)
    assert len(error[2]) < 200
    assert (await raw.ask("network", ()))[2] is None
    raw.close()


async def test_half_a_frame_times_out(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "FRAME_TIMEOUT_S", 0.2)
    for half in (b"\0", b"\0\0\0\x20", b"\0\0\0\x20abc"):
        raw = await Raw.connect(running.path)
        raw.writer.write(half)
        async with asyncio.timeout(60):
            await raw.until_closed()
    slow = await Raw.connect(running.path)
    await asyncio.sleep(0.4)  # silence between frames is allowed
    monkeypatch.setattr(server, "FRAME_TIMEOUT_S", 60)  # however slowly the bytes come here
    assert (await slow.ask("network", ()))[2] is None
    body = encode((0, 1, "network", ()))
    for byte in len(body).to_bytes(4) + body:
        slow.writer.write(bytes([byte]))
        await asyncio.sleep(0.001)
    assert (await slow.receive())[:3] == (1, 1, None)
    slow.close()


async def test_calls_at_a_time_are_bounded(running: Running) -> None:
    running.node.gate = asyncio.Event()
    raw = await Raw.connect(running.path)
    for number in range(100):
        raw.send((0, number, "status", ()))
    await until(lambda: running.node.most_running >= server.MAX_CALLS)
    await asyncio.sleep(0.1)
    assert running.node.most_running == server.MAX_CALLS
    running.node.gate.set()
    answered = {(await raw.receive())[1] for _ in range(100)}
    assert answered == set(range(100))
    raw.close()


async def test_asking_without_reading_is_cut_off(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SEND_TIMEOUT_S", 0.3)
    running.node.page, running.node.raw = 500, b"r" * 2_000
    raw = await Raw.connect(running.path)
    raw.reader._limit = 1  # type: ignore[attr-defined]  # so that this client's own loop stops reading
    for number in range(50):
        raw.send((0, number, "history", ((A,), None, 500)))
    await until(lambda: not running.server.connections)
    await assert_still_serving(running)


async def test_never_reading_subscriber_costs_a_bounded_amount(running: Running) -> None:
    sleepy = socket.socket(socket.AF_UNIX)
    sleepy.connect(str(running.path))
    body = encode((0, 1, "subscribe", (("alert", "block"),)))
    sleepy.sendall(len(body).to_bytes(4) + body)
    await until(lambda: running.node.hub.subscribers > 0)
    hub = running.node.hub

    async def publish(count: int) -> None:
        for number in range(count):
            hub.publish(Event("block", block=SUMMARY, units=number))
            if number % 50 == 0:
                await asyncio.sleep(0)

    await publish(10_000)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    await publish(50_000)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 200_000, grown
    await assert_still_serving(running)

    # awake again: it is told how many events it has missed
    sleepy.setblocking(False)
    raw = Raw(*await asyncio.open_unix_connection(sock=sleepy))
    seen = missed = 0
    await raw.receive()
    while seen + missed < 60_000:
        message = await raw.receive()
        if message[0] == 2:
            seen += 1
            missed += message[2][1][-1]
    assert missed > 50_000
    raw.close()


async def test_subscriptions_are_bounded(running: Running) -> None:
    raw = await Raw.connect(running.path)
    for number in range(1, server.MAX_SUBSCRIPTIONS + 1):
        raw.send((0, number, "subscribe", (("block",),)))
        assert (await raw.receive())[2] is None
    raw.send((0, 99, "subscribe", (("block",),)))
    assert (await raw.receive())[2][1] == "too_many_subscriptions"
    raw.send((0, 100, "unsubscribe", (1,)))
    assert (await raw.receive())[2] is None
    raw.send((0, 2, "subscribe", (("block",),)))
    assert (await raw.receive())[2][1] == "bad_request"
    raw.send((0, 1, "subscribe", (("block",),)))
    assert (await raw.receive())[2] is None
    raw.close()
    await until(lambda: not running.node.hub.subscribers)


async def test_a_thousand_connections(running: Running) -> None:
    held: list[Raw] = []
    refused = 0
    for _ in range(1_000):
        raw = await Raw.connect(running.path, greet=False)
        greeting = await raw.receive()
        if greeting[1] == "hello":
            held.append(raw)
        else:
            assert greeting[2][0][1] == "too_many_connections"
            refused += 1
            raw.close()
    assert len(held) == server.MAX_CONNECTIONS
    assert refused == 1_000 - server.MAX_CONNECTIONS
    with pytest.raises(Refused, match="connected to this node already"):
        await RemoteNode.connect(running.path)
    assert (await held[0].ask("network", ()))[2] is None
    for raw in held:
        raw.close()
    await until(lambda: not running.server.connections)
    await assert_still_serving(running)


async def test_another_users_socket(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (server, client_module):
        monkeypatch.setattr(module, "peer_uid", lambda _: 4242)
        with pytest.raises(Refused) as caught:
            await RemoteNode.connect(running.path)
        assert caught.value.code == "other_user"
        monkeypatch.undo()
    await assert_still_serving(running)


_AS_OTHER = """
import asyncio, os, sys
from pathlib import Path
from node.api import bounds, client, codec, dispatch, errors, events, framing, records
asyncio.new_event_loop().close()
os.setgroups([]); os.setgid(65534); os.setuid(65534)
async def main():
    try:
        await client.RemoteNode.connect(Path(sys.argv[1]))
    except errors.NexusError as error:
        print(type(error).__name__, error.code)
asyncio.run(main())
"""


async def test_another_user_is_really_refused() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    folder = Path("/tmp") / f"nexus-api-{os.getpid()}"
    folder.mkdir(mode=0o755)
    path = folder / "node.sock"
    api = ApiServer(FakeNode(), path, lambda: None)
    await api.start()
    try:
        for mode in (0o600, 0o666):  # by the file's mode, and by the peer's id where the mode lets it through
            path.chmod(mode)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _AS_OTHER, str(path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            said, complaint = await process.communicate()
            assert said.decode().split() == ["Refused", "other_user"], complaint.decode()
    finally:
        await api.close()
        shutil.rmtree(folder)


async def test_a_node_of_another_version(tmp_path: Path) -> None:
    async def serve(answer: bytes) -> NexusError:
        path = tmp_path / "odd.sock"

        async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)
            await reader.read()
            writer.close()

        listener = await asyncio.start_unix_server(odd, str(path))
        try:
            with pytest.raises(NexusError) as caught:
                await RemoteNode.connect(path)
            return caught.value
        finally:
            listener.close()

    later = encode((2, "hello", (framing.VERSION + 1,)))
    assert (await serve(len(later).to_bytes(4) + later)).code == "other_version"
    assert isinstance(await serve(b"HTTP/1.1 400 Bad Request\r\n\r\n"), NoNode)


async def test_silent_and_absent_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "CONNECT_TIMEOUT_S", 0.1)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen(1)
        with pytest.raises(TimedOut):
            await RemoteNode.connect(tmp_path / "silent.sock")
    with pytest.raises(NoNode) as caught:
        await RemoteNode.connect(tmp_path / "silent.sock")  # nobody listens any more
    assert "nexus node start" in caught.value.hint
    with pytest.raises(NoNode):
        await RemoteNode.connect(tmp_path / "absent.sock")
