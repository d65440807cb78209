"""A node among several validators: branches that win and lose, at any moment of a stop, on disk and in every view."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from node.api.records import Event
from node.consensus.blocks import Block
from node.encoding.amounts import SUPPLY
from node.profile.paths import ProfilePaths
from node.service.node import Node
from node.service.opening import ServiceSettings, open_service
from node.service.verify import verify_file
from node.storage.outbox import OutboxEntry
from tests.node.service.dag_world import Town, hear
from tests.node.service.service_world import alert, confirmed
from tests.node.world import contents, key


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path / "town")


async def shown(node: Node) -> tuple[object, ...]:
    """What a node says of the chain. What merely waits is not part of it."""
    engine = node.engine
    page = await node.history(tuple(key(number).address for number in (1, 2, 3, 4)), limit=500)
    return (
        engine.tip,
        engine.waves.commitment,
        contents(engine.state),
        await node.blocks(limit=500),
        [view for view in page.transactions if view.height is not None],
        sorted(summary.id for summary in (await node.dag(limit=500)).blocks),
    )


async def test_parallel_blocks_are_followed_to_finality(town: Town) -> None:
    async with town.node() as node, node.subscribe(("dag", "block")) as events:
        payment = town.payment()
        await hear(node, town.pass_slots(12, payment))
        for vote in town.network.votes:
            await node.receive_vote(vote)
        await hear(node, town.pass_slots(12))
        other = town.network.nodes[0].engine
        assert node.engine.tip == other.tip
        assert node.engine.waves.commitment == other.waves.commitment
        status = await node.status()
        assert (status.mode, status.peers, status.total_units) == ("following", None, SUPPLY)
        assert 0 < status.final_height < status.height
        view = await node.transaction(payment.txid)
        assert view is not None
        assert view.status == "done"
        assert view.height is not None
        assert view.height <= status.final_height
        dag = await node.dag(limit=500)
        assert {block.id for block in dag.blocks} == {block.id for block in town.network.blocks}
        assert dag.tip == other.tip.id
        assert {block.colour for block in dag.blocks} >= {"blue"}
        assert [block.height for block in dag.blocks if block.chain] == list(range(1, status.height + 1))
        assert len(dag.blocks) > status.height, "some slots had two blocks"
        assert dag.final is not None
        assert (dag.final.status, dag.final.height) == ("final", status.final_height)
        assert len(dag.final.pattern) == 32
        assert all(block.final == (block.height <= status.final_height) for block in dag.blocks if block.height)
        side = next(block for block in dag.blocks if not block.chain and block.colour == "blue")
        full = await node.dag_block(side.id)
        assert full is not None
        merger = await node.dag_block(full.merged_by or b"")
        assert merger is not None
        assert side.id in merger.blues
        assert (merger.summary.chain, full.accepted) == (True, ())
        accepting = await node.dag_block(view.block or b"")
        assert accepting is not None
        (accepted,) = accepting.accepted
        assert (accepted.txid, accepted.status, accepted.fee) == (payment.txid, "done", view.fee)
        carrier = await node.dag_block(accepted.carrier)
        assert carrier is not None
        assert payment.txid in carrier.txids
        assert await node.find_blocks(side.id.hex()[:9]) == (side.id,)
        assert len(await node.find_blocks(side.id.hex()[:1])) <= 16
        finality = await node.finality()
        assert finality.final == dag.final
        assert {item.rule for item in finality.checkpoints} == {"few_regions"}, "four validators fill no four regions"
        assert len(finality.validators) == 4
        assert sum(item.blocks for item in finality.validators) == len(dag.blocks)
        assert {item.stake for item in finality.validators} == {1_000 * 10**8}
        assert [item.number for item in finality.checkpoints] == sorted(
            (item.number for item in finality.checkpoints), reverse=True
        )
        report = await node.verify()
        assert report.ok, report.checks
        seen = [await anext(events) for _ in range(3)]
        assert [event.topic for event in seen] == ["dag", "block", "dag"]


async def branch(town: Town) -> tuple[list[Block], list[Block]]:
    """Two groups part, each makes its own blocks with payments; the second group's branch is the heavier."""
    town.part((0,), (1, 2, 3))
    before = len(town.network.blocks)
    for _ in range(24):
        town.network.slot += 1
        for number, group in enumerate(town.network.groups):
            made: list[Block] = []
            for maker in (item for item in group if item.leads(town.network.slot)):
                payments = [town.payment(number)] if not made and town.network.slot % 3 else []
                made.append(maker.block(town.network.slot, *payments))
            town.network.tell(group, made)
    blocks = town.network.blocks[before:]
    light = town.network.nodes[0].engine
    return [block for block in blocks if block.id in light.blocks], [
        block for block in blocks if block.id not in light.blocks
    ]


