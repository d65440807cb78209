"""Snapshots of a node's state at its newest final checkpoint: made for others, and adopted to begin from."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from node.api.errors import Damaged, Refused
from node.consensus.adopting import proven
from node.consensus.blocks import Block, Header
from node.consensus.finality import Checkpoint
from node.consensus.lightclient import Certificate
from node.consensus.slots import SlotClock
from node.encoding.canonical import decode
from node.ledger.genesis import RULE_VERSION, Genesis
from node.light.waves import StateWaves
from node.profile.paths import ProfilePaths
from node.service.clock import system_clock
from node.service.core import BUSY, FINAL_HEIGHT, new_certificate, new_final
from node.service.founding import write_genesis
from node.service.restoring import ADOPTED, BASE, ROOT, VIEW, stored_engine
from node.service.verify import verify_database
from node.storage.chain import ChainDatabase
from node.storage.faults import other_network, translated
from node.storage.files import sync_folder
from node.storage.reader import reading
from node.storage.records import DagRow
from node.storage.snapshot import Head, SnapshotFile, export_snapshot, write_snapshot


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """What a snapshot holds, found in one pass over it. `height` is that of the checkpoint's block."""

    path: Path
    bytes: int
    genesis: Genesis
    checkpoint: Checkpoint
    time_ms: int  # when the slot of the checkpoint's block began
    height: int
    blocks: int
    records: int
    total_units: int

    @property
    def is_old(self) -> bool:
        """Whether the checkpoint is older than half the unbonding period by this device's clock: who had the
        validators' keys then may have taken his stake since, and loses nothing by another history."""
        parameters = self.genesis.parameters
        return 2 * (system_clock() - self.time_ms) > parameters.unbonding_slots * parameters.slot_ms


def make_snapshot(chain_db: Path, genesis: Genesis, target: Path) -> Checkpoint:
    """Write the state at the newest final checkpoint into a new file, whether a node runs or not.

    Returns the checkpoint; whoever adopts the snapshot must know its hash from somewhere else. Raises Refused where
    nothing is final yet or the name is taken.
    """
    with reading(chain_db) as source:
        found = source.newest_checkpoint()
        if found is None:
            raise Refused("nothing_final", "No checkpoint is final yet, so there is no snapshot to make.")
        _, height, encoded = found
        checkpoint = Checkpoint.from_value(decode(encoded, 1_024))
        export_snapshot(source, target, genesis.encode(), checkpoint.block, height, encoded, checkpoint.state)
    return checkpoint


def check_snapshot(source: Path) -> SnapshotReport:
    """Check a snapshot in one pass: its form, the order of its rows, the waves of the state that its checkpoint names,
    and the total. Nothing is written.

    That its checkpoint is the network's, no file can show: its hash must be known from somewhere else. Raises Damaged.
    """
    with _opened(source) as snapshot:
        genesis, checkpoint = _genesis_of(snapshot), _checkpoint_of(snapshot)
        identify, records = _identify(genesis), 0
        for row, _ in snapshot.blocks():
            _named(snapshot, identify, row)
        for _, rows in snapshot.buckets():
            records += len(rows)
        head = snapshot.head
        slots = SlotClock.of(genesis.start_ms, genesis.parameters)
        return SnapshotReport(
            path=source,
            bytes=source.stat().st_size,
            genesis=genesis,
            checkpoint=checkpoint,
            time_ms=slots.begins_ms(checkpoint.slot),
            height=head.height,
            blocks=head.blocks,
            records=records,
            total_units=snapshot.total,
        )


def begin_from_snapshot(paths: ProfilePaths, source: Path, trusted: bytes) -> Checkpoint:
    """Fill a new profile from a snapshot whose checkpoint has the hash `trusted`. It has no key and no wallet.

    Errors as of `adopt_snapshot`; nothing was put in its place then.
    """
    with _opened(source) as snapshot:
        genesis = _genesis_of(snapshot)
    checkpoint = adopt_snapshot(paths.chain_db, genesis, source, trusted)
    write_genesis(paths, genesis)
    return checkpoint


