"""When a node has ended: the socket goes first, the databases close, and the lock on the folder goes last."""

from __future__ import annotations

from node.profile.paths import ProfilePaths
from node.storage.lock import UNKNOWN, holder


def has_ended(paths: ProfilePaths, pid: int) -> bool:
    """Whether the node of this process has given the folder free: its files are whole then, and may be copied."""
    return holder(paths.lock) not in (pid, UNKNOWN)
