"""Snapshots of a node's state at its newest final checkpoint: made for others, and adopted to begin from."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from node.api.errors import Damaged, Refused
from node.consensus.blocks import Block, Header
from node.consensus.finality import Checkpoint
from node.encoding.canonical import decode, pack
from node.ledger.genesis import RULE_VERSION, Genesis
from node.service.core import BUSY, FINAL_HEIGHT
from node.service.restoring import ADOPTED, BASE, ROOT, VIEW, read_engine
from node.service.verify import verify_file
from node.storage.chain import ChainDatabase
from node.storage.faults import other_network, translated
from node.storage.files import sync_folder
from node.storage.reader import reading
from node.storage.records import DagRow
from node.storage.snapshot import Head, SnapshotFile, export_snapshot, write_snapshot


def make_snapshot(chain_db: Path, genesis: Genesis, target: Path) -> Checkpoint:
    """Write the state at the newest final checkpoint into a new file, whether a node runs or not.

    Returns the checkpoint; whoever adopts the snapshot must know its hash from somewhere else. Raises Refused where
    nothing is final yet.
    """
    final = read_engine(chain_db, genesis).final
    if not final.height:
        raise Refused("nothing_final", "No checkpoint is final yet, so there is no snapshot to make.")
    checkpoint = final.checkpoint
    with reading(chain_db) as source:
        export_snapshot(source, target, checkpoint.block, final.height, pack(tuple(checkpoint)), checkpoint.state)
    return checkpoint


def adopt_snapshot(chain_db: Path, genesis: Genesis, source: Path, trusted: bytes) -> Checkpoint:
    """Begin a chain database from a snapshot whose checkpoint has the hash `trusted`.

    Everything is checked, then verified as `nexus node verify` does, before it is put in its place. Raises Refused
    where a chain is there already, Damaged for a snapshot that is not whole, of another network or checkpoint.
    """
    if chain_db.exists():
        raise Refused("chain_exists", f"{chain_db} exists already and was kept.", "Adopt a snapshot in a new profile.")
    scratch = Path(tempfile.mkdtemp(prefix=".snapshot-", dir=chain_db.parent))
    try:
        draft = scratch / chain_db.name
        with translated(source), source.open("rb") as file:
            snapshot = SnapshotFile(source, file)
            checkpoint = _trusted_checkpoint(source, snapshot.head, genesis, trusted)
            with closing(ChainDatabase.open(draft)) as database:
                meta = _meta(snapshot.head)
                database.adopt(lambda connection: write_snapshot(connection, snapshot, _identify(genesis), meta))
        report = verify_file(draft, genesis)
        if not report.ok:
            wrong = next(check for check in report.checks if not check.ok)
            raise _unusable(source, f"{wrong.name}: {wrong.detail}")
        os.replace(draft, chain_db)
        sync_folder(chain_db.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return checkpoint


def _trusted_checkpoint(source: Path, head: Head, genesis: Genesis, trusted: bytes) -> Checkpoint:
    if head.genesis != genesis.hash:
        raise other_network(source)
    try:
        checkpoint = Checkpoint.from_value(decode(head.checkpoint, 1_024))
    except ValueError as error:
        raise _unusable(source, str(error)) from None
    if checkpoint.hash != trusted or checkpoint.state != head.commitment:
        raise _unusable(source, "it is of another checkpoint than the trusted one")
    return checkpoint


def _identify(genesis: Genesis) -> Callable[[DagRow], tuple[bytes, int, int]]:
    limit = genesis.parameters.max_body_bytes

    def identify(row: DagRow) -> tuple[bytes, int, int]:
        if row.body is None:
            return Header.decode(row.header).id, 0, 0
        block = Block.decode(row.header, row.body, limit)
        return block.id, len(block.transactions), len(block.votes)

    return identify


def _meta(head: Head) -> dict[str, int | str | bytes]:
    return {
        "genesis": head.genesis,
        "rule_version": RULE_VERSION,
        ROOT: head.root,
        BASE: head.base,
        VIEW: head.base_view,
        BUSY: head.busy,
        FINAL_HEIGHT: head.height,
        ADOPTED: head.checkpoint,
    }


def _unusable(source: Path, why: str) -> Damaged:
    return Damaged(
        "bad_snapshot",
        f"{source.name} cannot be adopted: {why}. Nothing was changed.",
        "Fetch it again, from somebody else perhaps.",
    )
