"""Signs of life: a node that was killed says so at its next start, and how long it was away.

Android ends programs in the background without a word (research/mesh-and-messengers.md, 4.3), other systems do so when
memory runs out. Nothing accepted is lost by it; but a node that is away hears nothing, and its owner should know why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from node.profile.modes import is_android
from node.service.alerts import Alerts
from node.service.production import exactly
from node.storage.lock import FolderLock

BEAT_S = 30.0
SHOWN_S = 12 * 3_600.0
"""The notice stands for so long: who was asleep then reads it in the morning."""
_ANDROID = (
    "On Android: run termux-wake-lock, let Termux use the battery without restrictions (Settings, Apps), and on "
    "Android 12 and newer switch off the limit of child processes (developer options)."
)
_ELSEWHERE = "Memory ran out, the power was cut, or somebody ended it: the system's log may tell."


class Pulse:
    """Beats while the node runs. What the folder's lock knows of the process before is told when it is made."""

    def __init__(self, lock: FolderLock, alerts: Alerts, clock: Callable[[], int]) -> None:
        self._lock = lock
        self._alerts = alerts
        self._clock = clock
        now = clock()
        lock.beat(now)
        if lock.killed_ms is not None:
            away = _away(now - lock.killed_ms)
            alerts.put(
                "was_killed",
                "info",
                f"The node was killed at {exactly(lock.killed_ms)} UTC{away}: it did not stop by itself. What it had "
                "accepted is kept.",
                _ANDROID if is_android() else _ELSEWHERE,
            )

    async def run(self) -> None:
        """Beat until cancelled."""
        beats = 0
        while True:
            await asyncio.sleep(BEAT_S)
            self._lock.beat(self._clock())
            beats += 1
            if beats * BEAT_S >= SHOWN_S:
                self._alerts.clear("was_killed")


def _away(passed_ms: int) -> str:
    """For how long, give or take a beat. A clock that was set says nothing."""
    minutes = passed_ms // 60_000
    if minutes < 0:
        return ""
    if minutes < 1:
        return " and was away for less than a minute"
    hours, days = minutes // 60, minutes // 1_440
    if days:
        return f" and was away for {days} day{'s' * (days > 1)} and {hours % 24} h"
    return f" and was away for {hours} h {minutes % 60} min" if hours else f" and was away for {minutes} min"
