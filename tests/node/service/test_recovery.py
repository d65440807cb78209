"""Nodes over real links come back after sleep and in other networks, and call first whom they know."""

from __future__ import annotations

from pathlib import Path

from node.service.opening import ServiceSettings, open_service
from tests.node.service.service_world import until
from tests.node.service.test_mesh import HERE, LONG, Street, mesh_of

HOUR_MS = 3_600_000


async def test_after_a_sleep_links_are_made_anew_at_once(tmp_path: Path) -> None:
    async with Street(tmp_path, validators=2) as street:
        street.meet(1, 0)
        mesh = mesh_of(street.nodes[1])
        await until(lambda: bool(mesh.peers), LONG)
        before = next(iter(mesh.peers))
        for _ in range(6):
            mesh.book.failed(mesh_of(street.nodes[0]).key.id, mesh.clock())
        mesh.recovery.slept(5 * HOUR_MS)
        await until(lambda: bool(mesh.peers) and before not in mesh.peers, LONG)


async def test_a_link_from_an_address_that_is_gone_ends(tmp_path: Path) -> None:
    async with Street(tmp_path, validators=2) as street:
        street.meet(1, 0)
        mesh = mesh_of(street.nodes[1])
        await until(lambda: bool(mesh.peers), LONG)
        number, peer = next(iter(mesh.peers.items()))
        mesh.recovery.moved(frozenset(("192.168.7.7",)))
        assert peer.link.open, "the loopback does not go away"
        peer.link.own_host = "192.168.1.5"
        mesh.recovery.moved(frozenset(("192.168.7.7",)))
        assert not peer.link.open
        await until(lambda: bool(mesh.peers) and number not in mesh.peers, LONG)


async def test_a_clock_that_is_set_lifts_no_ban_and_makes_none_longer(tmp_path: Path) -> None:
    async with Street(tmp_path, validators=2) as street:
        mesh = mesh_of(street.nodes[0])
        stranger = b"s" * 32
        mesh.ban(stranger, HOUR_MS)
        set_by = 0
        for by in (400 * 24 * HOUR_MS, -900 * 24 * HOUR_MS):
            mesh.recovery.clock_set(by)
            set_by += by
            left = mesh.bans[stranger] - (mesh.clock() + set_by)
            assert 0 < left <= HOUR_MS


async def test_anchors_and_named_nodes_are_remembered_over_a_restart(tmp_path: Path) -> None:
    async with Street(tmp_path, validators=2, others=1) as street:
        street.meet(2, 0)
        mesh = mesh_of(street.nodes[2])
        home = mesh_of(street.nodes[0]).key.id
        await until(lambda: bool(mesh.peers), LONG)
        assert mesh.recovery.anchors_now() == (home,)
        assert home in mesh.recovery.familiar
    async with open_service(street.profiles[2], ServiceSettings(serve=False, mesh=HERE)) as service:
        again = mesh_of(service.node)
        assert again.recovery.anchors_now() == (home,)
        assert home in again.recovery.familiar
        await until(lambda: bool(again.recovery.errors), LONG)  # it was called, and is not there
        assert {address.node for address in again.recovery.errors} == {home}
