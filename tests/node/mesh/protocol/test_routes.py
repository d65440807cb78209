"""Routes through relays: bounded, forgotten, and chosen by what relays did."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from node.encoding.canonical import decode, pack
from node.encoding.hosts import Address
from node.mesh.protocol.routes import (
    FIRST_WAIT_MS,
    HALF_MS,
    MAX_FROM_SOURCE,
    MAX_OF_NODE,
    MAX_RELAYS,
    MAX_ROUTES,
    ROUTE_MS,
    Routes,
)

OWN = bytes(32)


def name(number: int) -> bytes:
    return number.to_bytes(32)


def route(node: int, relay: int, host: str = "8.8.8.8") -> Address:
    return Address(host, 7_400, name(node), name(relay))


def routes() -> Routes:
    return Routes(OWN, Random(1))


def test_no_route_leads_to_oneself_or_from_a_node_through_itself_or_nowhere() -> None:
    book = routes()
    assert not book.add(Address("8.8.8.8", 1, OWN, name(2)), b"", 0)
    assert not book.add(route(3, 3), b"", 0)
    assert not book.add(Address("8.8.8.8", 1, name(3)), b"", 0)
    assert not book.add(route(3, 4, host="?"), b"", 0)
    assert len(book) == 0


def test_one_through_oneself_is_told_on_but_not_taken() -> None:
    book = routes()
    through_me = Address("8.8.8.8", 1, name(3), OWN)
    assert book.add(through_me, name(3), 0)
    assert book.share(5, 0, local=False) == (through_me,)
    assert book.candidate(0, (), ()) is None


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(401, 500), st.integers(1, 12)), max_size=600))
def test_nobody_fills_the_book(told: list[tuple[int, int, int]]) -> None:
    book = routes()
    for moment, (node, relay, source) in enumerate(told):
        book.add(route(node, relay), name(1_000 + source), moment)
    nodes = Counter(node for node, _ in book._routes)
    assert max(nodes.values(), default=0) <= MAX_OF_NODE
    sources = Counter(found.source for found in book._routes.values())
    assert sources == book._told
    assert max(sources.values(), default=0) <= MAX_FROM_SOURCE


def test_the_book_is_bounded_and_forgets_the_oldest() -> None:
    book = routes()
    for number in range(MAX_ROUTES + 10):
        assert book.add(route(10_000 + number, 5), b"", number)
    assert len(book) == MAX_ROUTES
    assert (name(10_000), name(5)) not in book._routes
    for number in range(MAX_RELAYS + 10):
        book.failed(name(1), name(number), number)
    assert len(book._records) == MAX_RELAYS


def test_what_a_node_says_of_itself_replaces_what_it_said() -> None:
    book = routes()
    book.add(route(1, 2), name(9), 0)
    assert book.replace(name(1), [route(1, 3), route(1, 4)], 0) == [route(1, 3), route(1, 4)]
    assert {relay for _, relay in book._routes} == {name(3), name(4)}
    assert book.replace(name(1), [route(1, 4)], 0) == []
    assert len(book) == 1
    assert book.replace(name(1), [], 0) == []
    assert len(book) == 0


def test_a_route_is_forgotten_if_nobody_speaks_of_it() -> None:
    book = routes()
    book.add(route(1, 2), name(1), 0)
    book.add(route(1, 2), name(1), 1_000)
    assert book.candidate(ROUTE_MS + 1_000, (), ()) == route(1, 2)
    assert book.share(5, ROUTE_MS + 1_000, local=False) == ()
    assert book.candidate(ROUTE_MS + 1_001, (), ()) is None
    assert len(book) == 0


def test_relays_of_a_local_network_are_told_only_there() -> None:
    book = routes()
    book.add(route(1, 2, host="192.168.0.7"), name(1), 0)
    assert book.share(5, 0, local=False) == ()
    assert book.share(5, 0, local=True) == (route(1, 2, host="192.168.0.7"),)


def test_the_relay_that_did_best_is_taken_then_one_at_hand_then_the_quickest() -> None:
    book = routes()
    for relay in (2, 3, 4):
        book.add(route(1, relay), name(1), 0)

    def chosen(linked: tuple[int, ...] = ()) -> int:
        found = book.candidate(0, (), tuple(map(name, linked)))
        assert found is not None
        return int.from_bytes(found.relay)

    assert chosen(linked=(3,)) == 3
    book.came_up(name(1), name(4), 90, 0)
    assert chosen(linked=(3,)) == 4
    book.came_up(name(1), name(2), 40, 0)
    assert chosen() == 2
    book.broke(name(1), name(2), 0)
    book.failed(name(9), name(2), 0)
    assert chosen() == 4
    assert book.success(name(2), 0) < book.success(name(3), 0) < book.success(name(4), 0)


def test_what_was_seen_of_a_relay_fades_and_none_is_written_off() -> None:
    book = routes()
    for _ in range(20):
        book.failed(name(1), name(2), 0)
    assert book.success(name(2), 0) == 0
    assert book.success(name(2), 3 * HALF_MS) in (1, 2)
    assert book.success(name(2), 40 * HALF_MS) == 5


def test_a_route_that_failed_waits_ever_longer() -> None:
    book = routes()
    book.add(route(1, 2), name(1), 0)
    book.failed(name(1), name(2), 0)
    assert book.candidate(FIRST_WAIT_MS - 1, (), ()) is None
    assert book.candidate(FIRST_WAIT_MS, (), ()) is not None
    book.failed(name(1), name(2), 0, whole=False)
    assert book.candidate(FIRST_WAIT_MS, (), ()) is None
    assert book.candidate(2 * FIRST_WAIT_MS, (name(1),), ()) is None


_row = st.one_of(
    st.tuples(st.text(), st.integers(0, 1 << 17), st.binary(), st.binary(), st.integers(0, 1 << 60)),
    st.tuples(st.binary(), *[st.integers(0, 1 << 60)] * 4),
    st.integers(0, 9),
)


@given(st.lists(st.lists(_row, max_size=9).map(tuple), max_size=3))
def test_any_stored_rows_are_taken_or_passed_over(rows: Any) -> None:
    book = routes()
    book.restore(rows)
    assert all(len(node) == len(relay) == 32 for node, relay in book._routes)


def test_a_book_is_taken_up_again() -> None:
    book = routes()
    book.add(route(1, 2), name(1), 5)
    book.came_up(name(1), name(2), 40, 7)
    again = routes()
    again.restore(decode(pack(book.rows()), 1 << 20))  # type: ignore[arg-type]
    assert again.rows() == book.rows()
    assert again.success(name(2), 7) == book.success(name(2), 7)
