"""What a validator does: when it makes a block, of what, and for which checkpoint it votes (protocol sections 4, 5).

Pure decisions over an engine. Signing, and what must be on disk before a signature leaves, are the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from node.consensus.blocks import BLOCK_VERSION, Block, BlockError, Header, body_root
from node.consensus.engine import Engine
from node.consensus.finality import Target
from node.consensus.tables import Table
from node.consensus.votes import MAX_VOTES, Vote
from node.ledger.quotes import static_fee
from node.ledger.types import SignedTransaction
from node.light.signature import WaveSignature, wave_signature

STANDSTILL = 120
PATIENCE = 2
"""Slots that the other seat has for transactions of its colour."""
_MAX_SPARSE = 8
_BODY_HEAD = 16  # MessagePack heads around the lists of transactions and votes
_ITEM_HEAD = 5  # and before each item, at the most
_VOTE_BYTES = 256
_NO_WAVE = WaveSignature(0, 0, 0, 0, 0, b"")

Sign = Callable[[bytes], bytes]


def table_for(engine: Engine, slot: int) -> Table:
    """The table of a block of `slot` on the selected chain."""
    return engine.views.tables(engine.view, slot)[0]


def seat_of(engine: Engine, identity: bytes, slot: int) -> int | None:
    """The seat of `slot` that this validator fills on the selected chain, or None."""
    table = table_for(engine, slot)
    return next((seat for seat in range(engine.parameters.seats) if table.leader(slot, seat) == identity), None)


def is_busy(engine: Engine, waiting: bool) -> bool:
    """Whether the network has something to do: a transaction waits here or in a block that the chain can still merge,
    or one was executed and is not final by the votes in the past of the tip."""
    if waiting or engine.busy_height > engine.view.final.height:
        return True
    return any(item.block is not None and item.block.transactions for item in engine.mergeable())


def sparse(engine: Engine) -> int:
    """j of "only slots divisible by 2^j produce": grows while finality stands still and nothing new comes."""
    height = engine.tip.height
    since = height - max(engine.view.final.height, engine.busy_height, engine.stirred)
    return min(_MAX_SPARSE, since // STANDSTILL)


def wants_block(engine: Engine, slot: int, waiting: bool) -> bool:
    """Whether the leaders of `slot` make blocks (protocol section 4, "A quiet network is silent")."""
    if slot <= engine.tip.slot:
        return False
    if engine.slots.is_heartbeat(slot):
        return True
    return is_busy(engine, waiting) and slot % (1 << sparse(engine)) == 0


class Choice(NamedTuple):
    """Which waiting transactions a block should carry (protocol section 4, "Colour"): first those of `colour`, of the
    others those that came in slot `others_since` or before; all alike without a colour. None of `carried`."""

    colour: int | None
    others_since: int
    carried: frozenset[bytes]


def choice(engine: Engine, identity: bytes, slot: int) -> Choice:
    """What this validator's block of `slot` should carry, so that parallel blocks rarely carry the same.

    The other colour is left to the other seat, unless nobody fills that, or its leaders let two slots pass.
    """
    _, coloured = engine.parents(slot)
    merged = (engine.by_index[index] for index in (*coloured.blues[1:], *coloured.reds))
    carried = frozenset(item.txid for block in merged if block.block is not None for item in block.block.transactions)
    table, seats = table_for(engine, slot), range(engine.parameters.seats)
    alone = sum(table.leader(slot, seat) is not None for seat in seats) < 2
    return Choice(None if alone else seat_of(engine, identity, slot), slot - PATIENCE, carried)


def make_block(
    engine: Engine,
    identity: bytes,
    slot: int,
    candidates: Iterable[SignedTransaction],
    reveal: Callable[[int], bytes],
    sign: Sign,
) -> Block:
    """The block of `slot` on the tip, from checked candidates in their order, up to a full body. It is not added.

    `reveal` gives the preimage of a number, `sign` the 64-byte low-s signature of a 32-byte hash. Raises BlockError
    where this validator does not lead the slot.
    """
    parents, _ = engine.parents(slot)
    table = table_for(engine, slot)
    seat = seat_of(engine, identity, slot)
    validator = table.validator(identity)
    if seat is None or validator is None:
        raise BlockError("bad_seat", f"This validator does not lead slot {slot}.")
    if slot <= max(parent.slot for parent in parents):
        raise BlockError("old_slot", f"The slot {slot} is not after its parents'.")
    votes = votes_to_include(engine)
    transactions = tuple(fitting(engine, candidates, len(votes)))
    offered = sum(static_fee(engine.parameters, item.body) for item in transactions)
    header = Header(
        version=BLOCK_VERSION,
        genesis=engine.genesis_hash,
        parents=tuple(parent.id for parent in parents),
        slot=slot,
        seat=seat,
        creator=identity,
        region=table.regions[identity],
        reveal=reveal(engine.slots.epoch_of(slot) - validator.first_epoch),
        body_root=body_root(transactions, votes),
        state_commitment=engine.waves.commitment,
        wave=_NO_WAVE,
        signature=b"",
    )
    header = header._replace(wave=wave_signature(header.unwaved(), header.region, offered.bit_length(), slot))
    return Block(header._replace(signature=sign(header.signing_hash())), transactions, votes)


def fitting(engine: Engine, candidates: Iterable[SignedTransaction], votes: int) -> Iterable[SignedTransaction]:
    """The candidates that fit a body with so many votes; one that does not is passed over, with its sender's later."""
    room = engine.parameters.max_body_bytes - _BODY_HEAD - votes * _VOTE_BYTES
    left_out: set[bytes] = set()
    for transaction in candidates:
        size = len(transaction.raw) + _ITEM_HEAD
        if size > room or transaction.sender in left_out:
            left_out.add(transaction.sender)
            if room < _VOTE_BYTES:
                return
            continue
        room -= size
        yield transaction


