"""Staking, first form: validators of the genesis, what they stake, and what evidence costs them (protocol section 6).

Table `stakes`: raw address of the validator's account → [units, consensus key, reveal commitment, first epoch, slot
of the offence it is tombstoned for, 0 for none]. The stake lies here, not in the account. Registration, delegation,
rotation, jail and the correlation of penalties come with the economy.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from node.ledger import bank, pools
from node.ledger.module import (
    Context,
    Effects,
    Module,
    Operation,
    OperationFailed,
    Payload,
    Table,
    first_field,
)
from node.ledger.quotes import static_fee
from node.ledger.state import State
from node.ledger.types import EVIDENCE, SignedTransaction, TransactionError

STAKES = "stakes"
MAX_ACTIVE = 60
DOUBLE_BLOCK, DOUBLE_VOTE, SURROUND_VOTE, INVALID_HEADER = 1, 2, 3, 4
PENALTIES = {DOUBLE_BLOCK: 500, DOUBLE_VOTE: 500, SURROUND_VOTE: 2_000, INVALID_HEADER: 1_000}  # of 10,000
_WHOLE = 10_000
_MAX_PARTS = 6


class Validator(NamedTuple):
    """A validator as a block's judge needs it. `id` is the raw address of its account."""

    id: bytes
    stake: int
    consensus_key: bytes
    reveal_commitment: bytes
    first_epoch: int


def register(state: State, validator: Validator) -> None:
    """Write a new validator's record."""
    state.put(STAKES, validator.id, (*validator[1:], 0))


def validators(state: State) -> tuple[Validator, ...]:
    """All validators, by id, tombstoned ones too."""
    rows = state.rows(STAKES)
    return tuple(Validator(key, *cast("tuple[int, bytes, bytes, int]", rows[key][:4])) for key in sorted(rows))


def validator(state: State, identity: bytes) -> Validator | None:
    """The validator with this id, tombstoned or not."""
    record = state.get(STAKES, identity)
    return None if record is None else Validator(identity, *cast("tuple[int, bytes, bytes, int]", record[:4]))


def tombstoned_at(state: State, identity: bytes) -> int:
    """The slot of the offence for which a validator may never validate again, 0 for none."""
    record = state.get(STAKES, identity)
    return 0 if record is None else cast(int, record[4])


def active_set(state: State) -> tuple[Validator, ...]:
    """The validators that a table takes up: the 60 with most stake (tie: smaller id), by id; no tombstoned ones."""
    able = [item for item in validators(state) if item.stake and not tombstoned_at(state, item.id)]
    able.sort(key=lambda item: (-item.stake, item.id))
    return tuple(sorted(able[:MAX_ACTIVE]))


def _check_evidence(payload: Payload) -> None:
    if len(payload) != 2 or type(payload[0]) is not int or payload[0] not in PENALTIES:
        raise TransactionError("bad_form", "Evidence names an offence and its proof.")
    parts = payload[1]
    if type(parts) is not tuple or not 1 <= len(parts) <= _MAX_PARTS or any(type(part) is not bytes for part in parts):
        raise TransactionError("bad_form", f"The proof of an offence is 1 to {_MAX_PARTS} headers and votes.")


def _punish(context: Context, transaction: SignedTransaction) -> int:
    """Judge evidence; the offender loses his share to ECOSYSTEM_FUND and never validates again. Then it was free."""
    state, payload = context.state, transaction.body.payload
    offence = context.judge(cast(int, payload[0]), cast("tuple[bytes, ...]", payload[1]))
    record = state.get(STAKES, offence.validator)
    if record is None:
        raise OperationFailed("unknown_validator")
    if record[4]:
        raise OperationFailed("already_tombstoned")
    if offence.slot + context.parameters.unbonding_slots < context.slot:
        raise OperationFailed("offence_too_old")
    stake = cast(int, record[0])
    lost = stake * PENALTIES[offence.kind] // _WHOLE
    state.put(STAKES, offence.validator, (stake - lost, *record[1:4], max(1, offence.slot)))
    pools.add(state, pools.ECOSYSTEM_FUND, lost)
    fee = static_fee(context.parameters, transaction.body)
    bank.credit(state, transaction.sender, fee)
    return -fee


def _no_effects(payload: Payload) -> Effects:
    del payload
    return Effects()


def _invariants(state: State) -> list[str]:
    return [
        f"The stake of {address.hex()} has the record {record!r}."
        for address, record in state.rows(STAKES).items()
        if tuple(map(type, record)) != (int, bytes, bytes, int, int) or cast(int, record[0]) <= 0
    ]


MODULE = Module(
    name="staking",
    tables=(Table(STAKES, "stake", first_field),),
    operations=(Operation(EVIDENCE, "evidence", _check_evidence, _punish, _no_effects),),
    invariants=_invariants,
    queries={"validators": lambda state: tuple(tuple(item) for item in validators(state))},
)
