"""Rewards of blocks and votes: what is earned, by whom, and that what nobody earns stays (protocol section 6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.encoding.amounts import SUPPLY
from node.ledger import bank, pools, rewards, staking
from node.ledger.genesis import initial_state
from node.ledger.module import Context
from node.ledger.parameters import PRESETS, Parameters
from node.ledger.registry import broken_invariants, close_epoch, total_units
from node.ledger.rewards import Earner
from tests.node.world import NXT, contents, small_genesis

STAKES = (1_000 * NXT, 2_000 * NXT, 7_000 * NXT)
GENESIS = small_genesis(stakes=STAKES)
IDS = [founder.account for founder in GENESIS.validators]
MINIMAL = GENESIS.parameters
POOL = MINIMAL.validator_pool
BUDGET = POOL * rewards.cap(MINIMAL) // 10**12
SEATS, HEARTBEATS = 40, 4  # of an epoch of 20 slots with a heartbeat in every tenth
BEAT = BUDGET // 2 // HEARTBEATS


class Epoch:
    """An epoch of the network, paid as its blocks would be."""

    def __init__(self) -> None:
        self.state = initial_state(GENESIS)
        self.context = Context(self.state, MINIMAL, 1)
        rewards.begin_epoch(self.context, 0)

    def balance(self, number: int) -> int:
        return bank.account(self.state, IDS[number])[0]

    @property
    def pool(self) -> int:
        return pools.units(self.state, pools.VALIDATOR_POOL)

    def pay(self, *earners: Earner) -> None:
        before = self.pool + sum(map(self.balance, range(3)))
        rewards.pay_blocks(self.context, earners)
        assert self.pool + sum(map(self.balance, range(3))) == before
        assert broken_invariants(self.state) == []

    def close(self) -> None:
        close_epoch(self.context, 0)
        assert broken_invariants(self.state) == []
        assert total_units(self.state) == SUPPLY


def test_the_cap_is_that_of_an_hour_scaled_to_the_epoch() -> None:
    assert rewards.cap(PRESETS["main"]) == 3_162_884
    assert rewards.cap(MINIMAL) == 3_162_884 * 20 * 500 // 3_600_000
    years = 25 * 365.25 * 24
    assert (1 - 3_162_884 / 10**12) ** years == pytest.approx(0.5, rel=1e-6), "the pool halves in 25 years at most"
    assert BEAT > 0


def test_the_budget_is_fixed_at_the_epochs_first_block() -> None:
    epoch = Epoch()
    assert rewards.budget(epoch.state) == (0, BUDGET, 0, 0)
    epoch.pay(Earner(IDS[0], True, 0))
    assert rewards.budget(epoch.state)[1] == BUDGET


def test_a_heartbeat_earns_its_share_of_half_the_budget() -> None:
    epoch = Epoch()
    epoch.pay(Earner(IDS[0], True, 0))
    assert epoch.balance(0) == BEAT * 60 // 100
    assert rewards.budget(epoch.state) == (0, BUDGET, BEAT - BEAT * 60 // 100, 0)
    assert epoch.pool == POOL - BEAT * 60 // 100


def test_another_block_earns_its_fees_up_to_a_seats_share() -> None:
    epoch = Epoch()
    for fees in (0, 1_000, BUDGET // 2 // SEATS):
        before = epoch.balance(1)
        epoch.pay(Earner(IDS[1], False, fees))
        assert epoch.balance(1) - before == fees * 60 // 100
    before = epoch.balance(1)
    epoch.pay(Earner(IDS[1], False, SUPPLY))
    assert epoch.balance(1) - before == (BUDGET // 2 // SEATS) * 60 // 100


def test_nobody_gains_by_paying_himself() -> None:
    """Fees go to the pool in full, and at most as much comes back, in part to others."""
    for fees in (1, 1_000, BUDGET // 2 // SEATS, BUDGET):
        epoch = Epoch()
        epoch.pay(Earner(IDS[0], False, fees))
        assert epoch.balance(0) + rewards.budget(epoch.state)[2] <= fees


def test_a_heartbeat_does_not_add_its_fees() -> None:
    one, other = Epoch(), Epoch()
    one.pay(Earner(IDS[0], True, 0))
    other.pay(Earner(IDS[0], True, 10**9))
    assert contents(one.state) == contents(other.state)


def test_an_epochs_blocks_never_earn_more_than_its_budget() -> None:
    epoch = Epoch()
    epoch.pay(*[Earner(IDS[0], True, 0)] * HEARTBEATS, *[Earner(IDS[1], False, SUPPLY)] * (SEATS - HEARTBEATS))
    assert epoch.balance(0) + epoch.balance(1) + rewards.budget(epoch.state)[2] <= BUDGET


def test_the_rest_is_shared_by_stake_and_votes_and_what_nobody_earned_stays() -> None:
    epoch = Epoch()
    epoch.pay(*[Earner(IDS[0], True, 0)] * 3)
    _, _, rest, _ = rewards.budget(epoch.state)
    rewards.count_final(epoch.state, [IDS[:2], IDS])
    rewards.count_final(epoch.state, [IDS[1:], [IDS[2]]])
    assert rewards.final_votes(epoch.state) == {IDS[0]: 2, IDS[1]: 3, IDS[2]: 3}
    before, pool = [epoch.balance(number) for number in range(3)], epoch.pool
    epoch.close()
    shares = [rest * STAKES[number] * votes // (sum(STAKES) * 4) for number, votes in enumerate((2, 3, 3))]
    assert [epoch.balance(number) for number in range(3)] == [a + b for a, b in zip(before, shares, strict=True)]
    assert epoch.pool == pool - sum(shares)
    assert 0 < sum(shares) < rest
    assert "rewards" not in contents(epoch.state)


def test_without_a_final_checkpoint_the_rest_stays() -> None:
    epoch = Epoch()
    epoch.pay(Earner(IDS[0], True, 0))
    pool, mine = epoch.pool, epoch.balance(0)
    epoch.close()
    assert (epoch.pool, epoch.balance(0)) == (pool, mine)


def test_who_is_no_validator_any_more_gets_no_share() -> None:
    epoch = Epoch()
    epoch.pay(Earner(IDS[0], True, 0))
    rewards.count_final(epoch.state, [[b"\x00" + bytes(20)]])
    pool = epoch.pool
    epoch.close()
    assert epoch.pool == pool


def test_a_poor_pool_pays_what_it_has() -> None:
    epoch = Epoch()
    pools.add(epoch.state, pools.TREASURY, epoch.pool - 5)
    pools.add(epoch.state, pools.VALIDATOR_POOL, 5 - epoch.pool)
    epoch.pay(Earner(IDS[0], True, 0), Earner(IDS[1], True, 0))
    assert epoch.balance(0) == 3
    rewards.count_final(epoch.state, [IDS])
    epoch.close()
    assert epoch.pool >= 0


earners = st.lists(
    st.builds(Earner, st.sampled_from(IDS), st.booleans(), st.integers(0, 10**9)), min_size=1, max_size=30
)


@given(earners, st.lists(st.lists(st.sampled_from(IDS), unique=True), max_size=6), st.integers(0, POOL))
def test_the_total_never_moves(blocks: list[Earner], finals: list[list[bytes]], pool: int) -> None:
    epoch = Epoch()
    pools.add(epoch.state, pools.TREASURY, epoch.pool - pool)
    pools.add(epoch.state, pools.VALIDATOR_POOL, pool - epoch.pool)
    rewards.begin_epoch(epoch.context, 1)
    epoch.pay(*blocks)
    rewards.count_final(epoch.state, finals)
    set_aside = rewards.budget(epoch.state)[2]
    before = epoch.pool
    epoch.close()
    assert before - epoch.pool <= set_aside


def test_queries_answer() -> None:
    epoch = Epoch()
    answer = rewards.MODULE.queries["rewards"](epoch.state)
    assert answer == rewards.budget(epoch.state)
    assert len(staking.validators(epoch.state)) == 3
    assert Parameters().heartbeat_slots == 150
