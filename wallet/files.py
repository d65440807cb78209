"""Private files of a wallet: whole or not there, readable by the owner alone, never larger than expected.

A write goes to a new file beside the old one (mode 0600), is synced, takes the old one's place, and the folder is
synced: whatever interrupts it, the file is the old or the new one. Writers of a folder take turns by `folder_lock`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from node.api.errors import Damaged, NexusError, Refused
from wallet.secret import Secret

_WAIT_SECONDS = 10.0
# Answers of file systems that know no locks (a phone's shared storage, a memory card): the write itself stays atomic.
_NO_LOCKS = {errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def read_bounded(path: Path, limit: int, what: str) -> bytes:
    """The bytes of a plain file of at most `limit` bytes. `what` names it in messages ("the wallet “main”").

    Raises `Refused` (not_found) when there is none, else `Damaged` when it cannot be read or is too large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Refused("not_found", f"There is no file {path}.") from None
    except OSError as error:
        raise _unreadable(path, what, error) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Damaged("not_a_file", f"{path} should be {what} but is no plain file; it was left alone.")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise _unreadable(path, what, error) from None
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise Damaged("too_large", f"{path} is larger than {what} can be ({limit} bytes); it was left as it is.")
    return data


def read_json(path: Path, limit: int, what: str) -> dict[str, object]:
    """The one JSON object in a file. Raises as `read_bounded` and `parse_object`."""
    return parse_object(read_bounded(path, limit, what), path, what)


def parse_object(data: bytes, path: Path, what: str) -> dict[str, object]:
    """The one JSON object in `data`, whose numbers are integers and names unique, else `Damaged`."""
    try:
        value = json.loads(data.decode(), object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Damaged(
            "not_readable",
            f"{path} is not {what}: it is empty, cut off or something else. It was left as it is.",
            hint="Put a good copy in its place; Nexus never overwrites a file that it cannot read.",
        )
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name occurs twice")
    return dict(pairs)


def _no_float(text: str) -> object:
    raise ValueError("numbers are integers here")


def write_atomic(path: Path, data: bytes | Secret) -> None:
    """Put `data` in the place of `path`, mode 0600. The caller holds `folder_lock(path.parent)`.

    Raises `Damaged` (disk_full, not_writable): then `path` is as it was; or (not_synced): then it is the new one, but
    the disk has not confirmed it.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()  # left by a write that was cut off
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(data.reveal() if isinstance(data, Secret) else data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        _sync_folder(path.parent)
    except OSError as error:
        raise Damaged(
            "not_synced",
            f"{path} was written, but the disk did not confirm it: {error.strerror}.",
            hint="Check the disk; after a power cut now, the file may be the one from before.",
        ) from None


def remove(path: Path) -> None:
    """Delete a file that may be absent. The caller holds the folder's lock."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Make the folder (0700) where it is missing, and keep other writers of it out for as long as this lasts.

    Raises `Refused` (busy) when another program holds it for ten seconds, `Damaged` when the folder cannot be made.
    """
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Refused(
                        "busy",
                        f"Another program keeps {folder} locked; nothing was changed.",
                        hint="Wait until the other Nexus is done, or close it, and try again.",
                    ) from None
                time.sleep(0.02)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise _unwritable(folder, error) from None
                break
        yield
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def _unreadable(path: Path, what: str, error: OSError) -> NexusError:
    return Damaged(
        "not_readable",
        f"{what[:1].upper()}{what[1:]} could not be read from {path}: {error.strerror}. It was left as it is.",
        hint="Check who owns the file and its permissions.",
    )


def _unwritable(path: Path, error: OSError) -> NexusError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Damaged(
            "disk_full",
            f"The disk is full: {path.name} could not be written. What was there before is unchanged.",
            hint="Free some space and try again.",
        )
    return Damaged(
        "not_writable",
        f"{path} could not be written: {error.strerror}. What was there before is unchanged.",
        hint="Check that the folder is yours and not read-only.",
    )
