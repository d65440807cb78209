"""Two homes behind routers that let nobody in, and two open nodes: real nodes in network namespaces. The homes pay each
other over a link through a relay; the relay is killed, and the other one takes over."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from node.api.client import RemoteNode
from node.api.errors import NoNode
from node.api.records import MeshView
from node.encoding.hosts import Address
from node.mesh.identity import open_node_key
from node.mesh.protocol.addresses import AddressBook
from node.profile.paths import ProfilePaths
from node.service.peer_file import PeerFile
from node.storage.queries import read_genesis
from tests.node.service.mesh_world import profiles_of_one_network
from tests.node.world import Payer, key
from tests.scenarios.homes import Street, require_routers
from tests.scenarios.netns import run_inside
from tests.scenarios.resident import Resident

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
RELAYS, HOMES = (0, 1), (2, 3)
PATIENCE_S = 150.0


async def links(paths: ProfilePaths) -> MeshView | None:
    with suppress(NoNode):
        async with await RemoteNode.connect(paths.socket) as node:
            return await node.mesh()
    return None


async def through(one: ProfilePaths, other: bytes) -> bytes | None:
    """The relay of a node's link to another; empty for a direct one, None for none."""
    view = await links(one)
    found = () if view is None else view.peers
    return next((peer.relay for peer in found if peer.node == other), None)


async def wait(so: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not await so():  # type: ignore[misc]
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.3)


async def test_homes_reach_each_other_through_relays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_routers()
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path))
    profiles = profiles_of_one_network(tmp_path / "profiles", 4)
    names = [open_node_key(paths.node_key).id for paths in profiles]
    genesis = read_genesis(profiles[0].genesis)
    with Street(len(RELAYS), len(HOMES)) as street:
        for home in HOMES:
            book = AddressBook(names[home], Random(1))
            for relay in RELAYS:
                book.add(Address(street.address(relay), 7_400, names[relay]), b"", 0)
            PeerFile(profiles[home].peers).save(0, book.rows(), {})
        nodes = [
            run_inside(street.name(number), paths.name, tmp_path / f"node{number}.log")
            for number, paths in enumerate(profiles)
        ]
        try:
            await scene(profiles, names, nodes, genesis.hash)
        finally:
            for node in nodes:
                node.send_signal(signal.SIGTERM)
            codes = [node.wait(timeout=PATIENCE_S) for node in nodes]
        assert sorted(codes) == [-signal.SIGKILL, 0, 0, 0]


async def scene(
    profiles: list[ProfilePaths], names: list[bytes], nodes: list[subprocess.Popen[bytes]], genesis: bytes
) -> None:
    one, other = HOMES
    relays = [names[number] for number in RELAYS]

    async def linked(by: list[bytes]) -> bool:
        ways = await through(profiles[one], names[other]), await through(profiles[other], names[one])
        return ways[0] == ways[1] and ways[0] in by

    began = time.monotonic()
    await wait(lambda: linked(relays), "the homes did not meet")
    met = time.monotonic() - began
    payer = Payer(genesis, key(1))
    await pay(payer, 0, profiles, [one, other, *RELAYS])

    way = await through(profiles[one], names[other])
    first = names.index(way or b"")
    shown = subprocess.run(
        [sys.executable, "-m", "nexus_tui", "--profile", profiles[first].name, "mesh", "peers", "--json"],
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert json.loads(shown.stdout)["relayed"] > 1_000
    nodes[first].kill()
    rest = [relay for relay in relays if relay != way]
    began = time.monotonic()
    await wait(lambda: linked(rest), "no other relay took over")
    print(f"\nthe homes met after {met:.1f} s; another relay took over {time.monotonic() - began:.1f} s after a kill")
    await pay(payer, 1, profiles, [one, other, names.index(rest[0])])


async def pay(payer: Payer, nonce: int, profiles: list[ProfilePaths], everywhere: list[int]) -> None:
    """Pay from the first home; the payment is done with all who are to have it."""
    residents = [Resident(profiles[number]) for number in everywhere]
    payment = payer.pay(nonce, key(60).address, 1_000)
    await residents[0].submit(payment)

    async def done() -> bool:
        return all([await resident.has_done([payment]) for resident in residents])

    await wait(done, "a payment did not arrive")
