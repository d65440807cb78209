"""The clock of who remembers times over hours: it tells when it was set, so that nothing seems older or newer for it.

A phone without a battery for its clock starts in 1970, users set clocks by hand, and a node that measured bans and the
ages of addresses by such a clock would forget or keep all of them at once. What passes is measured by a second clock
that nobody sets and that counts sleep, where the system has one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SLACK_MS = 10_000
"""So much two clocks may differ between two looks: time servers correct by less."""


def boot_ms() -> int:
    """Milliseconds since some moment, sleep of the device included where the system counts it."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return (time.monotonic_ns() if clock is None else time.clock_gettime_ns(clock)) // 1_000_000


class SteadyClock:
    """Gives Unix time in ms. `jumped` is told by how much the clock was set ahead (negative: back) before any time is
    given that shows it."""

    def __init__(self, wall: Callable[[], int], elapsed: Callable[[], int], jumped: Callable[[int], None]) -> None:
        self._wall = wall
        self._elapsed = elapsed
        self._jumped = jumped
        self._now, self._at = wall(), elapsed()

    def __call__(self) -> int:
        """Now."""
        now, at = self._wall(), self._elapsed()
        by = (now - self._now) - (at - self._at)
        self._now, self._at = now, at
        if abs(by) > SLACK_MS:
            self._jumped(by)
        return now
