"""Peers that lie, stall, break off and flood: none is believed, none leaves anything behind, honest links go on."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from linked import (  # type: ignore[import-not-found]
    LOCAL,
    PATIENCE_S,
    Node,
    closed_by_peer,
    context_with,
    nodes,
    pair,
    serving,
    shown,
    until,
)

from node.mesh.admission import AdmissionLimits
from node.mesh.certificate import (
    AUTHORITY_KEY,
    AUTHORITY_NAME,
    IDENTITY,
    VALID_FROM,
    VALID_UNTIL,
    leaf_builder,
    make_context,
)
from node.mesh.identity import NodeKey
from node.mesh.link import Link, LinkError, LinkLimits
from node.mesh.protocol.frames import frame_head
from node.mesh.protocol.limits import BULK, CONTROL, MAX_HELLO
from node.mesh.transport import HALF_OPEN

VILLAIN = NodeKey(b"\7" * 32)
KEY = ec.generate_private_key(ec.SECP256R1())
HELLO = frame_head(0, 2) + b"hi"
Certificates = tuple[x509.Certificate, ...]
BRIEF = LinkLimits(handshake_s=0.5, hello_s=0.5)


def good(key: ec.EllipticCurvePrivateKey = KEY) -> x509.Certificate:
    return leaf_builder(VILLAIN, key.public_key()).sign(AUTHORITY_KEY, hashes.SHA256())


def without_identity() -> Certificates:
    made = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(AUTHORITY_NAME).serial_number(1)
    made = made.public_key(KEY.public_key()).not_valid_before(VALID_FROM).not_valid_after(VALID_UNTIL)
    return (made.sign(AUTHORITY_KEY, hashes.SHA256()),)


def of_another_authority() -> Certificates:
    foreign = ec.generate_private_key(ec.SECP256R1())
    return (leaf_builder(VILLAIN, KEY.public_key()).sign(foreign, hashes.SHA256()),)


def self_signed() -> Certificates:
    return (leaf_builder(VILLAIN, KEY.public_key()).sign(KEY, hashes.SHA256()),)


def chain_of_two() -> Certificates:
    """A leaf of an authority of one's own, which the published key has signed."""
    middle = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "middle")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(AUTHORITY_NAME).serial_number(1)
    made = made.public_key(middle.public_key()).not_valid_before(VALID_FROM).not_valid_after(VALID_UNTIL)
    made = made.add_extension(x509.BasicConstraints(True, None), critical=True)
    below = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(name).serial_number(2)
    below = below.public_key(KEY.public_key()).not_valid_before(VALID_FROM).not_valid_after(VALID_UNTIL)
    for extension in good().extensions:
        below = below.add_extension(extension.value, critical=False)
    return below.sign(middle, hashes.SHA256()), made.sign(AUTHORITY_KEY, hashes.SHA256())


def with_ballast() -> Certificates:
    """A good leaf, and behind it one that has nothing to do with it."""
    return good(), good()


def with_identity(value: bytes) -> Certificates:
    made = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(AUTHORITY_NAME).serial_number(1)
    made = made.public_key(KEY.public_key()).not_valid_before(VALID_FROM).not_valid_after(VALID_UNTIL)
    made = made.add_extension(x509.UnrecognizedExtension(IDENTITY, value), critical=False)
    return (made.sign(AUTHORITY_KEY, hashes.SHA256()),)


def with_a_stolen_extension() -> Certificates:
    """The identity of a node whose TLS key one does not have, under a TLS key of one's own."""
    victim = ec.generate_private_key(ec.SECP256R1())
    found = good(victim).extensions.get_extension_for_oid(IDENTITY).value
    assert isinstance(found, x509.UnrecognizedExtension)
    return with_identity(found.value)


HOSTILE: list[Callable[[], Certificates]] = [
    without_identity,
    of_another_authority,
    self_signed,
    chain_of_two,
    with_ballast,
    with_a_stolen_extension,
    lambda: with_identity(b""),
    lambda: with_identity(b"\1" + bytes(95)),
    lambda: with_identity(VILLAIN.id + bytes(64)),
]


@pytest.mark.parametrize("make", HOSTILE)
async def test_a_bad_certificate_of_one_who_calls_is_refused(make: Callable[[], Certificates]) -> None:
    server, client = Node(), Node()
    async with nodes(server, client):
        await server.listen()
        assert await shown(server, context_with(*make(), key=KEY)) == b""
        await until(lambda: server.transport.half_open == 0)
        assert not server.taken
        await client.transport.connect(LOCAL, server.port)


