"""`nexus status --watch`: a line for every change, every alert once; at a terminal a few lines that stay in place."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nexus_tui.cli import watching
from node.api.records import Alert, Event, MeshView, Status
from tests.node.api.api_fakes import MESH, STATUS

Run = Callable[..., Any]
STOOD = Alert("finality_still", "warning", "Nothing has become final since block 7. \x1b[2JMore.", "Wait.", 5)
SEEN = Alert("offence", "warning", "A validator broke the rules.", "", 6, "tnxt1x")


class Node:
    """Tells of some moments, one after the other, then goes."""

    def __init__(self, moments: list[Status]) -> None:
        self.moments = moments
        self.asked = asyncio.Event()

    async def status(self) -> Status:
        self.asked.set()
        return self.moments.pop(0)

    async def finality(self) -> Any:
        return SimpleNamespace(lag_slots=3)

    async def mesh(self) -> MeshView:
        return MESH

    @asynccontextmanager
    async def subscribe(self, topics: tuple[str, ...]) -> AsyncIterator[AsyncIterator[Event]]:
        assert {"alert", "mesh"} <= set(topics)

        async def events() -> AsyncIterator[Event]:
            while self.moments:
                await self.asked.wait()
                self.asked.clear()
                yield Event("alert")

        yield events()


@pytest.fixture
def watched(nexus: Run, solo: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Watch a node that has these moments."""
    monkeypatch.setattr(watching, "EVERY_S", 0.0)
    monkeypatch.setattr(watching, "_GATHER_S", 0.01)

    def call(moments: list[Status], *options: str) -> Any:
        @asynccontextmanager
        async def connect(*_arguments: object) -> AsyncIterator[Node]:
            yield Node(list(moments))

        monkeypatch.setattr("nexus_tui.cli.connection.connect", connect)
        return nexus("status", "--watch", *options)

    return call


def test_every_alert_is_told_once(watched: Run) -> None:
    other = replace(STOOD, message="Nothing has become final since block 9. More.")
    result = watched([replace(STATUS, alerts=alerts) for alerts in ((), (STOOD,), (STOOD,), (other, SEEN), (SEEN,))])
    assert result.status == 0
    lines = [line.split("  ", 1)[1] for line in result.out.splitlines()[:-1]]
    plain = [line for line in lines if line.startswith("block ")]
    assert [line.rpartition("  ")[2] for line in plain[1:]] == ["1 alert", "2 alerts", "1 alert"]
    for part in ("final 6", "lag 6 s", "peers 1", "in 70 bytes", "out 80 bytes", "fetches: 5 of 9 blocks (55 %)"):
        assert part in plain[0]
    assert [line for line in lines if not line.startswith("block ")] == [
        "WARNING: Nothing has become final since block 7. \ufffd[2JMore. Wait.",
        "WARNING: Nothing has become final since block 9. More. Wait.",
        "WARNING: A validator broke the rules.",
        "over: Nothing has become final since block 9.",
    ]
    assert result.out.splitlines()[-1] == "The node has stopped."
    assert "\x1b" not in result.out


def test_a_script_gets_an_object_a_line_and_the_end(watched: Run) -> None:
    result = watched([replace(STATUS, height=height) for height in (9, 10)], "--json")
    assert result.status == 0
    documents = [json.loads(line) for line in result.out.splitlines()]
    assert documents[-1] == {"profile": "default", "running": False}
    assert [document["height"] for document in documents[:2]] == [9, 10]
    mesh = documents[0]["mesh"]
    assert (mesh["inbound"], mesh["outbound"], mesh["bytes_in"], mesh["banned"]) == (1, 0, 70, 1)
    assert mesh["sync"] == {"score": 5, "target": 9, "left_ms": None}
    assert documents[0]["final_lag_slots"] == 3


def test_at_a_terminal_only_what_changed_is_sent_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((60, 24)))
    panel = watching.Panel("home")
    look = watching.Look(replace(STATUS, alerts=(STOOD,)), 3, MESH)
    panel.show(look)
    first = capsys.readouterr().out
    assert "\x1b[2J" not in first, "what others wrote moves no cursor"
    assert "final     6, 3 behind, 6 s" in first
    assert "in < 10 kB, out < 10 kB" in first
    panel.show(replace(look, status=replace(look.status, now_ms=60_000)))
    assert capsys.readouterr().out == "", "the time alone is no news"
    higher = replace(look.status, height=10, now_ms=60_000)
    panel.show(replace(look, status=higher))
    second = capsys.readouterr().out
    assert "block     10" in second
    assert "network" not in second
    assert len(second) < len(first) / 2
    panel.show(replace(look, status=replace(higher, alerts=())))
    assert "\x1b[J" in capsys.readouterr().out, "lines that are left over go"
