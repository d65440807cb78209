"""The modules of the chain, and what follows from their declarations. A new system is one line here."""

from __future__ import annotations

from node.encoding.amounts import SUPPLY
from node.ledger import bank, epochs, pools, rewards, staking
from node.ledger.module import Context, Effects, Module, Operation, Table
from node.ledger.state import Change, State
from node.ledger.types import Transaction, TransactionError

MODULES: tuple[Module, ...] = (bank.MODULE, pools.MODULE, staking.MODULE, rewards.MODULE, epochs.MODULE)

OPERATIONS: dict[int, Operation] = {operation.kind: operation for module in MODULES for operation in module.operations}
TABLES: dict[str, Table] = {table.name: table for module in MODULES for table in module.tables}


def operation_of(transaction: Transaction) -> Operation:
    """The operation of a transaction's kind. Raises TransactionError for a kind nobody declared."""
    operation = OPERATIONS.get(transaction.kind)
    if operation is None:
        raise TransactionError("unknown_kind", f"Transaction kind {transaction.kind} is not known here.")
    return operation


def check_payload(transaction: Transaction) -> None:
    """Raises TransactionError when the payload's form is wrong for its kind."""
    operation_of(transaction).check(transaction.payload)


def effects_of(transaction: Transaction) -> Effects:
    """What a checked payload would do."""
    return operation_of(transaction).effects(transaction.payload)


def close_epoch(context: Context, closing: int) -> None:
    """Run every module's `end_epoch` for the epoch numbered `closing`."""
    for module in MODULES:
        module.end_epoch(context, closing)


def moved_units(changes: list[Change]) -> int:
    """Units that changes would make (or, negative, destroy): zero for every lawful block."""
    total = 0
    for table, _, old, new in changes:
        holds = TABLES[table].holds
        if old is not None:
            total -= holds(old)
        if new is not None:
            total += holds(new)
    return total


def total_units(state: State) -> int:
    """The sum over all named places."""
    return sum(TABLES[name].holds(record) for name, rows in state.tables.items() for record in rows.values())


def wrong_records(state: State) -> list[str]:
    """A sentence for each record that its module does not accept. Only without any can a state be added up."""
    problems = [f"The table {name!r} belongs to no module." for name in state.tables if name not in TABLES]
    for module in MODULES:
        problems += [f"{module.name}: {problem}" for problem in module.invariants(state)]
    return problems


def broken_invariants(state: State) -> list[str]:
    """A sentence for everything that is wrong with a state; empty when all is right."""
    if problems := wrong_records(state):
        return problems
    total = total_units(state)
    return [] if total == SUPPLY else [f"The total is {total} units instead of {SUPPLY}."]
