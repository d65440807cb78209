"""The mesh's doctor says what is wrong and what to do, with the node running or not."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from node.api.records import FindingView
from node.encoding.node_id import node_text
from node.service.mesh_doctor import OK, PROBLEM, examine, examine_files
from node.service.peer_file import PeerFile
from tests.node.service.service_world import until
from tests.node.service.test_mesh import HERE, LONG, Street, mesh_of


def named(found: Iterable[FindingView], name: str) -> FindingView:
    return next(item for item in found if item.name == name)


async def test_a_node_with_peers_is_well_and_one_without_is_told_what_to_do(tmp_path: Path) -> None:
    async with Street(tmp_path, validators=2, others=1) as street:
        street.meet(1, 0)
        one, other, alone = (mesh_of(node) for node in street.nodes)
        await until(lambda: bool(one.peers and other.peers), LONG)
        found = await examine(one)
        for name in ("listening", "reachable", "clock", "bans"):
            assert named(found, name).state == OK, name
        assert "1 linked, 0 of them called" in named(found, "peers").detail
        assert "1 linked, 1 of them called" in named(await examine(other), "peers").detail
        lonely = named(await examine(alone), "peers")
        assert lonely.state == PROBLEM
        assert "nexus mesh connect" in lonely.advice
        for peer in one.peers.values():
            peer.ahead_ms = 2 * 3_600_000
        one.recovery.heed_clocks()
        skewed = named(await examine(one), "clock")
        assert (skewed.state, "7200 s behind" in skewed.detail) == (PROBLEM, True)
        raised = next(item for item in street.nodes[0].alerts.standing() if item.code == "clock_skew")
        assert "about 2 hours behind those of 1 of 1 peers" in raised.message
        one.recovery.clock_set(2 * 3_600_000)  # its owner sets it right
        assert named(await examine(one), "clock").state == OK
        assert not any(item.code == "clock_skew" for item in street.nodes[0].alerts.standing())


async def test_why_somebody_was_not_reached_is_told(tmp_path: Path) -> None:
    async with Street(tmp_path, validators=2) as street:
        mesh = mesh_of(street.nodes[0])
        with closing(socket.socket()) as taken:
            taken.bind(("127.0.0.1", 0))
            place = f"{node_text(mesh_of(street.nodes[1]).key.id)}@127.0.0.1:{taken.getsockname()[1]}"
            mesh.introduce_place(place)
            await until(lambda: bool(mesh.recovery.errors), LONG)
        assert "cannot be reached" in named(await examine(mesh), "last error").detail
        street.meet(0, 1)
        await until(lambda: bool(mesh.peers), LONG)


async def test_without_a_node_its_files_and_this_device_are_looked_at(tmp_path: Path) -> None:
    place = tmp_path / "peers.nexus"
    found = await examine_files(place, HERE, 1_800_000_000_000)
    assert "no other node is known" in named(found, "addresses").detail
    row = ("192.168.1.7", 7_400, b"f" * 32, b"", 1_800_000_000_000 - 3 * 86_400_000, 1, 0)
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        PeerFile(place).save(taken.getsockname()[1], (row,), {b"b" * 32: 1_900_000_000_000})
        proxied = replace(HERE, proxy=f"socks5://127.0.0.1:{taken.getsockname()[1]}")
        found = await examine_files(place, proxied, 1_800_000_000_000)
        assert "3 days ago" in named(found, "addresses").detail
        assert "not free" in named(found, "listening").detail
        assert "1 nodes" in named(found, "bans").detail
        assert named(found, "proxy").state == OK
    gone = named(await examine_files(place, proxied, 1_800_000_000_000), "proxy")
    assert gone.state == PROBLEM
    assert "mesh.proxy" in gone.advice