async def test_the_heavier_branch_wins_and_everything_says_so(town: Town) -> None:
    lost, won = await branch(town)
    async with town.node() as node:
        await hear(node, lost)
        first = await shown(node)
        paid = [view.txid for view in (await node.history((key(1).address,))).transactions]
        assert paid, "the lighter branch carries payments"
        async with node.subscribe(("transaction", "balance")) as events:
            await hear(node, won)
            told: list[Event] = []
            while len(told) < len(paid) or not all(any(event.txid == txid for event in told) for txid in paid):
                async with asyncio.timeout(60):
                    told.append(await anext(events))
        assert node.engine.tip.id == town.network.nodes[1].engine.tip.id
        assert {event.text for event in told if event.txid in paid} <= {"pending", "done"}
        for txid in paid:
            view = await node.transaction(txid)
            assert view is not None
            assert view.status in ("pending", "done"), "it waits again, or the winner executed it too"
        report = await node.verify()
        assert report.ok, report.checks
        second = await shown(node)
        assert first != second
    async with town.node() as node:
        assert await shown(node) == second


async def test_a_reorganised_database_equals_one_that_never_was(town: Town, tmp_path: Path) -> None:
    lost, won = await branch(town)
    async with town.node() as node:
        await hear(node, (*lost, *won))
        wandered = await shown(node)
    straight = Town(tmp_path / "straight")
    straight.network.slot = town.network.slot
    async with straight.node() as node:
        await hear(node, (*won, *lost))
        assert await shown(node) == wandered


async def test_a_stop_at_any_moment_changes_nothing(town: Town, tmp_path: Path) -> None:
    """Crash images after every block of both branches: each goes on to the same end."""
    lost, won = await branch(town)
    blocks = [*lost, *won]
    images: list[Path] = []
    async with town.node() as node:
        for number, block in enumerate(blocks):
            await node.receive(block)
            if number % 3 == 0:
                images.append(tmp_path / f"image{number}")
                shutil.copytree(town.paths.root, images[-1])
        end = await shown(node)
    for image in images:
        crashed = Town.__new__(Town)
        crashed.__dict__.update(town.__dict__)
        crashed.paths = ProfilePaths(image.name, image)
        assert verify_file(crashed.paths.chain_db, town.genesis).ok
        async with crashed.node() as node:
            await hear(node, blocks)
            assert await shown(node) == end


async def test_own_payments_of_a_lost_branch_come_back(town: Town) -> None:
    """They stay in the outbox until they are final, so even a stop in between does not lose them."""
    payment = town.payment(2)
    town.part((0,), (1, 2, 3))
    async with town.node() as node:
        await node.submit(payment.raw)
        assert (await node.submit(payment.raw)).known
        for _ in range(12):
            town.network.slot += 1
            for group in town.network.groups:
                carried = (payment,) if town.network.nodes[0] in group else ()
                made = [item.block(town.network.slot, *carried) for item in group if item.leads(town.network.slot)]
                town.network.tell(group, made)
        light = town.network.nodes[0].engine
        await hear(node, [block for block in town.network.blocks if block.id in light.blocks])
        await confirmed(node, payment.txid)
        assert len(node.mempool) == 0
        await node._tidy()
        assert node._outbox.waiting_count == 1, "it is not final"
    async with town.node() as node:
        heavy = town.network.nodes[1].engine
        await hear(node, [block for block in town.network.blocks if block.id in heavy.blocks])
        assert node.engine.tip == heavy.tip
        await confirmed(node, payment.txid, "pending")
        assert isinstance(await node._outbox.find(payment.txid), OutboxEntry)
        assert (await node.account(key(3).address)).pending_out > 0


