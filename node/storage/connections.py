"""Connections that this process holds, so that nobody touches an open database behind SQLite's back.

POSIX drops all of a process's locks on a file when any descriptor of it is closed
(https://www.sqlite.org/howtocorrupt.html, section 2.2). A look at the raw bytes of a database that this process has
open would do that, so `opened_here` is asked first.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary


class Connection(sqlite3.Connection):
    """A connection that is known to be open until it is closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        try:
            name = self.execute("PRAGMA database_list").fetchone()[2]
        except sqlite3.Error:
            super().close()
            raise
        try:
            found = os.stat(name)
        except OSError:
            return
        _open[self] = (found.st_dev, found.st_ino)

    def close(self) -> None:
        """Close and forget it."""
        super().close()
        _open.pop(self, None)


_open: WeakKeyDictionary[Connection, tuple[int, int]] = WeakKeyDictionary()


def opened_here(path: Path) -> bool:
    """Whether this process has the file open as a database."""
    try:
        found = os.stat(path)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) in set(_open.values())
