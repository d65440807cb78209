"""SQLite's and the system's complaints as errors a person understands: what happened, what was kept, what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.api.errors import Damaged, Internal, NexusError, Refused

_ROOM = 256 * 1024  # less free space than this makes an I/O error a full disk


def _is_full(path: Path) -> bool:
    """Whether the file system under `path` has no room left (an I/O error of SQLite does not say so)."""
    try:
        figures = os.statvfs(path.parent)
    except OSError:
        return False
    return figures.f_bavail * figures.f_frsize < _ROOM


def disk_full(path: Path) -> Damaged:
    """The error for a full disk."""
    return Damaged(
        "disk_full",
        f"The disk is full: {path.name} could not be written. Everything confirmed before is kept; "
        "the last step was not done.",
        f"Free some space on the disk of {path.parent}. A running node then goes on by itself; give a command again.",
    )


def read_only(path: Path) -> Damaged:
    """The error for a folder or file that cannot be written."""
    return Damaged(
        "read_only",
        f"{path} cannot be written: the folder or the file is read-only for this user. Nothing was changed.",
        "Check the owner and mode of the folder (it should be yours, mode 0700) or choose another NEXUS_HOME.",
    )


def damaged(path: Path, detail: str) -> Damaged:
    """The error for a file whose contents are broken."""
    return Damaged(
        "damaged_database",
        f"{path.name} is damaged ({detail}). It was left as it is.",
        f"Restore a backup with `nexus node restore`, or move {path} away so that the node rebuilds it.",
    )


def not_a_database(path: Path) -> Damaged:
    """The error for a file of some other kind at the database's place."""
    return Damaged(
        "not_a_database",
        f"{path} is no database of a Nexus node. It was left as it is.",
        "Move that file away, or point NEXUS_HOME or --profile elsewhere.",
    )


def other_rules(path: Path, written: object, known: int) -> Damaged:
    """The error for a database that was written under another rule version."""
    return Damaged(
        "other_rules",
        f"{path.name} was written under rule version {written!r}; this program follows version {known}. "
        "It was left as it is.",
        "Use the version of Nexus that wrote it, or begin anew with `nexus init`.",
    )


def other_network(path: Path) -> Damaged:
    """The error for a database that does not belong to the genesis beside it."""
    return Damaged(
        "other_network",
        f"{path.name} belongs to another network than this profile's genesis. It was left as it is.",
        "Restore the genesis file and the database of one backup together.",
    )


def from_os(path: Path, error: OSError) -> NexusError:
    """The same for an error of the operating system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(path)
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return read_only(path)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Refused("missing_file", f"{path} does not exist.", "Run `nexus init` to set up this profile.")
    return Damaged(
        "disk_error",
        f"The disk refused to serve {path.name}: {error.strerror or error}. What was confirmed before is kept.",
        "Check the disk and the system's log, then start again.",
    )


def from_sqlite(path: Path, error: sqlite3.Error) -> NexusError:
    """A NexusError for what SQLite reported about the file at `path`."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    text = str(error)
    if primary == sqlite3.SQLITE_FULL:
        return disk_full(path)
    if primary == sqlite3.SQLITE_NOTADB:
        return not_a_database(path)
    if primary == sqlite3.SQLITE_CORRUPT:
        return damaged(path, text)
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return read_only(path)
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Refused(
            "database_busy",
            f"{path.name} is in use by another program and did not become free in time. Nothing was changed.",
            "Close the other program (a copy or backup of the folder?) and try again.",
        )
    if primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        if _is_full(path):
            return disk_full(path)
        if path.exists() and not os.access(path, os.R_OK):
            return read_only(path)
        if primary == sqlite3.SQLITE_CANTOPEN:
            if path.parent.is_dir() and not os.access(path.parent, os.W_OK):
                return read_only(path)
            if not path.exists():
                return from_os(path, FileNotFoundError(errno.ENOENT, "missing"))
        return Damaged(
            "disk_error",
            f"{path.name} could not be read or written ({text}). What was confirmed before is kept.",
            "Check the disk and the system's log, then start again.",
        )
    return Internal("database_fault", f"The database {path.name} reported: {text}.", "Details are in the log.")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise errors of SQLite and of the system inside the block as NexusError."""
    try:
        yield
    except sqlite3.Error as error:
        raise from_sqlite(path, error) from error
    except OSError as error:
        raise from_os(path, error) from error
