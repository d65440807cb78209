"""The wallet's clocks, passed in so that tests can turn them."""

from __future__ import annotations

import time
from typing import Protocol

# Time that a sleeping phone spends counts towards the auto-lock; CLOCK_MONOTONIC would stand still.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Wall time for what is kept on disk, elapsed time for deadlines in the process."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        ...

    def elapsed(self) -> float:
        """Seconds that never run backwards, sleep included."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """See `Clock.now_ms`."""
        return time.time_ns() // 1_000_000

    def elapsed(self) -> float:
        """See `Clock.elapsed`."""
        return time.clock_gettime(_ELAPSED)
