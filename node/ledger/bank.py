"""Bank: accounts and payments (protocol section 1).

Table `accounts`: raw address → [balance, nonce]. Records are never deleted, because their nonces must live.
"""

from __future__ import annotations

from typing import cast

from node.encoding.address import DIGEST_SIZES
from node.encoding.amounts import SUPPLY
from node.encoding.canonical import Value
from node.ledger.module import Context, Effects, Module, Operation, OperationFailed, Payload, Table, first_field
from node.ledger.quotes import creation_fee
from node.ledger.state import State
from node.ledger.types import (
    MAX_MEMO_BYTES,
    MAX_OUTPUTS,
    MULTI_TRANSFER,
    TRANSFER,
    SignedTransaction,
    TransactionError,
)

ACCOUNTS = "accounts"
Account = tuple[int, int]
NO_ACCOUNT: Account = (0, 0)
_RAW_SIZES = {version: size + 1 for version, size in DIGEST_SIZES.items()}


def account(state: State, address: bytes) -> Account:
    """(balance in units, nonce); zeros where there is no record yet."""
    return state.get(ACCOUNTS, address) or NO_ACCOUNT  # type: ignore[return-value]


def exists(state: State, address: bytes) -> bool:
    """Whether an account record was ever created."""
    return state.get(ACCOUNTS, address) is not None


def credit(state: State, address: bytes, units: int) -> None:
    """Add units to an account, making its record when there is none."""
    balance, nonce = account(state, address)
    state.put(ACCOUNTS, address, (balance + units, nonce))


def pay(context: Context, sender: bytes, outputs: tuple[tuple[bytes, int], ...]) -> int:
    """Move units from `sender` to each output, and take the fee for new records from him; returns that fee.

    Raises OperationFailed where he has less; nothing has moved then.
    """
    state, rows = context.state, context.state.rows(ACCOUNTS)
    total = fee = 0
    if new := {recipient for recipient, _ in outputs if recipient not in rows}:
        total = fee = creation_fee(context.parameters, len(new))
    for _, units in outputs:
        total += units
    balance, nonce = account(state, sender)
    if balance < total:
        raise OperationFailed("insufficient_funds")
    state.put(ACCOUNTS, sender, (balance - total, nonce))
    for recipient, units in outputs:
        credit(state, recipient, units)
    return fee


def _check_output(recipient: Value, units: Value) -> None:
    if type(recipient) is not bytes or not recipient or _RAW_SIZES.get(recipient[0]) != len(recipient):
        raise TransactionError("bad_recipient", "The payment's recipient is no address of a known version.")
    if type(units) is not int or not 0 < units <= SUPPLY:
        raise TransactionError("bad_amount", "The payment's amount must be at least one unit and at most the supply.")


def _check_memo(memo: Value) -> None:
    if type(memo) is not str or len(memo.encode()) > MAX_MEMO_BYTES:
        raise TransactionError("bad_memo", f"A memo is text of at most {MAX_MEMO_BYTES} bytes.")


def _check_transfer(payload: Payload) -> None:
    if len(payload) != 3:
        raise TransactionError("bad_form", "A transfer has a recipient, an amount and a memo.")
    _check_output(payload[0], payload[1])
    _check_memo(payload[2])


def _check_multi_transfer(payload: Payload) -> None:
    outputs = payload[0] if len(payload) == 2 else None
    if type(outputs) is not tuple or not 1 <= len(outputs) <= MAX_OUTPUTS:
        raise TransactionError("bad_form", f"A multi-transfer has 1 to {MAX_OUTPUTS} outputs and a memo.")
    for output in outputs:
        if type(output) is not tuple or len(output) != 2:
            raise TransactionError("bad_form", "An output is a recipient and an amount.")
        _check_output(output[0], output[1])
    _check_memo(payload[1])


def _transfer(context: Context, transaction: SignedTransaction) -> int:
    recipient, units, _ = transaction.body.payload
    return pay(context, transaction.sender, ((cast(bytes, recipient), cast(int, units)),))


def _multi_transfer(context: Context, transaction: SignedTransaction) -> int:
    return pay(context, transaction.sender, cast("tuple[tuple[bytes, int], ...]", transaction.body.payload[0]))


def _transfer_effects(payload: Payload) -> Effects:
    recipient, units, memo = cast("tuple[bytes, int, str]", payload)
    return Effects(units, ((recipient, units),), memo)


def _multi_transfer_effects(payload: Payload) -> Effects:
    outputs, memo = cast("tuple[tuple[tuple[bytes, int], ...], str]", payload)
    return Effects(sum(units for _, units in outputs), outputs, memo)


def _invariants(state: State) -> list[str]:
    return [
        f"Account {address.hex()} has the record {record!r}."
        for address, record in state.rows(ACCOUNTS).items()
        if len(record) != 2 or not all(type(number) is int and number >= 0 for number in record)
    ]


MODULE = Module(
    name="bank",
    tables=(Table(ACCOUNTS, "accounts", first_field),),
    operations=(
        Operation(TRANSFER, "transfer", _check_transfer, _transfer, _transfer_effects),
        Operation(MULTI_TRANSFER, "multi-transfer", _check_multi_transfer, _multi_transfer, _multi_transfer_effects),
    ),
    invariants=_invariants,
    queries={"accounts": lambda state: len(state.rows(ACCOUNTS))},
)
