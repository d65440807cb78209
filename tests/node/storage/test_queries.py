"""Queries on a chain of real blocks: what was executed is what is shown, page by page, beside a running writer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from storage_network import (  # type: ignore[import-not-found]
    ALICE,
    BOB,
    CAROL,
    START_MS,
    VALIDATOR,
    Network,
)

from node.api.errors import Damaged, Refused, UsageError
from node.api.records import HistoryPage
from node.encoding.amounts import SUPPLY, UNITS_PER_NXT
from node.storage.queries import Queries

NXT = UNITS_PER_NXT


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path / "profile")
    yield made
    made.database.close()


@pytest.fixture
async def queries(network: Network) -> AsyncIterator[Queries]:
    opened = await Queries.open(network.paths)
    yield opened
    await opened.close()


async def test_before_the_first_block(network: Network, queries: Queries) -> None:
    assert await queries.block() is None
    assert await queries.blocks() == ()
    assert (await queries.network()).genesis == network.genesis.hash
    alice = await queries.account(ALICE.address)
    assert (alice.exists, alice.balance, alice.nonce) == (True, 1_000 * NXT, 0)
    bob = await queries.account(BOB.address)
    assert (bob.exists, bob.balance, bob.next_nonce, bob.spendable) == (False, 0, 0, 0)
    assert await queries.history((ALICE.address,)) == HistoryPage((), None)
    assert await queries.transaction(b"\0" * 32) is None


async def test_transactions_show_what_happened(network: Network, queries: Queries) -> None:
    genesis = network.genesis.hash
    good = ALICE.pays(genesis, 0, ((BOB.address, 5 * NXT),), "rent ☀")
    many = ALICE.pays(genesis, 1, ((BOB.address, 1), (CAROL.address, 2), (BOB.address, 3)))
    bad = BOB.pays(genesis, 0, ((CAROL.address, 100 * NXT),))
    applied = network.block(good, many, bad)
    view = await queries.transaction(good.txid)
    assert view is not None
    assert (view.status, view.reason, view.kind_name, view.memo) == ("done", "", "transfer", "rent ☀")
    assert (view.sender, view.raw, view.wid, view.size) == (ALICE.address, good.raw, good.wid, len(good.raw))
    assert (view.height, view.block, view.slot, view.time_ms) == (1, applied.tip.id, 1, START_MS + 200)
    assert view.fee == 1_000 + 50_000
    shown = await queries.transaction(many.txid)
    assert shown is not None
    assert [(output.recipient, output.amount) for output in shown.outputs] == [
        (BOB.address, 1),
        (CAROL.address, 2),
        (BOB.address, 3),
    ]
    failed = await queries.transaction(bad.txid)
    assert failed is not None
    assert (failed.status, failed.fee) == ("failed", 1_000)
    assert failed.reason.endswith(".")
    assert (await queries.account(BOB.address)).balance == 5 * NXT + 4 - 1_000
    for person, expected in ((ALICE, [many, good]), (BOB, [bad, many, good]), (CAROL, [bad, many])):
        page = await queries.history((person.address,))
        assert [found.txid for found in page.transactions] == [found.txid for found in expected]
    summary = (await queries.blocks())[0]
    assert (summary.transactions, summary.failed, summary.fees) == (3, 1, applied.fees)
    assert summary.creator == VALIDATOR.address
    block = await queries.block(block_id=applied.tip.id)
    assert block is not None
    assert block.txids == (good.txid, many.txid, bad.txid)
    assert block.parents == (genesis,)
    assert block == await queries.block(1) == await queries.block()
    assert not block.heartbeat


async def test_history_pages_over_several_accounts(network: Network, queries: Queries) -> None:
    genesis = network.genesis.hash
    sent = []
    nonce = 0
    for _ in range(6):
        batch = []
        for recipient in (BOB, CAROL, ALICE):
            batch.append(ALICE.pays(genesis, nonce, ((recipient.address, 10 + nonce),)))
            nonce += 1
        network.block(*batch)
        sent += batch
    for people, expected in (
        ((ALICE,), sent),
        ((BOB, CAROL), [one for one in sent if one.body.payload[0] != ALICE.address]),
        ((CAROL,), sent[1::3]),
        ((BOB, BOB, ALICE, CAROL), sent),
        ((VALIDATOR,), []),
    ):
        addresses = tuple(person.address for person in people)
        for limit in (1, 2, 5, 17, 18, 500):
            found: list[bytes] = []
            before = None
            while True:
                page = await queries.history(addresses, before, limit)
                assert len(page.transactions) <= limit
                found += [view.txid for view in page.transactions]
                before = page.next_before
                if before is None:
                    break
            assert found == [one.txid for one in reversed(expected)], (limit, len(expected))


async def test_blocks_list_and_heartbeats(network: Network, queries: Queries) -> None:
    for nonce in range(5):
        network.block(ALICE.pays(network.genesis.hash, nonce, ((BOB.address, 1),)))
    heartbeat = network.block(slot=1_500)
    assert [block.height for block in await queries.blocks()] == [6, 5, 4, 3, 2, 1]
    assert [block.height for block in await queries.blocks(before=4, limit=2)] == [3, 2]
    assert await queries.blocks(before=1) == ()
    block = await queries.block()
    assert block is not None
    assert (block.summary.id, block.heartbeat, block.txids) == (heartbeat.tip.id, True, ())


async def test_places_and_verification_count_every_unit(network: Network, queries: Queries) -> None:
    genesis = network.genesis.hash
    network.block(ALICE.pays(genesis, 0, ((BOB.address, 7 * NXT),)), BOB.pays(genesis, 0, ((CAROL.address, NXT),)))
    places = await queries.places()
    assert sum(place.units for place in places) == SUPPLY
    by_name = {place.name: place for place in places}
    assert by_name["stakes"].units == 1_000 * NXT
    reward = (await queries.account(VALIDATOR.address)).balance - NXT
    assert (
        by_name["VALIDATOR_POOL"].units + reward + sum(place.units for place in places if place.group == "other")
        == 300_000 * NXT + 102_000
    )
    assert by_name["LOTTERY"].units == 0


async def test_bounds(queries: Queries) -> None:
    a = ALICE.address
    for call in (
        queries.account(b""),
        queries.history(()),
        queries.history((a,) * 101),
        queries.history((a,), limit=501),
        queries.history((b"x",)),
        queries.blocks(limit=0),
        queries.blocks(before=-1),
        queries.block(block_id=b"x"),
        queries.transaction(b"x"),
    ):
        with pytest.raises(UsageError):
            await call
    assert (await queries.history((a,) * 100, limit=500)).transactions == ()


async def test_files_of_two_networks(network: Network, tmp_path: Path) -> None:
    other = Network(tmp_path / "other")
    other.database.close()
    network.paths.genesis.write_bytes(other.paths.genesis.read_bytes())
    with pytest.raises(Damaged) as caught:
        await Queries.open(network.paths)
    assert caught.value.code == "other_network"
    network.paths.genesis.write_bytes(b"garbage")
    with pytest.raises(Damaged):
        await Queries.open(network.paths)
    network.paths.genesis.unlink()
    with pytest.raises(Refused):
        await Queries.open(network.paths)


async def test_damaged_rows_are_named(network: Network, queries: Queries) -> None:
    payment = ALICE.pays(network.genesis.hash, 0, ((BOB.address, 7),))
    network.block(payment)
    connection = network.database._connection
    connection.execute("UPDATE transactions SET start = start + 1")
    with pytest.raises(Damaged, match="transaction of block 1"):
        await queries.transaction(payment.txid)
    connection.execute("UPDATE blocks SET header = x'c1'")
    with pytest.raises(Damaged, match="header"):
        await queries.block(1)
    connection.execute("UPDATE state SET value = x'c1' WHERE tbl = 'accounts'")
    with pytest.raises(Damaged, match="state record"):
        await queries.account(ALICE.address)


_IMPORTS = """
import asyncio, sys
from pathlib import Path
from node.profile.paths import ProfilePaths
from node.storage.queries import Queries
async def main():
    node = await Queries.open(ProfilePaths("test", Path(sys.argv[1])))
    await node.counts(); await node.blocks(); await node.places(); await node.block(1)
    await node.account(bytes(21)); await node.history((bytes(21),));
    await node.close()
