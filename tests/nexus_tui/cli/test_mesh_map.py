"""`nexus mesh map` and `peers`: what the node knows as a drawing, a table, and a document."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from node.api.records import MeshView
from node.encoding.node_id import node_text
from tests.node.api.api_fakes import KNOWN, MESH

Run = Callable[..., Any]


@pytest.fixture
def linked(monkeypatch: pytest.MonkeyPatch, solo: Path) -> None:
    async def mesh() -> MeshView:
        return MESH

    @asynccontextmanager
    async def connect(*_arguments: object) -> AsyncIterator[Any]:
        yield SimpleNamespace(mesh=mesh)

    monkeypatch.setattr("nexus_tui.cli.connection.connect", connect)


@pytest.mark.usefixtures("linked")
def test_the_map_is_drawn_in_the_room_there_is(nexus: Run) -> None:
    for ascii_only, mark in ((False, "◉"), (True, "@")):
        drawn = nexus("mesh", "map", "--width", "50", "--height", "14", *(("--ascii",) if ascii_only else ())).out
        assert mark in drawn
        assert node_text(KNOWN.node)[4:8] in drawn
        assert all(len(line) <= 50 for line in drawn.splitlines()[:14])
        assert "called us" in drawn
        assert "only told of" in drawn
        assert drawn.isascii() == ascii_only


@pytest.mark.usefixtures("linked")
def test_a_script_gets_who_told_of_whom(nexus: Run) -> None:
    document = nexus("mesh", "map", "--json").document
    (known,) = document["nodes"]
    assert known["node"] == node_text(KNOWN.node)
    assert known["told_by"] == document["peers"][0]["node"]
    assert (known["group"], known["reached_ms"], known["linked"]) == ("local", None, False)
    assert document["sync"] == {"score": 5, "target": 9, "left_ms": None}


@pytest.mark.usefixtures("linked")
def test_peers_are_a_table_with_names_of_its_columns_and_bans_stand_above(nexus: Run) -> None:
    lines = nexus("mesh", "peers").out.splitlines()
    columns = next(line for line in lines if line.startswith("node "))
    assert columns.split() == ["node", "address", "way", "delay", "traffic", "linked", "for"]
    assert lines[lines.index(columns) + 1].startswith(node_text(MESH.peers[0].node)[:16])
    (banned,) = (line for line in lines if line.startswith("Banned"))
    assert banned.startswith(f"Banned     {node_text(MESH.bans[0].node)}, for ")
