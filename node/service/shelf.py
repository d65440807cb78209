"""Snapshots that a node keeps for newcomers (protocol section 10): of the first checkpoint of each epoch that the chain
proves final, so that several peers have the same one.

One is written in a thread, over a connection that only reads, as soon as its checkpoint is final: later the undo
records that lead back to it are gone, and the certificate that proves it final gave way to a newer one. Two are kept,
so that who fetches the older one is not cut off.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from node.api.errors import Damaged, NexusError
from node.consensus.finality import Checkpoint, Target
from node.consensus.lightclient import Certificate, WalkError
from node.consensus.slots import SlotClock
from node.encoding.canonical import EncodingError, decode, pack
from node.ledger.genesis import Genesis
from node.ledger.state import Change, Record, apply_to_waves
from node.light.waves import BUCKETS, SILENCE, StateWaves, commitment_of
from node.mesh.protocol.messages import MAX_CERTIFICATES, MAX_CHECKPOINT, SECTIONS, Proof
from node.profile.paths import make_private_folder
from node.storage.files import write_durably
from node.storage.parts import Layout, layout_of
from node.storage.reader import ChainReader, reading
from node.storage.snapshot import export_snapshot

KEPT = 2
NO_PROOF = Proof(b"", (), (), 0)
_PAGE_BYTES = 1 << 20
_FORMAT = "nexus kept snapshot 1"
_MAX_INDEX = 4 << 20

_log = logging.getLogger("nexus.snapshots")


@dataclass(frozen=True, slots=True)
class KeptSnapshot:
    """One on the shelf. `buckets` are the hashes of the buckets' waves, one after the other; `certificate`, encoded,
    proves the checkpoint final."""

    path: Path
    checkpoint: Checkpoint
    buckets: bytes
    certificate: bytes
    layout: Layout

    @property
    def index(self) -> Path:
        """The file that says what is in it."""
        return self.path.with_suffix(".index")


class Shelf:
    """The folder of them. `clock` is Unix time."""

    def __init__(self, folder: Path, chain_db: Path, genesis: Genesis, clock: Callable[[], int]) -> None:
        self._folder = folder
        self._chain_db = chain_db
        self._genesis = genesis
        self._slots = SlotClock.of(genesis.start_ms, genesis.parameters)
        self._clock = clock
        self._making: asyncio.Task[None] | None = None
        self.kept: list[KeptSnapshot] = []
        """The newest last."""
        self._look()

    @property
    def newest(self) -> KeptSnapshot | None:
        """The newest that is here."""
        return self.kept[-1] if self.kept else None

    def find(self, checkpoint: bytes) -> KeptSnapshot | None:
        """That of the checkpoint whose hash begins so, else the newest."""
        if checkpoint:
            for one in self.kept:
                if one.checkpoint.hash.startswith(checkpoint):
                    return one
        return self.newest

    async def prove(self, trusted: bytes, checkpoint: bytes, after: int) -> Proof:
        """See `read_proof`."""
        kept = next((one for one in self.kept if one.checkpoint.hash == checkpoint), None)
        return await asyncio.to_thread(read_proof, self._chain_db, kept, trusted, after)

    def finalised(self, final: Target) -> None:
        """A checkpoint is final and written: make a snapshot if it is the first of its epoch."""
        if self._making is None and self._is_wanted(final.checkpoint):
            self._making = asyncio.create_task(self._make(final), name="snapshot")

    def _is_wanted(self, checkpoint: Checkpoint) -> bool:
        """Nobody may begin from one that is older than half the unbonding period."""
        age, epoch = self._slots.slot_at(self._clock()) - checkpoint.slot, self._slots.epoch_of(checkpoint.slot)
        newest = self.newest
        fresh = checkpoint.number > 0 and 2 * age < self._genesis.parameters.unbonding_slots
        return fresh and (newest is None or epoch > self._slots.epoch_of(newest.checkpoint.slot))

    async def _make(self, final: Target) -> None:
        try:
            made = await asyncio.to_thread(keep_snapshot, self._chain_db, self._genesis, final, self._folder)
        except (NexusError, OSError, WalkError) as error:
            # The chain went on too far meanwhile or begins above it, or the disk is full: the next epoch has another.
            level = logging.WARNING if isinstance(error, OSError) else logging.INFO
            _log.log(level, "no snapshot is kept of checkpoint %d: %s", final.number, error)
        else:
            _log.info("a snapshot of checkpoint %d is kept for newcomers", final.number)
            self.kept.append(made)
            while len(self.kept) > KEPT:
                _remove(self.kept.pop(0))
        finally:
            self._making = None

    async def close(self) -> None:
        """Wait for what is being written: a thread cannot be stopped in the middle."""
        if self._making is not None:
            await asyncio.wait({self._making})

    def _look(self) -> None:
        """What the last run left; what is broken or of no use is removed."""
        make_private_folder(self._folder)
        for file in sorted(self._folder.iterdir()):
            found = _read_index(file) if file.suffix == ".index" else None
            if found is not None:
                self.kept.append(found)
        self.kept.sort(key=lambda one: one.checkpoint.number)
        while len(self.kept) > KEPT:
            self.kept.pop(0)
        wanted = {file for one in self.kept for file in (one.path, one.index)}
        for file in self._folder.iterdir():
            if file not in wanted:
                file.unlink(missing_ok=True)


def keep_snapshot(chain_db: Path, genesis: Genesis, final: Target, folder: Path) -> KeptSnapshot:
    """Write the snapshot at a final checkpoint of a stored chain, and what is in it. Raises Damaged where what is
    stored does not reach back to it."""
    checkpoint = final.checkpoint
    path = folder / f"{checkpoint.number:010d}-{checkpoint.hash.hex()[:16]}.snapshot"
    encoded = pack(tuple(checkpoint))
    with reading(chain_db) as source:
        block = source.block(height=final.height)
        certificate = next(iter(source.certificates(checkpoint.number - 1, 1)), b"")
        buckets = _waves_at(source, final.height).hashes
        if block is None or block.block_id != checkpoint.block or commitment_of(buckets) != checkpoint.state:
            raise Damaged("cannot_go_back", "What is stored does not lead back to its state.")
        if not certificate or Certificate.decode(certificate).checkpoint != checkpoint:
            raise Damaged("cannot_prove", "A newer certificate took the place of its own.")
        path.unlink(missing_ok=True)
        head = export_snapshot(
            source, path, genesis.encode(), checkpoint.block, final.height, encoded, checkpoint.state
        )
    with path.open("rb") as file:
        layout = layout_of(file, head.blocks)
    made = KeptSnapshot(path, checkpoint, buckets, certificate, layout)
    write_durably(made.index, pack((_FORMAT, encoded, buckets, certificate, layout.starts, layout.sizes)))
    return made


def read_proof(chain_db: Path, kept: KeptSnapshot | None, trusted: bytes, after: int) -> Proof:
    """A page of what leads from a trusted checkpoint to a kept one: nothing where one of the two is not known here."""
    if kept is None:
        return NO_PROOF
    with reading(chain_db) as source:
        found = source.checkpoint(trusted)
        if found is None:
            return NO_PROOF
        begin = Checkpoint.from_value(decode(found, MAX_CHECKPOINT))
        tables = tuple(source.tables((begin.table, begin.next_table)))
        rows = source.certificates(max(after, begin.number), MAX_CERTIFICATES - 1)
    page: list[bytes] = []
    whole = len(rows) < MAX_CERTIFICATES - 1
    for encoded in rows:
        if Certificate.decode(encoded).checkpoint.number >= kept.checkpoint.number:
            whole = True
            break
        if sum(map(len, page)) > _PAGE_BYTES:
            whole = False
            break
        page.append(encoded)
    if whole:
        page.append(kept.certificate)
    return Proof(found, tables, tuple(page), int(not whole))


def _waves_at(source: ChainReader, height: int) -> StateWaves:
    """The waves of the state after the chain block of a height."""
    stored = source.load_waves()
    waves = StateWaves([stored.get(bucket, SILENCE) for bucket in range(BUCKETS)], numpy=False)
    tip = source.tip()
    before: dict[tuple[str, bytes], bytes | None] = {}
    for number in range(0 if tip is None else tip.height, height, -1):
        changes = source.changes(number)
        if changes is None:
            raise Damaged("cannot_go_back", f"The undo record of block {number} is missing.")
        before.update(((table, key), value) for table, key, value in changes)
    apply_to_waves(
        waves,
        (
            Change(table, key, _record(source.record(table, key)), _record(value))
            for (table, key), value in before.items()
        ),
    )
    return waves


def _record(value: bytes | None) -> Record | None:
    return None if value is None else cast(Record, decode(value))


def _read_index(file: Path) -> KeptSnapshot | None:
    try:
        value = decode(file.read_bytes(), _MAX_INDEX)
        if type(value) is not tuple or value[0] != _FORMAT:
            return None
        _, encoded, buckets, certificate, starts, sizes = cast(
            "tuple[str, bytes, bytes, bytes, tuple[int, ...], tuple[int, ...]]", value
        )
        made = KeptSnapshot(
            file.with_suffix(".snapshot"),
            Checkpoint.from_value(decode(encoded, _MAX_INDEX)),
            buckets,
            certificate,
            Layout(starts, sizes),
        )
        whole = made.path.stat().st_size > max(starts)
    except (OSError, EncodingError, ValueError, TypeError) as error:
        _log.warning("%s is of no use: %s", file.name, error)
        return None
    return made if whole and len(starts) == len(sizes) == SECTIONS and len(buckets) == 32 * BUCKETS else None


def _remove(old: KeptSnapshot) -> None:
    for file in (old.index, old.path):
        file.unlink(missing_ok=True)
