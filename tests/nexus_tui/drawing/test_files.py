"""The DAG for other programs: DOT and SVG that hold every block and every line, whatever a node says."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

from dag_blocks import Dag  # type: ignore[import-not-found]
from hypothesis import given
from hypothesis import strategies as st

from nexus_tui.drawing.files import dot, svg

SVG = "{http://www.w3.org/2000/svg}"
BLOCKS = f".//{SVG}g[{SVG}title]/{SVG}circle"
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
    circles = root.findall(BLOCKS)
    assert len(circles) == 40
    assert len({(circle.get("cx"), circle.get("cy")) for circle in circles}) == 40
    width, height = int(root.attrib["width"]), int(root.attrib["height"])
    assert all(0 < int(c.attrib["cx"]) < width and 0 < int(c.attrib["cy"]) < height for c in circles)
    lines = [path for path in root.findall(f"{SVG}path") if not path.get("stroke-dasharray")]
    assert len(lines) == sum(len(block.parents) for block in blocks)
    assert {title.text for title in root.findall(f"{SVG}title")} == {"solo & more"}
    assert [text.text for text in root.findall(f"{SVG}text")] == ["final"]


def test_lines_of_the_svg_pass_through_no_other_block() -> None:
    """They run along lanes that the layout keeps free, and turn only between two columns."""
    root = ET.fromstring(svg(Dag(80, late=0.4).blocks(), None, ""))
    places = {(int(c.attrib["cx"]), int(c.attrib["cy"])) for c in root.findall(BLOCKS)}
    for path in root.findall(f"{SVG}path"):
        numbers = [int(number) for number in re.findall(r"-?\d+", path.attrib["d"])]
        ends = {(numbers[0], numbers[1])}
        x, y = numbers[:2]
        for command, values in re.findall(r"([HC])([^HC]*)", path.attrib["d"]):
            found = [int(number) for number in values.split()]
            to = (found[0], y) if command == "H" else (found[4], found[5])
            if command == "H":
                assert not {(cx, cy) for cx, cy in places if cy == y and x < cx < to[0]} - ends
            x, y = to
        assert (x, y) in places, "a line ends in a block"


def test_dot_tells_the_selected_chain_from_other_selected_parents() -> None:
    dag = Dag(40)
    lines = [line for line in dot(dag.blocks(), None).splitlines() if "weight=20" in line]
    assert len(lines) == len(dag.chain) - 1
    for child, parent in pairwise(reversed(dag.chain)):
        assert sum(f'"{child.hex()}" -> "{parent.hex()}"' in line for line in lines) == 1


def test_nothing_to_draw_is_a_file_too() -> None:
    assert ET.fromstring(svg((), None, "")).tag == f"{SVG}svg"
    assert dot((), None).count("->") == 0


@given(region=st.text(max_size=30), colour=st.text(max_size=9), title=st.text(max_size=40))
def test_names_of_others_break_neither(region: str, colour: str, title: str) -> None:
    blocks = tuple(replace(block, region=region, colour=colour) for block in Dag(3).blocks())
    root = ET.fromstring(svg(blocks, None, title))
    assert len(root.findall(BLOCKS)) == len(blocks)
    assert not root.findall(f".//{SVG}script")
    for line in dot(blocks, None).splitlines():
        rest = QUOTED.sub("", line)
        assert '"' not in rest
        assert "\\" not in line
