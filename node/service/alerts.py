"""Alerts: what the owner should know, raised once, kept while it lasts."""

from __future__ import annotations

from collections.abc import Callable

from node.api.records import Alert


class Alerts:
    """The alerts that stand now. `tell` hears of each when it is raised."""

    def __init__(self, clock: Callable[[], int], tell: Callable[[Alert], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._standing: dict[str, Alert] = {}

    def put(self, code: str, level: str, message: str, hint: str = "") -> None:
        """Raise an alert; one of the same code and text that stands already is left alone."""
        standing = self._standing.get(code)
        if standing is not None and standing.message == message:
            return
        alert = Alert(code, level, message, hint, self._clock())
        self._standing[code] = alert
        self._tell(alert)

    def clear(self, code: str) -> None:
        """What `code` warned of is over."""
        self._standing.pop(code, None)

    def standing(self) -> tuple[Alert, ...]:
        """All alerts that stand, oldest first."""
        return tuple(self._standing.values())
