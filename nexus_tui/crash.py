"""What happens when the program is wrong: nothing secret on the screen or in the log, and an exit status that says so.

Textual prints a traceback with local variables, where words and passphrases live. Here a person gets three lines and
the log (mode 0600) gets the frames: files, lines and functions, no values. The exception's own text is kept only for
kinds whose text is made by Python about code, not about data.
"""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path

INTERNAL_FAULT = 70
MAX_LOG = 256 * 1024
_ABOUT_CODE = (AttributeError, ImportError, NameError)


def describe(error: BaseException) -> str:
    """The frames and kinds of an exception and its causes, without any value."""
    lines: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        for frame in traceback.extract_tb(current.__traceback__, limit=64):
            lines.append(f"  {frame.filename}:{frame.lineno} {frame.name}")
        kind = type(current)
        said = f": {current}" if isinstance(current, _ABOUT_CODE) else ""
        lines.append(f"{kind.__module__}.{kind.__qualname__}{said}")
        current = current.__cause__ or current.__context__
    return "\n".join(lines)


def write_log(path: Path, error: BaseException) -> bool:
    """Append the description to the log, 0600, at most `MAX_LOG` bytes long. False when it cannot be written."""
    entry = f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} fault in the app\n{describe(error)}\n\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "a", encoding="utf-8", errors="backslashreplace") as log:
            os.fchmod(log.fileno(), 0o600)
            if log.tell() > MAX_LOG:
                log.truncate(0)
            log.write(entry)
    except OSError:
        return False
    return True


def farewell(error: BaseException, log: Path, logged: bool) -> str:
    """What a person is told after a fault."""
    where = f"Details, without any of your data, are in {log}." if logged else "The log could not be written."
    return (
        f"Nexus met a fault of its own ({type(error).__name__}) and closed.\n"
        "Your wallet and your chain are saved; a payment that was accepted is kept.\n"
        f"{where} Start again with: nexus"
    )
