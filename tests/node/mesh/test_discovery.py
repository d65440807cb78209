"""Nodes find each other by multicast DNS: on the loopback interface alone, so that nothing leaves the machine."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from node.mesh import discovery
from node.mesh.discovery import Announcer, ask

LOOPBACK = ["127.0.0.1"]


def multicast_works() -> bool:
    """Whether the loopback interface carries multicast here."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hearer,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as teller,
    ):
        group, here = socket.inet_aton("224.0.0.251"), socket.inet_aton("127.0.0.1")
        try:
            hearer.bind(("", 0))
            hearer.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + here)
            hearer.settimeout(1)
            teller.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
            teller.sendto(b"x", ("224.0.0.251", hearer.getsockname()[1]))
            return hearer.recv(8) == b"x"
        except OSError:
            return False


needs_multicast = pytest.mark.skipif(not multicast_works(), reason="the loopback interface carries no multicast here")


async def found_by(places: set[tuple[str, int]], wanted: set[tuple[str, int]], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not wanted <= places:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@needs_multicast
async def test_two_nodes_find_each_other_and_not_themselves() -> None:
    first: set[tuple[str, int]] = set()
    second: set[tuple[str, int]] = set()
    one = Announcer(7_411, lambda *place: first.add(place), LOOPBACK)
    other = Announcer(7_412, lambda *place: second.add(place), LOOPBACK)
    assert await one.start()
    assert await other.start()
    try:
        await found_by(first, {("127.0.0.1", 7_412)})
        await found_by(second, {("127.0.0.1", 7_411)})
        assert ("127.0.0.1", 7_411) not in first
        assert ("127.0.0.1", 7_412) not in second
    finally:
        await one.close()
        await other.close()


@needs_multicast
async def test_who_cannot_hear_multicast_asks_and_is_answered() -> None:
    announcer = Announcer(7_413, lambda *place: None, LOOPBACK)
    assert await announcer.start()
    try:
        places: set[tuple[str, int]] = set()
        for _ in range(100):  # an answer may be lost, late on a busy machine, or another's who shares the port
            places |= set(await ask(0.3, ("127.0.0.1", discovery.PORT)))
            if ("127.0.0.1", 7_413) in places:
                break
        assert ("127.0.0.1", 7_413) in places
    finally:
        await announcer.close()


async def test_an_answer_that_is_none_is_passed_over() -> None:
    loop = asyncio.get_running_loop()

    class Liar(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            for answer in (b"", b"\x00" * 12, os.urandom(300), data, b"\xff" * 2_000):
                self.transport.sendto(answer, addr)  # type: ignore[attr-defined]

    transport, _ = await loop.create_datagram_endpoint(Liar, local_addr=("127.0.0.1", 0))
    try:
        assert await ask(0.3, transport.get_extra_info("sockname")) == []
    finally:
        transport.close()


async def test_a_network_that_is_down_is_no_fault() -> None:
    assert await ask(0.01, ("127.0.0.1", 9)) == []
    announcer = Announcer(7_414, lambda *place: None, ["203.0.113.9"])
    assert not await announcer.start()


def test_a_phone_knows_that_it_hears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANDROID_ROOT", raising=False)
    assert discovery.can_hear_multicast()
    monkeypatch.setattr("sys.platform", "android")
    assert not discovery.can_hear_multicast()