@pytest.mark.parametrize("make", HOSTILE)
async def test_a_bad_certificate_of_one_who_listens_is_refused(make: Callable[[], Certificates]) -> None:
    client = Node()
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HELLO)
        heard.extend(await closed_by_peer(reader))

    async with nodes(client), serving(serve, context_with(*make(), key=KEY, server=True)) as port:
        with pytest.raises(LinkError) as caught:
            await client.transport.connect(LOCAL, port)
        assert caught.value.code in ("bad_chain", "no_identity", "bad_identity", "bad_signature", "tls_failed")
        await until(lambda: client.transport.links == 0)
    assert not heard  # it was told nothing


async def test_the_same_client_with_a_good_certificate_is_let_in() -> None:
    """What the tests above do differently is the certificate alone."""
    server = Node(hello=b"welcome")
    async with nodes(server):
        await server.listen()
        context = context_with(good(), key=KEY)
        reader, writer = await asyncio.open_connection(LOCAL, server.port, ssl=context, server_hostname="")
        writer.write(HELLO + frame_head(3, 4) + b"text")
        assert await reader.readexactly(12) == frame_head(0, 7) + b"welcome"
        await until(lambda: bool(server.taken))
        assert server.taken[0].peer == VILLAIN.id
        assert server.taken[0].hello == b"hi"
        assert await server.taken[0].receive() == [(3, b"text")]
        writer.transport.abort()


async def test_no_certificate_is_refused() -> None:
    server = Node()
    async with nodes(server):
        await server.listen()
        context = make_context(False)
        assert await shown(server, context) == b""
        await until(lambda: server.transport.half_open == 0)
        assert not server.taken


def key_file_of(public: ec.EllipticCurvePublicKey, private: ec.EllipticCurvePrivateKey) -> bytes:
    """A key file (SEC 1) with one key's secret and another's public part, which OpenSSL believes."""
    der = private.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    mine, theirs = (
        key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) for key in (private.public_key(), public)
    )
    assert der.count(mine) == 1
    return ssl.DER_cert_to_PEM_cert(der.replace(mine, theirs)).replace("CERTIFICATE", "EC PRIVATE KEY").encode()


async def test_somebody_elses_certificate_without_its_key_is_refused() -> None:
    server, victim = Node(), ec.generate_private_key(ec.SECP256R1())
    client = Node()
    stolen = good(victim)
    pem = key_file_of(victim.public_key(), KEY)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HELLO)

    async with nodes(server, client):
        await server.listen()
        assert await shown(server, context_with(stolen, key=pem)) == b""
        await until(lambda: server.transport.half_open == 0)
        assert not server.taken
        async with serving(serve, context_with(stolen, key=pem, server=True)) as port:
            with pytest.raises(LinkError) as caught:
                await client.transport.connect(LOCAL, port, VILLAIN.id)
        assert caught.value.code == "tls_failed"


async def test_tls_1_2_is_refused() -> None:
    server, client = Node(), Node()
    context, listening = context_with(good(), key=KEY), context_with(good(), key=KEY, server=True)
    for old in (context, listening):
        old.minimum_version = ssl.TLSVersion.TLSv1_2
        old.maximum_version = ssl.TLSVersion.TLSv1_2

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HELLO)

    async with nodes(server, client):
        await server.listen()
        assert await shown(server, context) == b""
        async with serving(serve, listening) as port:
            with pytest.raises(LinkError) as caught:
                await client.transport.connect(LOCAL, port)
            assert caught.value.code == "tls_failed"


@pytest.mark.parametrize(
    "junk",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(200), Random(7).randbytes(5_000), b"\x16\x03\x01"],
    ids=["http", "zeros", "noise", "beginning"],
)
async def test_bytes_that_are_no_tls_are_refused(junk: bytes) -> None:
    server, client = Node(BRIEF), Node(BRIEF)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(junk)
        await reader.read()

    async with nodes(server, client):
        await server.listen()
        reader, writer = await asyncio.open_connection(LOCAL, server.port)
        writer.write(junk)
        assert b"welcome" not in await closed_by_peer(reader)
        writer.transport.abort()
        async with serving(serve) as port:
            with pytest.raises(LinkError) as caught:
                await client.transport.connect(LOCAL, port)
            assert caught.value.code == "tls_failed"


async def test_who_says_nothing_is_cut_in_time() -> None:
    server = Node(BRIEF)
    async with nodes(server):
        await server.listen()
        silent = [await asyncio.open_connection(LOCAL, server.port) for _ in range(5)]
        for reader, writer in silent:
            assert await closed_by_peer(reader) == b""
            writer.transport.abort()
        await until(lambda: server.transport.half_open == 0)


async def test_a_greeting_byte_by_byte_does_not_gain_time() -> None:
    server = Node(LinkLimits(hello_s=0.5))
    async with nodes(server):
        await server.listen()
        context = context_with(good(), key=KEY)
        reader, writer = await asyncio.open_connection(LOCAL, server.port, ssl=context, server_hostname="")

        async def drip() -> None:
            writer.write(frame_head(0, MAX_HELLO))
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        await closed_by_peer(reader)
        dripping.cancel()
        writer.transport.abort()
        assert not server.taken


