"""Backup and restore of a profile's node data: one tar file with a manifest.

The databases are copied through SQLite's online backup, so a running node is not disturbed and the copy is whole. The
signing record is never copied: an old one would let the key sign its slots again. Restoring makes a new record at the
slot that the caller names (the present one), below which the key never signs and since which its votes are held. The
validator key itself is a secret and is in a backup only when asked for.
"""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO, TYPE_CHECKING

from node.api.errors import Damaged, Refused
from node.encoding.canonical import EncodingError, decode, encode
from node.storage import database, outbox, schema
from node.storage.connections import Connection
from node.storage.faults import translated
from node.storage.files import place_new, sync_folder
from node.storage.signing_record import SigningRecord

if TYPE_CHECKING:
    from node.profile.paths import ProfilePaths

_FORMAT = "nexus node backup 1"
_MANIFEST = "manifest.nexus"
_GENESIS, _CHAIN, _OUTBOX, _KEY = "genesis.nexus", "chain.db", "outbox.db", "validator.key"
_SMALL = 1 << 20
_MAX_SIZES = {_GENESIS: _SMALL, _CHAIN: 1 << 46, _OUTBOX: 1 << 36, _KEY: 4_096}
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup holds."""

    path: Path
    made_ms: int
    height: int
    files: tuple[tuple[str, int], ...]  # names and bytes
    with_key: bool


def make_backup(paths: ProfilePaths, target: Path, now_ms: int, *, with_key: bool = False) -> BackupReport:
    """Write the node data of a profile into `target`, whether a node runs or not. Takes a while; call it in a thread.

    The file appears complete or not at all, mode 0600. Raises Refused where a file is there already, Damaged for
    databases that cannot be read or a full disk.
    """
    if os.path.lexists(target):
        raise Refused("file_exists", f"{target} exists already and was kept.", "Choose another file name.")
    if not target.parent.is_dir():
        raise Refused("missing_folder", f"There is no folder {target.parent}.", "Make it first, or choose another.")
    with translated(target), _scratch(target.parent) as scratch:
        _copy_file(paths.genesis, scratch / _GENESIS)
        height = _copy_database(paths.chain_db, scratch / _CHAIN, schema.APPLICATION_ID, schema.VERSION)
        names = [_GENESIS, _CHAIN]
        if paths.outbox_db.exists():
            _copy_database(paths.outbox_db, scratch / _OUTBOX, outbox.APPLICATION_ID, outbox.VERSION)
            names.append(_OUTBOX)
        if with_key:
            _copy_file(paths.validator_key, scratch / _KEY)
            names.append(_KEY)
        entries = tuple((name, (scratch / name).stat().st_size, _digest(scratch / name)) for name in names)
        manifest = encode((_FORMAT, now_ms, height, entries))
        draft = scratch / "backup.tar"
        with draft.open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                _add(tar, _MANIFEST, io.BytesIO(manifest), len(manifest), now_ms)
                for name, size, _ in entries:
                    with (scratch / name).open("rb") as content:
                        _add(tar, name, content, size, now_ms)
            file.flush()
            os.fsync(file.fileno())
        place_new(draft, target)
    return BackupReport(target, now_ms, height, tuple((name, size) for name, size, _ in entries), with_key)


def read_backup(source: Path) -> BackupReport:
    """What a backup file holds, by its manifest. Raises Damaged when it is no backup."""
    with _opened(source) as tar:
        made_ms, height, entries = _read_manifest(source, tar)
    files = tuple((name, size) for name, size, _ in entries)
    return BackupReport(source, made_ms, height, files, any(name == _KEY for name, _ in files))


def restore_backup(
    paths: ProfilePaths, source: Path, sign_after_slot: Callable[[bytes], int], public_key: Callable[[Path], bytes]
) -> BackupReport:
    """Put a backup into a profile's folder that holds no chain. Every byte is checked before anything is put there.

    `sign_after_slot` is given the genesis file's bytes and returns the slot that runs now: the restored validator key
    signs only later ones. `public_key` reads the consensus key (33 bytes) of a key file. Raises Refused where files are
    in the way, Damaged for a backup that is not whole; nothing is left behind then.
    """
    places = {
        _GENESIS: paths.genesis,
        _CHAIN: paths.chain_db,
        _OUTBOX: paths.outbox_db,
        _KEY: paths.validator_key,
    }
    taken = [place for place in (*places.values(), paths.signing_record) if os.path.lexists(place)]
    if taken:
        raise Refused(
            "profile_not_empty",
            f"{paths.root} already holds {', '.join(place.name for place in taken)}. Nothing was changed.",
            "Restore into a new profile: --profile NAME.",
        )
    with translated(paths.root), _scratch(paths.root) as scratch:
        with _opened(source) as tar:
            made_ms, height, entries = _read_manifest(source, tar)
            names = tuple(name for name, _, _ in entries)
            for name, size, digest in entries:
                _extract(source, tar, name, size, digest, scratch / name)
        _check_copy(scratch / _CHAIN)
        if _KEY in names:
            slot = sign_after_slot((scratch / _GENESIS).read_bytes())
            # before the key: a key without its record can never sign, so a crash between the two is safe
            SigningRecord.create(paths.signing_record, public_key(scratch / _KEY), restored_at=slot)
        try:
            # the genesis last: a folder without one is no profile
            for name in sorted(names, key=lambda name: name == _GENESIS):
                os.replace(scratch / name, places[name])
            sync_folder(paths.root)
        except OSError:
            for place in (*places.values(), paths.signing_record):
                place.unlink(missing_ok=True)
            raise
    files = tuple((name, size) for name, size, _ in entries)
    return BackupReport(source, made_ms, height, files, _KEY in names)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A private folder on the same disk, removed with what is left in it."""
    made = Path(tempfile.mkdtemp(prefix=".nexus-backup-", dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _copy_database(source: Path, target: Path, application_id: int, version: int) -> int:
    """A whole copy of a database that may be in use; returns the chain's height (0 for other databases)."""
    with translated(source):
        return _copied(source, target, application_id, version)


def _copied(source: Path, target: Path, application_id: int, version: int) -> int:
    uri = database.reader_uri(source, application_id, version)
    reader = sqlite3.connect(uri, uri=True, timeout=5.0, factory=Connection)
    try:
        copy = sqlite3.connect(target, isolation_level=None, factory=Connection)
        try:
            reader.backup(copy, pages=2_048, sleep=0.001)
            copy.execute("PRAGMA journal_mode = DELETE")  # the copy is one file, without a WAL beside it
            os.chmod(target, 0o600)
            if application_id != schema.APPLICATION_ID:
                return 0
            database.write_meta(copy, "clean_shutdown", 1)
            problems = database.integrity_problems(copy, full=False)
            if problems:
                raise Damaged(
                    "damaged_database",
                    f"{source.name} is damaged ({problems[0]}); no backup was made of it.",
                    "Run `nexus node verify`. An older backup can be restored with `nexus node restore`.",
                )
            return int(copy.execute("SELECT coalesce(max(height), 0) FROM chain").fetchone()[0])
        finally:
            copy.close()
    finally:
        reader.close()


def _copy_file(source: Path, target: Path) -> None:
    content = source.read_bytes()
    with target.open("xb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)


def _digest(path: Path) -> bytes:
    hasher = blake2b(digest_size=32)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.digest()


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes], size: int, now_ms: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, now_ms // 1_000
    tar.addfile(info, content)


@contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    with translated(source):
        if not source.is_file():
            raise Refused("missing_file", f"There is no file {source}.", "Name the backup to restore.")
        try:
            with tarfile.open(source, mode="r:") as tar:
                yield tar
        except (tarfile.TarError, EOFError) as error:
            raise _no_backup(source, str(error)) from error


def _read_manifest(source: Path, tar: tarfile.TarFile) -> tuple[int, int, tuple[tuple[str, int, bytes], ...]]:
    member = tar.next()
    content = tar.extractfile(member) if member is not None and member.name == _MANIFEST and member.isreg() else None
    if member is None or content is None or member.size > _SMALL:
        raise _no_backup(source, "it has no manifest")
    try:
        value = decode(content.read(_SMALL))
    except EncodingError as error:
        raise _no_backup(source, f"its manifest cannot be read: {error}") from None
    if type(value) is not tuple or len(value) != 4 or value[0] != _FORMAT:
        raise _no_backup(source, "its manifest is of another kind or version")
    _, made_ms, height, rows = value
    if type(made_ms) is not int or type(height) is not int or type(rows) is not tuple:
        raise _no_backup(source, "its manifest is malformed")
    entries: list[tuple[str, int, bytes]] = []
    for row in rows:
        if type(row) is not tuple or len(row) != 3:
            raise _no_backup(source, "its manifest is malformed")
        name, size, digest = row
        if type(name) is not str or type(size) is not int or type(digest) is not bytes:
            raise _no_backup(source, "its manifest is malformed")
        if name not in _MAX_SIZES or size > _MAX_SIZES[name] or name in (known for known, _, _ in entries):
            raise _no_backup(source, f"its manifest names {name[:40]!r}")
        entries.append((name, size, digest))
    if not {_GENESIS, _CHAIN} <= {name for name, _, _ in entries}:
        raise _no_backup(source, "its manifest names no chain")
    return made_ms, height, tuple(entries)


def _extract(source: Path, tar: tarfile.TarFile, name: str, size: int, digest: bytes, target: Path) -> None:
    """Copy the next member out, if it is exactly what the manifest says. Names and links in the tar are never used."""
    member = tar.next()
    content = tar.extractfile(member) if member is not None and member.name == name and member.isreg() else None
    if member is None or content is None or member.size != size:
        raise _no_backup(source, f"{name} is missing or has another size")
    hasher = blake2b(digest_size=32)
    with target.open("xb") as file:
        os.fchmod(file.fileno(), 0o600)
        while chunk := content.read(_CHUNK):
            hasher.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if hasher.digest() != digest:
        raise _no_backup(source, f"{name} is damaged")


def _check_copy(path: Path) -> None:
    """The chain of a backup must open here, before it is put in its place."""
    connection = database.connect_reader(path)
    try:
        problems = database.integrity_problems(connection, full=False)
    finally:
        connection.close()
    if problems:
        raise Damaged("damaged_backup", f"The chain in the backup is damaged ({problems[0]}). Nothing was restored.")


def _no_backup(source: Path, why: str) -> Damaged:
    return Damaged(
        "damaged_backup",
        f"{source.name} cannot be restored: {why}. Nothing was changed.",
        "Use another backup.",
    )
