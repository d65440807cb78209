"""Parallel blocks carry different transactions: each seat takes the senders of its own colour first."""

from __future__ import annotations

from itertools import islice

import pytest

from node.mempool.queues import colour_of
from tests.node.mempool.waiting import ALICE, BOB, SLOT, Waiting
from tests.node.world import NXT, Payer, key, small_genesis, stranger

SENDERS = 120
CROWD = small_genesis((NXT,) * SENDERS)


@pytest.fixture
def here() -> Waiting:
    return Waiting()


def crowd(each: int = 1) -> Waiting:
    """Everybody has sent the same number of payments."""
    here = Waiting(CROWD)
    for number in range(each):
        here.admit(
            *(
                Payer(CROWD.hash, key(sender), signed=False).pay(number, stranger(1), 1)
                for sender in range(1, SENDERS + 1)
            )
        )
    return here


def overlap(here: Waiting, room: int, colours: tuple[int | None, int | None]) -> float:
    """The share of two parallel blocks' transactions that the other one carries as well."""
    left, right = ({item.txid for item in islice(here.pool.candidates(here.state, colour), room)} for colour in colours)
    return 2 * len(left & right) / (len(left) + len(right))


def test_a_colour_belongs_to_a_sender_and_halves_them() -> None:
    colours = [colour_of(stranger(number)) for number in range(2_000)]
    assert set(colours) == {0, 1}
    assert 900 < sum(colours) < 1_100
    assert colours == [colour_of(stranger(number)) for number in range(2_000)]


@pytest.mark.parametrize("colour", [0, 1])
def test_its_own_colour_first_then_the_other_each_by_priority(colour: int) -> None:
    here = crowd(2)
    order = here.order(colour)
    assert sorted(item.txid for item in order) == sorted(item.txid for item in here.order())
    colours = [colour_of(item.sender) == colour for item in order]
    assert colours == sorted(colours, reverse=True)
    mine = [item for item in here.order() if colour_of(item.sender) == colour]
    assert order[: len(mine)] == mine
    others = [item for item in here.order() if colour_of(item.sender) != colour]
    assert order[len(mine) :] == others


def test_overlap_of_two_parallel_blocks() -> None:
    """Nothing twice while each colour fills a block; what a block has room for beyond that it shares."""
    here = crowd(2)  # 240 payments
    assert overlap(here, 60, (None, None)) == 1
    assert overlap(here, 60, (0, 1)) == 0
    assert overlap(here, 100, (0, 1)) <= 0.1
    # Room for 160 each, 240 there: 80 must be in both, more only as far as the colours are uneven.
    assert overlap(here, 160, (0, 1)) <= 80 / 160 + 0.1
    assert overlap(here, 240, (0, 1)) == 1


@pytest.mark.parametrize("colour", [0, 1])
def test_the_other_colour_is_left_to_the_other_seat_for_a_while(colour: int) -> None:
    """Light loads do not overlap: both seats have room for everything, and each leaves the other's alone at first."""
    here = crowd()
    young = list(here.pool.candidates(here.state, colour, others_since=SLOT - 1))
    assert {colour_of(item.sender) for item in young} == {colour}
    assert 0 < len(young) < SENDERS
    assert list(here.pool.candidates(here.state, colour, others_since=SLOT)) == here.order(colour)
    assert list(here.pool.candidates(here.state, None, others_since=SLOT - 1)) == here.order()


def test_what_another_block_carries_is_not_named_again(here: Waiting) -> None:
    numbers = [ALICE.pay(number, BOB.address, 1) for number in range(4)]
    other = BOB.pay(0, ALICE.address, 1)
    here.admit(*numbers, other)
    skip = {numbers[0].txid, numbers[1].txid}
    assert here.order(skip=skip) == [numbers[2], numbers[3], other]
    assert here.order(skip={numbers[2].txid}) == [numbers[0], numbers[1], numbers[3], other]
    assert here.order(skip={item.txid for item in [*numbers, other]}) == []
    assert here.pool.has_candidates(here.state), "what a block carries and no chain accepted yet still waits"


def test_what_is_carried_is_paid_before_what_follows_it(here: Waiting) -> None:
    carried, following = ALICE.pay(1, BOB.address, NXT // 4), ALICE.pay(2, BOB.address, NXT // 4)
    here.admit(carried, following)
    here.execute(ALICE.pay(0, BOB.address, NXT // 4))
    assert here.order(skip={carried.txid}) == [following]
    here = Waiting()
    here.admit(carried, following)
    here.execute(ALICE.pay(0, BOB.address, NXT // 2 + NXT // 8))
    assert here.order() == [carried]
    assert here.order(skip={carried.txid}) == []


def test_choosing_changes_nothing(here: Waiting) -> None:
    here.admit(*(ALICE.pay(number, BOB.address, 1) for number in range(3)))
    before = here.order(0)
    assert here.order(0) == before
    assert len(here.pool) == 3
