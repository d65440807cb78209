"""Whether a node takes itself for one that can be called, from what it saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from node.mesh.protocol.hello import CIRCUITS
from node.mesh.protocol.messages import Routes
from node.service.mesh_settings import MeshSettings
from node.service.routing import CALLED_MS, OWN_ROUTES, UNCALLED_MS, Routing

PUBLIC, LOCAL = "8.8.8.8", "192.168.0.9"


@dataclass
class FakeMesh:
    """As much of a mesh as routing looks at."""

    settings: MeshSettings = field(default_factory=MeshSettings)
    port: int = 7_400
    now: int = 1_000_000
    peers: dict[int, Any] = field(default_factory=dict)
    said: list[tuple[int, Routes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = SimpleNamespace(id=bytes(32))
        self.gossip = SimpleNamespace(say=lambda number, message: self.said.append((number, message)))
        self.routing = Routing(self, Random(1))  # type: ignore[arg-type]

    def now_ms(self) -> int:
        return self.now

    def clock(self) -> int:
        return self.now

    @property
    def dialling(self) -> FakeMesh:
        return self

    def wake(self) -> None:
        pass

    def link(self, host: str, *, inbound: bool = False, relay: bytes = b"", services: int = CIRCUITS) -> int:
        number = len(self.peers) + 1
        link = SimpleNamespace(host=host, port=7_400, inbound=inbound, relay=relay, peer=bytes([number]) * 32)
        peer = SimpleNamespace(link=link, hello=SimpleNamespace(services=services), since_ms=self.now)
        self.peers[number] = peer
        self.routing.linked(number, peer)  # type: ignore[arg-type]
        return number


def test_who_listens_nowhere_or_takes_nobody_is_unreachable() -> None:
    assert FakeMesh(port=0).routing.unreachable
    assert FakeMesh(MeshSettings(inbound=0)).routing.unreachable
    assert not FakeMesh().routing.unreachable


def test_who_is_never_called_takes_itself_for_unreachable_after_a_while() -> None:
    mesh = FakeMesh()
    mesh.link(PUBLIC)
    mesh.now += UNCALLED_MS - 1
    assert not mesh.routing.unreachable
    mesh.now += 1
    assert mesh.routing.unreachable
    mesh.link(LOCAL, inbound=True)
    assert mesh.routing.unreachable, "a call from the same house says nothing of the internet"
    mesh.link(PUBLIC, inbound=True, relay=b"r" * 32)
    assert mesh.routing.unreachable, "nor does a circuit"
    caller = mesh.link("9.9.9.9", inbound=True)
    assert not mesh.routing.unreachable
    mesh.now += 2 * CALLED_MS
    assert not mesh.routing.unreachable, "the link is still there"
    del mesh.peers[caller]
    assert mesh.routing.unreachable, "that call was long ago"


def test_in_a_local_network_its_own_calls_count() -> None:
    mesh = FakeMesh()
    mesh.link(LOCAL)
    mesh.link(LOCAL, inbound=True)
    mesh.now += UNCALLED_MS
    assert not mesh.routing.unreachable


def test_a_device_that_was_carried_elsewhere_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.service.routing.own_addresses", lambda: ["5.1.0.1"])
    mesh = FakeMesh()
    caller = mesh.link(PUBLIC, inbound=True)
    del mesh.peers[caller]
    mesh.link(PUBLIC)
    mesh.now += UNCALLED_MS
    mesh.routing._look()
    assert not mesh.routing.unreachable
    monkeypatch.setattr("node.service.routing.own_addresses", lambda: ["192.168.7.2"])
    mesh.routing._look()
    assert not mesh.routing.unreachable, "nothing is known yet"
    mesh.now += UNCALLED_MS
    assert mesh.routing.unreachable


def test_own_routes_are_relays_that_were_called_those_first_that_all_can_call() -> None:
    mesh = FakeMesh(port=0)
    mesh.link(LOCAL)
    mesh.link(PUBLIC, inbound=True)
    mesh.link(PUBLIC, services=0)
    mesh.link(PUBLIC, relay=b"r" * 32)
    expected = [mesh.link(f"8.8.{number}.8") for number in range(4)]
    hosts = [route.host for route in mesh.routing.own_routes()]
    assert hosts == [mesh.peers[number].link.host for number in expected[:OWN_ROUTES]]
    mesh.routing.routes.failed(b"?" * 32, mesh.peers[expected[0]].link.peer, mesh.now)
    assert mesh.routing.own_routes()[0].host == "8.8.1.8"


def test_who_uses_a_proxy_names_no_relay() -> None:
    mesh = FakeMesh(MeshSettings(hosts=(), proxy="socks5://127.0.0.1:9050"), port=0)
    mesh.link(PUBLIC)
    assert mesh.routing.own_routes() == ()


def test_peers_hear_of_a_change_and_of_the_withdrawal() -> None:
    mesh = FakeMesh(port=0)
    relay = mesh.link(PUBLIC)
    other = mesh.link(PUBLIC, services=0)
    assert {number for number, message in mesh.said if message.entries} == {relay, other}
    mesh.said.clear()
    mesh.routing._look()
    assert not mesh.said, "nothing has changed"
    mesh.port = 7_400
    mesh.link("9.9.9.9", inbound=True, services=0)
    assert {number for number, message in mesh.said if not message.entries} >= {relay, other}
