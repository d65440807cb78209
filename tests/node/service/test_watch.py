"""What a node warns of by itself: offences, finality that stands still, a long silence before it begins."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from node.api.records import Alert, Event, EvidenceView
from node.consensus import duties
from node.consensus.blocks import Block, BlockError
from node.consensus.votes import Vote
from node.ledger.staking import DOUBLE_BLOCK, INVALID_HEADER, SURROUND_VOTE
from node.ledger.types import EVIDENCE
from node.service.node import Node
from tests.node.service.dag_world import Town, hear
from tests.node.service.service_world import alert
from tests.node.world import NEVER, NXT, VALIDATORS, forge, key

SILENT = (2, 3)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path / "town")


def standing(node: Node, code: str) -> Alert:
    found = alert(node, code)
    assert found is not None, node.alerts.standing()
    return found


async def told(town: Town, node: Node, slots: int, silent: tuple[int, ...] = ()) -> None:
    """Slots pass, and the node hears what the others say in them."""
    for _ in range(slots):
        blocks, votes = len(town.network.blocks), len(town.network.votes)
        town.network.pass_slot(silent=silent)
        await hear(node, town.network.blocks[blocks:])
        for vote in town.network.votes[votes:]:
            await node.receive_vote(vote)


def twins(town: Town, number: int = 0) -> tuple[Block, Block]:
    """Two blocks of one validator for the next slot that it leads."""
    maker = town.network.nodes[number]
    town.network.slot += 1
    while not maker.leads(town.network.slot):
        town.network.slot += 1
    one = maker.block(town.network.slot)
    other = forge(maker.block(town.network.slot, town.payment()), number)
    assert one.id != other.id
    return one, other


def surrounding_votes(town: Town, number: int = 0) -> tuple[Vote, Vote]:
    """Two votes of one validator, the second around the first."""
    engine = town.network.nodes[number].engine
    known, tip = engine.ballots.targets.values(), engine.chain.tip
    chain = [item for item in known if engine.on_chain(engine.blocks[item.checkpoint.block], tip)]
    targets = sorted(chain, key=lambda target: target.number)[-4:]
    made = []
    for source, target in ((targets[1], targets[2]), (targets[0], targets[3])):
        vote = duties.make_vote(engine, key(VALIDATORS + number).address, target, key(VALIDATORS + number).sign_digest)
        assert vote is not None
        vote = vote._replace(source=source.number, source_hash=source.hash)
        headers = (engine.header_of(item.checkpoint.block) for item in (source, target))
        digest = vote.digest(town.genesis.hash, *headers)
        made.append(vote._replace(signature=key(VALIDATORS + number).sign_digest(digest)))
    return made[0], made[1]


async def accuse(town: Town, node: Node, proof: EvidenceView, payer: int = 1) -> int:
    """Evidence in a block that the node hears; the fee that its sender paid."""
    nonce, town.nonces[payer] = town.nonces[payer], town.nonces[payer] + 1
    transaction = town.payers[payer].transaction(nonce, EVIDENCE, (proof.kind, proof.proof))
    await hear(node, town.pass_slots(6, transaction))
    view = await node.transaction(transaction.txid)
    assert view is not None
    assert view.status == "done", view.reason
    return view.fee


# -- offences ---------------------------------------------------------------------------------------------------------


async def test_a_double_block_is_told_once_kept_and_over_when_it_is_punished(town: Town) -> None:
    async with town.node() as node, node.subscribe(("alert",)) as events:
        await told(town, node, 8)
        assert await node.evidence() == ()
        for block in twins(town):
            town.network.tell(town.network.nodes, [block])
            await node.receive(block)
        event = await asyncio.wait_for(anext(events), 5)
        assert event.alert == standing(node, "offence")
        (proof,) = await node.evidence()
        assert (proof.kind, proof.kind_name, proof.status, proof.own) == (DOUBLE_BLOCK, "double_block", "open", False)
        assert (proof.validator, proof.slot) == (key(VALIDATORS).address, town.network.slot)
        assert (proof.stake, proof.loss) == (1_000 * NXT, 50 * NXT)
        said = standing(node, "offence")
        assert f"two blocks for slot {proof.slot}" in said.message
        assert said.about in said.message
        assert "nexus dag evidence send" in said.hint
        await told(town, node, 4)
    async with town.node() as node, node.subscribe(("alert",)) as events:
        assert standing(node, "offence").message == said.message, "it stands after a restart"
        assert await node.evidence() == (proof,)
        assert await accuse(town, node, proof) == 0, "evidence that slashes is free"
        assert alert(node, "offence") is None
        (punished,) = await node.evidence()
        assert (punished.status, punished.loss, punished.stake) == ("punished", 0, 950 * NXT)
        event = await asyncio.wait_for(anext(events), 5)
        assert (event.alert, event.text) == (None, "offence")
    async with town.node() as node:
        assert alert(node, "offence") is None


async def test_proof_of_a_vote_outlives_the_votes(town: Town) -> None:
    """Heard votes are pruned below the final checkpoint; what they proved is kept until it is too old to count."""
    town.network.nodes[0].voted = NEVER, NEVER  # nothing that its dishonest votes would contradict besides
    async with town.node() as node:
        await told(town, node, 30)
        for vote in surrounding_votes(town):
            await node.receive_vote(vote)
        (proof,) = await node.evidence()
        assert (proof.kind, proof.status, proof.loss) == (SURROUND_VOTE, "open", 200 * NXT)
        assert "around the vote" in proof.what
        assert proof.checkpoint is not None
        await told(town, node, 150)
        assert node.engine.final.number > proof.checkpoint + 20
    async with town.node() as node:
        assert not node.engine.evidence, "the engine alone has forgotten"
        assert [item.id for item in await node.evidence()] == [proof.id]
        assert alert(node, "offence") is not None
        await told(town, node, proof.slot + town.genesis.parameters.unbonding_slots - town.network.slot + 30)
        assert await node.evidence() == ()
        assert alert(node, "offence") is None, "too old to cost anything"


async def test_a_refused_header_that_shows_itself_wrong_is_proof(town: Town) -> None:
    async with town.node() as node:
        await told(town, node, 8)
        wrong = forge(twins(town)[0], 0, reveal=bytes(32))
        with pytest.raises(BlockError):
            await node.receive(wrong)
        await told(town, node, 3)
    async with town.node() as node:
        (proof,) = await node.evidence()
        assert (proof.kind, proof.status, proof.loss) == (INVALID_HEADER, "open", 100 * NXT)
        assert proof.proof == (wrong.header_bytes,)
        assert alert(node, "offence") is not None
        payment = town.payers[0].transaction(0, EVIDENCE, (proof.kind, proof.proof))
        await hear(node, town.pass_slots(3, payment))
        assert [item.status for item in await node.evidence()] == ["punished"]


async def test_an_offence_of_this_nodes_own_validator_is_an_error(town: Town) -> None:
    async with town.node() as node:
        await told(town, node, 8)
        for block in twins(town):
            await node.receive(block)
        (proof,) = node.offences.views(key(VALIDATORS).address)
        assert proof.own
        node._watch.look(town.network.slot, key(VALIDATORS).address)
        said = standing(node, "offence")
        assert (said.level, "own validator" in said.message) == ("error", True)
        assert "Stop every node" in said.hint


# -- finality ---------------------------------------------------------------------------------------------------------


async def test_finality_that_stands_still_is_told_with_who_was_heard(town: Town) -> None:
    async with town.node() as node:
        await told(town, node, 40)
        assert node.alerts.standing() == ()
        final = node.engine.final
        async with node.subscribe(("alert",)) as events:
            while alert(node, "finality_still") is None:
                await told(town, node, 1, SILENT)
                assert town.network.slot < 100, "it is told before half of a long silence"
            await told(town, node, 2, SILENT)
            said = standing(node, "finality_still")
            assert said.level == "warning"
            assert f"since block {node.engine.final.height}," in said.message
            assert "of 4 validators" in said.message
            assert "It takes more than two thirds" in said.message
            assert said.since_ms == node.engine.slots.begins_ms(node.engine.final.checkpoint.slot)
            assert (await node.status()).alerts[0] == said
            await told(town, node, 20, SILENT)
            before = standing(node, "finality_still")
            await told(town, node, 6, SILENT)
            assert standing(node, "finality_still") == before, "nobody else was heard: nothing else is said"
            assert "Heard lately: 2 of 4 validators (50 % of the stake); voting: 2 (50 %)." in before.message
            await told(town, node, 30)
            assert alert(node, "finality_still") is None
            assert node.engine.final.number > final.number
            seen: list[Event] = []
            while not seen or seen[-1].alert is not None:
                seen.append(await asyncio.wait_for(anext(events), 5))
            assert len(seen) <= 8, "each change of words once"
            assert seen[-1].text in ("finality_still", "long_silence_ahead")


async def test_it_is_told_again_after_a_restart(town: Town) -> None:
    async with town.node() as node:
        await told(town, node, 20)
        while alert(node, "finality_still") is None:
            await told(town, node, 1, SILENT)
        said = standing(node, "finality_still")
    async with town.node() as node:
        again = standing(node, "finality_still")
        assert (again.since_ms, again.message) == (said.since_ms, said.message)


async def test_a_network_without_blocks_stands_still_by_the_clock(town: Town) -> None:
    """A payment is in a block, and then nobody is heard any more: only time passes."""
    async with town.node() as node:
        await told(town, node, 12)
        await hear(node, town.pass_slots(1, town.payment()))
        while node.engine.busy_height <= node.engine.final.height:
            await told(town, node, 1, (1, 2, 3))
        town.network.slot += 10
        node.look()
        assert alert(node, "finality_still") is None
        began = town.clock()
        town.network.slot += 40
        node.look()
        said = standing(node, "finality_still")
        assert said.since_ms <= began
        town.network.slot += 5
        node.look()
        assert standing(node, "finality_still") == said


async def test_what_a_later_checkpoint_makes_final_is_said_to_be_so(town: Town) -> None:
    """Half of the stake votes for a while: those checkpoints are final once one above them is."""
    async with town.node() as node:
        await told(town, node, 12)
        await told(town, node, 20, SILENT)
        await told(town, node, 16)
        view = await node.finality()
    assert view.final is not None
    by = {item.number: item.final_by for item in view.checkpoints}
    assert by[view.final.number] == view.final.final_by == view.final.number
    few = [
        item
        for item in view.checkpoints
        if item.number and item.status == "final" and 3 * item.stake_voted <= 2 * item.stake_total
    ]
    assert len(few) > 2
    for item in few:
        assert item.final_by is not None
        assert item.number < item.final_by <= view.final.number
        assert by[item.final_by] == item.final_by
    assert all(item.final_by is None for item in view.checkpoints if item.status != "final")
    assert sum(by[number] == number for number in by) > 2, "others are final by themselves"


async def test_a_quiet_network_is_not_said_to_stand_still(town: Town) -> None:
    async with town.node() as node:
        await told(town, node, 12)
        town.network.slot += 100_000
        node.look()
        assert (await node.status()).alerts == ()


async def test_a_long_silence_is_told_before_it_begins_and_when_it_has(town: Town) -> None:
    silence = town.genesis.parameters.silence_slots
    levels: list[tuple[str, int]] = []
    async with town.node() as node:
        await told(town, node, 20)
        while alert(node, "long_silence") is None:
            await told(town, node, 1, SILENT)
            gone = town.network.slot - node.engine.view.final.checkpoint.slot
            assert gone < 4 * silence
            ahead = alert(node, "long_silence_ahead")
            if ahead is not None and (not levels or levels[-1][0] != ahead.level):
                levels.append((ahead.level, gone))
                assert "2 now, with 50 % of the stake" in ahead.message
                assert "both parts can then make different histories final" in ahead.message
                assert "UTC" in ahead.message
                assert "nexus node stop" in ahead.hint
        assert [level for level, _ in levels] == ["warning", "error"]
        assert silence // 2 <= levels[0][1] <= silence // 2 + 2, "with half of the time left to choose"
        assert levels[1][1] >= silence - silence // 8
        assert levels[1][1] < gone
        began = standing(node, "long_silence")
        assert began.level == "error"
        assert "2 silent validators with 50 % of the stake no longer count" in began.message
        assert alert(node, "long_silence_ahead") is None
        view = await node.finality()
        assert view.checkpoints[0].absent == 2
        before = node.engine.final.number
        await told(town, node, 60, SILENT)
        assert node.engine.final.number > before + 5, "finality goes on without them"
        kept = standing(node, "long_silence")
        assert (kept.level, kept.message) == ("warning", began.message)
        assert alert(node, "finality_still") is None
        absent = node.engine.view.absent
    async with town.node() as node:
        assert node.engine.view.absent == absent == {key(VALIDATORS + number).address for number in SILENT}
        node.look()
        assert standing(node, "long_silence").message == began.message, "and after a restart"
        before = node.engine.final.number
        await told(town, node, 30, SILENT)
        assert node.engine.final.number > before + 2
        assert [item.id in absent for item in node.engine.view.table.validators] == [
            item.absent for item in (await node.finality()).validators
        ]
        await told(town, node, 60)
        assert not any(item.absent for item in (await node.finality()).validators)
        assert node.alerts.standing() == ()


async def test_a_quiet_network_that_parts_is_told_before_the_silence_too(tmp_path: Path) -> None:
    """Few blocks and long checkpoints: so many blocks as a standstill needs come only after a long silence would."""
    town = Town(tmp_path / "quiet", checkpoint_score=40)
    silence = town.genesis.parameters.silence_slots
    async with town.node() as node:
        await told(town, node, 200)
        while alert(node, "long_silence_ahead") is None:
            await told(town, node, 1, (1, 2, 3))
            assert alert(node, "long_silence") is None
            assert town.network.slot - node.engine.final.checkpoint.slot < 10 * silence
        assert alert(node, "finality_still") is not None
        assert node.engine.tip.height - node.engine.final.height < 100


async def test_votes_for_two_histories_are_an_error_that_stays(town: Town) -> None:
    async with town.node() as node:
        await told(town, node, 20)
        link = node.engine.ballots
        assert alert(node, "finality_conflict") is None
        certificate = node.engine.view.certificate
        link.conflict = certificate[-1]
        node.look()
        said = standing(node, "finality_conflict")
        assert said.level == "error"
        assert f"checkpoint {certificate[-1].target.number} of another history" in said.message
        await told(town, node, 4)
        assert standing(node, "finality_conflict") == said
