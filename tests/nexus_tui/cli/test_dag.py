"""`nexus dag`: the drawing, blocks by prefix, tips, finality, and files for other programs."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dag_blocks import FIRST_SLOT, Dag  # type: ignore[import-not-found]

from node.api.bounds import check_arguments
from node.api.records import DagBlockView, DagView, FinalityView, NetworkInfo
from node.profile.paths import profile_paths

Run = Callable[..., Any]
NETWORK = NetworkInfo("solo-home", "solo", "tnxt", bytes(32), 0, 200, 1800, 1500, 131072, 1000, 50000, 20, 2)


class Node:
    """The part of `NodeApi` that these commands ask."""

    def __init__(self) -> None:
        self.dag_now = Dag(60)
        self.most = 500

    async def network(self) -> NetworkInfo:
        return NETWORK

    async def dag(self, before_slot: int | None = None, limit: int = 60) -> DagView:
        check_arguments({"before_slot": before_slot, "limit": limit})
        return self.dag_now.view(before_slot, min(limit, self.most))

    async def dag_block(self, block_id: bytes) -> DagBlockView | None:
        check_arguments({"block_id": block_id})
        return self.dag_now.block(block_id)

    async def find_blocks(self, prefix: str) -> tuple[bytes, ...]:
        check_arguments({"prefix": prefix})
        return self.dag_now.find(prefix)

    async def finality(self) -> FinalityView:
        return self.dag_now.finality()


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    found = Node()
    paths = profile_paths("default")
    paths.root.mkdir(parents=True)
    paths.genesis.write_bytes(b"")

    @asynccontextmanager
    async def connect(*_arguments: object) -> AsyncIterator[Node]:
        yield found

    monkeypatch.setattr("nexus_tui.cli.connection.connect", connect)
    return found


def test_show_draws_the_newest_blocks(nexus: Run, node: Node) -> None:
    result = nexus("dag", "show", "--limit", "20")
    assert result.status == 0
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= 78
    newest = node.dag_now.blocks()[-20:]
    for block in newest:
        assert sum(block.id.hex()[:8] in line for line in lines) == 1
    assert lines[0].startswith("▲ ") or any(block.id.hex()[:8] in lines[0] for block in newest[-2:])
    assert sum("┄ final 1," in line for line in lines) == 1
    assert "━━ selected parent" in result.out
    few = nexus("dag", "show", "--limit", "5").out.splitlines()
    assert sum(" final 1," in line and "↓" in line for line in few) == 1, "it is further down than what is shown"
    assert "● Green" in result.out


def test_show_fits_the_terminal_and_has_its_colours(nexus: Run, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus_tui.cli.dag._is_terminal", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for columns in (30, 45, 80, 100):
        monkeypatch.setenv("COLUMNS", str(columns))
        out = nexus("dag", "show").out
        assert "\x1b[1m" in out
        lines = re.sub(r"\x1b\[[\d;]*m", "", out).splitlines()
        assert columns - 12 <= max(map(len, lines)) <= columns
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in nexus("dag", "show").out


def test_show_as_a_document(nexus: Run, node: Node) -> None:
    document = nexus("dag", "show", "-n", "5", "--json").document
    assert [block["id"] for block in document["blocks"]] == [b.id.hex() for b in node.dag_now.blocks()[-5:]]
    assert document["tip"] == document["tips"][0]
    assert document["final"]["status"] == "final"
    assert document["final"]["stake_total"] == {"units": "1200000000000", "nxt": "12000"}
    oldest = node.dag_now.blocks()[0].slot
    assert nexus("dag", "show", "--before-slot", 3).out == (
        f"This node keeps no block below slot 3: its oldest is of slot {oldest:,}.\n"
    )
    older = nexus("dag", "show", "--before-slot", FIRST_SLOT + 5, "--json").document["blocks"]
    assert older
    assert all(block["slot"] < FIRST_SLOT + 5 for block in older)


def test_an_empty_dag_says_when_there_will_be_a_block(nexus: Run, node: Node) -> None:
    node.dag_now.view = lambda *_: DagView(bytes(32), (), (), None, None, 0)
    for arguments in (("show",), ("tips",)):
        result = nexus("dag", *arguments)
        assert (result.status, result.out.startswith("There is no block yet.")) == (0, True)
    node.dag_now.finality = lambda: FinalityView(None, None, (), (), b"", b"", 0)
    assert nexus("dag", "finality").out.startswith("Nothing is final yet")
    assert nexus("dag", "finality", "--json").document["final"] is None
    assert nexus("dag", "block", "--json").error["code"] == "unknown_block"
    for form in ("dot", "json", "svg"):
        assert nexus("dag", "export", "--format", form).status == 0


def test_a_block_is_found_by_the_beginning_of_its_id(nexus: Run, node: Node) -> None:
    blocks = node.dag_now.blocks()
    off = next(block for block in blocks if block.colour == "red" and block.transactions)
    document = nexus("dag", "block", off.id.hex()[:10].upper(), "--json").document
    assert document["id"] == off.id.hex()
    assert document["colour"] == "red"
    assert document["merged_by"]
    assert len(document["txids"]) == off.transactions
    assert set(document["wave"]) == {"wavelength_pm", "amplitude", "phase", "polarisation", "time", "digest"}
    text = nexus("dag", "block", off.id.hex()).out
    assert "red, merged by the selected chain" in text
    assert " nm, amplitude 11" in text
    assert nexus("dag", "block", "--json").document["id"] == node.dag_now.tips[0].hex()
    on = next(block for block in reversed(blocks) if block.chain and block.transactions > 3)
    assert sum("failed, fee 0.00001 NXT" in line for line in nexus("dag", "block", on.id.hex()).out.splitlines()) == 1


@pytest.mark.parametrize(
    ("prefix", "status", "code"),
    [("", 2, "bad_prefix"), ("xyz", 2, "bad_prefix"), ("0" * 65, 2, "bad_prefix"), ("0" * 64, 1, "unknown_block")],
)
def test_what_is_no_block(nexus: Run, node: Node, prefix: str, status: int, code: str) -> None:
    result = nexus("dag", "block", prefix, "--json")
    assert (result.status, result.error["code"]) == (status, code)


def test_an_ambiguous_prefix_names_blocks(nexus: Run, node: Node) -> None:
    digit = next(d for d in "0123456789abcdef" if len(node.dag_now.find(d)) > 1)
    error = nexus("dag", "block", digit, "--json").error
    assert error["code"] == "ambiguous_id"
    assert node.dag_now.find(digit)[0].hex()[:8] in error["message"]


def test_tips_begin_with_the_selected_one(nexus: Run, node: Node) -> None:
    document = nexus("dag", "tips", "--json").document
    assert {tip["id"] for tip in document["tips"]} == {tip.hex() for tip in node.dag_now.tips}
    assert document["tips"][0]["chain"]
    assert "selected chain" in nexus("dag", "tips").out.splitlines()[0]


def test_finality_says_who_voted(nexus: Run, node: Node) -> None:
    document = nexus("dag", "finality", "--json").document
    assert [each["status"] for each in document["checkpoints"]] == ["waiting", "justified", "final"]
    assert len(document["validators"]) == 12
    text = nexus("dag", "finality").out
    assert "checkpoint 57" in text
    assert "90 % of stake" in text
    assert "stake and regions" in text
    assert "Red" in text
    assert "excluded" in text
    assert f"{document['lag_slots']} slots" in text


def test_votes_that_are_no_longer_kept_are_not_counted_as_none(nexus: Run, node: Node) -> None:
    finality = node.dag_now.finality()
    old = replace(finality.checkpoints[-1], voters=0, stake_voted=0)
    node.dag_now.finality = lambda: replace(finality, checkpoints=(*finality.checkpoints[:-1], old))
    text = nexus("dag", "finality").out
    assert "votes not kept" in text
    assert "0 voters" not in text


def test_finality_says_which_later_checkpoint_made_one_final(nexus: Run, node: Node) -> None:
    finality = node.dag_now.finality()
    final = finality.checkpoints[-1]
    below = replace(final, number=final.number - 1, final_by=final.number, stake_voted=final.stake_total // 4)
    node.dag_now.finality = lambda: replace(finality, checkpoints=(*finality.checkpoints, below))
    rows = nexus("dag", "finality").out.splitlines()
    said = [row for row in rows if f"final, by checkpoint {final.number}" in row]
    assert len(said) == 1
    assert "25 % of stake" in said[0]
    document = nexus("dag", "finality", "--json").document
    assert [each["final_by"] for each in document["checkpoints"]] == [None, None, final.number, final.number]


def test_finality_says_who_no_longer_counts(nexus: Run, node: Node) -> None:
    finality = node.dag_now.finality()
    validators = tuple(replace(each, absent=place == 2) for place, each in enumerate(finality.validators))
    node.dag_now.finality = lambda: replace(finality, validators=validators)
    rows = nexus("dag", "finality").out.splitlines()
    assert [row for row in rows if "does not count" in row] == [row for row in rows if "voted for 56" in row][:1]
    document = nexus("dag", "finality", "--json").document
    assert [each["absent"] for each in document["validators"]] == [place == 2 for place in range(12)]


@pytest.mark.parametrize(
    ("rule", "absent", "said"),
    [
        ("few_regions", 0, "regions are asked once four of them hold four validators"),
        ("pause", 0, "none of the three checkpoints before was justified"),
        ("regions", 2, "After a long silence 2 validators do not count"),
    ],
)
def test_finality_says_who_was_asked(nexus: Run, node: Node, rule: str, absent: int, said: str) -> None:
    finality = node.dag_now.finality()
    checkpoints = tuple(replace(each, rule=rule, absent=absent) for each in finality.checkpoints)
    node.dag_now.finality = lambda: replace(finality, checkpoints=checkpoints)
    newest = nexus("dag", "finality", "--json").document["checkpoints"][0]
    assert (newest["rule"], newest["stake_alone"], newest["absent"]) == (rule, rule != "regions", absent)
    text = nexus("dag", "finality").out
    assert said in " ".join(text.split())
    assert ("stake alone" in text, "stake and regions" in text) == (rule != "regions", rule == "regions")


def test_finality_fits_a_terminal_of_80_columns(nexus: Run, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    finality = node.dag_now.finality()
    final = finality.checkpoints[-1]
    below = replace(final, number=final.number - 1, final_by=final.number)
    silent = replace(finality.validators[0], absent=True)
    shown = replace(finality, checkpoints=(*finality.checkpoints, below), validators=(silent, *finality.validators[1:]))
    node.dag_now.finality = lambda: shown
    whole = nexus("dag", "finality").out
    monkeypatch.setattr("nexus_tui.cli.dag._is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    narrow = nexus("dag", "finality").out
    assert max(map(len, narrow.splitlines())) <= 80 < max(map(len, whole.splitlines()))
    assert len(narrow.splitlines()) == len(whole.splitlines())
    assert f"final by {final.number}" in narrow
    assert f"final, by checkpoint {final.number}" in whole


def test_export_goes_to_standard_output_or_to_a_new_file(nexus: Run, node: Node, tmp_path: Path) -> None:
    blocks = node.dag_now.blocks()
    assert nexus("dag", "export", "--format", "dot").out.count(" -> ") == sum(len(block.parents) for block in blocks)
    svg = ET.fromstring(nexus("dag", "export", "-f", "svg").out)
    assert len(svg.findall(".//{http://www.w3.org/2000/svg}g/{http://www.w3.org/2000/svg}title")) == len(blocks)
    document = json.loads(nexus("dag", "export", "--format", "json").out)
    assert document == nexus("dag", "export", "--format", "json", "--json").document
    assert [block["id"] for block in document["blocks"]] == [block.id.hex() for block in blocks]
    assert nexus("dag", "export", "--format", "dot", "--json").document["content"].startswith("digraph")
    file = tmp_path / "dag.svg"
    wrote = nexus("dag", "export", "--format", "svg", "--output", file, "--json").document
    assert wrote == {"path": str(file), "format": "svg", "blocks": len(blocks)}
    assert ET.fromstring(file.read_text()).tag.endswith("svg")
    again = nexus("dag", "export", "--format", "svg", "--output", file, "--json")
    assert (again.status, again.error["code"]) == (1, "file_exists")
    nowhere = nexus("dag", "export", "--format", "svg", "--output", tmp_path / "no" / "dag.svg", "--json")
    assert nowhere.error["code"] == "missing_folder"
    assert nexus("dag", "export", "--format", "png", "--json").error["code"] == "usage"
    assert nexus("dag", "export", "--json").error["code"] == "usage"


@pytest.mark.parametrize("most", [1, 2, 3, 7, 500])
def test_export_reads_page_by_page_and_loses_no_block(nexus: Run, node: Node, most: int) -> None:
    """A page may end inside a slot, and a hostile node may answer with tiny pages; it always ends."""
    node.most = most
    document = nexus("dag", "export", "--format", "json", "--json").document
    found = [block["id"] for block in document["blocks"]]
    assert len(set(found)) == len(found)
    if most >= 2:  # a page of one block cannot show the second of a slot
        assert found == [block.id.hex() for block in node.dag_now.blocks()]
    limited = nexus("dag", "export", "--format", "json", "--limit", "10", "--json").document
    assert len(limited["blocks"]) == 10


def test_foreign_text_cannot_drive_the_terminal(nexus: Run, node: Node) -> None:
    evil = "\x1b]52;c;aGk=\x07\u202e[@click=app.exit]x[/]"
    blocks = tuple(replace(block, region=evil, colour=evil) for block in node.dag_now.blocks())
    node.dag_now.blocks = lambda: blocks
    finality = node.dag_now.finality()
    node.dag_now.finality = lambda: replace(
        finality, validators=tuple(replace(each, name=evil, region=evil) for each in finality.validators)
    )
    for arguments in (
        ("show",),
        ("block",),
        ("tips",),
        ("finality",),
        ("export", "-f", "dot"),
        ("export", "-f", "svg"),
    ):
        result = nexus("dag", *arguments)
        assert result.status == 0
        assert not any(ord(character) < 32 and character != "\n" for character in result.out), arguments
        assert "\u202e" not in result.out
