"""Offences: each is seen, proved and punished once; nobody is punished who did nothing wrong (protocol section 5)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.consensus import duties
from node.consensus.ballots import MAX_SAID, Evidence
from node.consensus.blocks import Block, BlockError
from node.consensus.engine import Engine
from node.consensus.evidence import Judge
from node.consensus.reveals import RevealChecker
from node.consensus.votes import Vote, conflict
from node.ledger import bank, pools, staking
from node.ledger.execution import DONE, FAILED, Receipt
from node.ledger.module import Offence, OperationFailed
from node.ledger.registry import broken_invariants
from node.ledger.staking import DOUBLE_BLOCK, DOUBLE_VOTE, INVALID_HEADER, PENALTIES, SURROUND_VOTE
from node.ledger.types import EVIDENCE
from tests.node.consensus.follower import AHEAD, Follower
from tests.node.world import (
    NEVER,
    NXT,
    VALIDATORS,
    Network,
    Payer,
    Validator,
    forge,
    key,
    reveals,
    small_genesis,
    stranger,
)

GENESIS = small_genesis(stakes=(1_000 * NXT,) * 6)
OTHER = replace(GENESIS, start_ms=GENESIS.start_ms + 1)
ANN = Payer(GENESIS.hash, key(1))


class Scene:
    """A network of some age, in which validator 0 does wrong."""

    def __init__(self, slots: int = 26) -> None:
        self.network = Network(GENESIS)
        self.engine = self.network.nodes[0].engine
        self.offender = self.network.nodes[0]
        self.offender.voted = NEVER, NEVER  # nothing that a dishonest vote could contradict
        for _ in range(slots):
            self.network.pass_slot()

    def led(self, node: Validator) -> int:
        """The next slot that this validator leads."""
        slot = self.network.slot + 1
        while not node.leads(slot):
            slot += 1
        return slot

    def header(self, node: Validator | None = None, **changed: Any) -> Block:
        """A block of a validator with other fields, signed by him; told to nobody."""
        node = node or self.offender
        return forge(node.block(self.led(node)), node.number, **changed)

    def double_vote(self) -> tuple[Vote, ...]:
        """Two votes for one checkpoint number, on sibling branches."""
        network, votes = self.network, dict[int, list[Vote]]()
        network.groups = [network.nodes[:3], network.nodes[3:]]
        double = _copy(network, 0)
        self.offender.voted = double.voted = 0, 0
        network.groups[1] = [*network.groups[1], double]
        while not any(len({vote.link for vote in made}) > 1 for made in votes.values()):
            network.slot += 1
            for group in network.groups:
                network.tell(group, [node.block(network.slot) for node in group if node.leads(network.slot)])
                for node in group:
                    vote = node.vote()
                    if vote is not None and node.number == 0:
                        votes.setdefault(vote.target, []).append(vote)
        one, other = next(made for made in votes.values() if len({vote.link for vote in made}) > 1)
        network.groups = [network.nodes]
        for block in {block.id: block for block in network.blocks}.values():
            for node in network.nodes:
                node.engine.add(block, block.header.slot)
        return one, other

    def surround_vote(self) -> tuple[Vote, ...]:
        """A vote from an older source to a newer target than another's."""
        engine = self.engine
        known = engine.ballots.targets.values()
        chain = [item for item in known if engine.on_chain(engine.blocks[item.checkpoint.block], engine.chain.tip)]
        targets = sorted(chain, key=lambda target: target.number)[-4:]
        links = ((targets[1], targets[2]), (targets[0], targets[3]))
        made = []
        for source, target in links:
            aim = duties.make_vote(self.engine, self.offender.id, target, self.offender.key.sign_digest)
            assert aim is not None
            vote = aim._replace(source=source.number, source_hash=source.hash)
            headers = self.engine.header_of(source.checkpoint.block), self.engine.header_of(target.checkpoint.block)
            digest = vote.digest(GENESIS.hash, *headers)
            made.append(vote._replace(signature=self.offender.key.sign_digest(digest)))
        return tuple(made)

    def accuse(self, kind: int, proof: tuple[bytes, ...], nonce: int | None = None) -> Receipt:
        """Evidence sent to everybody, and what became of it on the chain."""
        network = self.network
        if nonce is None:
            nonce = bank.account(self.engine.state, ANN.address)[1]
        transaction = ANN.transaction(nonce, EVIDENCE, (kind, proof))
        follower = Follower(GENESIS)
        while bank.account(self.engine.state, ANN.address)[1] == nonce:
            network.pass_slot(transaction)
        network.pass_slot()
        for block in network.blocks:
            follower.hear(block)
        follower.check()
        found = [item.receipt for step in follower.steps for item in step.receipts]
        return next(receipt for receipt in found if receipt.transaction.txid == transaction.txid)

    def judge(self) -> Judge:
        """As the next block's evidence is judged, in the state of the tip."""
        engine = self.engine

        def table_of(parent: bytes, slot: int) -> Any:
            known = engine.blocks.get(parent)
            if known is None or not engine.on_chain(known, engine.chain.tip):
                return None
            return engine.views.tables(known.known_view, slot)[0]

        parameters = GENESIS.parameters
        return Judge(GENESIS.hash, parameters.seats, engine.slots, engine.state, table_of, RevealChecker())


