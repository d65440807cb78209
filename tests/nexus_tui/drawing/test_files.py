"""The DAG for other programs: DOT and SVG that hold every block and every line, whatever a node says."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

from dag_blocks import Dag  # type: ignore[import-not-found]
from hypothesis import given
from hypothesis import strategies as st

from nexus_tui.drawing.files import dot, svg

SVG = "{http://www.w3.org/2000/svg}"
QUOTED = re.compile(r'"[^"\\\n]*"')


def test_dot_names_every_block_and_every_line() -> None:
    blocks = Dag(40).blocks()
    text = dot(blocks, blocks[7].id)
    assert text.startswith("digraph dag {\n")
    assert text.endswith("}\n")
    for block in blocks:
        assert text.count(f'  "{block.id.hex()}" [') == 1
    assert text.count(" -> ") == sum(len(block.parents) for block in blocks)
    assert text.count("peripheries=2") == 1
    assert text.count("style=solid") == sum(block.colour == "red" for block in blocks) > 0


def test_svg_holds_every_block_and_every_line() -> None:
    blocks = Dag(40).blocks()
    root = ET.fromstring(svg(blocks, blocks[7].id, "solo & more"))
    circles = root.findall(f".//{SVG}circle")
    assert len(circles) == 40
    assert len({(circle.get("cx"), circle.get("cy")) for circle in circles}) == 40
    width, height = int(root.attrib["width"]), int(root.attrib["height"])
    assert all(0 < int(c.attrib["cx"]) < width and 0 < int(c.attrib["cy"]) < height for c in circles)
    lines = [path for path in root.findall(f"{SVG}path") if not path.get("stroke-dasharray")]
    assert len(lines) == sum(len(block.parents) for block in blocks)
    assert {title.text for title in root.findall(f"{SVG}title")} == {"solo & more"}
    assert [text.text for text in root.findall(f"{SVG}text")] == ["final"]


def test_nothing_to_draw_is_a_file_too() -> None:
    assert ET.fromstring(svg((), None, "")).tag == f"{SVG}svg"
    assert dot((), None).count("->") == 0


@given(region=st.text(max_size=30), colour=st.text(max_size=9), title=st.text(max_size=40))
def test_names_of_others_break_neither(region: str, colour: str, title: str) -> None:
    blocks = tuple(replace(block, region=region, colour=colour) for block in Dag(3).blocks())
    root = ET.fromstring(svg(blocks, None, title))
    assert len(root.findall(f".//{SVG}circle")) == len(blocks)
    assert not root.findall(f".//{SVG}script")
    for line in dot(blocks, None).splitlines():
        rest = QUOTED.sub("", line)
        assert '"' not in rest
        assert "\\" not in line
