"""The book of addresses: who gets into it, who is tried next, what is told on."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.encoding.canonical import decode, encode
from node.encoding.hosts import Address, is_host, is_public, prefix_of
from node.mesh.protocol.addresses import (
    FIRST_WAIT_MS,
    LONGEST_WAIT_MS,
    MAX_ADDRESSES,
    MAX_FAILURES,
    MAX_FROM_SOURCE,
    MAX_IN_PREFIX,
    AddressBook,
)

OWN = b"o" * 32
NOW = 1_800_000_000_000
DAY = 86_400_000


def node(number: int) -> bytes:
    return number.to_bytes(32)


def address(number: int, host: str | None = None) -> Address:
    """Each in a prefix of its own."""
    return Address(host or f"{number % 200 + 20}.{number // 200 % 256}.1.1", 7_400, node(number))


def book(count: int = 0, **reached: int) -> AddressBook:
    made = AddressBook(OWN, Random(1))
    for number in range(count):
        assert made.add(address(number), b"", NOW)
        if reached:
            made.reached(node(number), NOW - number)
    return made


@pytest.mark.parametrize(
    ("host", "prefix", "public"),
    [
        ("8.8.1.2", "4:808", True),
        ("8.8.200.2", "4:808", True),
        ("192.168.1.7", "local", False),
        ("127.0.0.1", "local", False),
        ("169.254.1.1", "local", False),
        ("100.64.0.1", "local", False),
        ("2a00:1450:4001::1", "6:2a001450", True),
        ("fe80::1", "local", False),
        ("::ffff:8.8.1.2", "4:808", True),
        ("::ffff:10.0.0.1", "local", False),
        ("node.example.org", "example.org", True),
        ("phone.local", "phone.local", False),
        ("localhost", "localhost", False),
    ],
)
def test_prefixes(host: str, prefix: str, public: bool) -> None:
    assert is_host(host)
    assert prefix_of(host) == prefix
    assert is_public(host) is public


@pytest.mark.parametrize(
    "host", ["", "a b", "x" * 254, "ümlaut.org", "-a.org", "a..b", "1.2.3.4.5", "1.2.3", "a/b", "\x1b"]
)
def test_what_is_no_host_is_not_kept(host: str) -> None:
    assert not is_host(host)
    assert not book().add(Address(host, 1, node(1)), node(2), NOW)


def test_oneself_and_port_0_are_not_kept() -> None:
    made = book()
    assert not made.add(Address("8.8.8.8", 1, OWN), node(2), NOW)
    assert not made.add(Address("8.8.8.8", 0, node(1)), node(2), NOW)
    assert not len(made)


def test_one_teller_fills_only_his_share() -> None:
    made = book()
    kept = sum(made.add(address(number), node(9_999), NOW) for number in range(2_000))
    assert kept == MAX_FROM_SOURCE
    assert made.add(address(5_000), node(9_998), NOW)


def test_one_prefix_fills_only_its_share() -> None:
    made = book()
    kept = sum(
        made.add(Address(f"8.8.{number % 250}.{number // 250}", 1, node(number)), node(number + 10_000), NOW)
        for number in range(500)
    )
    assert kept == MAX_IN_PREFIX
    assert made.add(Address("8.9.1.1", 1, node(20_000)), node(20_001), NOW)


def test_a_full_book_lets_the_useless_go() -> None:
    made = book(MAX_ADDRESSES)
    for number in range(10):
        made.reached(node(number), NOW)
    made.failed(node(77), NOW)
    assert made.add(address(MAX_ADDRESSES), b"", NOW)
    assert node(77) not in made
    assert len(made) == MAX_ADDRESSES
    assert all(node(number) in made for number in range(10))


def test_hearsay_does_not_move_who_was_reached() -> None:
    made = book(1)
    made.reached(node(0), NOW)
    elsewhere = address(0, "9.9.9.9")
    assert not made.add(elsewhere, node(5), NOW)
    assert made.candidate(NOW, (), ()) == address(0)
    assert made.add(elsewhere, node(0), NOW), "it says so itself"
    assert made.candidate(NOW, (), ()) == elsewhere


def test_failures_make_the_wait_longer_and_the_hopeless_are_forgotten() -> None:
    made = AddressBook(OWN, Random(1))
    made.add(address(1), node(2), NOW)
    now, waits = NOW, []
    for _ in range(MAX_FAILURES - 1):
        made.failed(node(1), now)
        assert made.candidate(now, (), ()) is None
        due = made.next_ms()
        assert due is not None
        waits.append(due - now)
        now = due
        assert made.candidate(now, (), ()) == address(1)
    assert waits[:3] == [FIRST_WAIT_MS, 2 * FIRST_WAIT_MS, 4 * FIRST_WAIT_MS]
    assert max(waits) == LONGEST_WAIT_MS
    made.failed(node(1), now)
    assert not len(made)


def test_who_ends_links_at_once_is_called_later_each_time() -> None:
    one = book(1)
    waits = []
    for _ in range(12):
        one.reached(node(0), NOW)
        one.sent_away(node(0), NOW)
        due = one.next_ms()
        assert due is not None
        assert one.candidate(due - 1, (), ()) is None
        waits.append(due - NOW)
    assert waits[:3] == [FIRST_WAIT_MS, 2 * FIRST_WAIT_MS, 4 * FIRST_WAIT_MS]
    assert waits[-1] == LONGEST_WAIT_MS
    one.lasted(node(0))
    one.sent_away(node(0), NOW)
    assert one.next_ms() == NOW + FIRST_WAIT_MS


def test_who_was_named_by_the_owner_is_never_forgotten() -> None:
    made = book(1)
    for turn in range(3 * MAX_FAILURES):
        made.failed(node(0), NOW + turn * LONGEST_WAIT_MS)
    assert len(made) == 1
    made.reached(node(0), NOW)
    assert made.candidate(NOW, (), ()) == address(0)


def test_prefixes_in_use_are_passed_over_but_the_local_network() -> None:
    made = AddressBook(OWN, Random(1))
    for number, host in enumerate(("8.8.1.1", "8.8.2.2", "192.168.1.5")):
        made.add(address(number, host), b"", NOW)
    found = {made.candidate(NOW, (), ("4:808", "local")) for _ in range(20)}
    assert found == {address(2, "192.168.1.5")}
    assert made.candidate(NOW, (node(2),), ("4:808",)) is None


def test_a_crowded_prefix_is_not_tried_more_often() -> None:
    made = AddressBook(OWN, Random(5))
    for number in range(60):
        made.add(address(number, f"8.8.{number}.1"), b"", NOW)
    made.add(address(99, "9.9.9.9"), b"", NOW)
    tries = [made.candidate(NOW, (), ()) for _ in range(400)]
    assert 120 < sum(found == address(99, "9.9.9.9") for found in tries) < 280


def test_only_what_works_is_told_on_and_only_a_part() -> None:
    made = book(100, reached=1)
    made.add(address(200), node(2), NOW)
    shared = made.share(1_000, NOW, local=False)
    assert len(shared) == 25
    assert address(200) not in shared
    assert made.share(3, NOW, local=False).__len__() == 3
    assert len(book(5, reached=1).share(100, NOW, local=False)) == 5
    assert made.share(1_000, NOW + 31 * DAY, local=False) == ()


def test_local_addresses_are_told_to_neighbours_alone() -> None:
    made = AddressBook(OWN, Random(1))
    made.add(address(1, "192.168.1.5"), b"", NOW)
    made.reached(node(1), NOW)
    assert made.share(10, NOW, local=False) == ()
    assert made.share(10, NOW, local=True) == (address(1, "192.168.1.5"),)


def test_whoever_was_reached_is_due_at_once_when_the_network_is_back() -> None:
    made = book(2, reached=1)
    made.add(address(9), node(7), NOW)
    for _ in range(5):
        for number in (0, 1, 9):
            made.failed(node(number), NOW + DAY)
    assert made.candidate(NOW + DAY, (), ()) is None
    made.awaken()
    found = {made.candidate(NOW + DAY, (), ()) for _ in range(40)}
    assert found == {address(0), address(1)}


@pytest.mark.parametrize("by", [-30 * DAY, 400 * DAY])
def test_a_clock_that_is_set_makes_nobody_older_or_due(by: int) -> None:
    made, twin = book(5, reached=1), book(5, reached=1)
    for each in (made, twin):
        each.failed(node(3), NOW)
        each.add(address(9), node(7), NOW)
    made.shift(by)
    assert made.newest_ms == twin.newest_ms + by
    after = FIRST_WAIT_MS
    for wait in (0, after - 1, after):
        draw = {made.candidate(NOW + by + wait, (), ()) for _ in range(200)}
        assert draw == {twin.candidate(NOW + wait, (), ()) for _ in range(200)}
    assert len(made.share(10, NOW + by, local=True)) == len(twin.share(10, NOW, local=True)) == 5


def test_a_book_is_taken_up_again() -> None:
    made = book(5, reached=1)
    made.add(address(50), node(7), NOW)
    made.failed(node(50), NOW)
    again = AddressBook(OWN, Random(1))
    again.restore(decode(encode(made.rows())))  # type: ignore[arg-type]
    assert again.rows() == made.rows()


@given(st.lists(st.one_of(st.tuples(st.text(), st.integers(0, 70_000), st.binary()), st.integers(0, 9)), max_size=9))
def test_rows_that_are_none_are_passed_over(rows: list[Any]) -> None:
    made = AddressBook(OWN, Random(1))
    made.restore(rows)
    assert not len(made)


class Book(RuleBasedStateMachine):
    """Whatever is told, the book keeps its bounds and gives what it may."""

    def __init__(self) -> None:
        super().__init__()
        self.book = AddressBook(OWN, Random(3))
        self.now = NOW

    @rule(number=st.integers(0, 30), source=st.integers(31, 35), host=st.sampled_from(["8.8.1.1", "10.0.0.1", "a.org"]))
    def tell(self, number: int, source: int, host: str) -> None:
        self.book.add(address(number, host), node(source), self.now)

    @rule(number=st.integers(0, 30))
    def reach(self, number: int) -> None:
        self.book.reached(node(number), self.now)

    @rule(number=st.integers(0, 30))
    def fail(self, number: int) -> None:
        self.book.failed(node(number), self.now)

    @rule(ms=st.integers(0, DAY))
    def wait(self, ms: int) -> None:
        self.now += ms

    @invariant()
    def candidates_are_due(self) -> None:
        found = self.book.candidate(self.now, (node(0),), ("a.org",))
        if found is not None:
            assert found.node != node(0)
            assert prefix_of(found.host) != "a.org"
            due = self.book.next_ms()
            assert due is not None
            assert due <= self.now

    @invariant()
    def the_counts_are_straight(self) -> None:
        told = [row for row in self.book.rows() if isinstance(row, tuple) and not row[5] and row[3]]
        assert sum(self.book._told.values()) == sum(self.book._near.values()) == len(told)

    @invariant()
    def shares_are_public(self) -> None:
        assert all(is_public(found.host) for found in self.book.share(9, self.now, local=False))


TestBook = Book.TestCase