async def test_pruning_keeps_the_node_small_and_the_history_whole(tmp_path: Path) -> None:
    town = Town(tmp_path / "town", validators=2, merge_depth_slots=20)
    async with town.node(keep_bodies_hours=0) as node:
        paid = []
        for _ in range(60):
            payment = town.payment(0)
            paid.append(payment.txid)
            blocks = town.pass_slots(5, payment)
            await hear(node, blocks)
            for vote in town.network.votes[-20:]:
                await node.receive_vote(vote)
        assert len(node.engine.blocks) < len(town.network.blocks) // 2, "the root follows finality"
        dag = await node.dag(limit=500)
        assert len(dag.blocks) == len(node.engine.blocks)
        assert dag.oldest_slot > 0
        for txid in paid[:-4]:
            view = await node.transaction(txid)
            assert view is not None
            assert view.status == "done"
        report = await node.verify()
        assert report.ok, report.checks
        before = await shown(node)
    async with town.node() as node:
        assert await shown(node) == before
        await hear(node, town.pass_slots(5))
        assert node.engine.tip == town.network.nodes[0].engine.tip
        assert (await node.verify()).ok


async def test_with_four_full_regions_they_are_asked(tmp_path: Path) -> None:
    town = Town(tmp_path / "town", validators=24)
    async with town.node() as node:
        await hear(node, town.pass_slots(20, town.payment()))
        checkpoints = (await node.finality()).checkpoints
        assert "regions" in {item.rule for item in checkpoints if item.number}
        assert "few_regions" not in {item.rule for item in checkpoints}


MB = 1_000_000


async def filled(town: Town, node: Node, rounds: int) -> int:
    """Time passes with blocks full of payments; the most bytes that the chain took on disk."""
    most = 0
    for _ in range(rounds):
        blocks = town.pass_slots(4, *(town.payment(number, 1) for number in range(4) for _ in range(30)))
        await hear(node, blocks)
        for vote in town.network.votes[-12:]:
            await node.receive_vote(vote)
        most = max(most, (await node.status()).database_bytes)
    return most


@pytest.mark.slow
async def test_the_disk_stays_under_its_bound(tmp_path: Path) -> None:
    """The same time with and without a bound; a sixteenth of it is the slack for what comes between two checkpoints."""
    free = Town(tmp_path / "free", validators=2, merge_depth_slots=20)
    async with free.node() as node:
        unbounded = await filled(free, node, 80)
    town = Town(tmp_path / "bounded", validators=2, merge_depth_slots=20)
    async with town.node(keep_megabytes=4) as node:
        most = await filled(town, node, 80)
        assert most <= 4 * MB * 17 // 16, most
        assert unbounded > 2 * most, "without a bound it is much more"
        assert alert(node, "disk_bound") is None
        report = await node.verify()
        assert report.ok, report.checks
        status = await node.status()
        assert status.total_units == SUPPLY
        assert (await node.account(key(50).address)).balance == 80 * 30
        page = await node.history((key(1).address,), limit=500)
        assert page.transactions, "the newest history is there"
        assert min(view.height or 0 for view in page.transactions) > 1 or page.next_before is not None


@pytest.mark.slow
async def test_a_lower_bound_gives_room_back_at_the_start_after_the_next(tmp_path: Path) -> None:
    town = Town(tmp_path / "town", validators=2, merge_depth_slots=20)
    async with town.node() as node:
        before = await filled(town, node, 60)
    assert before > 6 * MB
    async with town.node(keep_megabytes=4) as node:
        await filled(town, node, 6)
        assert node.retention._writer.database.used_bytes() < 4 * MB
    async with open_service(
        town.paths, ServiceSettings(produce=False, serve=False, keep_megabytes=4), town.clock
    ) as it:
        assert any("smaller" in line for line in it.report), it.report
        assert (await it.node.status()).database_bytes < 4 * MB
        assert (await it.node.verify()).ok


async def test_a_bound_that_cannot_hold_is_told(tmp_path: Path) -> None:
    town = Town(tmp_path / "town", validators=2, merge_depth_slots=20)
    async with town.node(keep_megabytes=1) as node:
        for _ in range(12):
            await hear(node, town.pass_slots(5, *(town.payment(number, 1) for number in range(4))))
        found = alert(node, "disk_bound")
        assert found is not None
        assert "1 MB" in found.message
        assert (await node.verify()).ok, "nothing went that must stay"