def votes_to_include(engine: Engine) -> tuple[Vote, ...]:
    """Votes known here that the chain of the tip has not accepted and will count, the lowest targets first."""
    view = engine.view
    known = {name: target.number for name, target in view.known.items()}
    known.update((target.hash, target.number) for target in engine.views.targets(view, engine.waves.commitment))
    found = [
        vote
        for link, votes in engine.ballots.links.items()
        if link[0] in known and known.get(link[1], 0) > view.final.number
        for vote in votes.values()
        if vote.voter not in view.links.get(link, ())
    ]
    found.sort(key=lambda vote: (vote.target, vote.source, vote.voter))
    return tuple(found[:MAX_VOTES])


def target_to_vote(engine: Engine, last_source: int, last_target: int) -> Target | None:
    """The checkpoint to vote for now, or None: the highest of the selected chain above the last vote's, deep enough
    under the tip, from the highest checkpoint justified in its own past, which may not lie below the last source."""
    view, tip = engine.view, engine.chain.tip
    depth = engine.parameters.vote_depth if engine.clauses.vote_depth else 0
    found: Target | None = None
    for target in (*view.known.values(), *engine.views.targets(view, engine.waves.commitment)):
        if target.number <= max(last_target, view.final.number) or tip.coloured.score - target.score < depth:
            continue
        if target.source.number >= last_source and (found is None or target.number > found.number):
            found = target
    return found


def make_vote(engine: Engine, identity: bytes, target: Target, sign_digest: Sign) -> Vote | None:
    """A vote for `target`, or None for who is no validator there, or where its source was forgotten.

    `sign_digest` signs the 32 bytes themselves.
    """
    table, name = target.table, target.source.hash
    source = engine.view.known.get(name) or engine.ballots.targets.get(name)
    if source is None:
        return None
    if table.validator(identity) is None:
        if source.table.validator(identity) is None:
            return None
        table = source.table
    vote = Vote(
        source=target.source.number,
        source_hash=target.source.hash,
        target=target.number,
        target_hash=target.hash,
        target_slot=target.checkpoint.slot,
        region=table.regions[identity],
        voter=identity,
        signature=b"",
    )
    digest = vote.digest(engine.genesis_hash, source.header, target.header)
    return vote._replace(signature=sign_digest(digest))
