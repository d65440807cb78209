"""The state's journal, and invariants that a damaged state cannot slip past."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger import bank, epochs, pools, staking
from node.ledger.genesis import initial_state
from node.ledger.module import Context
from node.ledger.registry import MODULES, OPERATIONS, TABLES, broken_invariants, close_epoch, total_units
from node.ledger.state import Change, Record, State, apply_to_waves, waves_of
from tests.node.world import NXT, contents, key, small_genesis, stranger

GENESIS = small_genesis()
records = st.none() | st.tuples(st.integers(0, 3))
writes = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([b"x", b"y"]), records), max_size=12)


def put_all(state: State, items: list[tuple[str, bytes, Record | None]]) -> None:
    for table, name, record in items:
        state.put(table, name, record)


@given(writes, writes, writes)
def test_the_journal_takes_back_and_counts_exactly(
    base: list[tuple[str, bytes, Record | None]],
    kept: list[tuple[str, bytes, Record | None]],
    dropped: list[tuple[str, bytes, Record | None]],
) -> None:
    state = State()
    put_all(state, base)
    state.settle()
    before = contents(state)
    put_all(state, kept)
    middle, mark = contents(state), state.mark()
    put_all(state, dropped)
    state.roll_back(mark)
    assert contents(state) == middle
    changes = state.changes()
    assert len({(change.table, change.key) for change in changes}) == len(changes)
    assert all(change.old != change.new for change in changes)
    state.settle()
    again = State({table: dict(rows) for table, rows in before.items()})
    again.restore([Change(table, name, new, old) for table, name, old, new in changes])
    assert contents(again) == middle
    state.restore(changes)
    assert contents(state) == before


def test_an_entrys_wave_is_of_its_table_key_and_value() -> None:
    one = waves_of(State({"accounts": {b"k": (1, 2)}}))
    others = [{"accounts": {b"k": (1, 3)}}, {"accounts": {b"l": (1, 2)}}, {"pools": {b"k": (1, 2)}}, {}]
    assert len({waves_of(State(cast("dict", tables))).commitment for tables in others} | {one.commitment}) == 5
    touched = apply_to_waves(one, [Change("accounts", b"k", (1, 2), None)])
    assert len(touched) == 1
    assert one.commitment == waves_of(State()).commitment


@pytest.mark.parametrize(
    ("table", "name", "record", "said"),
    [
        ("accounts", stranger(1), (1, 0), "total is"),
        ("accounts", key(1).address, (1_000 * NXT,), "has the record"),
        ("accounts", key(1).address, (), "has the record"),
        ("accounts", key(1).address, ("1", 0), "has the record"),
        ("accounts", key(1).address, (-1, 0), "has the record"),
        ("accounts", key(1).address, (1_000 * NXT, b""), "has the record"),
        ("pools", b"TREASURY", None, "total is"),
        ("pools", b"PIGGYBANK", (1,), "PIGGYBANK"),
        ("pools", b"DEX", (0,), "DEX"),
        ("pools", b"DEX", (), "DEX"),
        ("pools", b"DEX", ("much",), "DEX"),
        ("stakes", GENESIS.validators[0].account, None, "total is"),
        ("stakes", stranger(1), (), "stake"),
        ("stakes", stranger(1), (0, bytes(33), bytes(32), 0, 0), "stake"),
        ("stakes", stranger(1), ("1", bytes(33), bytes(32), 0, 0), "stake"),
        ("stakes", stranger(1), (1, bytes(33), bytes(32), 0), "stake"),
        ("rewards", b"budget", (1, 2, 3), "reward"),
        ("rewards", b"budget", (1, 2, 3, "4"), "reward"),
        ("rewards", b"votes", (1, 2), "reward"),
        ("rewards", b"votes", ((stranger(1), "1"),), "reward"),
        ("rewards", b"gifts", (), "reward"),
        ("epochs", b"current", ("x",), "epoch"),
        ("gold", b"x", (1,), "belongs to no module"),
    ],
)
def test_what_is_wrong_with_a_state_is_said(table: str, name: bytes, record: Record | None, said: str) -> None:
    """Also where a record has not even the right shape: verification must report it, not fall over it."""
    state = initial_state(GENESIS)
    assert broken_invariants(state) == []
    state.put(table, name, record)
    problems = broken_invariants(state)
    assert any(said in problem for problem in problems), problems


def test_every_table_and_kind_has_one_owner() -> None:
    assert len(TABLES) == sum(len(module.tables) for module in MODULES)
    assert len(OPERATIONS) == sum(len(module.operations) for module in MODULES)
    assert {operation.kind: operation.name for operation in OPERATIONS.values()} == {
        1: "transfer",
        2: "multi-transfer",
        16: "evidence",
    }


def test_queries_answer() -> None:
    state = initial_state(GENESIS)
    answers = {name: query(state) for module in MODULES for name, query in module.queries.items()}
    assert answers["accounts"] == 5
    assert sum(units for _, units in cast("tuple", answers["pools"])) + 6_000 * NXT == total_units(state)
    assert cast("tuple", answers["validators"])[0][:2] == (GENESIS.validators[0].account, 1_000 * NXT)
    assert answers["epochs"] == ((0, 0, 0, 0), (0, 0, 0, 0))


def test_a_pool_never_goes_below_zero() -> None:
    state = initial_state(GENESIS)
    with pytest.raises(ValueError, match="DEX cannot go below zero"):
        pools.add(state, "DEX", -1)
    pools.add(state, "DEX", 5)
    pools.add(state, "DEX", -5)
    assert b"DEX" not in state.rows(pools.POOLS)


def test_an_account_of_zero_keeps_its_record() -> None:
    state = State()
    bank.credit(state, stranger(1), 0)
    assert bank.exists(state, stranger(1))
    assert not bank.exists(state, stranger(2))
    assert bank.account(state, stranger(1)) == bank.account(state, stranger(2)) == (0, 0)


def test_closing_an_epoch_keeps_its_tally() -> None:
    state = initial_state(GENESIS)
    context = Context(state, GENESIS.parameters, 1)
    epochs.count_block(state, 4, 3, 3_000)
    epochs.count_block(state, 4, 2, 2_500)
    assert epochs.current(state) == (4, 2, 5, 5_500)
    close_epoch(context, 4)
    assert epochs.last(state) == (4, 2, 5, 5_500)
    assert epochs.current(state) == (0, 0, 0, 0)
    epochs.count_block(state, 9, 1, 1_000)
    assert epochs.current(state) == (9, 1, 1, 1_000)


def test_validators_come_in_the_order_of_their_ids() -> None:
    state = initial_state(small_genesis((NXT,), (1_000 * NXT,) * 5))
    found = [item.id for item in staking.validators(state)]
    assert found == sorted(found)
    assert len(found) == 5
