"""Slots, leaders, regions and reveals: drawn by stake, the same for everybody."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.consensus.reveals import LENGTH, RevealChain, RevealChecker
from node.consensus.slots import SlotClock
from node.consensus.tables import Table, assign_regions
from node.encoding.hashing import tagged_hash
from node.ledger.parameters import PRESETS
from node.ledger.staking import Validator
from tests.node.world import reveals

SEED = bytes(range(32))
CLOCK = SlotClock(start_ms=1_000, slot_ms=500, epoch_slots=20, heartbeat_slots=10)


def validators(*stakes: int) -> tuple[Validator, ...]:
    return tuple(
        Validator(b"\x00" + number.to_bytes(20), stake, bytes(33), bytes(32), 0) for number, stake in enumerate(stakes)
    )


@given(st.integers(0, 1 << 50))
def test_a_slot_holds_the_times_from_its_beginning_to_the_next(now: int) -> None:
    slot = CLOCK.slot_at(now)
    assert slot == 0 or CLOCK.begins_ms(slot) <= now
    assert now < CLOCK.begins_ms(slot + 1)
    heartbeat = CLOCK.next_heartbeat(slot)
    assert CLOCK.is_heartbeat(heartbeat)
    assert slot < heartbeat <= slot + 10
    assert CLOCK.epoch_of(slot) == slot // 20


def test_the_clock_is_the_networks() -> None:
    assert SlotClock.of(5, PRESETS["solo"]) == SlotClock(5, 200, 1_800, 1_500)
    assert [CLOCK.slot_at(now) for now in (-5, 0, 999, 1_000, 1_499, 1_500)] == [0, 0, 0, 0, 0, 1]


def test_leaders_are_drawn_by_stake() -> None:
    table = Table(SEED, validators(100, 200, 700))
    drawn = [table.leader(slot, 0) for slot in range(5_000)]
    shares = [drawn.count(item.id) / 5_000 for item in table.validators]
    for share, expected in zip(shares, (0.1, 0.2, 0.7), strict=True):
        assert abs(share - expected) < 0.03


def test_who_is_drawn_for_both_seats_fills_the_first_only() -> None:
    table = Table(SEED, validators(1, 1, 1))
    pairs = [(table.leader(slot, 0), table.leader(slot, 1)) for slot in range(600)]
    assert all(first is not None and first != second for first, second in pairs)
    alone = sum(second is None for _, second in pairs)
    assert 140 < alone < 260
    single = Table(SEED, validators(5))
    assert [single.leader(3, seat) for seat in (0, 1)] == [single.validators[0].id, None]


def test_another_seed_draws_others() -> None:
    one, other = Table(SEED, validators(1, 1, 1, 1)), Table(bytes(32), validators(1, 1, 1, 1))
    assert [one.leader(slot, 0) for slot in range(50)] != [other.leader(slot, 0) for slot in range(50)]


def test_golden_draw() -> None:
    """Every node must draw these: a change here is another network."""
    table = Table(SEED, validators(3, 1, 2))
    lot = tagged_hash(b"nexus/leader", SEED, (7).to_bytes(8), b"\x00")
    assert table.leader(7, 0) == table.validators[[0, 0, 0, 1, 2, 2][int.from_bytes(lot) % 6]].id
    assert [(table.leader(slot, 0) or b"")[-1] for slot in range(12)] == [0, 2, 2, 1, 1, 1, 0, 0, 0, 0, 0, 1]
    assert list(table.regions.values()) == [0, 1, 2]


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=60))
@settings(max_examples=50)
def test_regions_are_balanced(stakes: list[int]) -> None:
    members = validators(*stakes)
    regions = assign_regions(SEED, members)
    filled = [0] * 6
    for item in members:
        filled[regions[item.id]] += item.stake
    assert max(filled) - min(filled) <= max(stakes), "no region leads another by more than one validator"
    assert regions == assign_regions(SEED, members[::-1])
    assert set(regions) == {item.id for item in members}
    assert set(regions.values()) == set(range(min(6, len(members))))


def test_nobody_chooses_his_region() -> None:
    members = validators(*range(1, 13))
    assert assign_regions(SEED, members) != assign_regions(bytes(32), members)


def test_a_reveal_chain_ends_in_its_commitment() -> None:
    chain = reveals(1)
    value = (1).to_bytes(32)
    for _ in range(LENGTH):
        value = tagged_hash(b"nexus/reveal", value)
    assert chain.commitment == value
    for number in (0, 1, 255, 256, 257, 40_000):
        assert tagged_hash(b"nexus/reveal", chain.preimage(number + 1)) == chain.preimage(number)
    assert tagged_hash(b"nexus/reveal", chain.preimage(0)) == chain.commitment
    assert chain.preimage(LENGTH - 1) == (1).to_bytes(32), "the last preimage is the seed itself"
    assert "0000000001" not in repr(chain)


@pytest.mark.parametrize("number", [-1, LENGTH])
def test_a_used_up_chain_says_so(number: int) -> None:
    with pytest.raises(ValueError, match="used up"):
        reveals(1).preimage(number)


def test_a_seed_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        RevealChain(bytes(31))


def test_the_checker_takes_reveals_in_any_order_and_nothing_else() -> None:
    chain, other, checker = reveals(1), reveals(2), RevealChecker()
    for number in (3, 0, 3, 900, 2, 901, LENGTH - 1, 5):
        assert checker.check(chain.commitment, number, chain.preimage(number))
        assert not checker.check(chain.commitment, number, chain.preimage((number + 1) % LENGTH))
        assert not checker.check(chain.commitment, number, other.preimage(number))
        assert not checker.check(other.commitment, number, chain.preimage(number))
    assert not checker.check(chain.commitment, -1, chain.commitment)
    assert not checker.check(chain.commitment, LENGTH, chain.preimage(0))


def test_a_known_reveal_makes_the_next_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    from node.consensus import reveals as module

    steps: list[int] = []
    advance = module._advance
    chain = reveals(1)
    preimages = [chain.preimage(number) for number in (60_000, 60_001, 59_990)]

    def counted(value: bytes, count: int) -> bytes:
        steps.append(count)
        return advance(value, count)

    monkeypatch.setattr(module, "_advance", counted)
    checker = RevealChecker()
    assert checker.check(chain.commitment, 60_000, preimages[0])
    assert checker.check(chain.commitment, 60_001, preimages[1])
    assert checker.check(chain.commitment, 60_001, preimages[1])
    assert steps == [60_001, 1]
    assert checker.check(chain.commitment, 59_990, preimages[2])
    assert not checker.check(chain.commitment, 59_980, preimages[2])
    assert steps == [60_001, 1, 10, 10], "an older one follows from a newer one"
