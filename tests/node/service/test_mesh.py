"""Whole nodes over real links on the loopback interface: they meet, follow each other, and refuse whom they must."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from node.encoding.hosts import Address
from node.mesh.protocol import messages
from node.service.mesh import Mesh
from node.service.mesh_settings import MeshSettings
from node.service.node import Node
from node.service.opening import ServiceSettings, open_service
from tests.node.service.mesh_world import profiles_of_one_network
from tests.node.service.service_world import confirmed, until
from tests.node.world import Payer, key

LONG = 90.0
HERE = MeshSettings(hosts=("127.0.0.1",), port=0, discovery=False)


def mesh_of(node: Node) -> Mesh:
    assert node.links is not None
    return node.links


class Street:
    """Nodes of one network that run until the stack ends."""

    def __init__(self, folder: Path, validators: int, others: int = 0) -> None:
        self.profiles = profiles_of_one_network(folder, validators, others)
        self.nodes: list[Node] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Street:
        await self._stack.__aenter__()
        for paths in self.profiles:
            settings = ServiceSettings(serve=False, mesh=HERE)
            service = await self._stack.enter_async_context(open_service(paths, settings))
            self.nodes.append(service.node)
        await until(lambda: all(mesh_of(node).port for node in self.nodes))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.__aexit__(*error)  # type: ignore[arg-type]

    def meet(self, one: int, other: int) -> None:
        """The first is told of the second."""
        target = mesh_of(self.nodes[other])
        assert mesh_of(self.nodes[one]).introduce(Address("127.0.0.1", target.port, target.key.id))

    def payer(self, number: int) -> Payer:
        return Payer(self.nodes[0].genesis.hash, key(number))


async def test_nodes_that_know_one_address_become_one_network(tmp_path: Path) -> None:
    async with Street(tmp_path, validators=3, others=1) as street:
        for number in (1, 2, 3):
            street.meet(number, 0)
        await until(lambda: all(len(mesh_of(node).peers) == 3 for node in street.nodes), LONG)
        payment = street.payer(1).pay(0, key(60).address, 5_000)
        await street.nodes[3].submit(payment.raw)
        for node in street.nodes:
            await confirmed(node, payment.txid)
        await until(lambda: all(node.engine.final.height > 0 for node in street.nodes), LONG)
        assert (await street.nodes[0].status()).peers == 3
        view = await street.nodes[3].mesh()
        assert sum(peer.brought for peer in view.peers) > 0, "a node without a validator has all blocks from others"
        assert {one.node for one in view.others} >= {peer.node for peer in view.peers}
        assert view.bytes_in >= sum(peer.bytes_in for peer in view.peers) > 0


async def test_links_that_come_and_go_are_told_together(tmp_path: Path) -> None:
    async with Street(tmp_path, validators=2, others=2) as street:
        centre = street.nodes[0]
        async with centre.subscribe(("mesh",)) as events:
            for number in (1, 2, 3):
                street.meet(number, 0)
            await until(lambda: len(mesh_of(centre).peers) == 3, LONG)
            async with asyncio.timeout(LONG):
                assert (await anext(events)).topic == "mesh"
            mesh_of(centre).ban(mesh_of(street.nodes[1]).key.id)
            async with asyncio.timeout(LONG):
                assert (await anext(events)).topic == "mesh"
            assert len(mesh_of(centre).peers) == 2


async def test_who_is_kept_out_does_not_call_in_a_circle(tmp_path: Path) -> None:
    async with Street(tmp_path, validators=2) as street:
        host, guest = (mesh_of(node) for node in street.nodes)
        street.meet(1, 0)
        await until(lambda: len(host.peers) == len(guest.peers) == 1, LONG)
        host.ban(guest.key.id)
        await until(lambda: not guest.peers, LONG)
        guest.dialling.wake()
        await until(lambda: (guest.book.next_ms() or 0) > guest.clock(), LONG)
        links, _ = guest.traffic.sent[messages.NUMBERS[messages.AskAddresses]]  # each that it opens begins so
        assert links < 5
