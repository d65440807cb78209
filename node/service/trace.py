"""A trace of the moments that a crash must be able to hit: written unbuffered to the file that NEXUS_TRACE names.

Crash tests read it to prove that a kill fell inside a commit or inside recovery. Off, it costs a comparison.
"""

from __future__ import annotations

import os

_descriptor: int | None = None


def open_trace() -> None:
    """Start tracing if NEXUS_TRACE names a file."""
    global _descriptor
    path = os.environ.get("NEXUS_TRACE")
    if path and _descriptor is None:
        _descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def trace(line: str) -> None:
    """Append a line, in one system call."""
    if _descriptor is not None:
        os.write(_descriptor, f"{os.getpid()} {line}\n".encode())
