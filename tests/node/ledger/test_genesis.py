"""The genesis: checked field by field, never trusted, and the same for everybody who made the same choices."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.consensus.duties import _BODY_HEAD, _ITEM_HEAD
from node.encoding.amounts import SUPPLY
from node.encoding.canonical import Value, decode, encode
from node.ledger import bank, genesis, pools, staking
from node.ledger.genesis import Allocation, Genesis, GenesisError, initial_state, make_genesis
from node.ledger.parameters import BOUNDS, PRESETS, ParameterError, Parameters
from node.ledger.registry import broken_invariants, total_units
from node.ledger.types import MAX_TRANSACTION
from tests.node.world import NXT, contents, founder, key, small_genesis, stranger

GOOD = small_genesis()
FOUNDER = GOOD.validators[0]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_makes_a_network(preset: str) -> None:
    made = make_genesis(preset, 1, GOOD.allocations, GOOD.validators)
    assert Genesis.decode(made.encode()) == made
    state = initial_state(made)
    assert total_units(state) == SUPPLY
    assert broken_invariants(state) == []


def test_presets_keep_the_protocols_times() -> None:
    """Every time is derived from the slot: the same days whatever a slot lasts."""
    assert PRESETS["main"] == Parameters()
    for name, days in (("main", (14, 7)), ("create", (2, 1)), ("solo", (2, 1))):
        preset = PRESETS[name]
        assert preset.unbonding_slots * preset.slot_ms == days[0] * 86_400_000
        assert preset.silence_slots * preset.slot_ms == days[1] * 86_400_000
    assert (PRESETS["solo"].slot_ms, PRESETS["solo"].heartbeat_slots) == (200, 1_500)
    minimal = PRESETS["minimal"]
    assert (minimal.slot_ms, minimal.epoch_slots, minimal.heartbeat_slots) == (500, 20, 10)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_lie_within_the_bounds(preset: str) -> None:
    assert Parameters.from_value(PRESETS[preset].values()) == PRESETS[preset]
    assert list(BOUNDS) == [field.name for field in fields(Parameters)]


def test_any_transaction_fits_an_empty_body() -> None:
    """One that never fits would stand first in line for ever."""
    assert BOUNDS["max_body_bytes"][0] >= MAX_TRANSACTION + _BODY_HEAD + _ITEM_HEAD


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("side", [0, 1])
def test_each_parameter_out_of_bounds_is_named(name: str, side: int) -> None:
    bad = BOUNDS[name][side] + (1 if side else -1)
    if bad < 0:
        bad = SUPPLY + 1
    with pytest.raises(ParameterError, match=name):
        replace(GOOD, parameters=replace(GOOD.parameters, **{name: bad}))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (Parameters().values()[:-1], "17 parameters"),
        ((*Parameters().values(), 1), "17 parameters"),
        (5, "17 parameters"),
        ((True, *Parameters().values()[1:]), "slot_ms"),
        ((b"\x01", *Parameters().values()[1:]), "slot_ms"),
        ((*Parameters().values()[:-1], SUPPLY // 5 + 1), "1,000,000 NXT"),
    ],
)
def test_bad_parameters_are_named(values: Value, why: str) -> None:
    with pytest.raises(ParameterError, match=why):
        Parameters.from_value(values)


TWICE = (GOOD.allocations[0], GOOD.allocations[0])


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"name": ""}, "network's name"),
        ({"name": "Main"}, "network's name"),
        ({"name": "-a"}, "network's name"),
        ({"name": "a" * 33}, "network's name"),
        ({"name": "a\n"}, "network's name"),
        ({"name": "à"}, "network's name"),
        ({"preset": "maxi"}, "preset 'maxi'"),
        ({"prefix": "nxt"}, "cannot begin"),
        ({"preset": "main"}, "cannot begin"),
        ({"start_ms": 0}, "start time"),
        ({"start_ms": 1 << 48}, "start time"),
        ({"allocations": ()}, "funds 1 to"),
        ({"allocations": TWICE}, "account twice"),
        ({"allocations": (Allocation(b"", 1, ""),)}, "account that is none"),
        ({"allocations": (Allocation(b"\x07" + bytes(20), 1, ""),)}, "account that is none"),
        ({"allocations": (Allocation(bytes(20), 1, ""),)}, "account that is none"),
        ({"allocations": (Allocation(stranger(1), 0, "Ann"),)}, "'Ann' is not an amount"),
        ({"allocations": (Allocation(stranger(1), SUPPLY + 1, ""),)}, "not an amount"),
        ({"allocations": (Allocation(stranger(1), True, ""),)}, "not an amount"),
        ({"allocations": (Allocation(stranger(1), 1, "a" * 65),)}, "label"),
        ({"allocations": (Allocation(stranger(1), 1, "\x1b[2J"),)}, "label"),
        ({"allocations": (Allocation(stranger(1), 1, "a\u202eb"),)}, "label"),
        ({"allocations": (Allocation(stranger(1), SUPPLY // 2, ""),)}, "gives away 501000 NXT"),
        ({"validators": ()}, "1 to 60 validators"),
        ({"validators": tuple(founder(0) for _ in range(61))}, "1 to 60 validators"),
        ({"validators": (FOUNDER, replace(FOUNDER, account=stranger(1)))}, "consensus key twice"),
        ({"validators": (FOUNDER, replace(FOUNDER, consensus_key=key(7).key))}, "validator or a consensus key twice"),
        ({"validators": (replace(FOUNDER, account=bytes(3)),)}, "account that is none"),
        ({"validators": (replace(FOUNDER, consensus_key=bytes(33)),)}, "consensus key is"),
        ({"validators": (replace(FOUNDER, consensus_key=b"\x02" * 32),)}, "consensus key is"),
        ({"validators": (replace(FOUNDER, reveal_commitment=bytes(31)),)}, "reveal commitment"),
        ({"validators": (replace(FOUNDER, stake=1_000 * NXT - 1),)}, "at least 1000 NXT"),
        ({"validators": (replace(FOUNDER, stake=SUPPLY),)}, "gives away"),
    ],
)
def test_each_bad_field_is_named(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(GenesisError, match=why):
        replace(GOOD, **changed)


def test_ten_thousand_accounts_are_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genesis, "MAX_ALLOCATIONS", 3)
    with pytest.raises(GenesisError, match="funds 1 to 3"):
        replace(GOOD, allocations=tuple(Allocation(stranger(number), 1, "") for number in range(4)))


def test_an_unknown_preset_is_named_when_making_one() -> None:
    with pytest.raises(GenesisError, match="there are main, create, solo, minimal"):
        make_genesis("maxi", 1, GOOD.allocations, GOOD.validators)


def file_with(place: int, value: Value) -> bytes:
    rows = decode(GOOD.encode())
    assert type(rows) is tuple
    return encode((*rows[:place], value, *rows[place + 1 :]))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no genesis file"),
        (b"not a genesis", "no genesis file"),
        (GOOD.encode() + b"\x00", "no genesis file"),
        (GOOD.encode()[:-1], "no genesis file"),
        (encode(()), "no genesis file"),
        (encode(1), "no genesis file"),
        (encode(("1",)), "no genesis file"),
        (encode((1,)), "rule version 1"),
        (file_with(0, 99), "rule version 99"),
        (file_with(1, b"name"), "fields are not"),
        (file_with(4, "1"), "fields are not"),
        (file_with(5, ()), "17 parameters"),
        (file_with(6, (1,)), "a row"),
        (file_with(6, ((stranger(1), 1),)), "a row"),
        (file_with(6, ((stranger(1), "1", ""),)), "a wrong type"),
        (file_with(7, ((FOUNDER.account, FOUNDER.consensus_key, FOUNDER.stake),)), "a row"),
        (file_with(7, ((FOUNDER.account, FOUNDER.consensus_key, None, FOUNDER.reveal_commitment),)), "a wrong type"),
    ],
)
def test_a_bad_file_is_refused_by_name(data: bytes, why: str) -> None:
    with pytest.raises((GenesisError, ParameterError), match=why):
        Genesis.decode(data)


@given(st.data())
def test_changed_bytes_are_refused_or_another_network(data: st.DataObject) -> None:
    good = GOOD.encode()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.binary(max_size=3)) + good[at + data.draw(st.integers(0, 3)) :]
    if bad == good:
        return
    try:
        other = Genesis.decode(bad)
    except (GenesisError, ParameterError):
        return
    assert other.encode() == bad
    assert other.hash != GOOD.hash
    assert total_units(initial_state(other)) == SUPPLY


def test_the_same_choices_give_the_same_network_in_any_process() -> None:
    code = (
        "from node.ledger.genesis import *\n"
        "f = Founder(bytes(21), b'\\x02' * 33, 10**11, bytes(32))\n"
        "print(make_genesis('create', 5, (Allocation(bytes(21), 7, 'Ann'),), (f,), 'home').hash.hex())"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for seed in ("0", "1", "4711")
    }
    assert hashes == {"cc473d0849454ebca592c82090f33edfcccdbea8cf4de37505522ea21e4acf7a"}


def test_any_other_choice_gives_another_network() -> None:
    others = [
        replace(GOOD, name="other"),
        replace(GOOD, start_ms=GOOD.start_ms + 1),
        replace(GOOD, parameters=replace(GOOD.parameters, base_fee=999)),
        replace(GOOD, allocations=GOOD.allocations[::-1]),
        replace(GOOD, allocations=(replace(GOOD.allocations[0], label="x"), *GOOD.allocations[1:])),
        replace(GOOD, validators=(replace(FOUNDER, stake=FOUNDER.stake + 1),)),
    ]
    assert len({made.hash for made in (GOOD, *others)}) == len(others) + 1


def test_the_first_state_holds_what_the_genesis_says() -> None:
    state = initial_state(GOOD)
    given_away = sum(item.units for item in GOOD.allocations) + FOUNDER.stake
    assert state.mark() == 0
    assert contents(state)["accounts"] == {item.address: (item.units, 0) for item in GOOD.allocations}
    assert staking.validators(state) == (
        staking.Validator(FOUNDER.account, FOUNDER.stake, FOUNDER.consensus_key, FOUNDER.reveal_commitment, 0),
    )
    assert pools.units(state, pools.TREASURY) == SUPPLY // 2 - given_away
    assert pools.units(state, pools.VALIDATOR_POOL) == SUPPLY * 3 // 10
    assert pools.units(state, pools.ECOSYSTEM_FUND) == SUPPLY // 5
    assert all(pools.units(state, name) == 0 for name in (*pools.SERVICES, "TRANSITION_RESERVE", "F_FLOOR"))


def test_the_whole_treasury_may_be_given_away() -> None:
    full = replace(GOOD, allocations=(Allocation(stranger(1), SUPPLY // 2 - FOUNDER.stake, ""),))
    state = initial_state(full)
    assert pools.TREASURY.encode() not in state.rows(pools.POOLS)
    assert total_units(state) == SUPPLY
    assert bank.account(state, stranger(1))[0] == SUPPLY // 2 - FOUNDER.stake
