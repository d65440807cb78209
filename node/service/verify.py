"""Verification: everything recounted from what is stored (`nexus node verify`).

It reads through a connection of its own and never trusts memory: the state's waves and total from all rows, module
invariants, the blocks of the DAG and their colours, what the chain accepted, and each undo record against the
commitment of its block's header. Runs in a thread.
"""

from __future__ import annotations

from pathlib import Path

from node.api.records import Check, VerifyReport
from node.consensus.blocks import Header
from node.encoding.amounts import SUPPLY
from node.encoding.canonical import EncodingError
from node.ledger import registry
from node.ledger.genesis import Genesis
from node.ledger.state import Change, State, apply_to_waves, waves_of
from node.light.waves import BUCKETS, SILENCE, StateWaves
from node.service.core import state_of, way_back
from node.service.restoring import ROOT
from node.service.verify_dag import (
    block_problems,
    chain_problems,
    colouring_problems,
    execution_problems,
    restored,
)
from node.storage.reader import ChainReader, reading


def verify_file(path: Path, genesis: Genesis) -> VerifyReport:
    """Recount the chain database at `path`, in one snapshot."""
    with reading(path) as database:
        return verify_database(database, genesis)


def verify_database(database: ChainReader, genesis: Genesis, counted: StateWaves | None = None) -> VerifyReport:
    """Recount everything that a reader of one snapshot sees; the waves only where they were not `counted` from the very
    rows that were written there just now."""
    checks: list[Check] = []

    def note(name: str, problems: list[str], good: str) -> None:
        checks.append(Check(name, not problems, "; ".join(problems[:3]) if problems else good))

    note("database", database.integrity_problems(full=True), "every page and index is in order")
    tip = database.tip()
    height = 0 if tip is None else tip.height
    try:
        state = state_of(database.load_state())
        problems = registry.wrong_records(state)
    except EncodingError as error:
        state, problems = State(), [str(error)]
    rows = sum(len(entries) for entries in state.tables.values())
    note("invariants", problems, f"{len(registry.MODULES)} modules, {rows} records")
    if problems:  # nothing can be counted over records that are none
        return VerifyReport(False, height, 0, bytes(32), tuple(checks))
    total = registry.total_units(state)
    note("total", [] if total == SUPPLY else [f"{total} units instead of {SUPPLY}"], f"{total} units, as at genesis")
    waves = waves_of(state) if counted is None else counted
    stored = database.load_waves()
    wrong = [f"bucket {bucket} differs" for bucket in range(BUCKETS) if stored.get(bucket, SILENCE) != waves[bucket]]
    note("waves", wrong, "256 bucket waves equal a recount of all records")
    commitment = waves.commitment
    undone, problems = _undo_problems(database, state.copy(), waves.copy(), height)
    undo = Check(
        "undo records",
        not problems,
        "; ".join(problems) or f"{undone} newest blocks undone, each to the state its header commits to",
    )
    kept = StateWaves([stored.get(bucket, SILENCE) for bucket in range(BUCKETS)], numpy=False)
    engine, problems = restored(database, genesis, state.copy(), kept)
    try:
        blocks = database.dag()
    except (ValueError, TypeError) as error:
        note("dag", [f"a block of the DAG cannot be read: {error}"], "")
        return VerifyReport(False, height, total, commitment, (*checks, undo))
    note("dag", problems + list(block_problems(blocks, genesis, engine)), f"{len(blocks)} blocks, all signatures")
    root = database.meta(ROOT) == 0
    note("colours", list(colouring_problems(blocks, genesis, root)), "as a recount from the root gives them")
    note("chain", list(chain_problems(database, blocks, genesis)), f"{height} blocks, all they accepted is signed")
    checks.append(undo)
    if engine is not None:
        done, problems = execution_problems(database, engine)
        note("execution", problems, f"{done} newest blocks executed again, to the same state")
    return VerifyReport(all(check.ok for check in checks), height, total, commitment, tuple(checks))


def _undo_problems(database: ChainReader, state: State, waves: StateWaves, top: int) -> tuple[int, list[str]]:
    """Undo blocks from the top down, in the given state and waves, as far as records reach."""
    for height in range(top, 0, -1):
        try:
            block, changes = database.block(height=height), database.changes(height)
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