async def test_one_who_listens_and_never_greets_is_given_up() -> None:
    client, hasty = Node(LinkLimits(hello_s=0.5)), Node(BRIEF)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with nodes(client, hasty), serving(serve, context_with(good(), key=KEY, server=True)) as port:
        with pytest.raises(LinkError) as caught:
            await client.transport.connect(LOCAL, port)
        assert caught.value.code == "no_hello"
        async with serving(serve) as plain:
            with pytest.raises(LinkError) as caught:
                await hasty.transport.connect(LOCAL, plain)
        assert caught.value.code == "tls_failed"


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (frame_head(0, MAX_HELLO + 1), "oversize"),
        (b"\xff" * 100, "unknown_type"),
        (frame_head(3, 1) + b"x", "unknown_type"),
        (bytes(10), "empty_frame"),
        (HELLO + HELLO, "unknown_type"),
        (HELLO + frame_head(3, 1 << 31), "oversize"),
        (HELLO + frame_head(3, 10) + b"half", "cut"),
        (HELLO[:3], "cut"),
        (b"", "closed"),
    ],
)
async def test_bad_frames_end_the_link(first: bytes, code: str) -> None:
    server, client = Node(), Node()
    context = context_with(good(), key=KEY, server=True)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(10)
        writer.write(first)
        await writer.drain()
        writer.close()
        await closed_by_peer(reader)

    async with nodes(server, client), serving(serve, context) as port:
        with pytest.raises(LinkError) as caught:
            await (await client.transport.connect(LOCAL, port)).receive()
        assert caught.value.code == code


async def test_a_flood_from_one_address_is_refused_and_honest_links_go_on() -> None:
    few = AdmissionLimits(local_per_address=8, local_attempts=50)
    server, honest = Node(admission=few), Node()
    async with nodes(server, honest):
        await server.listen()
        link = await honest.transport.connect(LOCAL, server.port)
        await until(lambda: bool(server.taken))
        (there,) = server.taken
        before, tasks = resident(), len(asyncio.all_tasks())
        flood: list[socket.socket] = []
        for number in range(1_000):
            flood.append(socket.create_connection((LOCAL, server.port), timeout=PATIENCE_S))
            if number % 20 == 0:
                link.send(5, number.to_bytes(4), CONTROL)
                assert await asyncio.wait_for(there.receive(), PATIENCE_S) == [(5, number.to_bytes(4))]
                assert server.transport.half_open <= 8
                assert len(asyncio.all_tasks()) <= tasks + 10
        await until(lambda: server.transport.refused >= 990)
        assert resident() - before < 20_000_000
        for item in flood:
            item.close()
        await until(lambda: server.transport.half_open == 0)
        assert link.open
        assert there.open