def _copy(network: Network, number: int) -> Validator:
    """A second node with a validator's key that heard the same."""
    double = Validator(GENESIS, number)
    for block in network.blocks:
        double.engine.add(block, block.header.slot)
    for vote in network.votes:
        double.engine.add_vote(vote)
    return double


def wrong_headers(scene: Scene) -> dict[str, Block]:
    """Headers whose own bytes and table show them wrong, signed by the offender."""
    honest = scene.header()
    wave, region = honest.header.wave, honest.header.region
    not_led = scene.network.slot + 1
    while scene.offender.leads(not_led) or scene.engine.slots.epoch_of(not_led) > scene.engine.view.epoch:
        not_led += 1
    return {
        "phase": scene.header(wave=wave._replace(phase=wave.phase ^ 1)),
        "polarisation": scene.header(wave=wave._replace(polarisation=wave.polarisation ^ 1)),
        "wavelength": scene.header(wave=wave._replace(wavelength=wave.wavelength + 1)),
        "time": scene.header(wave=wave._replace(time=wave.time + 1)),
        "digest": scene.header(wave=wave._replace(digest=bytes(len(wave.digest)))),
        "reveal": scene.header(reveal=bytes(32)),
        "somebody else's reveal": scene.header(reveal=reveals(1).preimage(1)),
        "slot": scene.header(slot=not_led),
        "seat": scene.header(seat=1 - honest.header.seat),
        "no seat": scene.header(seat=7),
        "region": scene.header(region=(region + 1) % 6),
    }


@cache
def scene() -> Scene:
    return Scene()


WRONG = tuple(wrong_headers(scene()))


def double_blocks(scene: Scene) -> tuple[Block, Block]:
    slot = scene.led(scene.offender)
    return scene.offender.block(slot), scene.offender.block(slot, ANN.pay(9, stranger(1), 5))


def proofs(scene: Scene) -> dict[int, tuple[bytes, ...]]:
    """One good proof of each kind."""
    one, other = double_blocks(scene)
    found: dict[int, tuple[bytes, ...]] = {DOUBLE_BLOCK: (one.header_bytes, other.header_bytes)}
    found[INVALID_HEADER] = (scene.header(reveal=bytes(32)).header_bytes,)
    first, second = scene.surround_vote()
    engine = scene.engine

    def with_headers(vote: Vote) -> tuple[bytes, ...]:
        ends = (engine.ballots.targets[name].checkpoint.block for name in vote.link)
        return (vote.encoded(), *map(engine.header_of, ends))

    found[SURROUND_VOTE] = (*with_headers(first), *with_headers(second))
    digest = second._replace(source=second.source + 1, source_hash=bytes(32))
    ends = with_headers(second)[1:]
    signature = scene.offender.key.sign_digest(digest.digest(GENESIS.hash, *ends))
    found[DOUBLE_VOTE] = (*with_headers(second), digest._replace(signature=signature).encoded(), *ends)
    return found


