"""The part of verification that asks the rules of the DAG: headers and bodies, colours, what the chain accepted.

Seats, regions and keys follow from tables, which are known from the base on (`node.consensus.restore`); of older blocks
still kept, form, wave signature and links are checked.
"""

from __future__ import annotations

from collections.abc import Iterator

from node.api.errors import NexusError
from node.consensus.blocks import Block, Header, body_root
from node.consensus.dagblocks import DagBlock
from node.consensus.engine import Engine
from node.consensus.ghostdag import Coloured, Ghostdag, PrunedError
from node.consensus.reveals import RevealChecker
from node.encoding.address import P256
from node.ledger.execution import DONE as EXECUTED
from node.ledger.genesis import Genesis
from node.ledger.quotes import static_fee
from node.ledger.signatures import verify, verify_transaction
from node.ledger.state import State
from node.ledger.types import SignedTransaction
from node.light.signature import wave_signature
from node.light.waves import StateWaves
from node.service.core import coloured_of, colouring_of, encoded
from node.service.restoring import final_height_of, restore_engine
from node.storage.reader import ChainReader
from node.storage.records import DONE, DagRow, StoredTransaction

_BROKEN = (ValueError, TypeError, KeyError, IndexError, AssertionError)


def restored(
    database: ChainReader, genesis: Genesis, state: State, waves: StateWaves
) -> tuple[Engine | None, list[str]]:
    """The engine that a start would have over the stored state and its waves, or why there is none."""
    try:
        engine = restore_engine(genesis, database, state, waves)
    except (*_BROKEN, NexusError) as error:
        return None, [f"the stored DAG cannot be taken up: {error}"]
    final = final_height_of(database)
    if not engine.view.final.height <= final <= engine.tip.height:
        return engine, [f"the chain is stored as final up to block {final}, which its votes do not say"]
    return engine, []


def block_problems(rows: list[DagRow], genesis: Genesis, engine: Engine | None) -> Iterator[str]:
    """Every block that the DAG keeps: its header and body by themselves, and by the tables of its chain."""
    reveals = RevealChecker()
    for row in rows:
        try:
            header = Header.decode(row.header)
            block = None if row.body is None else Block.decode(row.header, row.body, genesis.parameters.max_body_bytes)
        except _BROKEN as error:
            yield f"block {row.index} of the DAG cannot be read: {error}"
            continue
        name = f"block {row.block_id.hex()[:12]} (slot {row.slot})"
        if header.id != row.block_id or header.slot != row.slot:
            yield f"{name} is not the block of its header"
        if header.genesis != genesis.hash:
            yield f"{name} belongs to another network"
        if block is None:
            yield f"{name} has no body though the DAG keeps it"
        else:
            yield from _body_problems(name, block, genesis)
        known = None if engine is None else engine.blocks.get(row.block_id)
        if engine is not None and known is not None:
            yield from _seat_problems(name, header, known, engine, reveals)


def _body_problems(name: str, block: Block, genesis: Genesis) -> Iterator[str]:
    header = block.header
    if header.body_root != body_root(block.transactions, block.votes):
        yield f"{name} has another body than its header says"
    offered = sum(static_fee(genesis.parameters, item.body) for item in block.transactions)
    if header.wave != wave_signature(header.unwaved(), header.region, offered.bit_length(), header.slot):
        yield f"{name} has another wave signature than its header and body give"
    if not all(verify_transaction(item) for item in block.transactions):
        yield f"{name} holds a transaction with a bad signature"


def _seat_problems(name: str, header: Header, block: DagBlock, engine: Engine, reveals: RevealChecker) -> Iterator[str]:
    parents = [engine.blocks.get(parent) for parent in header.parents]
    if any(parent is not None and parent.slot >= header.slot for parent in parents):
        yield f"{name} is not later than its parents"
    selected = parents[0]
    if selected is None or selected.view is None:
        return
    if block.coloured.selected != selected.index:
        yield f"{name} names another selected parent than the one with the most blue work"
    table, _ = engine.views.tables(selected.view, header.slot)
    validator = table.validator(header.creator)
    seated = header.seat < engine.parameters.seats and table.leader(header.slot, header.seat) == header.creator
    if validator is None or not seated:
        yield f"{name} is not by the leader of its seat"
    elif header.region != table.regions[header.creator]:
        yield f"{name} does not shine in its creator's region"
    elif not verify(P256, validator.consensus_key, header.signing_hash(), header.signature):
        yield f"{name} is not signed by its creator"
    elif not reveals.check(
        validator.reveal_commitment, engine.slots.epoch_of(header.slot) - validator.first_epoch, header.reveal
    ):
        yield f"{name} does not carry its epoch's reveal"


def colouring_problems(rows: list[DagRow], genesis: Genesis, whole: bool) -> Iterator[str]:
    """Colour the kept DAG again, from its root on: the genesis if it is `whole`, else the first row."""
    try:
        yield from _recolour(list(rows), genesis, whole)
    except _BROKEN as error:
        yield f"the DAG cannot be coloured: {error}"