def adopt_snapshot(
    chain_db: Path,
    genesis: Genesis,
    source: Path,
    trusted: bytes,
    certificates: Iterable[Certificate] = (),
    *,
    replace: bool = False,
) -> Checkpoint:
    """Begin a chain database from a snapshot whose checkpoint has the hash `trusted`, or begins so.

    Everything is checked, then verified as `nexus node verify` does, before it is put in its place: in the end the
    checkpoint that follows from what was taken up must be the trusted one. `certificates` are kept, to prove to others
    how one gets there. Raises Refused where a chain is there already, unless that is closed and to be replaced, Damaged
    for a snapshot that is not whole, of another network or checkpoint.
    """
    if chain_db.exists() and not replace:
        raise Refused("chain_exists", f"{chain_db} exists already and was kept.", "Adopt a snapshot in a new profile.")
    scratch = Path(tempfile.mkdtemp(prefix=".snapshot-", dir=chain_db.parent))
    try:
        draft = scratch / chain_db.name
        with _opened(source) as snapshot:
            if _genesis_of(snapshot).hash != genesis.hash:
                raise other_network(source)
            checkpoint = _checkpoint_of(snapshot)
            if not checkpoint.is_meant_by(trusted):
                raise _unusable(source, "it is of another checkpoint than the trusted one")
            with closing(ChainDatabase.open(draft)) as database:
                meta = _meta(snapshot.head, genesis)
                database.adopt(lambda connection: write_snapshot(connection, snapshot, _identify(genesis), meta))
        with reading(draft) as written:
            report = verify_database(written, genesis, StateWaves(snapshot.waves, numpy=False))
            if not report.ok:
                wrong = next(check for check in report.checks if not check.ok)
                raise _unusable(source, f"{wrong.name}: {wrong.detail}")
            try:
                engine = stored_engine(genesis, written)  # as the next start will
            except Damaged as error:
                raise _unusable(source, f"no node could start from it ({error.message})") from None
        try:
            target = proven(engine, checkpoint)
        except ValueError as error:
            raise _unusable(source, str(error)) from None
        with closing(ChainDatabase.open(draft)) as database:
            database.keep_proofs([new_final(target)], [new_certificate(item) for item in certificates])
        for part in ("-wal", "-shm"):  # of the old chain, which would be taken for the new one's
            chain_db.with_name(chain_db.name + part).unlink(missing_ok=True)
        os.replace(draft, chain_db)
        sync_folder(chain_db.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return checkpoint


@contextmanager
def _opened(source: Path) -> Iterator[SnapshotFile]:
    with translated(source):
        if not source.is_file():
            raise Refused("missing_file", f"There is no file {source}. Nothing was changed.", "Name the snapshot.")
        with source.open("rb") as file:
            yield SnapshotFile(source, file)


def _genesis_of(snapshot: SnapshotFile) -> Genesis:
    try:
        return Genesis.decode(snapshot.head.genesis)
    except ValueError as error:
        raise snapshot.refusal(f"its genesis cannot be used ({error})") from None


def _checkpoint_of(snapshot: SnapshotFile) -> Checkpoint:
    try:
        checkpoint = Checkpoint.from_value(decode(snapshot.head.checkpoint, 1_024))
    except ValueError as error:
        raise snapshot.refusal(f"its checkpoint cannot be read ({error})") from None
    if checkpoint.state != snapshot.head.commitment:
        raise snapshot.refusal("its checkpoint names another state")
    return checkpoint


def _named(
    snapshot: SnapshotFile, identify: Callable[[DagRow], tuple[bytes, int, int]], row: DagRow
) -> tuple[bytes, int, int]:
    try:
        return identify(row)
    except ValueError as error:
        raise snapshot.refusal(f"a block in it cannot be read ({error})") from None


def _identify(genesis: Genesis) -> Callable[[DagRow], tuple[bytes, int, int]]:
    limit = genesis.parameters.max_body_bytes

    def identify(row: DagRow) -> tuple[bytes, int, int]:
        header = Header.decode(row.header)
        if header.genesis != genesis.hash:
            raise ValueError("it belongs to another network than the genesis of the snapshot")
        if row.body is None:
            return header.id, 0, 0
        block = Block.decode(row.header, row.body, limit)
        return block.id, len(block.transactions), len(block.votes)

    return identify


def _meta(head: Head, genesis: Genesis) -> dict[str, int | str | bytes]:
    return {
        "genesis": genesis.hash,
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
