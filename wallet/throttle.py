"""Wrong passphrases are slowed down, across programs and restarts.

The count stands in a small file beside the wallet's. It holds off someone at the keyboard or a script; whoever can
copy the wallet's file is held off by the cost of Argon2id alone.
"""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path

from node.api.errors import Damaged, Locked, NexusError, Refused
from wallet.clock import Clock
from wallet.files import folder_lock, read_json, remove, write_atomic

LONGEST_WAIT = 300
_MAX_FILE = 1024


def delay_after(failures: int) -> int:
    """Seconds to wait after so many wrong passphrases in a row: 0, 1, 2, 4 … 300."""
    return min(1 << min(failures - 2, 16), LONGEST_WAIT) if failures > 1 else 0


class Throttle:
    """The count of wrong passphrases of one wallet."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._failures = 0
        self._last_ms = 0
        self._on_disk = True  # False where the folder cannot be written: then the count is this process's own

    def wait_seconds(self) -> int:
        """Whole seconds until the next try is allowed, 0 for now."""
        self._read()
        # A clock that was set back must not make anyone wait longer than the delay itself.
        waited = max(self._clock.now_ms() - self._last_ms, 0)
        return math.ceil(max(delay_after(self._failures) * 1000 - waited, 0) / 1000)

    def check(self) -> None:
        """Raise `Locked` (slow_down) while it is too early for another try."""
        if seconds := self.wait_seconds():
            raise Locked(
                "slow_down",
                f"After {self._failures} wrong passphrases the next try is possible in {seconds} s.",
                hint="The wallet is unchanged.",
            )

    def failed(self) -> None:
        """Count one more wrong passphrase."""
        self._read()
        self._failures += 1
        self._last_ms = self._clock.now_ms()
        record = {"failures": self._failures, "last_ms": self._last_ms}
        try:
            with folder_lock(self._path.parent):
                write_atomic(self._path, json.dumps(record).encode())
            self._on_disk = True
        except NexusError:
            self._on_disk = False

    def passed(self) -> None:
        """The passphrase was right: forget the failures."""
        self._failures = 0
        if self._path.exists():
            with contextlib.suppress(NexusError), folder_lock(self._path.parent):
                remove(self._path)

    def _read(self) -> None:
        if not self._on_disk:
            return
        try:
            record = read_json(self._path, _MAX_FILE, "the count of wrong passphrases")
        except Refused:  # none yet, or forgotten by another program
            self._failures = 0
            return
        except Damaged:
            return
        failures, last_ms = record.get("failures"), record.get("last_ms")
        if type(failures) is int and type(last_ms) is int and 0 <= failures < 1 << 31:
            self._failures, self._last_ms = failures, last_ms