def evidence_of(engine: Any, offender: bytes, kind: int) -> Evidence:
    (found,) = [item for item in engine.evidence if item.validator == offender and item.kind == kind]
    assert isinstance(found, Evidence)
    return found


def punished(scene: Scene, receipt: Receipt, kind: int) -> None:
    """Once, at the price of the offence, free of charge to who reported it."""
    state, offender = scene.engine.state, scene.offender.id
    assert (receipt.status, receipt.reason, receipt.fee) == (DONE, "", 0)
    found = staking.validator(state, offender)
    assert found is not None
    lost = 1_000 * NXT * PENALTIES[kind] // 10_000
    assert found.stake == 1_000 * NXT - lost
    assert pools.units(state, pools.ECOSYSTEM_FUND) == GENESIS.parameters.ecosystem_fund + lost
    assert staking.tombstoned_at(state, offender) > 0
    assert bank.account(state, ANN.address)[0] == 1_000 * NXT
    assert broken_invariants(state) == []


def test_double_blocks_are_seen_and_punished_once() -> None:
    scene = Scene()
    one, other = double_blocks(scene)
    scene.network.slot = one.header.slot
    scene.network.tell(scene.network.nodes, [one, other])
    for node in scene.network.nodes:
        assert evidence_of(node.engine, scene.offender.id, DOUBLE_BLOCK)
    proof = evidence_of(scene.engine, scene.offender.id, DOUBLE_BLOCK).proof
    receipt = scene.accuse(DOUBLE_BLOCK, proof)
    punished(scene, receipt, DOUBLE_BLOCK)
    again = scene.accuse(DOUBLE_BLOCK, proof)
    assert again[1:] == (FAILED, "already_tombstoned", 1_000), "a second time it costs who sends it"
    assert bank.account(scene.engine.state, ANN.address)[0] == 1_000 * NXT - 1_000
    other_kind = scene.accuse(INVALID_HEADER, (scene.header(reveal=bytes(32)).header_bytes,))
    assert other_kind[1:] == (FAILED, "already_tombstoned", 1_000)


def test_the_tombstoned_leave_the_next_tables_and_the_chain_goes_on() -> None:
    scene = Scene()
    one, other = double_blocks(scene)
    scene.accuse(DOUBLE_BLOCK, (one.header_bytes, other.header_bytes))
    offender, engine = scene.offender.id, scene.engine
    assert engine.view.table.validator(offender) is not None, "not at once: tables follow finality"
    while engine.view.next_table.validator(offender) is not None:
        scene.network.pass_slot()
    assert engine.view.table.validator(offender) is not None
    while engine.view.table.validator(offender) is not None:
        scene.network.pass_slot(silent=(0,))
    final = engine.final.number
    for _ in range(20):
        scene.network.pass_slot(silent=(0,))
    assert engine.final.number > final + 3
    assert len(engine.view.table.validators) == 5
    assert not scene.offender.leads(scene.network.slot + 1)


def test_votes_without_end_for_one_checkpoint_are_not_kept() -> None:
    scene = Scene(60)
    engine, offender = scene.engine, scene.offender
    targets = sorted(engine.ballots.targets.values(), key=lambda item: item.number)
    aim, sources = targets[-1], targets[-2:-7:-1]
    made = duties.make_vote(engine, offender.id, aim, offender.key.sign_digest)
    assert made is not None
    assert len(sources) > MAX_SAID
    flood = []
    for source in sources:
        vote = made._replace(source=source.number, source_hash=source.hash)
        headers = engine.header_of(source.checkpoint.block), engine.header_of(aim.checkpoint.block)
        flood.append(vote._replace(signature=offender.key.sign_digest(vote.digest(GENESIS.hash, *headers))))
    other = scene.network.nodes[1].engine
    assert [bool(other.add_vote(vote).votes) for vote in flood] == [n < MAX_SAID for n in range(len(flood))]
    assert [item.validator for item in other.evidence] == [offender.id]
    assert other.ballots.add(flood[-1], carried=True), "what a block has counts for everybody"
    assert sum(offender.id in votes for votes in other.ballots.links.values()) == MAX_SAID + 1


