"""The drawing of the DAG: every block once, nothing on top of it, lines that lead to the parents, within the width."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from dag_blocks import REGIONS, Dag, block_id  # type: ignore[import-not-found]
from hypothesis import given
from hypothesis import strategies as st

from nexus_tui.cli.colour import coloured
from nexus_tui.drawing.lanes import CHAIN_LANE, lay_out
from nexus_tui.drawing.marks import ASCII, CHAIN, HEAVY, THIN, UNICODE, Marks
from nexus_tui.drawing.picture import Picture, Words, flowing, upright
from nexus_tui.drawing.wires import BLOCKS, wire
from nexus_tui.drawing.words import ambiguous
from node.api.records import DagBlockSummary

IDS = st.one_of(st.binary(min_size=32, max_size=32), st.binary(max_size=3))


def words(block: DagBlockSummary, room: int) -> Words:
    return ((f" {block.slot} ", "label"), (block.region * 20, "faint"))


def plain(block: DagBlockSummary) -> tuple[str, ...]:
    return (block.id.hex()[:4], "2 tx")


def drawn(blocks: Sequence[DagBlockSummary], width: int = 44, marks: Marks = UNICODE) -> tuple[Picture, Picture]:
    final = next((block.id for block in blocks if block.chain), None)
    return (
        upright(blocks, width, marks, words, final=final, final_words="final 7"),
        flowing(blocks, marks, plain, lambda block: "12:00:04", final=final, lane_height=4),
    )


@st.composite
def dags(draw: st.DrawFn) -> list[DagBlockSummary]:
    """Honest DAGs: parents in earlier slots, a selected chain from some tip down."""
    blocks: list[DagBlockSummary] = []
    slot = 1
    for number in range(draw(st.integers(0, 40))):
        slot += draw(st.sampled_from((0, 1, 1, 5))) if number else 0
        earlier = [block for block in blocks if block.slot < slot]
        parents = draw(st.lists(st.sampled_from(earlier), max_size=4, unique_by=lambda b: b.id)) if earlier else []
        blocks.append(summary(block_id(number), tuple(b.id for b in parents), slot, number, REGIONS[number % 6]))
    known = {block.id: block for block in blocks}
    chain = set()
    walk = draw(st.sampled_from(blocks)).id if blocks else None
    while walk is not None:
        chain.add(walk)
        walk = next(iter(known[walk].parents), None)
    return [replace(block, chain=block.id in chain) for block in blocks]


@st.composite
def hostile(draw: st.DrawFn) -> list[DagBlockSummary]:
    """What a broken or malicious node may say: any ids, cycles, loops, unknown parents, several chains, odd names."""
    ids = draw(st.lists(IDS, max_size=12))
    named = st.sampled_from(ids) if ids else IDS
    return [
        summary(
            each,
            tuple(draw(st.lists(st.one_of(named, IDS), max_size=5))),
            draw(st.integers(0, 4) | st.integers(2**62, 2**63)),
            draw(st.integers(0, 2**63)),
            draw(st.sampled_from((*REGIONS, "", "UV", "Green\x1b[2J", "[@click=app.exit]x[/]"))),
            colour=draw(st.sampled_from(("blue", "red", "pending", "\x1b[31m"))),
            chain=draw(st.booleans()),
        )
        for each in ids
    ]


def summary(
    each: bytes,
    parents: tuple[bytes, ...],
    slot: int,
    seat: int,
    region: str,
    colour: str = "blue",
    chain: bool = False,
) -> DagBlockSummary:
    return DagBlockSummary(
        each, parents, slot, seat, b"c" * 21, region, 1, None, colour, chain, False, 1, 1, False, slot
    )


def assert_each_block_once(picture: Picture, blocks: Sequence[DagBlockSummary], marks: Marks) -> None:
    assert set(picture.places) == {block.id for block in blocks}
    assert len(set(picture.places.values())) == len(picture.places), "two blocks in one cell"
    last = {block.id: block for block in blocks}
    for each, (x, y) in picture.places.items():
        assert 0 <= x < picture.width
        assert 0 <= y < picture.height
        (piece,) = [piece for piece in picture.row(y, x, x + 1)]
        assert piece.block == each
        assert piece.text == marks.node(last[each].region, last[each].colour)
        assert picture.block_at(x, y) == each


@pytest.mark.parametrize("marks", [UNICODE, ASCII], ids=["unicode", "ascii"])
@given(blocks=st.one_of(dags(), hostile()), width=st.integers(1, 60))
def test_every_block_is_drawn_once_and_nothing_beyond_the_width(
    blocks: list[DagBlockSummary], width: int, marks: Marks
) -> None:
    standing, flow = drawn(blocks, width, marks)
    assert_each_block_once(standing, blocks, marks)
    assert_each_block_once(flow, blocks, marks)
    assert standing.width == width
    for picture in (standing, flow):
        assert len(picture.text()) == picture.height
        for y in range(-1, picture.height + 1):
            pieces = picture.row(y)
            assert all(piece.x >= 0 and piece.x + len(piece.text) <= max(picture.width, 1) for piece in pieces)
            assert all(left.x + len(left.text) <= right.x for left, right in pairwise(pieces))
            assert marks is UNICODE or all(piece.text.isascii() for piece in pieces)


@given(blocks=st.one_of(dags(), hostile()))
def test_control_characters_of_others_are_drawn_nowhere_but_in_the_words(blocks: list[DagBlockSummary]) -> None:
    flow = flowing(blocks, UNICODE, lambda block: (block.id.hex()[:4],), lambda block: "now")
    assert not any(character < " " or character == "[" for line in flow.text() for character in line)


@given(blocks=dags(), together=st.booleans())
def test_lines_lead_from_every_block_to_each_of_its_parents(blocks: list[DagBlockSummary], together: bool) -> None:
    layout = lay_out(blocks, together=together)
    wires = wire(layout, lambda lane: lane, apart=together)
    tracks = range(layout.lanes)
    reached: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for step in range(len(wires.steps)):
        for track in tracks:
            older, newer, low, high = wires.arms(step, track)
            ends = reached.setdefault((step, track), set())
            assert bool(newer) == bool(step + 1 < len(wires.steps) and wires.arms(step + 1, track)[0])
            assert not older or step
            if older:
                ends.add((step - 1, track))
            for weight, way in ((low, -1), (high, 1)):
                other = track + way
                while weight and other in tracks and not wires.arms(step, other)[2 if way > 0 else 3]:
                    other += way  # the line is broken where it crosses another
                if weight:
                    assert other in tracks, "a line across that ends nowhere"
                    ends.add((step, other))
    for block in blocks:
        seen, stack = set(), [wires.at[block.id]]
        while stack:
            cell = stack.pop()
            if cell not in seen:
                seen.add(cell)
                stack += reached[cell]
        for parent in block.parents:
            assert wires.at[parent] in seen


@given(blocks=dags(), together=st.booleans())
def test_the_selected_chain_is_one_straight_heavy_line(blocks: list[DagBlockSummary], together: bool) -> None:
    layout = lay_out(blocks, together=together)
    wires = wire(layout, lambda lane: lane, apart=together)
    for node in layout.nodes.values():
        assert (node.lane == CHAIN_LANE) == node.block.chain
    steps = sorted(wires.at[node.block.id][0] for node in layout.nodes.values() if node.block.chain)
    for first, last in pairwise(steps):
        assert all(wires.arms(step, CHAIN_LANE)[1] == CHAIN for step in range(first, last))


@given(blocks=dags())
def test_only_the_selected_parent_has_a_heavy_line(blocks: list[DagBlockSummary]) -> None:
    for edge in lay_out(blocks, together=True).edges:
        child = next(block for block in blocks if block.id == edge.child)
        assert edge.selected == (child.parents[0] == edge.parent)
    one, two, three = (summary(block_id(n), (), n, 0, "Red") for n in range(3))
    three = replace(three, parents=(two.id, one.id))
    layout = lay_out([one, two, three], together=False)
    wires = wire(layout, lambda lane: lane, apart=False)
    assert {max(wires.arms(*wires.at[each.id])) for each in (one, two)} == {THIN, HEAVY}


@given(blocks=dags(), data=st.data())
def test_blocks_of_a_slot_stand_above_each_other_and_time_runs_one_way(
    blocks: list[DagBlockSummary], data: st.DataObject
) -> None:
    standing, flow = drawn(blocks)
    for one in blocks:
        for other in blocks:
            if one.slot < other.slot:
                assert standing.places[one.id][1] > standing.places[other.id][1]
                assert flow.places[one.id][0] < flow.places[other.id][0]
            elif one.slot == other.slot:
                assert flow.places[one.id][0] == flow.places[other.id][0]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(("late", "most"), [(0.0, 0), (0.3, 40)])
def test_a_block_keeps_its_lane_while_others_arrive(together: bool, late: float, most: int) -> None:
    """A late child may claim a lane that was given on since; a network without latency moves nothing at all."""
    dag = Dag(20, late=late)
    before = lay_out(dag.blocks(), together=together)
    moved = 0
    for _ in range(40):
        dag.grow()
        after = lay_out(dag.blocks()[-60:], together=together, keep=before.kept())
        moved += sum(
            node.lane != before.nodes[each].lane and node.block.chain == before.nodes[each].block.chain
            for each, node in after.nodes.items()
            if each in before.nodes
        )
        before = after
    assert moved <= most


def test_a_drawing_that_people_know() -> None:
    genesis, left, right = block_id(0), block_id(1), block_id(2)
    blocks = [
        summary(genesis, (), 1, 0, "Violet", chain=True),
        summary(left, (genesis,), 2, 0, "Blue", chain=True),
        summary(right, (genesis,), 2, 1, "Green", colour="red"),
        summary(block_id(3), (left, right), 3, 0, "Red", chain=True),
    ]
    standing = upright(blocks, 12, UNICODE, lambda block, room: ((f" {block.slot}", ""),), final=left)
    assert standing.text() == [
        "▲───╮  3",
        "┃ ┏━○  2",
        "┃┄┃ final ┄┄",
        "■ ┃    2",
        "▼━┛    1",
    ]
    flow = flowing(blocks, UNICODE, lambda block: (), lambda block: "", lane_height=2)
    assert flow.text() == ["", "▼━━━━━┳━■━━━━━┯━▲", "      ┃       │", "      ┗━○─────╯"]
    plain_text = upright(blocks, 12, ASCII, lambda block, room: (), final=left).text()
    assert plain_text == ["R---+", "| +=g", "|.| final ..", "B |", "V=+"]


def test_moving_follows_the_screen() -> None:
    dag = Dag(40)
    for picture in drawn(dag.blocks()):
        axis, tip = int(picture.upright), dag.tips[0]
        seen = [tip]
        older = (0, 1) if picture.upright else (-1, 0)
        while (following := picture.neighbour(seen[-1], *older)) is not None:
            seen.append(following)
        places = [picture.places[each][axis] for each in seen]
        assert places == sorted(places, reverse=not picture.upright), "one way only"
        ends = [place[axis] for place in picture.places.values()]
        assert places[-1] == (max(ends) if picture.upright else min(ends)), "to the very end"
        if picture.upright:
            assert len(seen) == len([y for y in ends if y >= places[0]]), "a row a step"
        else:
            along = [each for each in seen if each in dag.chain]
            assert len(along) >= len(seen) * 3 // 4, "the cursor keeps to its lane where it can"
        assert picture.neighbour(seen[-1], -older[0], -older[1]) in picture.places
        assert picture.neighbour(b"unknown", 0, 1) is None
    flow = drawn(dag.blocks())[1]
    pair = next(b for b in dag.blocks() if b.seat == 1)
    across = {flow.neighbour(pair.id, 0, way) for way in (-1, 1)} - {None}
    assert across
    assert all(abs(flow.places[each][0] - flow.places[pair.id][0]) < 6 for each in across if each)


def test_every_block_can_be_reached_step_by_step() -> None:
    for picture in drawn(Dag(60, late=0.4).blocks()):
        start = next(iter(picture.places))
        reached, stack = {start}, [start]
        while stack:
            one = stack.pop()
            for way in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                other = picture.neighbour(one, *way)
                if other is not None and other not in reached:
                    reached.add(other)
                    stack.append(other)
        assert reached == set(picture.places)


def test_a_leap_goes_about_as_far_as_asked_and_never_back() -> None:
    for picture in drawn(Dag(60).blocks()):
        axis = int(picture.upright)
        ordered = sorted(picture.places, key=lambda each: picture.places[each][axis])
        middle = ordered[30]
        for distance in (-12, 12):
            found = picture.leap(middle, distance)
            assert found is not None
            gone = picture.places[found][axis] - picture.places[middle][axis]
            assert abs(gone - distance) <= 12
            assert gone * distance > 0
        farthest = picture.leap(middle, 10**6)
        assert farthest is not None
        assert picture.places[farthest][axis] == picture.places[ordered[-1]][axis]
        assert picture.leap(ordered[0], -5) is None
        assert picture.leap(b"unknown", 5) is None


def test_every_line_has_the_character_of_its_name() -> None:
    for up in range(3):
        for right in range(3):
            for down in range(3):
                for left in range(3):
                    arms = {"UP": up, "RIGHT": right, "DOWN": down, "LEFT": left}
                    name = unicodedata.name(UNICODE.line(up, right, down, left)).removeprefix("BOX DRAWINGS ")
                    assert _arms(name.replace("ARC ", "")) == arms if any(arms.values()) else name == "SPACE"
    assert UNICODE.line(CHAIN, 0, CHAIN, 0) == UNICODE.line(HEAVY, 0, HEAVY, 0)


def _arms(name: str) -> dict[str, int]:
    """Arms out of a Unicode name such as "DOWN HEAVY AND LEFT UP LIGHT", "LIGHT DOWN AND LEFT" or "HEAVY LEFT"."""
    weights = {"LIGHT": THIN, "HEAVY": HEAVY}
    meaning = {"VERTICAL": ("UP", "DOWN"), "HORIZONTAL": ("LEFT", "RIGHT")}
    arms = dict.fromkeys(("UP", "RIGHT", "DOWN", "LEFT"), 0)
    parts = [part.split() for part in name.split(" AND ")]
    leading = parts[0][0] in weights
    shared = weights.get(parts[0][0] if leading else parts[-1][-1], 0)
    for part in parts:
        own = next((weights[word] for word in part if word in weights), shared)
        for word in part:
            for arm in meaning.get(word, (word,) if word in arms else ()):
                arms[arm] = own
    return arms


def test_marks_of_regions_and_colours_all_differ() -> None:
    for marks in (UNICODE, ASCII):
        signs = [marks.node(region, colour) for region in REGIONS for colour in ("blue", "red")]
        assert len(set(signs)) == 12
        assert all(unicodedata.east_asian_width(sign) in ("N", "A", "Na") for sign in signs)
        assert marks.node("UV", "blue") not in signs


def test_the_drawing_is_pure() -> None:
    code = (
        "import sys, nexus_tui.drawing.picture, nexus_tui.drawing.files\n"
        "print({'textual', 'rich', 'asyncio', 'sqlite3'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_blocks_and_steps_of_a_place_stay_together() -> None:
    layout = lay_out(Dag(60).blocks(), together=True)
    wires = wire(layout, lambda lane: lane, apart=True)
    places = [step.place for step in wires.steps]
    assert places == sorted(places)
    assert sum(step.kind == BLOCKS for step in wires.steps) == len(layout.groups)


def test_colours_of_the_terminal_change_no_character() -> None:
    for picture in drawn(Dag(40, late=0.4).blocks()):
        lines = coloured(picture)
        assert [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in lines] == picture.text()
        assert all(line.count("\x1b[") == 2 * line.count("\x1b[0m") for line in lines), "each colour ends"
        assert {"\x1b[31m", "\x1b[34m", "\x1b[1m", "\x1b[2m"} <= set(re.findall(r"\x1b\[\d+m", "".join(lines)))


def test_several_blocks_of_one_beginning_are_told_apart() -> None:
    found = sorted(block_id(number) for number in range(20))
    assert ambiguous("0", found[:2]) == f"2 blocks begin with 0: {found[0].hex()[:8]}, {found[1].hex()[:8]}."
    assert ambiguous("0" * 10, found[:16]).startswith(
        f"16 blocks or more begin with {'0' * 10}: {found[0].hex()[:14]}, "
    )
    assert ambiguous("0", found[:5]).endswith(f"{found[3].hex()[:8]} …")
