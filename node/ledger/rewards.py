"""Rewards of blocks and votes (protocol section 6), from VALIDATOR_POOL; what nobody earns stays there.

An epoch's budget B is what VALIDATOR_POOL holds at its first block times c₀ ÷ 10¹² (section 8, at its cap until the
economy steers it). A block's reward r goes 60 % to its creator at once; the rest, Q, is shared at the epoch's close
by stake and by the share of the epoch's new final checkpoints that carry the validator's vote.

Table `rewards`: `budget` → [epoch, B, Q so far, checkpoints made final]; `votes` → pairs of a validator and how many of
those carry its vote. No record holds units: B and Q lie in the pool until they are paid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

from node.encoding.canonical import Value
from node.ledger import bank, pools, staking
from node.ledger.module import Context, Module, Table, holds_nothing
from node.ledger.parameters import Parameters
from node.ledger.state import Record, State

REWARDS = "rewards"
_BUDGET, _VOTES = b"budget", b"votes"
_CAP_PER_HOUR = 3_162_884  # c₀: the pool halves no faster than every 25 years of hourly epochs
_HOUR_MS = 3_600_000
_TRILLION = 10**12
_CREATORS_PERCENT = 60


class Earner(NamedTuple):
    """A blue block that the chain takes up: its creator, whether its slot is a heartbeat, and the fees to
    VALIDATOR_POOL that were first accepted from its body."""

    creator: bytes
    heartbeat: bool
    fees: int


def cap(parameters: Parameters) -> int:
    """c₀ of a network: the hourly cap scaled to the length of its epochs."""
    return _CAP_PER_HOUR * parameters.epoch_slots * parameters.slot_ms // _HOUR_MS


def begin_epoch(context: Context, epoch: int) -> None:
    """Fix the budget of the epoch that begins with this block."""
    budget = pools.units(context.state, pools.VALIDATOR_POOL) * cap(context.parameters) // _TRILLION
    context.state.put(REWARDS, _BUDGET, (epoch, budget, 0, 0))


def budget(state: State) -> tuple[int, int, int, int]:
    """(epoch, its budget, Q so far, checkpoints made final), in units."""
    return cast("tuple[int, int, int, int]", state.get(REWARDS, _BUDGET) or (0, 0, 0, 0))


def pay_blocks(context: Context, earners: Sequence[Earner]) -> None:
    """Pay the creators of blue blocks their 60 %, and set the rest aside for the epoch's close."""
    state, parameters = context.state, context.parameters
    epoch, total, rest, finals = budget(state)
    seats = parameters.epoch_slots * parameters.seats
    heartbeats = -(-parameters.epoch_slots // parameters.heartbeat_slots) * parameters.seats
    for creator, heartbeat, fees in earners:
        reward = total // 2 // heartbeats if heartbeat else min(total // 2 // seats, fees)
        reward = min(reward, pools.units(state, pools.VALIDATOR_POOL))
        at_once = reward * _CREATORS_PERCENT // 100
        if at_once:
            pools.add(state, pools.VALIDATOR_POOL, -at_once)
            bank.credit(state, creator, at_once)
        rest += reward - at_once
    if (epoch, total, rest, finals) != budget(state):
        state.put(REWARDS, _BUDGET, (epoch, total, rest, finals))


def count_final(state: State, voters_of_each: Iterable[Iterable[bytes]]) -> None:
    """Count checkpoints that this block makes final, each with the validators whose votes made it so."""
    epoch, total, rest, finals = budget(state)
    counted = final_votes(state)
    for voters in voters_of_each:
        finals += 1
        for voter in voters:
            counted[voter] = counted.get(voter, 0) + 1
    state.put(REWARDS, _VOTES, tuple(sorted(counted.items())) or None)
    state.put(REWARDS, _BUDGET, (epoch, total, rest, finals))


def final_votes(state: State) -> dict[bytes, int]:
    """How many of this epoch's new final checkpoints carry each validator's vote."""
    return dict(cast("tuple[tuple[bytes, int], ...]", state.get(REWARDS, _VOTES) or ()))


def _end_epoch(context: Context, closing: int) -> None:
    """Share Q by stake and votes: Q·stake_v·votes_v ÷ (stake·checkpoints)."""
    del closing
    state = context.state
    _, _, rest, finals = budget(state)
    bonded = {item.id: item.stake for item in staking.validators(state)}
    whole = sum(bonded.values())
    for voter, votes in final_votes(state).items():
        share = rest * bonded.get(voter, 0) * votes // (whole * finals)
        share = min(share, pools.units(state, pools.VALIDATOR_POOL))
        if share:
            pools.add(state, pools.VALIDATOR_POOL, -share)
            bank.credit(state, voter, share)
    state.put(REWARDS, _VOTES, None)
    state.put(REWARDS, _BUDGET, None)


def _invariants(state: State) -> list[str]:
    return [
        f"The reward record {key!r} is {record!r}."
        for key, record in state.rows(REWARDS).items()
        if not (_is_budget(record) if key == _BUDGET else key == _VOTES and all(map(_is_count, record)))
    ]


def _is_budget(record: Record) -> bool:
    return tuple(map(type, record)) == (int, int, int, int)


def _is_count(item: Value) -> bool:
    return type(item) is tuple and tuple(map(type, item)) == (bytes, int)


MODULE = Module(
    name="rewards",
    tables=(Table(REWARDS, "count", holds_nothing),),
    end_epoch=_end_epoch,
    invariants=_invariants,
    queries={"rewards": lambda state: budget(state)},
)
