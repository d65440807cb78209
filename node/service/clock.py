"""The clock of a running node; tests and simulations give their own."""

from __future__ import annotations

import time


def system_clock() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000
