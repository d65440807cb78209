"""Stakes: the validators of the genesis and what they put at stake (protocol sections 4 and 6).

Table `stakes`: raw address of the validator's account → [units, consensus key, reveal commitment, first epoch].
The stake lies here, not in the account, and no operation of this form moves it.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from node.ledger.module import Module, Table, first_field
from node.ledger.state import State

STAKES = "stakes"


class Validator(NamedTuple):
    """A validator as a block's judge needs it. `id` is the raw address of its account."""

    id: bytes
    stake: int
    consensus_key: bytes
    reveal_commitment: bytes
    first_epoch: int


def register(state: State, validator: Validator) -> None:
    """Write a validator's record."""
    state.put(STAKES, validator.id, tuple(validator[1:]))


def validators(state: State) -> tuple[Validator, ...]:
    """All validators, by id."""
    rows = state.rows(STAKES)
    return tuple(Validator(key, *cast("tuple[int, bytes, bytes, int]", rows[key])) for key in sorted(rows))


def _invariants(state: State) -> list[str]:
    return [
        f"The stake of {address.hex()} has the record {record!r}."
        for address, record in state.rows(STAKES).items()
        if tuple(map(type, record)) != (int, bytes, bytes, int) or cast(int, record[0]) <= 0
    ]


MODULE = Module(
    name="stakes",
    tables=(Table(STAKES, "stake", first_field),),
    invariants=_invariants,
    queries={"validators": lambda state: tuple(tuple(item) for item in validators(state))},
)
