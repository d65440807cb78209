"""Epochs: what happened in the epoch that runs and in the one before (protocol section 4, "Epoch close").

Table `epochs`: `current` and `last` → [epoch, blocks, transactions, fees in units]. Fees are counted where they are
charged; they lie in VALIDATOR_POOL, so these records hold no units.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from node.ledger.module import Context, Module, Table, holds_nothing
from node.ledger.state import State

EPOCHS = "epochs"
_CURRENT, _LAST = b"current", b"last"


class Tally(NamedTuple):
    """One epoch's count."""

    epoch: int
    blocks: int
    transactions: int
    fees: int


def current(state: State) -> Tally:
    """The tally of the epoch that runs."""
    return _read(state, _CURRENT)


def last(state: State) -> Tally:
    """The tally of the last epoch that was closed."""
    return _read(state, _LAST)


def count_block(state: State, epoch: int, transactions: int, fees: int) -> None:
    """Add a block to the running epoch, which is `epoch`."""
    tally = current(state)
    state.put(EPOCHS, _CURRENT, (epoch, tally.blocks + 1, tally.transactions + transactions, tally.fees + fees))


def _read(state: State, key: bytes) -> Tally:
    record = state.get(EPOCHS, key)
    return Tally(*cast("tuple[int, int, int, int]", record)) if record else Tally(0, 0, 0, 0)


def _end_epoch(context: Context, closing: int) -> None:
    tally = current(context.state)
    context.state.put(EPOCHS, _LAST, (closing, *tally[1:]))
    context.state.put(EPOCHS, _CURRENT, None)


def _invariants(state: State) -> list[str]:
    return [
        f"The epoch record {name!r} is {record!r}."
        for name, record in state.rows(EPOCHS).items()
        if name not in (_CURRENT, _LAST) or tuple(map(type, record)) != (int, int, int, int)
    ]


MODULE = Module(
    name="epochs",
    tables=(Table(EPOCHS, "count", holds_nothing),),
    end_epoch=_end_epoch,
    invariants=_invariants,
    queries={"epochs": lambda state: (tuple(current(state)), tuple(last(state)))},
)
