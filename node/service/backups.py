"""Backups of a node's data, joined with what only a node knows: the slot that runs now and the form of its key.

`restore_backup` fills a folder without a chain. `replace_data` puts a backup in the place of a damaged chain: wallets,
contacts, the validator's key with its signing record and the outbox (which cannot be fetched again) stay as they are,
and what is replaced is moved aside, never deleted.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from node.api.errors import Damaged, Refused
from node.consensus.slots import SlotClock
from node.ledger.genesis import Genesis, GenesisError
from node.ledger.parameters import ParameterError
from node.profile.paths import ProfilePaths
from node.service.clock import system_clock
from node.service.validator_key import load_validator_key
from node.storage import backup
from node.storage.backup import BackupReport
from node.storage.faults import translated
from node.storage.files import sync_folder
from node.storage.lock import FolderLock
from node.storage.signing_record import SigningRecord

__all__ = ["BackupReport", "Replaced", "make_backup", "replace_data", "restore_backup"]

_MOVED = ("chain.db", "chain.db-wal", "chain.db-shm")


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a backup took the place of: the old files are in `kept`."""

    report: BackupReport
    kept: Path


def make_backup(paths: ProfilePaths, target: Path, with_key: bool = False) -> BackupReport:
    """Write the node data of a profile into the file `target`. See `node.storage.backup.make_backup`."""
    return backup.make_backup(paths, target, system_clock(), with_key=with_key)


def restore_backup(paths: ProfilePaths, source: Path) -> BackupReport:
    """Fill a folder that holds no chain. See `node.storage.backup.restore_backup`."""
    return backup.restore_backup(paths, source, _slot_now, _public_key)


def replace_data(paths: ProfilePaths, source: Path) -> Replaced:
    """Put a backup of the same network in the place of this profile's chain.

    Raises Refused when a node runs here or the backup is of another network, Damaged for a bad backup; nothing was
    changed then.
    """
    with FolderLock.acquire(paths.lock), translated(paths.root):
        scratch = Path(tempfile.mkdtemp(prefix=".restored-", dir=paths.root))
        try:
            aside = ProfilePaths(paths.name, scratch)
            report = restore_backup(aside, source)
            if aside.genesis.read_bytes() != paths.genesis.read_bytes():
                raise Refused(
                    "other_network",
                    f"{source.name} is a backup of another network than that of {paths.name!r}. Nothing was changed.",
                    "Restore it into a profile of its own: --profile NAME without --replace.",
                )
            _hold_votes(paths)
            kept = paths.root / f"replaced-{system_clock()}"
            kept.mkdir(mode=0o700)
            for name in _MOVED:
                if (paths.root / name).exists():
                    os.replace(paths.root / name, kept / name)
            os.replace(aside.chain_db, paths.chain_db)
            if not paths.validator_key.exists() and aside.validator_key.exists():
                # The record first: a key without one never signs.
                os.replace(aside.signing_record, paths.signing_record)
                os.replace(aside.validator_key, paths.validator_key)
            sync_folder(paths.root)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return Replaced(report, kept)


def _hold_votes(paths: ProfilePaths) -> None:
    """Before the chain goes back: this profile's key may have voted for what it will number anew."""
    key = load_validator_key(paths.validator_key)
    if key is not None:
        slot = _slot_now(paths.genesis.read_bytes())
        SigningRecord.open(paths.signing_record, key.public_key).hold(slot)


def _slot_now(genesis: bytes) -> int:
    try:
        read = Genesis.decode(genesis)
    except (GenesisError, ParameterError) as error:
        raise Damaged(error.code, f"The genesis in the backup cannot be used: {error} Nothing was restored.") from None
    return SlotClock.of(read.start_ms, read.parameters).slot_at(system_clock())


def _public_key(path: Path) -> bytes:
    key = load_validator_key(path)
    if key is None:
        raise Damaged("damaged_backup", "The backup holds no validator key although it says so. Nothing was restored.")
    return key.public_key
