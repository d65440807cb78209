"""A long silence: who was silent counts nothing until he votes again, and the living go on (protocol section 5)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from random import Random
from typing import NamedTuple

import pytest

from node.consensus.blocks import Block, body_root
from node.consensus.dagblocks import DagBlock
from node.consensus.engine import Engine
from node.consensus.finality import Link, spectral_quorum
from node.consensus.lightclient import Trusted, WalkError, path, start, walk
from node.consensus.restore import decode_view, encode_view
from node.consensus.tables import Table
from node.consensus.view import View
from node.consensus.votes import Vote
from node.ledger import bank
from tests.node.consensus.follower import Follower, result
from tests.node.consensus.test_finality import suppress_code
from tests.node.world import NXT, VALIDATORS, Network, Payer, forge, key, small_genesis, stranger

GENESIS = small_genesis(stakes=(1_000 * NXT,) * 7)
SILENCE = GENESIS.parameters.silence_slots
GONE = frozenset(key(VALIDATORS + number).address for number in (0, 1, 2))


class Lived(NamedTuple):
    """A network three of whose seven fall silent, and one of them comes back; the slots in which that was so."""

    network: Network
    resumed: int  # when something was final again
    back: int
    end: int


def pay(network: Network, count: int, silent: tuple[int, ...]) -> None:
    payer = Payer(network.genesis.hash, key(1))
    for _ in range(count):
        paid = bank.account(network.nodes[6].engine.state, payer.address)[1]
        network.pass_slot(payer.pay(paid, stranger(network.slot), NXT), silent=silent)


def standing_still(network: Network) -> Network:
    """Until the three that are gone are absent."""
    pay(network, 12, ())
    return absent_at_last(network)


def absent_at_last(network: Network) -> Network:
    while not network.nodes[6].engine.view.absent:
        pay(network, 1, (0, 1, 2))
        assert network.slot < 3 * SILENCE
    return network


@cache
def lived() -> Lived:
    network = standing_still(Network(GENESIS))
    engine = network.nodes[6].engine
    before = engine.final
    while engine.final.number <= before.number + 1:
        pay(network, 1, (0, 1, 2))
    resumed = network.slot
    pay(network, SILENCE, (0, 1, 2))
    back = network.slot
    pay(network, 40, (0, 2))
    return Lived(network, resumed, back, network.slot)


def chain(engine: Engine) -> list[DagBlock]:
    """The selected chain from the genesis on."""
    return list(engine.selected(engine.chain.tip))[::-1]


def views() -> list[tuple[DagBlock, View]]:
    return [(block, block.known_view) for block in chain(lived().network.nodes[6].engine)]


def test_finality_goes_on_step_by_step_after_one_long_silence() -> None:
    _, resumed, back, _ = lived()
    made = [(block.slot, len(view.finals)) for block, view in views() if view.finals and resumed <= block.slot <= back]
    assert sum(count for _, count in made) > 10
    assert max(later - earlier for (earlier, _), (later, _) in pairwise(made)) < SILENCE // 4
    for block, view in views():
        if resumed <= block.slot <= back:
            assert view.absent == GONE, "and nobody is back without a vote"


def test_the_silence_must_have_been_long_and_the_absent_are_those_who_were_silent() -> None:
    began = next((block, view) for block, view in views() if view.absent)
    final = began[1].final
    assert began[0].slot - final.checkpoint.slot >= SILENCE
    assert began[1].height - final.height >= 100
    assert began[1].absent == GONE
    assert began[1].fresh is not None, "with a checkpoint, for only votes ask who counts"


def test_absence_lasts_through_rotations() -> None:
    _, resumed, back, _ = lived()
    rotations = {view.rotation for block, view in views() if resumed <= block.slot <= back}
    assert len(rotations) > 2


def test_who_votes_again_counts_again_at_once_and_nobody_else() -> None:
    _, _, back, _ = lived()
    returner, others = key(VALIDATORS + 1).address, GONE - {key(VALIDATORS + 1).address}
    for (_, before), (block, after) in pairwise(views()):
        if block.slot <= back:
            continue
        voted = {
            vote.voter
            for link, votes in after.links.items()
            for vote in votes.values()
            if vote.voter not in before.links.get(link, ()) and vote.voter in before.known[link[1]].absent
        }
        assert after.absent == before.absent - voted
        for target in after.known.values():
            assert target.absent in (GONE, others)
    last = views()[-1][1]
    assert last.absent == others
    assert last.best.absent == others
    assert returner in {vote.voter for vote in last.certificate[-1].votes}
    assert last.final.number > 20


def test_a_block_alone_does_not_bring_him_back() -> None:
    network = standing_still(Network(GENESIS))
    engine, returner = network.nodes[6].engine, network.nodes[1]
    made: list[Block] = []
    for _ in range(30):
        network.slot += 1
        awake = network.nodes[3:]
        blocks = [node.block(network.slot) for node in (*awake, returner) if node.leads(network.slot)]
        made += [block for block in blocks if block.header.creator == returner.id]
        network.tell(network.nodes, blocks)
        network.tell(network.nodes, [vote for node in awake if (vote := node.vote()) is not None])
    assert any(engine.on_chain(engine.blocks[block.id], engine.chain.tip) for block in made)
    assert returner.id in engine.view.absent
    vote = returner.vote()
    assert vote is not None
    network.tell(network.nodes, [vote])
    pay(network, 3, (0, 1, 2))
    assert engine.view.absent == GONE - {returner.id}


def test_an_old_vote_that_somebody_kept_back_does_not_bring_him_back() -> None:
    network = Network(GENESIS)
    pay(network, 12, ())
    while (vote := network.nodes[0].vote()) is None or vote.target <= network.nodes[6].engine.final.number + 1:
        pay(network, 1, (0, 1, 2))
    absent_at_last(network)
    engine = network.nodes[6].engine
    assert vote.target_hash in engine.view.known
    network.tell(network.nodes, [vote])
    pay(network, 4, (0, 1, 2))
    assert vote.voter in engine.view.links[vote.link], "it counts for what it is"
    assert engine.view.absent == GONE
    pay(network, 40, (0, 1, 2))
    assert engine.final.number > vote.target + 5


def test_votes_repeated_or_made_up_are_no_sign_of_life() -> None:
    """One of the living fills his blocks with votes of the silent, so that nobody ever becomes absent."""
    network = Network(GENESIS)
    pay(network, 12, ())
    engine, faker = network.nodes[6].engine, network.nodes[3]
    old = {vote.voter: vote for vote in network.votes if vote.voter in GONE}
    while not engine.view.absent:
        network.slot += 1
        newest = max(engine.view.known.values(), key=lambda target: target.number)
        false = [
            vote._replace(target=newest.number, target_hash=newest.hash, target_slot=newest.checkpoint.slot)
            for vote in old.values()
        ]
        blocks = [node.block(network.slot) for node in network.nodes[3:] if node.leads(network.slot)]
        blocks = [
            stuffed(block, (*old.values(), *false)) if block.header.creator == faker.id else block for block in blocks
        ]
        network.tell(network.nodes, blocks)
        network.tell(network.nodes, [vote for node in network.nodes[3:] if (vote := node.vote()) is not None])
        assert network.slot < 3 * SILENCE
    assert engine.view.absent == GONE


def stuffed(block: Block, votes: Iterable[Vote]) -> Block:
    """A block of validator 3 with these votes besides its own."""
    carried = (*block.votes, *votes)
    made = forge(block, 3, body_root=body_root(block.transactions, carried))
    return Block(made.header, made.transactions, carried)


def test_halves_that_were_parted_for_longer_finalise_apart() -> None:
    """What the long silence costs: nobody broke a rule, and two histories are final."""
    network = Network(GENESIS)
    pay(network, 12, ())
    before = network.nodes[6].engine.final.number
    network.groups = [network.nodes[:3], network.nodes[3:]]
    left, right = network.nodes[0].engine, network.nodes[6].engine
    while min(left.final.number, right.final.number) <= before + 6:
        network.pass_slot()
        assert network.slot < 4 * SILENCE
    ids = [node.id for node in network.nodes]
    assert left.view.absent == frozenset(ids[3:])
    assert right.view.absent == frozenset(ids[:3]) == GONE
    for engine in (left, right):
        for block in network.blocks:
            with suppress_code("unknown_tables"):
                engine.add(block, network.slot)
        for vote in network.votes:
            engine.add_vote(vote)
        assert not engine.evidence, "of nobody is said that he broke a rule"
        assert engine.ballots.conflict is not None, "and the nodes of both halves say so"


def test_it_is_the_same_for_every_order_of_arrival() -> None:
    network = lived().network
    expected: tuple[object, ...] | None = None
    for seed in (1, 2):
        follower, random = Follower(GENESIS), Random(seed)
        items: list[Block | Vote] = [*network.blocks, *network.votes]
        for place in range(0, len(items), 12):
            part = items[place : place + 12]
            random.shuffle(part)
            for item in part:
                follower.hear(item)
        found = result(follower.engine)
        assert expected is None or found == expected
        expected = found
        assert follower.engine.view.absent == views()[-1][1].absent


def test_a_view_from_its_bytes_goes_on_like_the_one_in_memory() -> None:
    """A stop in the middle of a long silence, at any block after it, and at the return."""
    engine = lived().network.nodes[6].engine
    absent = 0
    for parent, block in pairwise(chain(engine)):
        view = decode_view(encode_view(parent.known_view))
        absent += bool(view.absent)
        members = [engine.by_index[index] for index in engine.dag.mergeset(block.coloured)[1:]]
        accepted = [(item.id, item.header, item.votes) for item in (*members, block) if item.header is not None]
        assert block.header is not None
        made = engine.views.advance(view, block.header, block.id, block.coloured.score, accepted)
        assert encode_view(made) == encode_view(block.known_view)
    assert absent > SILENCE


def test_the_absent_are_none_of_the_four_that_make_a_region_full() -> None:
    """24 equal validators fill six regions with four each. With two regions absent, the other four go on."""
    table = Engine.begin(small_genesis(stakes=(1_000 * NXT,) * 24), numpy=False).view.table
    regions: dict[int, list[bytes]] = {}
    for identity, region in table.regions.items():
        regions.setdefault(region, []).append(identity)
    ordered = [regions[region] for region in sorted(regions)]
    gone = frozenset(identity for members in ordered[:2] for identity in members)
    living = frozenset(table.regions) - gone
    assert not spectral_quorum(living, table)
    assert spectral_quorum(living, table, gone)
    one_each = frozenset(members[0] for members in ordered)
    assert spectral_quorum(frozenset(), table, one_each), "three are no full region"
    returning = living | {ordered[0][0]}
    assert spectral_quorum(returning, table, gone), "one vote more never makes a quorum too small"


# -- the light client -------------------------------------------------------------------------------------------------


class Proofs(NamedTuple):
    links: tuple[Link, ...]
    tables: tuple[Table, ...]
    headers: tuple[bytes, ...]
    start: Trusted
    end: Engine


@cache
def proofs() -> Proofs:
    """What a node that heard all of it can send: the links that its pool of votes justified."""
    network = lived().network
    follower = Follower(GENESIS)
    begin = follower.engine.final.checkpoint
    links: list[Link] = []
    tables = {table.hash: table for _, view in views() for table in (view.table, view.next_table)}
    items: list[Block | Vote] = sorted((*network.blocks, *network.votes), key=when)
    for item in items:
        links += follower.hear(item).links
    headers = tuple(block.header_bytes for block in follower.engine.blocks.values())
    return Proofs(
        tuple(links), tuple(tables.values()), headers, start(begin.hash, begin, tables.values()), follower.engine
    )


def when(item: object) -> int:
    return item.header.slot if isinstance(item, Block) else lived().end  # votes come with blocks, and once more after


def go(links: Iterable[Link], trusted: Trusted | None = None, *, believe: bool = True) -> Trusted:
    _, tables, headers, begin, _ = proofs()
    return walk(
        GENESIS.hash,
        GENESIS.parameters,
        trusted or begin,
        list(links),
        tables,
        headers,
        believe_silence=believe,
    )


def steps() -> list[Link]:
    links, _, _, begin, engine = proofs()
    return path(links, begin.checkpoint, engine.final.checkpoint)


def test_the_light_client_follows_a_long_silence_to_its_end() -> None:
    chosen = steps()
    absent = [frozenset(link.absent) for link in chosen]
    assert GONE in absent
    assert absent[-1] == GONE - {key(VALIDATORS + 1).address}
    reached = go(chosen)
    assert reached.checkpoint == proofs().end.final.checkpoint
    assert reached.silence
    assert reached.absent == absent[-1]


def test_without_a_persons_word_it_stops_where_the_silence_begins() -> None:
    chosen = steps()
    first = next(place for place, link in enumerate(chosen) if link.absent)
    assert go(chosen, believe=False).checkpoint == go(chosen[:first]).checkpoint
    here = go(chosen[: first + 5])
    assert here.silence
    rest = path(proofs().links, here.checkpoint, proofs().end.final.checkpoint)
    with pytest.raises(WalkError) as refused:
        go(rest, here, believe=False)
    assert refused.value.code == "silence"


def test_it_goes_on_from_its_own_last_checkpoint_with_those_who_were_absent_there() -> None:
    chosen = steps()
    first = next(place for place, link in enumerate(chosen) if link.absent)
    here = go(chosen[: first + 6])
    assert here.absent == GONE
    rest = path(proofs().links, here.checkpoint, proofs().end.final.checkpoint)
    assert go(rest, here).checkpoint == proofs().end.final.checkpoint
    told = start(here.checkpoint.hash, here.checkpoint, proofs().tables, GONE)
    assert go(rest, told).checkpoint == proofs().end.final.checkpoint
    with pytest.raises(WalkError) as refused:
        go(rest, start(here.checkpoint.hash, here.checkpoint, proofs().tables))
    assert refused.value.code == "silence", "the checkpoint's hash does not say who is absent"


def test_somebody_else_cannot_be_called_absent_on_the_way() -> None:
    chosen = steps()
    place = next(place for place, link in enumerate(chosen) if link.absent) + 4
    link = chosen[place]
    assert frozenset(link.absent) == GONE
    three = link.votes[:3]
    living = {item.id for item in proofs().start.table.validators} - GONE
    (fourth,) = living - {vote.voter for vote in three}
    false = link._replace(votes=three, absent=(*link.absent, fourth))
    with pytest.raises(WalkError) as refused:
        go([false], replaced(go(chosen[: place + 1]), link))
    assert refused.value.code == "silence"


def test_who_came_back_needs_a_new_silence_to_be_absent_again() -> None:
    chosen = steps()
    returner = key(VALIDATORS + 1).address
    place = next(place for place, link in enumerate(chosen) if link.absent and returner not in link.absent)
    link = chosen[place + 1]
    assert returner not in link.absent
    false = link._replace(
        votes=tuple(vote for vote in link.votes if vote.voter != returner), absent=tuple(sorted(GONE))
    )
    with pytest.raises(WalkError) as refused:
        go([false], replaced(go(chosen[: place + 2]), link))
    assert refused.value.code == "silence"


def replaced(reached: Trusted, link: Link) -> Trusted:
    """Where the walk stood at a link's source."""
    assert reached.checkpoint == link.source
    return reached
