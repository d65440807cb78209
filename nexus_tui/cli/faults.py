"""Where a crash leaves its details: a private file without anything that a person typed.

A traceback with locals shows words and passphrases, and even an exception's message may quote its input. So only the
kinds of the exceptions and the lines of code are kept.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType


def record_fault(error: BaseException, trace: TracebackType | None) -> Path | None:
    """Write frames and kinds of `error` to a new 0600 file under the logs. None if that is not possible."""
    import traceback

    from node.api.errors import NexusError
    from node.profile.paths import make_home

    lines = [f"time {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}"]
    cause: BaseException | None = error
    while cause is not None:
        lines.append(f"{type(cause).__module__}.{type(cause).__qualname__}")
        lines += [line.rstrip("\n") for line in traceback.format_tb(cause.__traceback__)]
        cause = cause.__cause__ or cause.__context__
    try:
        path = make_home() / "logs" / f"fault-{time.time_ns()}.log"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    except (OSError, NexusError):
        return None
    return path
