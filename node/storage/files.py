"""Files that survive a power cut: written whole, synced, renamed into place, the folder synced; and key files."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from node.api.errors import Damaged, Refused
from node.storage.faults import translated


def sync_folder(folder: Path) -> None:
    """Make created and renamed names in a folder durable."""
    number = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def place_new(draft: Path, target: Path) -> None:
    """Give a finished file its name, unless somebody else took that meanwhile: Refused then (file_exists)."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise Refused("file_exists", f"{target} exists already and was kept.", "Choose another file name.") from None
    except OSError:  # a file system without hard links (a phone's shared storage)
        os.replace(draft, target)
    sync_folder(target.parent)


def read_key_file(path: Path, limit: int, name: str) -> bytes | None:
    """At most `limit` bytes of a file that holds a secret, None without a file. `name` says what it is ("node key").

    Raises Damaged for one that this user cannot read (code `…_unreadable`), Refused for one that others can (`…_open`):
    a secret that others know signs no more.
    """
    code = name.replace(" ", "_")
    with translated(path):
        try:
            with path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                data = file.read(limit)
        except FileNotFoundError:
            if not path.is_symlink():
                return None
            raise _unreadable(path, code) from None
        except PermissionError:
            raise _unreadable(path, code) from None
    if mode & 0o077:
        raise Refused(
            f"{code}_open",
            f"{path} can be read by other users (mode {mode:04o}); it is not used like that.",
            f"chmod 600 {path}",
        )
    return data


def _unreadable(path: Path, code: str) -> Damaged:
    return Damaged(
        f"{code}_unreadable",
        f"{path} cannot be read by this user. It was left as it is, and nothing is signed with it.",
        f"Give it back to the user who runs the node (chown, chmod 600 {path}).",
    )


def write_durably(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace the file's content so that after a crash it is either the old or the new one, whole.

    Raises Damaged (disk full, read-only); the old content is kept then.
    """
    draft = path.with_name(path.name + ".new")
    with translated(path):
        try:
            number = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, mode)
            with open(number, "wb") as file:
                os.fchmod(number, mode)
                file.write(content)
                file.flush()
                os.fsync(number)
            os.replace(draft, path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def create_durably(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a new file whole, as `write_durably` does. Raises FileExistsError when something is at its place.

    Two programs that call this at once are kept apart by a lock on the folder: `link`, the usual way to create and
    never replace, is refused to programs on Android.
    """
    number = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        if os.path.lexists(path):
            raise FileExistsError(f"{path} exists")
        write_durably(path, content, mode)
    finally:
        os.close(number)