def resident() -> int:
    """Bytes of memory that this process has; 0 where the system does not tell."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


async def test_beginners_are_few_and_the_slow_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.mesh.transport.HALF_OPEN_S", 1_000.0)
    server, honest = Node(LinkLimits(handshake_s=PATIENCE_S)), Node()
    async with nodes(server, honest):
        await server.listen()
        slow = [await asyncio.open_connection(LOCAL, server.port) for _ in range(HALF_OPEN)]
        await until(lambda: server.transport.half_open == HALF_OPEN)
        reader, late = await asyncio.open_connection(LOCAL, server.port)
        assert await closed_by_peer(reader) == b""  # none is old enough to go
        monkeypatch.setattr("node.mesh.transport.HALF_OPEN_S", 0.0)
        link = await honest.transport.connect(LOCAL, server.port)
        assert link.open
        assert await closed_by_peer(slow[0][0]) == b""
        await until(lambda: server.transport.half_open == HALF_OPEN - 1)
        for writer in (late, *(writer for _, writer in slow)):
            writer.transport.abort()
        await until(lambda: server.transport.half_open == 0)


async def test_places_are_free_again_after_links_end() -> None:
    server, client = Node(admission=AdmissionLimits(local_per_address=2)), Node()
    async with nodes(server, client):
        await server.listen()
        for _ in range(3):
            links = [await client.transport.connect(LOCAL, server.port) for _ in range(2)]
            with pytest.raises(LinkError):
                await client.transport.connect(LOCAL, server.port)
            for link in links:
                await link.close()
            await until(lambda: server.transport.links == 0)


async def test_connections_that_break_off_at_any_moment_leave_nothing() -> None:
    server = Node()
    context = context_with(good(), key=KEY)
    async with nodes(server):
        await server.listen()
        for moment in range(40):
            attempt = asyncio.create_task(
                asyncio.open_connection(
                    LOCAL, server.port, ssl=context, server_hostname="", ssl_handshake_timeout=PATIENCE_S
                )
            )
            for _ in range(moment):
                await asyncio.sleep(0)
            if attempt.done():
                (await attempt)[1].transport.abort()
                continue
            raw = socket.create_connection((LOCAL, server.port), timeout=PATIENCE_S)
            raw.send(b"\x16\x03\x01\x02\x00\x01"[: moment % 7])
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset instead of an end
            raw.close()
            (await attempt)[1].transport.abort()
        await until(lambda: server.transport.half_open == server.transport.links == 0)


async def test_a_peer_that_floods_frames_nobody_reads_is_held_up() -> None:
    server, client, there, here = await pair(LinkLimits(unread=50_000))
    async with nodes(server, client):

        async def flood(link: Link) -> None:
            while link.open:
                link.send(6, bytes(1_000), BULK)
                await asyncio.sleep(0)

        flooding = asyncio.create_task(flood(here))
        await until(lambda: there._held_up)
        seen = there.bytes_in
        await asyncio.sleep(0.3)
        assert there.bytes_in - seen < 1_000_000  # what TLS had in hand
        assert there._unread < 1_500_000
        flooding.cancel()


async def test_a_byte_changed_or_lost_on_the_way_never_gives_another_peer() -> None:
    """A real link through somebody who changes, drops or repeats a byte of it, anywhere."""
    random = Random(5)
    server, client = Node(BRIEF), Node(BRIEF)

    def spoil(data: bytes, place: int) -> bytes:
        byte, rest = data[place : place + 1], data[place + 1 :]
        changed = bytes((byte[0] ^ 1 << random.randrange(8),))
        return data[:place] + random.choice((changed, b"", byte * 2)) + rest

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: int) -> None:
        seen = 0
        while data := await reader.read(1 << 16):
            writer.write(spoil(data, place - seen) if seen <= place < seen + len(data) else data)
            seen += len(data)
        writer.close()

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(LOCAL, server.port)
        places = [random.randrange(2_000), 1 << 30]
        random.shuffle(places)
        try:
            await asyncio.gather(carry(reader, back, places[0]), carry(there, writer, places[1]))
        finally:
            back.transport.abort()
            writer.transport.abort()

    refused = 0
    async with nodes(server, client):
        await server.listen()
        async with serving(between) as port:
            for _ in range(60):
                try:
                    link = await client.transport.connect(LOCAL, port, server.key.id)
                except LinkError:
                    refused += 1
                    continue
                assert (link.peer, link.hello) == (server.key.id, b"hello")
                await link.close()
        assert all((link.peer, link.hello) == (client.key.id, b"hello") for link in server.taken)
        assert refused > 20


async def test_a_flood_of_empty_frames_stays_small() -> None:
    server = Node(LinkLimits(unread=10_000))
    count = 200_000

    async with nodes(server):
        await server.listen()
        context = context_with(good(), key=KEY)
        reader, writer = await asyncio.open_connection(LOCAL, server.port, ssl=context, server_hostname="")
        writer.write(HELLO + frame_head(4, 0) * count)
        await until(lambda: bool(server.taken))
        (link,) = server.taken
        await until(lambda: link._held_up)
        got = 0
        while got < count:
            frames = await link.receive()
            got += len(frames)
            assert len(frames) <= 101
            assert link._unread <= 10_100
        assert got == count
        writer.close()
        await closed_by_peer(reader)


async def test_frames_that_wait_come_out_after_the_peer_has_gone() -> None:
    server = Node(LinkLimits(unread=1_000))
    async with nodes(server):
        await server.listen()
        context = context_with(good(), key=KEY)
        reader, writer = await asyncio.open_connection(LOCAL, server.port, ssl=context, server_hostname="")
        writer.write(HELLO + frame_head(4, 0) * 100 + frame_head(99, 0))
        await until(lambda: bool(server.taken))
        (link,) = server.taken
        assert await read_all(link, 100) == 100
        with pytest.raises(LinkError) as caught:
            await link.receive()
        assert caught.value.code == "unknown_type"
        await closed_by_peer(reader)
        writer.transport.abort()


async def read_all(link: Link, count: int) -> int:
    """Read until so many frames came."""
    got = 0
    while got < count:
        got += len(await link.receive())
    return got


async def test_running_out_of_files_is_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server, client = Node(), Node()
    real = socket.socket.accept
    failures = [2]

    def accept(self: socket.socket) -> tuple[socket.socket, object]:
        if failures[0]:
            failures[0] -= 1
            raise OSError(24, "Too many open files")
        return real(self)

    monkeypatch.setattr("node.mesh.transport._NO_FILES_S", 0.05)
    await server.listen()
    monkeypatch.setattr(socket.socket, "accept", accept)
    link = await client.transport.connect(LOCAL, server.port)
    assert link.open
    assert "Too many open files" in caplog.text
    await asyncio.gather(server.transport.close(), client.transport.close())
