"""Counting who is in: by address, by network, by minute; and forgetting who left."""

from __future__ import annotations

import pytest

from node.mesh.admission import WINDOW_S, Admission, AdmissionLimits

LIMITS = AdmissionLimits(total=12, attempts=10, local_attempts=40, local_per_address=5, local_per_network=6)


def entered(admission: Admission, *hosts: str, now: float = 1.0) -> list[str | None]:
    return [admission.enter(host, now) for host in hosts]


def test_an_address_has_three_links() -> None:
    admission = Admission(LIMITS)
    assert entered(admission, *["8.8.8.8"] * 4) == [None, None, None, "address_full"]
    admission.leave("8.8.8.8")
    assert entered(admission, "8.8.8.8") == [None]


def test_a_network_has_eight() -> None:
    admission = Admission(LIMITS)
    hosts = [f"8.8.8.{number}" for number in range(9)]
    assert entered(admission, *hosts) == [None] * 8 + ["network_full"]
    assert entered(admission, "8.8.9.1") == [None]


def test_of_ipv6_a_network_is_64_bits() -> None:
    admission = Admission(LIMITS)
    hosts = [f"2a00::{number:x}:1" for number in range(9)]
    assert entered(admission, *hosts) == [None] * 8 + ["network_full"]
    assert entered(admission, "2a00:0:0:1::1") == [None]


def test_ipv4_in_ipv6s_clothes_is_the_same_address() -> None:
    admission = Admission(LIMITS)
    assert entered(admission, "8.8.8.8", "::ffff:8.8.8.8", "8.8.8.8", "::ffff:8.8.8.8")[3] == "address_full"
    admission.leave("::ffff:8.8.8.8")
    assert admission.inside == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "192.168.1.7", "10.0.0.1", "fe80::1%eth0", "::1", "fd00::1"])
def test_what_is_near_has_limits_of_its_own(host: str) -> None:
    admission = Admission(LIMITS)
    assert entered(admission, *[host] * 6) == [None] * 5 + ["address_full"]


def test_all_together_are_bounded() -> None:
    admission = Admission(LIMITS)
    assert entered(admission, *(f"9.9.{number}.9" for number in range(13))) == [None] * 12 + ["full"]


def test_attempts_are_counted_by_the_minute_even_if_nobody_stays() -> None:
    admission = Admission(LIMITS)
    for _ in range(10):
        assert admission.enter("8.8.8.8", 100.0) is None
        admission.leave("8.8.8.8")
    assert admission.enter("8.8.8.8", 100.0 + WINDOW_S - 1) == "too_often"
    assert admission.enter("8.8.4.4", 100.0 + WINDOW_S - 1) is None
    assert admission.enter("8.8.8.8", 100.0 + WINDOW_S) is None


def test_an_address_of_ipv6_does_not_escape_by_changing() -> None:
    admission = Admission(LIMITS)
    for number in range(10):
        assert admission.enter(f"2a00::{number:x}", 1.0) is None
        admission.leave(f"2a00::{number:x}")
    assert admission.enter("2a00::ffff", 1.0) == "too_often"


def test_counting_a_million_addresses_takes_no_more_memory() -> None:
    admission = Admission(AdmissionLimits())
    for number in range(20_000):
        host = f"{number % 200 + 11}.{number >> 8}.{number & 255}.1"
        if admission.enter(host, 1.0) is None:
            admission.leave(host)
    assert admission.inside == 0
    assert len(admission._attempts) <= 4_096
    assert not admission._addresses
    assert not admission._networks
