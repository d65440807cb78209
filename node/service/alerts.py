"""Alerts: what the owner should know, raised once, kept while it lasts, taken back when it is over.

Every alert is told to those who listen and written to the log when it is raised, when it says something else, and when
it is over; the same one put again and again is told once. Nothing is stored: who raises an alert looks at what is
stored and raises it again after a restart, as long as its reason lasts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from node.api.records import Alert

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_log = logging.getLogger("nexus.alerts")


class Alerts:
    """The alerts that stand now. `tell` hears of each that is raised, and of None and its code when one is over."""

    def __init__(self, clock: Callable[[], int], tell: Callable[[Alert | None, str], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._standing: dict[tuple[str, str], Alert] = {}

    def put(
        self, code: str, level: str, message: str, hint: str = "", *, about: str = "", since_ms: int | None = None
    ) -> None:
        """Raise an alert, or change what the standing one of this code and subject says.

        It began at `since_ms`, else when it was first put.
        """
        standing = self._standing.get((code, about))
        if standing is not None and (standing.level, standing.message) == (level, message):
            return
        if since_ms is None:
            since_ms = self._clock() if standing is None else standing.since_ms
        alert = Alert(code, level, message, hint, since_ms, about)
        self._standing[code, about] = alert
        _log.log(_LEVELS[level], "%s: %s", code, message)
        self._tell(alert, code)

    def clear(self, code: str, about: str = "") -> None:
        """What `code` warned of is over."""
        if self._standing.pop((code, about), None) is not None:
            _log.info("%s: over", code)
            self._tell(None, code)

    def stands(self, code: str, about: str = "") -> bool:
        """Whether an alert stands."""
        return (code, about) in self._standing

    def about(self, code: str) -> tuple[str, ...]:
        """The subjects of the standing alerts of a code."""
        return tuple(subject for known, subject in self._standing if known == code)

    def standing(self) -> tuple[Alert, ...]:
        """All alerts that stand, oldest first."""
        return tuple(self._standing.values())
