"""The map of the mesh: what is on it is what the node told, whatever it told, and in every size."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_tui.drawing.braille import Lines
from nexus_tui.drawing.mesh_map import BANNED, CALLED, CALLER, KNOWN, SELF, TOLD, MeshMap, arrange, draw, legend, sign
from node.api.records import BanView, KnownView, MeshView, PeerView

OWN = b"\x77" * 32
EMPTY = MeshView(OWN, 7_400, ("192.0.2.1",), 0, False, (), (), (), None, 0, 0, "")


def node(number: int) -> bytes:
    return number.to_bytes(2) * 16


def peer(number: int, delay_ms: int | None = 10, inbound: bool = False) -> PeerView:
    return PeerView(
        node(number),
        "192.0.2.1",
        1,
        inbound,
        "nexus",
        9,
        9,
        delay_ms,
        1,
        1,
        False,
        0,
        1,
        0,
        "Green" if number % 2 else "",
    )


def known(number: int, told_by: bytes = b"", reached: bool = False, group: str = "4:c000") -> KnownView:
    return KnownView(node(number), "192.0.2.2", 1, group, told_by, 5 if reached else None, 0)


def mesh(peers: tuple[PeerView, ...], others: tuple[KnownView, ...], banned: tuple[int, ...] = ()) -> MeshView:
    bans = tuple(BanView(node(number), 9) for number in banned)
    return replace(EMPTY, peers=peers, others=others, known=len(others), bans=bans)


def test_every_kind_of_node_has_its_sign() -> None:
    view = mesh(
        (peer(1), peer(2, inbound=True)),
        (known(1), known(2), known(3, node(1), reached=True), known(4, node(2)), known(5)),
        banned=(5,),
    )
    kinds = {spot.node: spot.kind for spot in arrange(view, 20).values()}
    assert kinds == {OWN: SELF, node(1): CALLED, node(2): CALLER, node(3): KNOWN, node(4): TOLD, node(5): BANNED}
    for ascii_only in (False, True):
        made = draw(view, 60, 20, ascii_only)
        rows = made.picture.text()
        for name, (x, y) in made.picture.places.items():
            assert rows[y][x] == sign(kinds[name], ascii_only)
        assert [words for _, words in legend(view, ascii_only)] == [
            "called",
            "called us",
            "known",
            "only told of",
            "banned",
        ]
    assert all(row.isascii() for row in draw(view, 60, 20, True).picture.text())


def test_a_longer_delay_is_farther_out_and_others_are_beyond() -> None:
    view = mesh((peer(1, 2), peer(2, 40), peer(3, 900), peer(4, None)), (known(9, node(1)),))
    spots = arrange(view, 20)
    radii = [spots[node(number)].radius for number in (1, 2, 3)]
    assert radii == sorted(radii)
    assert len(set(radii)) == 3
    assert radii[0] < spots[node(4)].radius < radii[2] < spots[node(9)].radius


def test_who_was_told_of_stands_beside_the_teller() -> None:
    peers = tuple(peer(number) for number in range(1, 7))
    view = mesh(peers, (known(20, node(3)), known(21, node(20)), known(22)))
    spots = arrange(view, 30)

    def apart(one: int, other: int) -> float:
        distance = abs(spots[node(one)].angle - spots[node(other)].angle) % 1
        return min(distance, 1 - distance)

    for number in (20, 21):
        nearest = min((apart(other, number), other) for other in range(1, 7))
        assert nearest[1] == 3, "over one step or two"


def test_lines_are_the_links_and_who_told_of_whom() -> None:
    peers = (peer(1), peer(2), peer(3))
    alone = draw(mesh(peers, (known(1), known(2))), 44, 16, False)
    told = draw(mesh(peers, (known(1), known(2, node(1)))), 44, 16, False)

    def styles(made: MeshMap) -> set[str]:
        return {piece.style for y in range(16) for piece in made.picture.row(y)}

    assert "link" in styles(alone)
    assert "hearsay" not in styles(alone), "nothing is drawn that nobody told"
    assert {"link", "hearsay"} <= styles(told)


def test_a_link_by_a_relay_leads_over_it() -> None:
    straight = (peer(1), peer(2), peer(3))
    relayed = (*straight[:2], replace(peer(3), relay=node(1)))
    rows = [draw(mesh(peers, ()), 66, 24, False).picture.text() for peers in (straight, relayed)]
    assert rows[0] != rows[1]


def test_what_does_not_fit_is_counted() -> None:
    others = tuple(known(number) for number in range(60))
    view = replace(mesh((), others), known=500)
    made = draw(view, 44, 14, False)
    shown = len(made.picture.places) - 1
    assert 8 <= shown < 60
    assert made.left_out == 500 - shown


def test_the_cursor_reaches_every_node() -> None:
    view = mesh(
        tuple(peer(number, 5 * number) for number in range(1, 9)), tuple(known(n, node(n % 8)) for n in range(20, 30))
    )
    made = draw(view, 66, 30, False)
    reached, waiting = {OWN}, [OWN]
    while waiting:
        here = waiting.pop()
        for right, down in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            there = made.nearest(here, right, down)
            if there is not None and there not in reached:
                reached.add(there)
                waiting.append(there)
    assert reached == made.picture.places.keys()
    assert made.nearest(b"gone", 1, 0) in made.picture.places
    for name, (x, y) in made.picture.places.items():
        assert made.at(x, y) == name


@given(
    st.lists(st.integers(1, 40), max_size=12, unique=True),
    st.lists(
        st.tuples(st.integers(1, 60), st.integers(0, 60), st.booleans()), max_size=40, unique_by=lambda one: one[0]
    ),
    st.integers(1, 150),
    st.integers(1, 50),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_whatever_a_node_says_fits_into_its_room(
    peers: list[int], others: list[tuple[int, int, bool]], width: int, height: int, ascii_only: bool
) -> None:
    view = mesh(
        tuple(peer(number, number * 7, bool(number % 2)) for number in peers),
        tuple(known(number, node(by) if by else b"", was) for number, by, was in others),
        banned=(3, 4),
    )
    made = draw(view, width, height, ascii_only)
    assert all(len(row) <= width for row in made.picture.text())
    assert len(made.picture.text()) == height
    assert len(set(made.picture.places.values())) == len(made.picture.places)
    assert draw(view, width, height, ascii_only).picture.text() == made.picture.text(), "the same view, the same map"


@pytest.mark.parametrize(("end", "signs"), [((9, 0), "-"), ((0, 9), "|"), ((9, 4), "\\")])
def test_lines_without_braille_are_slopes(end: tuple[int, int], signs: str) -> None:
    lines = Lines(ascii=True)
    lines.line((0, 0), end, "link")
    assert {character for _, character, _ in lines.cells()} <= set(signs)
    assert (end in {cell for cell, _, _ in lines.cells()}) is True


def test_a_line_of_braille_has_no_gaps() -> None:
    lines = Lines(ascii=False)
    lines.line((0, 2), (20, 2), "link")
    found = {cell: character for cell, character, _ in lines.cells()}
    assert {found[x, 2] for x in range(1, 20)} == {"⠤"}
