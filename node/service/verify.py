"""Verification: everything recounted from what is stored (`nexus node verify`).

It reads through a connection of its own and never trusts memory: the state's waves and total from all rows, module
invariants, the chain of headers with their bodies and signatures, and each undo record against the commitment of its
block's header. Runs in a thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from node.api.records import Check, VerifyReport
from node.consensus.blocks import Block, Header, body_root
from node.consensus.reveals import RevealChecker
from node.consensus.slots import SlotClock
from node.consensus.tables import Table
from node.encoding.address import P256
from node.encoding.amounts import SUPPLY
from node.encoding.canonical import EncodingError
from node.ledger import registry, stakes
from node.ledger.genesis import Genesis
from node.ledger.signatures import verify as verify_signature
from node.ledger.signatures import verify_transaction
from node.ledger.state import Change, State, apply_to_waves, waves_of
from node.light.waves import BUCKETS, SILENCE, StateWaves
from node.service.core import state_of, way_back
from node.storage.chain import read_block, read_changes, read_state, read_tip, read_waves
from node.storage.database import connect_reader, integrity_problems
from node.storage.faults import translated


def verify_file(path: Path, genesis: Genesis) -> VerifyReport:
    """`verify_database` on a connection of its own that sees one snapshot."""
    connection = connect_reader(path)
    try:
        with translated(path):
            connection.execute("BEGIN")
            return verify_database(path, connection, genesis)
    finally:
        connection.close()


def verify_database(path: Path, connection: sqlite3.Connection, genesis: Genesis) -> VerifyReport:
    """Recount the chain database at `path`. `connection` should read one snapshot (an open read transaction)."""
    checks: list[Check] = []

    def note(name: str, problems: list[str], good: str) -> None:
        checks.append(Check(name, not problems, "; ".join(problems[:3]) if problems else good))

    note("database", integrity_problems(connection, full=True), "every page and index is in order")
    tip = read_tip(connection)
    height = 0 if tip is None else tip.height
    try:
        state = state_of(read_state(connection))
        problems = registry.wrong_records(state)
    except EncodingError as error:
        state, problems = State(), [str(error)]
    rows = sum(len(entries) for entries in state.tables.values())
    note("invariants", problems, f"{len(registry.MODULES)} modules, {rows} records")
    if problems:  # nothing can be counted over records that are none
        return VerifyReport(False, height, 0, bytes(32), tuple(checks))
    total = registry.total_units(state)
    note("total", [] if total == SUPPLY else [f"{total} units instead of {SUPPLY}"], f"{total} units, as at genesis")
    waves = waves_of(state)
    stored_waves = read_waves(path, connection)
    wrong = [
        f"bucket {bucket} differs" for bucket in range(BUCKETS) if stored_waves.get(bucket, SILENCE) != waves[bucket]
    ]
    note("waves", wrong, "256 bucket waves equal a recount of all records")
    commitment = waves.commitment
    note("blocks", list(_block_problems(connection, genesis, state, height)), f"{height} blocks, all signatures")
    undone, problems = _undo_problems(connection, state, waves, height)
    note("undo records", problems, f"{undone} newest blocks undone, each to the state its header commits to")
    return VerifyReport(all(check.ok for check in checks), height, total, commitment, tuple(checks))


def _block_problems(connection: sqlite3.Connection, genesis: Genesis, state: State, top: int) -> Iterator[str]:
    slots = SlotClock.of(genesis.start_ms, genesis.parameters)
    table = Table(genesis.hash, stakes.validators(state))
    reveals = RevealChecker()
    parent, slot = genesis.hash, 0
    for height in range(1, top + 1):
        stored = read_block(connection, height=height)
        if stored is None:
            yield f"block {height} is missing"
            return
        try:
            block = Block.decode(stored.header, stored.body, genesis.parameters.max_body_bytes)
        except (ValueError, TypeError) as error:
            yield f"block {height} cannot be read: {error}"
            return
        header = block.header
        if header.id != stored.block_id or header.parents != (parent,) or header.slot <= slot:
            yield f"block {height} does not follow block {height - 1}"
        validator = table.validator(header.creator)
        if header.genesis != genesis.hash:
            yield f"block {height} belongs to another network"
        epoch = slots.epoch_of(header.slot)
        led = header.seat < genesis.parameters.seats and table.leader(header.slot, header.seat) == header.creator
        if validator is None or not led:
            yield f"block {height} is not by the leader of its slot"
        elif not verify_signature(P256, validator.consensus_key, header.signing_hash(), header.signature):
            yield f"block {height} is not signed by its creator"
        elif header.region != table.regions[header.creator]:
            yield f"block {height} does not shine in its creator's region"
        elif not reveals.check(validator.reveal_commitment, epoch - validator.first_epoch, header.reveal):
            yield f"block {height} does not carry its epoch's reveal"
        if header.body_root != body_root(block.transactions) or len(block.transactions) != stored.transactions:
            yield f"block {height} has another body than its header says"
        if tuple(item.txid for item in block.transactions) != stored.txids:
            yield f"block {height} lists other transactions than its body holds"
        if not all(verify_transaction(item) for item in block.transactions):
            yield f"block {height} holds a transaction with a bad signature"
        if epoch != stored.epoch:
            yield f"block {height} is stored under epoch {stored.epoch}"
        parent, slot = header.id, header.slot


def _undo_problems(connection: sqlite3.Connection, state: State, waves: StateWaves, top: int) -> tuple[int, list[str]]:
    """Undo blocks from the top down, in the given state and waves, as far as records reach."""
    for height in range(top, 0, -1):
        block = read_block(connection, height=height)
        try:
            changes = read_changes(connection, height)
            if changes is None or block is None:
                return top - height, []
            header = Header.decode(block.header)
            back = way_back(state, changes)
        except (ValueError, TypeError, IndexError) as error:
            return top - height, [f"block {height} or its undo record is broken: {error}"]
        apply_to_waves(waves, back)
        state.restore([Change(table, key, before, now) for table, key, now, before in back])
        if waves.commitment != header.state_commitment:
            return top - height, [f"undoing block {height} does not give the state its header commits to"]
    return top, []
