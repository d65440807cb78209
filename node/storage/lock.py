"""One node a folder: an advisory lock held by the kernel as long as the process lives.

A killed process leaves its file behind but no lock, so a stale file is taken over without guessing from pids. The file
says when its process last lived, too: its time of change is set now and then (`beat`), and who ends by itself empties
it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from node.api.errors import Refused
from node.storage.faults import translated

UNKNOWN = -1
_TRIES = 6  # a look by `holder` holds the lock for microseconds; that must not fail a start
_PAUSE_S = 0.02


def _read_pid(number: int) -> int | None:
    text = os.pread(number, 32, 0).strip()
    return int(text) if text.isdigit() else None


def _try_lock(number: int, kind: int) -> bool:
    try:
        fcntl.flock(number, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class FolderLock:
    """A held lock; release it with `release()` or by leaving the `with` block."""

    def __init__(self, path: Path, number: int, killed_ms: int | None) -> None:
        self.path = path
        self.killed_ms = killed_ms
        """When the process that had the folder before last lived, Unix time; None where it ended by itself."""
        self._number: int | None = number

    def beat(self, now_ms: int) -> None:
        """This process lives. Nothing is forced to the disk: the system writes it some time."""
        if self._number is not None:
            with contextlib.suppress(OSError):  # a disk that cannot be written is told by whoever must write
                os.utime(self._number, ns=(now_ms * 1_000_000, now_ms * 1_000_000))

    @classmethod
    def acquire(cls, path: Path) -> FolderLock:
        """Take the lock and write this process's id into it.

        Raises Refused naming the other process when a node has it, Damaged when the folder cannot be written.
        """
        with translated(path):
            number = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                for attempt in range(_TRIES):
                    if _try_lock(number, fcntl.LOCK_EX):
                        break
                    if attempt < _TRIES - 1:
                        time.sleep(_PAUSE_S)
                else:
                    pid = _read_pid(number)
                    who = f"process {pid}" if pid else "another process"
                    raise Refused(
                        "node_running",
                        f"A node already runs on {path.parent} ({who}). Two nodes never share a folder; "
                        "nothing was changed.",
                        "Use the running one (commands attach to it by themselves), or stop it with `nexus node stop`.",
                    )
                killed_ms = os.fstat(number).st_mtime_ns // 1_000_000 if _read_pid(number) else None
                os.ftruncate(number, 0)
                os.pwrite(number, b"%d\n" % os.getpid(), 0)
            except BaseException:
                os.close(number)
                raise
        return cls(path, number, killed_ms)

    def release(self) -> None:
        """Give the folder free; the file stays, empty (removing it would race with another start)."""
        if self._number is None:
            return
        number, self._number = self._number, None
        try:
            os.ftruncate(number, 0)
        finally:
            os.close(number)

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def holder(path: Path) -> int | None:
    """The id of the process that holds the folder, None when nobody does, `UNKNOWN` where it cannot be told."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except PermissionError:
        return UNKNOWN
    try:
        if _try_lock(number, fcntl.LOCK_SH):
            return None
        return _read_pid(number) or UNKNOWN
    finally:
        os.close(number)