asyncio.run(main())
heavy = {"cryptography", "nacl", "numpy", "textual", "rich", "zeroconf", "typer"} & set(sys.modules)
print(sorted(heavy))
"""


async def test_reading_loads_nothing_heavy(network: Network) -> None:
    network.block(ALICE.pays(network.genesis.hash, 0, ((BOB.address, 7),)))
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS, str(network.paths.root)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


_OUTSIDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT count(*) FROM blocks").fetchone()[0])
connection.close()
"""


async def test_readers_cost_the_writer_no_locks(network: Network) -> None:
    """An outsider that opens and closes the file must not take itself for the last and delete the WAL."""
    network.block(ALICE.pays(network.genesis.hash, 0, ((BOB.address, 1),)))
    for _ in range(3):
        reader = await Queries.open(network.paths)
        await reader.places()
        await reader.close()
    wal = network.paths.chain_db.with_name("chain.db-wal")
    before = wal.stat().st_ino
    done = subprocess.run(
        [sys.executable, "-c", _OUTSIDER, str(network.paths.chain_db)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"
    assert wal.exists()
    assert wal.stat().st_ino == before
    network.block(ALICE.pays(network.genesis.hash, 1, ((BOB.address, 1),)))
    reader = await Queries.open(network.paths)
    assert (await reader.counts())[0] == 2
    await reader.close()
