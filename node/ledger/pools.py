"""Pools: the named reserves and service pools of the sum (protocol sections 1 and 8).

Table `pools`: name → [units]; an empty pool is absent.
"""

from __future__ import annotations

from typing import cast

from node.ledger.module import Module, Table, first_field
from node.ledger.state import State

POOLS = "pools"
TREASURY, VALIDATOR_POOL, ECOSYSTEM_FUND = "TREASURY", "VALIDATOR_POOL", "ECOSYSTEM_FUND"
TRANSITION_RESERVE, F_FLOOR = "TRANSITION_RESERVE", "F_FLOOR"
RESERVES = (TREASURY, VALIDATOR_POOL, ECOSYSTEM_FUND, TRANSITION_RESERVE, F_FLOOR)
SERVICES = (
    "DEX",
    "INVESTMENT",
    "STAKING",
    "BONUS",
    "LOTTERY",
    "ENVIRONMENTAL",
    "RECYCLING",
    "PRODUCT_SERVICE",
    "COMMUNITY",
    "INNOVATION",
)
FEES_GO_TO = VALIDATOR_POOL
_KEYS = {name: name.encode() for name in (*RESERVES, *SERVICES)}


def units(state: State, name: str) -> int:
    """Units in the pool called `name`."""
    record = state.get(POOLS, _KEYS[name])
    return cast(int, record[0]) if record else 0


def add(state: State, name: str, amount: int) -> None:
    """Add units (or take them, when negative). Taking more than there is, is a fault of the caller: ValueError."""
    total = units(state, name) + amount
    if total < 0:
        raise ValueError(f"{name} cannot go below zero.")
    state.put(POOLS, _KEYS[name], (total,) if total else None)


def _invariants(state: State) -> list[str]:
    known = set(_KEYS.values())
    return [
        f"The pool {key!r} holds {record!r}."
        for key, record in state.rows(POOLS).items()
        if key not in known or len(record) != 1 or type(record[0]) is not int or record[0] <= 0
    ]


MODULE = Module(
    name="pools",
    tables=(Table(POOLS, "reserve", first_field),),
    invariants=_invariants,
    queries={"pools": lambda state: tuple((name, units(state, name)) for name in _KEYS)},
)
