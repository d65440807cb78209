"""Errors that cross the node's interface: a stable code, a sentence for a person, and what to do next.

The exit statuses are those of the command line (experience.md, "A script").
"""

from __future__ import annotations


class NexusError(Exception):
    """Base of everything that a person may be shown. `message` says what happened and what was kept."""

    exit_status = 70

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class Refused(NexusError):
    """The node, the wallet or a rule said no; nothing changed."""

    exit_status = 1


class UsageError(NexusError):
    """A wrong argument or a wrong configuration."""

    exit_status = 2


class NoNode(NexusError):
    """No node is reachable and this command needs one."""

    exit_status = 3


class TimedOut(NexusError):
    """The answer did not come in time; what was accepted is kept."""

    exit_status = 4


class Locked(NexusError):
    """The wallet is locked, or the passphrase was wrong or missing."""

    exit_status = 5


class Damaged(NexusError):
    """Data on disk is damaged or of another version, or the disk is full."""

    exit_status = 6


class Internal(NexusError):
    """A fault of the program; details are in the log."""

    exit_status = 70


ERROR_KINDS: dict[str, type[NexusError]] = {
    kind.__name__: kind for kind in (Refused, UsageError, NoNode, TimedOut, Locked, Damaged, Internal)
}