def test_double_votes_are_seen_and_punished() -> None:
    scene = Scene()
    one, other = scene.double_vote()
    assert conflict(one, other) == "double_vote"
    for vote in (one, other):
        for node in scene.network.nodes:
            node.engine.add_vote(vote)
    watcher = scene.network.nodes[4].engine
    found = evidence_of(watcher, scene.offender.id, DOUBLE_VOTE)
    punished(scene, scene.accuse(found.kind, found.proof), DOUBLE_VOTE)


def test_surrounding_votes_are_seen_and_punished() -> None:
    scene = Scene()
    votes = scene.surround_vote()
    assert conflict(*votes) == conflict(*votes[::-1]) == "surround_vote"
    engine = scene.network.nodes[3].engine
    for vote in votes:
        engine.add_vote(vote)
    found = evidence_of(engine, scene.offender.id, SURROUND_VOTE)
    punished(scene, scene.accuse(found.kind, found.proof), SURROUND_VOTE)


@pytest.mark.parametrize("name", WRONG)
def test_a_header_that_shows_itself_wrong_is_an_offence(name: str) -> None:
    block = wrong_headers(scene())[name]
    offence = scene().judge()(INVALID_HEADER, (block.header_bytes,))
    assert offence == Offence(INVALID_HEADER, scene().offender.id, block.header.slot)


def test_a_wrong_header_is_punished() -> None:
    scene = Scene()
    block = wrong_headers(scene)["seat"]
    punished(scene, scene.accuse(INVALID_HEADER, (block.header_bytes,)), INVALID_HEADER)


def listener() -> Engine:
    """Somebody who heard the scene's blocks."""
    engine = Follower(GENESIS).engine
    for block in scene().network.blocks:
        engine.add(block, AHEAD)
    return engine


@pytest.mark.parametrize("name", WRONG)
def test_the_proof_of_a_wrong_header_is_kept_as_it_is_refused(name: str) -> None:
    engine, block = listener(), wrong_headers(scene())[name]
    with pytest.raises(BlockError):
        engine.add(block, AHEAD)
    found = evidence_of(engine, scene().offender.id, INVALID_HEADER)
    assert found.proof == (block.header_bytes,)
    assert scene().judge()(found.kind, found.proof).validator == found.validator


@pytest.mark.parametrize("name", ["reveal", "seat", "region", "phase"])
def test_a_wrong_header_that_another_node_refused_costs_its_maker_stake(name: str) -> None:
    scene = Scene()
    witness = scene.network.nodes[4].engine
    with pytest.raises(BlockError):
        witness.add(wrong_headers(scene)[name], AHEAD)
    found = evidence_of(witness, scene.offender.id, INVALID_HEADER)
    punished(scene, scene.accuse(found.kind, found.proof), INVALID_HEADER)


def test_one_wrong_header_of_an_offender_is_kept_however_many_come() -> None:
    engine, blocks = listener(), list(wrong_headers(scene()).values())
    for block in blocks:
        with pytest.raises(BlockError):
            engine.add(block, AHEAD)
    assert evidence_of(engine, scene().offender.id, INVALID_HEADER).proof == (blocks[0].header_bytes,)
    assert len(engine.evidence) == 1


def test_a_wrong_header_that_came_before_its_parent_is_told_of_too() -> None:
    engine, blocks = Follower(GENESIS).engine, scene().network.blocks
    wrong = scene().header(reveal=bytes(32))
    parent = next(block for block in blocks if block.id == wrong.header.parents[0])
    for block in blocks:
        if block is not parent:
            engine.add(block, AHEAD)
    assert engine.add(wrong, AHEAD).missing
    assert engine.evidence == []
    assert wrong.id in dict(engine.add(parent, AHEAD).rejected)
    assert evidence_of(engine, scene().offender.id, INVALID_HEADER).proof == (wrong.header_bytes,)