def _recolour(rows: list[DagRow], genesis: Genesis, whole: bool) -> Iterator[str]:
    k = genesis.parameters.ghostdag_k
    if whole:
        dag = Ghostdag(k, genesis.hash)
    elif rows:
        first = rows.pop(0)
        dag = Ghostdag(k, first.block_id, coloured_of(first.index, first.colouring), _twin(first))
    else:
        yield "the DAG has no root"
        return
    for row in rows:
        parents = [dag.index[parent] for parent in Header.decode(row.header).parents if parent in dag.index]
        stored = coloured_of(row.index, row.colouring)
        if [parent for parent in stored.parents if parent in dag.coloured] != parents:
            yield f"block {row.index} of the DAG is stored with other parents than its header names"
            return
        if row.index == dag.next and len(parents) == len(stored.parents):
            try:
                judged = dag.judge(parents)
            except PrunedError:  # next to the root: what decided its colours is gone
                pass
            else:
                if _same(judged, stored):
                    dag.add(row.block_id, judged, _twin(row))
                    continue
                yield f"block {row.index} of the DAG is stored with other colours than a recount gives"
                return
        dag.restore(row.block_id, stored, _twin(row))


def _same(one: Coloured, other: Coloured) -> bool:
    return colouring_of(one)._replace(sizes=()) == colouring_of(other)._replace(sizes=()) and one.sizes == other.sizes


def _twin(row: DagRow) -> tuple[bytes, int]:
    header = Header.decode(row.header)
    return header.creator, header.slot


def chain_problems(database: ChainReader, rows: list[DagRow], genesis: Genesis) -> Iterator[str]:
    """The kept selected chain: how its blocks follow one another, whom each merged, and what each accepted."""
    try:
        yield from _chain_problems(database, rows, genesis)
    except _BROKEN as error:
        yield f"the chain cannot be read: {error}"


def _chain_problems(database: ChainReader, rows: list[DagRow], genesis: Genesis) -> Iterator[str]:
    merged: dict[int, tuple[int, bool]] = {}
    above: int | None = None
    parent: bytes | None = genesis.hash
    for height, index in database.chain():
        if above is None:
            parent = genesis.hash if height == 1 else None  # what is older was pruned
        elif height != above + 1:
            yield f"block {above + 1} is missing"
            parent = None
        row, block = database.dag_block(index=index), database.block(height=height)
        if row is None or block is None:
            yield f"block {height} is missing"
            return
        header = Header.decode(row.header)
        if header.id != row.block_id or (parent is not None and header.parents[0] != parent):
            yield f"block {height} does not follow block {height - 1}"
        if block.epoch != header.slot // genesis.parameters.epoch_slots:
            yield f"block {height} is stored under epoch {block.epoch}"
        merged |= {other: (height, blue) for other, blue in row.colouring.merged}
        merged[index] = height, True
        yield from _accepted_problems(database, height, genesis)
        above, parent = height, row.block_id
    for row in rows:
        if (row.merged, row.blue) != merged.get(row.index, (None, None)):
            yield f"block {row.index} of the DAG is stored as merged by another block than it was"


def _accepted_problems(database: ChainReader, height: int, genesis: Genesis) -> Iterator[str]:
    block, accepted = database.block(height=height), database.accepted(height)
    assert block is not None
    if [item.position for item in accepted] != list(range(block.transactions)):
        yield f"block {height} lists other transactions than it executed"
    failed, fees = sum(item.status != DONE for item in accepted), sum(item.fee for item in accepted)
    if (failed, fees) != (block.failed, block.fees):
        yield f"block {height} counts its transactions wrong"
    for item in accepted:
        carrier = database.dag_block(index=item.carrier)
        transaction = SignedTransaction.from_raw(item.raw)
        if (transaction.txid, transaction.wid, item.height) != (item.txid, item.wid, height):
            yield f"block {height} lists other transactions than its blocks carry"
        elif transaction.body.genesis != genesis.hash or not verify_transaction(transaction):
            yield f"block {height} executed a transaction with a bad signature"
        elif carrier is None or carrier.merged != height:
            yield f"block {height} executed a transaction of a block that it did not merge"


def execution_problems(database: ChainReader, engine: Engine) -> tuple[int, list[str]]:
    """Take the newest blocks back, down to the final one, and execute them again. Changes the engine."""
    blocks: list[DagBlock] = []
    try:
        commitment = engine.waves.commitment
        while engine.chain.can_undo_to(engine.tip.height - 1) and engine.chain.tip.header is not None:
            blocks.append(engine.chain.undo().block)
        for block in reversed(blocks):
            if not engine.chain.commits(block):
                return 0, [f"block {block.height} commits to another state than the one before it"]
            step = engine.chain.apply(block, engine.merged(block), engine.table_of(block))
            executed = [
                (item.transaction.txid, item.status == EXECUTED, item.reason, item.fee, engine.blocks[carrier].index)
                for item, carrier in step.receipts
            ]
            if executed != [_outcome(item) for item in database.accepted(block.height)]:
                return 0, [f"block {block.height} executed other transactions than are stored"]
            changes = {(table, key, encoded(old)) for table, key, old, _ in step.changes}
            if changes != set(database.changes(block.height) or ()):
                return 0, [f"block {block.height} changed other records than its undo record says"]
    except _BROKEN as error:
        return 0, [f"the newest blocks cannot be executed again: {error!r}"]
    if engine.waves.commitment != commitment:
        return 0, ["executing the newest blocks again gives another state"]
    return len(blocks), []


def _outcome(item: StoredTransaction) -> tuple[bytes, bool, str, int, int]:
    return item.txid, item.status == DONE, item.reason, item.fee, item.carrier
