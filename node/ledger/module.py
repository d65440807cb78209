"""What a module of the ledger declares. Adding a system to the chain is one file with a `MODULE` and one line in
`node.ledger.registry`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from node.encoding.canonical import Value
from node.ledger.parameters import Parameters
from node.ledger.state import Record, State
from node.ledger.types import SignedTransaction

Payload = tuple[Value, ...]


class Offence(NamedTuple):
    """What evidence proves: a kind of `node.ledger.staking.PENALTIES`, by whom, and in which slot."""

    kind: int
    validator: bytes
    slot: int


class OperationFailed(Exception):
    """An operation cannot be done at its place in the order: the transaction is charged, nothing else changes."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def _no_judge(kind: int, proof: tuple[bytes, ...]) -> Offence:
    del kind, proof
    raise OperationFailed("no_judge")


@dataclass(slots=True)
class Context:
    """What operations of one block see. `judge` says what evidence proves (`node.consensus.evidence`)."""

    state: State
    parameters: Parameters
    slot: int
    judge: Callable[[int, tuple[bytes, ...]], Offence] = _no_judge


@dataclass(frozen=True, slots=True)
class Effects:
    """What a payload would do, for mempools, views and indexes: no state is asked.

    `spends` is units that leave the sender besides fees; `outputs` are (raw address, units). `wavelength` is that of
    the light which carries it, in picometres, where there is any: the shorter goes first.
    """

    spends: int = 0
    outputs: tuple[tuple[bytes, int], ...] = ()
    memo: str = ""
    wavelength: int | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One transaction kind."""

    kind: int
    name: str
    check: Callable[[Payload], None]  # raises TransactionError: the form, without any state
    apply: Callable[
        [Context, SignedTransaction], int
    ]  # units taken from the sender as further fees; raises OperationFailed
    effects: Callable[[Payload], Effects]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of state records. `holds` says how many units an entry holds: the sum over all is the supply."""

    name: str
    group: str
    holds: Callable[[Record], int]


def _nothing_at_close(context: Context, closing: int) -> None:
    del context, closing


def _no_problems(state: State) -> list[str]:
    del state
    return []


@dataclass(frozen=True, slots=True)
class Module:
    """One system of the chain."""

    name: str
    tables: tuple[Table, ...]
    operations: tuple[Operation, ...] = ()
    end_epoch: Callable[[Context, int], None] = _nothing_at_close  # the number of the epoch that closes
    invariants: Callable[[State], list[str]] = _no_problems  # sentences, one a broken invariant
    queries: Mapping[str, Callable[[State], Value]] = field(default_factory=dict)


def holds_nothing(record: Record) -> int:
    """For tables whose entries are no money."""
    del record
    return 0


def first_field(record: Record) -> int:
    """Units of a record that begins with its units."""
    units = record[0]
    assert type(units) is int
    return units
