"""From the engine's steps to rows of the database, and from rows back to records of the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from node.consensus.dagblocks import DagBlock, Progress, Step
from node.consensus.engine import Engine
from node.consensus.finality import Target
from node.consensus.ghostdag import Coloured
from node.consensus.lightclient import Certificate
from node.encoding.canonical import EncodingError, Value, decode, pack
from node.ledger import bank
from node.ledger.execution import DONE
from node.ledger.state import Change, Record, State
from node.storage import records
from node.storage.records import (
    Batch,
    ChainBlock,
    Colouring,
    MetaValue,
    NewBlock,
    NewCertificate,
    NewFinal,
    NewVote,
)

FINAL_HEIGHT, BUSY, OFFENCES = "final_height", "busy_height", "offences"
"""Meta entries: heights of the newest final checkpoint's block, and of the newest block up to there that executed
anything; the proofs of offences that were seen."""


def colouring_of(coloured: Coloured) -> Colouring:
    """What is stored of a block's colouring."""
    return Colouring(
        coloured.parents,
        coloured.blues,
        coloured.reds,
        tuple(coloured.sizes.items()),
        coloured.score,
        coloured.work,
    )


def coloured_of(index: int, colouring: Colouring) -> Coloured:
    """A stored colouring as the DAG takes it back."""
    return Coloured(
        at=index,
        parents=colouring.parents,
        selected=colouring.blues[0] if colouring.blues else -1,
        blues=colouring.blues,
        reds=colouring.reds,
        sizes=dict(colouring.sizes),
        score=colouring.score,
        work=colouring.work,
    )


def batch_of(progress: Progress, engine: Engine, final_height: int = 0, offences: bytes | None = None) -> Batch:
    """What the database must write for a step of the engine; to be called before the engine's next one.

    `final_height` is the stored one, which never falls: a chain that began from a snapshot learns of older checkpoints.
    `offences` are the proofs to be kept from now on, None where they did not change.
    """
    added = {block.index for block in progress.added}
    finals, certificates = proofs_of(progress, engine)
    undone, applied = progress.undone, progress.applied
    buckets = set[int]().union(*(step.buckets for step in undone), *(step.buckets for step in applied))
    meta: dict[str, MetaValue] = {BUSY: engine.settled_height}
    if progress.final is not None and progress.final.height > final_height:
        meta[FINAL_HEIGHT] = progress.final.height
    if offences is not None:
        meta[OFFENCES] = offences
    return Batch(
        added=tuple(_new_block(block) for block in progress.added),
        undone=tuple(step.block.id for step in undone),
        applied=tuple(_chain_block(step, engine) for step in applied),
        buckets=tuple((bucket, engine.waves[bucket]) for bucket in sorted(buckets)),
        disqualified=tuple(block.index for block in progress.disqualified if block.index not in added),
        votes=tuple(NewVote(vote.id, vote.target, vote.encoded()) for vote in progress.votes),
        finals=finals,
        certificates=certificates,
        meta=meta,
    )


def proofs_of(progress: Progress, engine: Engine) -> tuple[tuple[NewFinal, ...], tuple[NewCertificate, ...]]:
    """What light clients ask about checkpoints that chain blocks of a step made final."""
    finals, certificates = [], []
    for step in progress.applied:
        finals += [new_final(target) for target, _ in step.block.known_view.finals]
        certificate = engine.certificate(step.block)
        if certificate is not None:
            certificates.append(new_certificate(certificate))
    return tuple(finals), tuple(certificates)


def new_final(target: Target) -> NewFinal:
    """A final checkpoint as it is stored."""
    checkpoint = target.checkpoint
    tables = tuple((table.hash, table.encoded()) for table in (target.table, target.next_table))
    return NewFinal(checkpoint.number, target.hash, target.height, checkpoint.slot, pack(tuple(checkpoint)), tables)


def new_certificate(certificate: Certificate) -> NewCertificate:
    """A certificate as it is stored."""
    checkpoint = certificate.checkpoint
    tables = checkpoint.table + checkpoint.next_table
    return NewCertificate(checkpoint.number, tables, checkpoint.slot, certificate.encoded())


def _new_block(made: DagBlock) -> NewBlock:
    block = made.block
    assert block is not None
    return NewBlock(
        index=made.index,
        block_id=made.id,
        slot=made.slot,
        height=made.height,
        header=made.header_bytes,
        body=block.body(),
        colouring=colouring_of(made.coloured),
        transactions=len(block.transactions),
        votes=len(block.votes),
        late=made.late,
        disqualified=made.disqualified,
    )


def _chain_block(step: Step, engine: Engine) -> ChainBlock:
    return ChainBlock(
        height=step.height,
        index=step.block.index,
        epoch=step.epoch,
        fees=step.fees,
        receipts=tuple(
            records.Receipt(
                txid=receipt.transaction.txid,
                wid=receipt.transaction.wid,
                raw=receipt.transaction.raw,
                carrier=engine.blocks[carrier].index,
                status=records.DONE if receipt.status == DONE else records.FAILED,
                reason=receipt.reason,
                fee=receipt.fee,
                touched=receipt.touched(),
            )
            for receipt, carrier in step.receipts
        ),
        changes=tuple((table, key, encoded(old), encoded(new)) for table, key, old, new in step.changes),
        active_set=None if step.active_set is None else pack(tuple(tuple(item) for item in step.active_set)),
    )


def encoded(record: Record | None) -> bytes | None:
    """A record's canonical bytes."""
    return None if record is None else pack(record)


def state_of(rows: Iterable[tuple[str, bytes, bytes]]) -> State:
    """A state from stored rows. Raises EncodingError, naming the row, for a value that is no record."""
    state = State()
    for table, key, value in rows:
        try:
            record = decode(value)
        except (EncodingError, TypeError):
            record = None
        if type(record) is not tuple or type(key) is not bytes:
            raise EncodingError(f"The entry {key!r} of the table {table!r} is no record.")
        state.tables.setdefault(table, {})[key] = record
    return state


def way_back(state: State, undo: Iterable[tuple[str, bytes, bytes | None]]) -> list[Change]:
    """The changes that undo the newest block, from its stored undo record. Raises ValueError or TypeError."""
    return [
        Change(table, key, state.get(table, key), None if old is None else cast(Record, decode(old)))
        for table, key, old in undo
    ]


def changed_balances(progress: Progress, state: State) -> dict[bytes, int]:
    """Accounts whose balance a step may have changed, and their balances now."""
    before: dict[bytes, Value] = {}
    for undone in progress.undone:  # newest first, so the last word is the balance that was before all of them
        for change in undone.changes:
            if change.table == bank.ACCOUNTS:
                before.setdefault(change.key, change.new[0] if change.new else 0)
    for step in progress.applied:
        for change in step.changes:
            if change.table == bank.ACCOUNTS:
                before.setdefault(change.key, change.old[0] if change.old else 0)
    return {key: balance for key, old in before.items() if (balance := bank.account(state, key)[0]) != old}
