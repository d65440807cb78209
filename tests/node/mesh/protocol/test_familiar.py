"""Nodes that the owner named are found again in the networks where they were seen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.encoding.canonical import decode, encode
from node.encoding.hosts import Address
from node.mesh.protocol.familiar import MAX_NODES, MAX_PLACES, Familiar

FRIEND, STRANGER = b"f" * 32, b"s" * 32


def friends(*hosts: str) -> Familiar:
    made = Familiar()
    made.know(FRIEND)
    for host in hosts:
        made.seen(Address(host, 7_400, FRIEND))
    return made


def test_a_friend_is_near_where_it_was_seen() -> None:
    made = friends("192.168.1.7", "10.0.0.9", "fe80::1:7", "fd00:1::7")
    assert made.near(["192.168.1.20"]) == [Address("192.168.1.7", 7_400, FRIEND)]
    assert made.near(["fd00:1::20", "10.0.0.1"]) == [
        Address("fd00:1::7", 7_400, FRIEND),
        Address("10.0.0.9", 7_400, FRIEND),
    ]
    assert made.near(["192.168.2.20"]) == made.near([]) == []
    assert made.near(["192.168.1.7"]) == [], "that is this device itself"


@pytest.mark.parametrize("host", ["8.8.8.8", "example.org", "friend.local", "2a00:1450::7"])
def test_only_places_of_local_networks_are_remembered(host: str) -> None:
    assert friends(host).rows() == ((FRIEND, ()),)


def test_strangers_and_circuits_are_passed_over() -> None:
    made = friends()
    made.seen(Address("192.168.1.8", 7_400, STRANGER))
    made.seen(Address("192.168.1.8", 7_400, FRIEND, b"r" * 32))
    assert made.rows() == ((FRIEND, ()),)


def test_the_oldest_places_and_nodes_go() -> None:
    made = friends(*(f"192.168.{number}.7" for number in range(MAX_PLACES + 2)))
    assert not made.near(["192.168.1.1"])
    assert made.near(["192.168.2.1"])
    for number in range(MAX_NODES):
        made.know(number.to_bytes(32))
    assert FRIEND not in made
    assert len(made.rows()) == MAX_NODES


def test_they_are_taken_up_again() -> None:
    made = friends("192.168.1.7", "10.0.0.9")
    made.know(STRANGER)
    again = Familiar()
    again.restore(decode(encode(made.rows())))  # type: ignore[arg-type]
    assert again.rows() == made.rows()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 1 << 20) | st.binary(max_size=40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=12,
)


@given(st.lists(VALUES | st.tuples(st.just(FRIEND), VALUES), max_size=6))
def test_rows_that_are_none_are_passed_over(rows: list[Any]) -> None:
    made = Familiar()
    made.restore(rows)
    assert len(made.rows()) <= len(rows)
