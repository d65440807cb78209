"""Votes whose checkpoints are not known yet: nobody can tell who signed them, so they harm nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import count

from node.consensus.ballots import MAX_WAITING
from node.consensus.blocks import Block, body_root
from node.consensus.engine import Engine
from node.consensus.votes import MAX_VOTES, Vote
from node.ledger.signatures import P256_ORDER
from tests.node.consensus.follower import AHEAD, Follower
from tests.node.world import NXT, Network, Validator, forge, small_genesis, stranger

GENESIS = small_genesis(stakes=(1_000 * NXT,) * 6)
_FLOOD = 2_000
_FRESH = count(1)


@cache
def past() -> Network:
    """A network whose checkpoints became final; nobody changes it."""
    network = Network(GENESIS)
    for _ in range(60):
        network.pass_slot()
    return network


def forged(voter: bytes) -> Vote:
    """A vote in somebody's name for what does not exist, signed by nobody."""
    name = next(_FRESH).to_bytes(32)
    return Vote(1, name, 2, name[::-1], 40, 3, voter, bytes(63) + b"\x01")


def waiting(engine: Engine) -> dict[bytes, list[Vote]]:
    return engine.ballots._waiting


def young(blocks: int) -> Follower:
    """Somebody who has heard the first blocks alone."""
    follower = Follower(GENESIS)
    for block in past().blocks[:blocks]:
        follower.hear(block)
    return follower


def told_early(follower: Follower, voters: list[Validator]) -> Iterator[tuple[bytes, list[Vote]]]:
    """Tell votes of these whose checkpoints the follower does not know; those that may wait, by voter."""
    known = follower.engine.ballots.targets
    for node in voters:
        votes = [vote for vote in past().votes if vote.voter == node.id and vote.target_hash not in known]
        for vote in votes:
            assert not follower.hear(vote)
        yield node.id, votes[-MAX_WAITING:]


def test_a_flood_pushes_out_the_votes_of_its_own_name_alone() -> None:
    follower, nodes = young(20), past().nodes
    honest = dict(told_early(follower, nodes[2:]))
    assert all(len(votes) == MAX_WAITING for votes in honest.values())
    for _ in range(_FLOOD):
        for voter in (nodes[0].id, nodes[1].id, stranger(1)):
            assert not follower.hear(forged(voter))
    assert {voter: votes for voter, votes in waiting(follower.engine).items() if voter in honest} == honest
    assert {len(waiting(follower.engine)[node.id]) for node in nodes[:2]} == {MAX_WAITING}
    assert set(waiting(follower.engine)) == {node.id for node in nodes}, "strangers wait for nothing"
    counted = 0
    links = follower.engine.ballots.links
    for block in past().blocks[20:]:
        follower.hear(block)
        for vote in [vote for votes in honest.values() for vote in votes]:
            if vote.target_hash in follower.engine.ballots.targets:
                assert links[vote.link][vote.voter] == vote, "it counts as soon as its checkpoint is known"
                honest[vote.voter].remove(vote)
                counted += 1
    assert counted == 4 * MAX_WAITING
    follower.check()


def test_a_flood_in_all_names_does_not_hold_finality_up() -> None:
    follower, calm = Follower(GENESIS), Follower(GENESIS)
    for block in past().blocks:
        calm.hear(block)
        for node in past().nodes:
            for _ in range(2 * MAX_WAITING):
                assert not follower.hear(forged(node.id))
        follower.hear(block)
        assert follower.engine.final.hash == calm.engine.final.hash
        assert follower.engine.justified.hash == calm.engine.justified.hash
    assert calm.engine.final.number > 5
    assert follower.engine.evidence == []
    assert sum(map(len, waiting(follower.engine).values())) == len(past().nodes) * MAX_WAITING


def test_votes_in_a_body_wait_under_the_same_rule() -> None:
    follower, nodes = young(20), past().nodes
    honest = dict(told_early(follower, nodes[1:]))
    honest = {voter: votes for voter, votes in honest.items() if voter != nodes[1].id}
    maker, slot = nodes[0], past().slot + 1
    copy = Validator(GENESIS, maker.number)
    for block in past().blocks[:20]:
        copy.engine.add(block, block.header.slot)
    while not copy.leads(slot):
        slot += 1
    half = MAX_VOTES // 2
    votes = tuple(forged(voter) for voter in (stranger(1), nodes[1].id) for _ in range(half))
    block = Block(copy.block(slot).header, (), votes)
    progress = follower.hear(forge(block, maker.number, body_root=body_root((), votes)), AHEAD)
    assert len(progress.added) == 1
    assert progress.votes == []
    assert waiting(follower.engine) == {**honest, nodes[1].id: list(votes[-MAX_WAITING:])}


def test_the_high_twin_of_a_votes_signature_is_refused() -> None:
    follower, vote = young(len(past().blocks)), past().votes[-1]
    high = vote.signature[:32] + (P256_ORDER - int.from_bytes(vote.signature[32:])).to_bytes(32)
    assert not follower.hear(vote._replace(signature=high))
    assert vote.voter not in follower.engine.ballots.links.get(vote.link, {})
    assert follower.hear(vote).votes == [vote]
    assert not follower.hear(vote._replace(signature=high)), "nor is it a second vote"
    assert follower.engine.evidence == []
