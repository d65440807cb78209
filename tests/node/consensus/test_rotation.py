"""Tables turn at an epoch's first block, and only after finality (protocol section 4, "The table")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from hashlib import blake2b
from itertools import pairwise

import pytest

from node.consensus.dagblocks import DagBlock
from node.consensus.engine import Engine
from node.consensus.reveals import LENGTH
from node.consensus.tables import Table, next_seed
from node.consensus.view import View
from node.encoding.canonical import Value, encode
from node.encoding.hashing import tagged_hash
from node.ledger import staking
from tests.node.consensus.follower import AHEAD, SHARED
from tests.node.world import NXT, Network, reveals, small_genesis

GENESIS = small_genesis(stakes=tuple(1_000 * NXT + number for number in range(5)))
EPOCH = GENESIS.parameters.epoch_slots


@cache
def grown(silent: tuple[int, ...] = (), slots: int = 5 * EPOCH) -> Network:
    network = Network(GENESIS)
    for _ in range(slots):
        network.pass_slot(silent=silent)
    return network


def chain_of(engine: Engine) -> list[DagBlock]:
    """The selected chain from the genesis on."""
    return list(engine.selected(engine.chain.tip))[::-1]


def turned(before: View, after: View) -> bool:
    return after.rotation != before.rotation


def test_tables_turn_at_the_first_block_of_an_epoch_if_something_new_is_final() -> None:
    engine = grown().nodes[0].engine
    rotations = 0
    for parent, block in pairwise(chain_of(engine)):
        before, after = parent.known_view, block.known_view
        first = block.slot // EPOCH > parent.slot // EPOCH
        due = first and before.final.height > before.rotation
        assert turned(before, after) == due
        if due:
            rotations += 1
            assert after.rotation == block.height
            assert after.table is before.next_table
            active = engine.active_sets.get(before.final.checkpoint.block)
            assert active is not None
            assert after.next_table.validators == active
        else:
            assert (after.table, after.next_table) == (before.table, before.next_table)
    assert rotations >= 3


def test_without_finality_nothing_turns() -> None:
    engine = grown((3, 4), 3 * EPOCH).nodes[0].engine
    assert engine.tip.slot > 2 * EPOCH
    assert engine.view.final.number == 0
    assert engine.view.rotation == 0
    assert engine.view.table.seed == GENESIS.hash
    assert engine.view.table is engine.view.next_table


@cache
def quiet() -> Network:
    """Heartbeats alone, some epochs with nobody awake."""
    network = Network(GENESIS)
    for beat in range(120):
        network.slot = 10 * beat + 9 + 40 * (beat // 15)
        network.pass_slot(silent=(1, 3) if beat % 15 > 10 else ())
    return network


@pytest.mark.parametrize("network", [grown, quiet])
def test_between_two_checkpoints_lies_one_rotation_at_most(network: Callable[[], Network]) -> None:
    """So a light client that knows the tables of one knows the table of the other."""
    engine = network().nodes[0].engine
    assert engine.view.rotation > 0
    checkpoints = [block for block in chain_of(engine) if block.known_view.fresh is not None or not block.height]
    assert len(checkpoints) > 20
    for one, other in pairwise(checkpoints):
        before, after = one.known_view, other.known_view
        assert after.table.hash in (before.table.hash, before.next_table.hash)


def test_the_next_seed_comes_from_the_distinct_reveals_since_the_last_rotation() -> None:
    engine = grown().nodes[0].engine
    since: set[tuple[bytes, int, bytes]] = set()
    checked = 0
    for parent, block in pairwise(chain_of(engine)):
        before, after = parent.known_view, block.known_view
        if turned(before, after):
            assert since == before.reveals
            assert len(since) < sum(1 for _ in chain_of(engine)), "several blocks of an epoch carry one reveal"
            assert after.next_table.seed == next_seed(before.table.seed, since)
            since, checked = set(), checked + 1
        for item in (*(member for member, _ in engine.merged(block)), block):
            assert item.header is not None
            since.add((item.header.creator, item.slot // EPOCH, item.header.reveal))
    assert checked >= 3


def test_a_seed_is_the_same_in_any_order_and_another_without_one_reveal() -> None:
    found = [(bytes((number,)) * 21, number % 3, bytes((number,)) * 32) for number in range(6)]
    seed = next_seed(bytes(32), found)
    assert seed == next_seed(bytes(32), [*reversed(found), *found])
    assert len({seed, next_seed(bytes(32), found[1:]), next_seed(b"\x01" * 32, found), next_seed(bytes(32), [])}) == 4


def test_every_block_carries_the_reveal_of_its_epoch() -> None:
    network = grown()
    numbers = {node.id: node.number for node in network.nodes}
    for block in network.blocks:
        number = numbers[block.header.creator]
        assert block.header.reveal == reveals(number).preimage(block.header.slot // EPOCH)
    assert LENGTH == 1 << 16


def test_tables_are_a_function_of_the_chain_alone() -> None:
    """A node that hears all at the end, and no votes but those in blocks, has the same tables."""
    network = grown()
    engine = Engine.begin(GENESIS, numpy=False, **SHARED)  # type: ignore[arg-type]
    engine.awake_since = AHEAD
    for block in network.blocks[::-1]:
        engine.add(block, AHEAD)
    mine, theirs = engine.view, network.nodes[0].engine.view
    assert engine.tip == network.nodes[0].engine.tip
    assert (mine.table.hash, mine.next_table.hash, mine.rotation) == (
        theirs.table.hash,
        theirs.next_table.hash,
        theirs.rotation,
    )


# -- leaders and regions ----------------------------------------------------------------------------------------------


def oracle(table: Table, slot: int, seat: int) -> bytes:
    """The draw again, from its words: a point on the line of stakes, by H(seed ‖ slot ‖ seat)."""
    line = [item.id for item in table.validators for _ in range(item.stake)]
    lot = tagged_hash(b"nexus/leader", table.seed, slot.to_bytes(8), bytes((seat,)))
    return line[int.from_bytes(lot) % len(line)]


STAKED = tuple(
    staking.Validator(b"\x00" + bytes((number,)) * 20, stake, bytes(33), bytes(32), 0)
    for number, stake in enumerate((1, 2, 3, 4, 10))
)


def test_leaders_are_drawn_by_stake_to_the_last_unit() -> None:
    table = Table(blake2b(b"seed", digest_size=32).digest(), STAKED)
    counts = dict.fromkeys((item.id for item in STAKED), 0)
    slots = 4_000
    for slot in range(slots):
        first, second = oracle(table, slot, 0), oracle(table, slot, 1)
        assert table.leader(slot, 0) == first
        assert table.leader(slot, 1) == (None if second == first else second)
        counts[first] += 1
    exact = [counts[item.id] for item in STAKED]
    assert exact == [219, 410, 588, 757, 2026], "of this seed, for ever"
    for item in STAKED:
        expected = slots * item.stake / 20
        assert abs(counts[item.id] - expected) < 4 * (expected * (1 - item.stake / 20)) ** 0.5


def test_a_share_of_the_stake_gives_that_share_of_the_seats() -> None:
    """Splitting a stake over several validators gains no seat."""
    parts = tuple(replace_id(number, 5) for number in range(10, 14))
    split = Table(bytes(32), tuple(sorted((*STAKED, *parts))))
    whole = Table(bytes(32), tuple(sorted((*STAKED, replace_id(10, 20)))))
    names = {item.id for item in parts}
    for slot in range(2_000):
        assert (oracle(split, slot, 0) in names) == (whole.leader(slot, 0) == replace_id(10, 20).id)


def replace_id(number: int, stake: int) -> staking.Validator:
    return STAKED[0]._replace(id=b"\x00" + bytes((number,)) * 20, stake=stake)


def test_a_table_survives_its_bytes() -> None:
    table = Table(bytes(range(32)), STAKED)
    value: Value = (table.seed, tuple(tuple(item) for item in table.validators))  # type: ignore[misc]
    assert encode(value) == table.encoded()
    again = Table.from_value(value)
    assert (again.hash, again.regions, again.validators) == (table.hash, table.regions, table.validators)
    assert Table(bytes(32), STAKED).hash != table.hash
    assert sum(count for count, _ in table.region_stakes) == 5
    assert sum(stake for _, stake in table.region_stakes) == table.total_stake == 20
    assert table.stake_of(b"nobody") == 0
    assert table.validator(b"nobody") is None


ROWS = tuple(tuple(item) for item in STAKED)


@pytest.mark.parametrize(
    "value",
    [
        (),
        5,
        (bytes(32),),
        (bytes(32), ROWS, 1),
        (b"seed", b""),
        (bytes(32), ()),
        (bytes(32), (ROWS[0][:-1],)),
        (bytes(32), ((*ROWS[0][:-1], True),)),
        (bytes(32), ROWS[::-1]),
        (bytes(32), (ROWS[0], ROWS[0])),
        (bytes(32), ((ROWS[0][0], 0, *ROWS[0][2:]),)),
    ],
)
def test_a_malformed_table_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="table"):
        Table.from_value(value)  # type: ignore[arg-type]


def test_a_tables_hash_covers_everything_that_judges() -> None:
    hashes = {Table(bytes(32), STAKED).hash}
    for name, other in (("id", b"\x00" * 21), ("stake", 9), ("consensus_key", b"\x02" * 33), ("first_epoch", 1)):
        hashes.add(Table(bytes(32), (STAKED[0]._replace(**{name: other}), *STAKED[1:])).hash)  # type: ignore[arg-type]
    hashes.add(Table(bytes(32), (STAKED[0]._replace(reveal_commitment=b"\x01" * 32), *STAKED[1:])).hash)
    assert len(hashes) >= 5
    other_network = replace(GENESIS, start_ms=GENESIS.start_ms + 5)
    first = [Engine.begin(genesis, numpy=False).view.table.hash for genesis in (GENESIS, other_network)]
    assert first[0] != first[1], "two networks have different leaders"
