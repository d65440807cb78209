"""A sparing node: it sleeps when nothing is awaited, looks again, and its owner's payments go at any time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from node.encoding.hosts import Address
from node.service import thrift
from node.service.mesh import Mesh
from node.service.mesh_settings import MeshSettings
from node.service.node import Node
from node.service.opening import ServiceSettings, open_service
from node.service.peer_file import PeerFile
from tests.node.service.mesh_world import profiles_of_one_network
from tests.node.service.service_world import alert, confirmed, until
from tests.node.world import Payer, key

LONG = 90.0
HERE = MeshSettings(hosts=("127.0.0.1",), port=0, discovery=False)
PHONE = replace(HERE, hosts=(), phone=True, metered="yes", relay=False)
LIMIT_MB = 5


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thrift, "TICK_S", 0.05)
    monkeypatch.setattr(thrift, "SETTLED_MS", 300)
    monkeypatch.setattr(thrift, "ALONE_MS", 1_500)


def mesh_of(node: Node) -> Mesh:
    assert node.links is not None
    return node.links


@asynccontextmanager
async def pair(folder: Path, settings: MeshSettings) -> AsyncIterator[tuple[Node, Node]]:
    """A validator, and a phone that knows where it is."""
    first, _, second = profiles_of_one_network(folder, 2, 1)  # a network of one validator has no links
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(open_service(first, ServiceSettings(serve=False, mesh=HERE)))
        home = mesh_of(service.node)
        await until(lambda: home.port > 0)
        phone = await stack.enter_async_context(open_service(second, ServiceSettings(serve=False, mesh=settings)))
        mesh_of(phone.node).introduce(Address("127.0.0.1", home.port, home.key.id))
        yield service.node, phone.node


def pays(node: Node, nonce: int, payer: int = 1) -> bytes:
    return Payer(node.genesis.hash, key(payer)).pay(nonce, key(60).address, 1_000).raw


async def test_a_phone_sleeps_between_looks(tmp_path: Path) -> None:
    async with pair(tmp_path, PHONE) as (home, phone):
        mesh = mesh_of(phone)
        await until(lambda: bool(mesh_of(home).peers), LONG)
        await until(lambda: mesh.thrift.asleep and not mesh_of(home).peers, LONG)
        view = (await phone.mesh()).sparing
        assert view is not None
        assert view.metered is True
        assert view.next_look_ms is not None
        assert 14 * 60_000 < view.next_look_ms - phone.clock_ms() <= 15 * 60_000
        missed = await home.submit(pays(home, 0))
        await confirmed(home, missed.txid)
        assert await phone.transaction(missed.txid) is None
        mesh.thrift.next_look_ms = phone.clock_ms()  # the time has come
        await confirmed(phone, missed.txid)
        await until(lambda: mesh.thrift.asleep, LONG)
        own = await phone.submit(pays(phone, 0, payer=2))  # it wakes, and waits for the block
        await confirmed(phone, own.txid)
        await until(lambda: mesh.thrift.asleep, LONG)
        await phone.wake()
        assert not mesh.thrift.asleep


async def test_where_data_is_free_a_phone_stays_linked(tmp_path: Path) -> None:
    async with pair(tmp_path, replace(PHONE, metered="no")) as (home, phone):
        await until(lambda: bool(mesh_of(home).peers), LONG)
        mesh = mesh_of(phone)
        number = next(iter(mesh.peers))
        await until(lambda: mesh.now_ms() - mesh.peers[number].since_ms > 1_000 and not mesh.gossip.busy, LONG)
        mesh.thrift.tick()
        assert not mesh.thrift.asleep


async def test_at_the_bound_only_own_payments_go(tmp_path: Path) -> None:
    settings = replace(PHONE, metered="no", day_megabytes=LIMIT_MB)
    async with pair(tmp_path, settings) as (home, phone):
        mesh = mesh_of(phone)
        await until(lambda: bool(mesh_of(home).peers), LONG)
        mesh.thrift.allowance.used = LIMIT_MB * 1_000_000
        await until(lambda: mesh.thrift.asleep and not mesh_of(home).peers, LONG)
        raised = alert(phone, "data_bound")
        assert raised is not None
        assert "5 MB" in raised.message
        await phone.wake()
        assert mesh.thrift.asleep, "somebody who only looks gets nothing any more"
        own = await phone.submit(pays(phone, 0))
        await confirmed(home, own.txid)
        await until(lambda: mesh.thrift.asleep and not mesh_of(home).peers, LONG)
        assert phone.engine.tip.height < home.engine.tip.height, "blocks are not fetched for it"
        mesh.thrift.allowance.day -= 1  # tomorrow
        await confirmed(phone, own.txid)
        assert alert(phone, "data_bound") is None
    kept = PeerFile(phone_file(tmp_path)).data
    assert kept[0] == thrift.local_day(home.clock_ms())
    assert 0 < kept[1] < 1_000_000


def phone_file(folder: Path) -> Path:
    return next(folder.glob("node2/peers.nexus"))


async def test_near_the_bound_transactions_of_others_are_not_fetched(tmp_path: Path) -> None:
    settings = replace(PHONE, metered="no", day_megabytes=LIMIT_MB)
    async with pair(tmp_path, settings) as (home, phone):
        mesh = mesh_of(phone)
        await until(lambda: bool(mesh_of(home).peers), LONG)
        mesh.thrift.allowance.used = LIMIT_MB * 900_000
        await until(lambda: mesh.thrift.asleep, LONG)
        raised = alert(phone, "data_bound")
        assert raised is not None
        assert raised.level == "info"
        fetched = mesh.traffic.received.get(13, (0, 0))
        missed = await home.submit(pays(home, 0))
        await phone.submit(pays(phone, 0, payer=2))  # it waits for the block
        await confirmed(phone, missed.txid)  # it came in a block
        assert mesh.traffic.received.get(13, (0, 0))[1] - fetched[1] < 3 * len(pays(home, 0)), "votes, no payment"


def test_the_next_day_begins_at_midnight() -> None:
    now = int(datetime(2026, 3, 28, 15, 30).timestamp() * 1000)
    midnight = datetime.fromtimestamp(thrift.next_day_ms(now) // 1000)
    assert (midnight.day, midnight.hour, midnight.minute) == (29, 0, 0)
    assert thrift.local_day(thrift.next_day_ms(now)) == thrift.local_day(now) + 1