def test_off_the_chain_a_table_proves_nothing_and_bytes_still_do() -> None:
    engine = listener()
    chain = {block.id for block in engine.selected(engine.chain.tip)}
    aside = next(block.id for block in scene().network.blocks[::-1] if block.id not in chain)
    for wrong in (scene().header(parents=(aside,), seat=7), scene().header(parents=(aside,), reveal=bytes(32))):
        assert engine.evidence == []
        with pytest.raises(BlockError):
            engine.add(wrong, AHEAD)
    assert evidence_of(engine, scene().offender.id, INVALID_HEADER).proof == (wrong.header_bytes,)


Innocent = Callable[[Scene], Block]
INNOCENT: dict[str, Innocent] = {
    "an honest header": lambda s: s.header(),
    "a wrong state": lambda s: s.header(state_commitment=bytes(32)),
    "another body": lambda s: s.header(body_root=bytes(32)),
    "another amplitude, right in itself": lambda s: forge(
        Block(s.header().header._replace(wave=s.header().header.wave._replace(amplitude=9)), (), ()), 0
    ),
    "an unknown parent": lambda s: s.header(parents=(bytes(32),)),
    "the seat of another table": lambda s: s.header(parents=(bytes(32),), seat=7),
    "a signature that is not his": lambda s: forge(s.offender.block(s.led(s.offender)), 1, reveal=bytes(32)),
    "another network": lambda s: s.header(genesis=OTHER.hash),
    "a wrong header of another network": lambda s: s.header(genesis=OTHER.hash, reveal=bytes(32)),
    "a stranger's": lambda s: forge(
        s.offender.block(s.led(s.offender)), 1 - VALIDATORS, creator=key(1).address, reveal=bytes(32)
    ),
}


@pytest.mark.parametrize("name", INNOCENT)
def test_what_is_no_offence_is_not_punished(name: str) -> None:
    block = INNOCENT[name](scene())
    with pytest.raises(OperationFailed) as caught:
        scene().judge()(INVALID_HEADER, (block.header_bytes,))
    assert caught.value.code == ("unknown_validator" if "stranger" in name else "no_offence")


@pytest.mark.parametrize("name", INNOCENT)
def test_what_is_no_offence_is_kept_as_none(name: str) -> None:
    engine = listener()
    with suppress(BlockError):
        engine.add(INNOCENT[name](scene()), AHEAD)
    assert engine.evidence == []


def test_every_header_and_vote_of_an_honest_history_is_innocent() -> None:
    judge = scene().judge()
    blocks, votes = scene().network.blocks, scene().network.votes
    for block in blocks:
        with pytest.raises(OperationFailed, match="no_offence"):
            judge(INVALID_HEADER, (block.header_bytes,))
    for one in blocks[-8:]:
        for other in blocks[-8:]:
            with pytest.raises(OperationFailed, match="no_offence"):
                judge(DOUBLE_BLOCK, (one.header_bytes, other.header_bytes))
    for voter in {vote.voter for vote in votes}:
        mine = [vote for vote in votes if vote.voter == voter]
        assert not any(conflict(one, other) for one in mine for other in mine)


def test_two_signatures_over_one_content_are_no_offence() -> None:
    block = scene().header()
    again = forge(block, 0, anew=True)
    assert again.id != block.id
    with pytest.raises(OperationFailed, match="no_offence"):
        scene().judge()(DOUBLE_BLOCK, (block.header_bytes, again.header_bytes))


def test_evidence_of_nothing_is_charged() -> None:
    scene = Scene(8)
    receipt = scene.accuse(INVALID_HEADER, (scene.header().header_bytes,))
    assert receipt[1:] == (FAILED, "no_offence", 1_000)
    assert bank.account(scene.engine.state, ANN.address) == (1_000 * NXT - 1_000, 1)
    assert staking.tombstoned_at(scene.engine.state, scene.offender.id) == 0


def test_an_old_header_is_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = scene().judge()
    judge._oldest = 1 << 30
    monkeypatch.setattr(RevealChecker, "check", lambda *_: pytest.fail("it was looked into"))
    with pytest.raises(OperationFailed, match="offence_too_old"):
        judge(INVALID_HEADER, (scene().header(reveal=bytes(32)).header_bytes,))


