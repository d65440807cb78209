"""`nexus status --watch`: a line for every change, and every alert once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.api.records import Alert, Event, Status
from tests.node.api.api_fakes import STATUS

Run = Callable[..., Any]
STOOD = Alert("finality_still", "warning", "Nothing has become final since block 7. \x1b[2JMore.", "Wait.", 5)
SEEN = Alert("offence", "warning", "A validator broke the rules.", "", 6, "tnxt1x")


class Node:
    """Tells of four moments, then goes."""

    def __init__(self) -> None:
        other = replace(STOOD, message="Nothing has become final since block 9. More.")
        self.moments: list[Status] = [
            replace(STATUS, alerts=alerts) for alerts in ((), (STOOD,), (STOOD,), (other, SEEN), (SEEN,))
        ]

    async def status(self) -> Status:
        return self.moments.pop(0)

    @asynccontextmanager
    async def subscribe(self, topics: tuple[str, ...]) -> AsyncIterator[AsyncIterator[Event]]:
        assert "alert" in topics

        async def events() -> AsyncIterator[Event]:
            while self.moments:
                yield Event("alert")
                await asyncio.sleep(0)

        yield events()


def test_every_alert_is_told_once(nexus: Run, solo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def connect(*_arguments: object) -> AsyncIterator[Node]:
        yield Node()

    monkeypatch.setattr("nexus_tui.cli.connection.connect", connect)
    result = nexus("status", "--watch")
    assert result.status == 0
    lines = [line.split("  ", 1)[1] for line in result.out.splitlines()]
    plain = [line for line in lines if line.startswith("block ")]
    assert len(plain) == 5
    assert [line.rpartition("  ")[2] for line in plain[1:]] == ["1 alert", "1 alert", "2 alerts", "1 alert"]
    assert [line for line in lines if not line.startswith("block ")] == [
        "WARNING: Nothing has become final since block 7. \ufffd[2JMore. Wait.",
        "WARNING: Nothing has become final since block 9. More. Wait.",
        "WARNING: A validator broke the rules.",
        "over: Nothing has become final since block 9.",
    ]
    assert "\x1b" not in result.out