@cache
def good_proofs() -> dict[int, tuple[bytes, ...]]:
    return proofs(scene())


@pytest.mark.parametrize("kind", PENALTIES)
def test_good_proofs_are_good_under_their_kind_alone(kind: int) -> None:
    judge, proof = scene().judge(), good_proofs()[kind]
    assert judge(kind, proof).validator == scene().offender.id
    for other in PENALTIES:
        if other != kind:
            with pytest.raises(OperationFailed):
                judge(other, proof)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_damaged_proof_slashes_or_raises_anything_else(data: st.DataObject) -> None:
    """Cut, changed, swapped, mixed or random parts: no offence, and nothing but OperationFailed."""
    kind = data.draw(st.sampled_from(sorted(PENALTIES)))
    good = good_proofs()[kind]
    every = [part for proof in good_proofs().values() for part in proof]
    every += [block.header_bytes for block in scene().network.blocks[-3:]]
    parts = list(good)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(0, len(parts) - 1)))
        how = data.draw(st.sampled_from(["cut", "change", "swap", "drop", "add", "random"]))
        if how == "add" or not parts:
            parts.insert(place, data.draw(st.sampled_from(every)))
        elif how == "cut":
            parts[place] = parts[place][: data.draw(st.integers(0, len(parts[place])))]
        elif how == "change":
            at = data.draw(st.integers(0, max(0, len(parts[place]) - 1)))
            parts[place] = parts[place][:at] + data.draw(st.binary(max_size=3)) + parts[place][at + 1 :]
        elif how == "swap":
            parts[place] = data.draw(st.sampled_from(every))
        elif how == "drop":
            del parts[place]
        else:
            parts[place] = data.draw(st.binary(max_size=80))
    proof = tuple(parts)
    try:
        offence = scene().judge()(data.draw(st.sampled_from(sorted(PENALTIES))), proof)
    except OperationFailed:
        return
    assert offence.validator == scene().offender.id
    content = {part for part in proof if part not in {block.header_bytes for block in scene().network.blocks}}
    assert content <= {*every}, "only whole, signed parts prove anything"


@pytest.mark.parametrize("kind", PENALTIES)
def test_a_proof_from_another_network_proves_nothing(kind: int) -> None:
    judge = scene().judge()
    judge._genesis = OTHER.hash
    with pytest.raises(OperationFailed, match="no_offence"):
        judge(kind, good_proofs()[kind])


@given(st.randoms(use_true_random=False))
@settings(max_examples=5, deadline=None)
def test_honest_behaviour_is_never_an_offence(random: Any) -> None:
    """Sleepers, partitions, reorganisations and late votes: nobody is accused."""
    network = Network(GENESIS)
    while network.slot < 45:
        if random.random() < 0.1:
            nodes = random.sample(network.nodes, 6)
            cut = random.randrange(1, 6)
            network.groups = [nodes[:cut], nodes[cut:]]
        elif random.random() < 0.2:
            network.heal()
        network.pass_slot(silent=random.sample(range(6), random.choice((0, 0, 1, 3))))
    network.heal()
    for node in network.nodes:
        assert node.engine.evidence == []
        assert node.engine.ballots.conflict is None
    judge = scene().judge()
    for block in network.blocks:
        with pytest.raises(OperationFailed):
            judge(INVALID_HEADER, (block.header_bytes,))


def test_an_offender_is_named_once_however_much_he_does() -> None:
    scene = Scene()
    one, other = double_blocks(scene)
    scene.network.tell(scene.network.nodes, [])
    for node in scene.network.nodes:
        for block in (one, other):
            node.engine.add(block, AHEAD)
    for vote in scene.surround_vote():
        scene.engine.add_vote(vote)
    kinds = [item.kind for item in scene.engine.evidence]
    assert sorted(kinds) == [DOUBLE_BLOCK, SURROUND_VOTE], "at most once for blocks and once for votes"
