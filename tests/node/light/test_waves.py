"""Waves and their superposition: two fast ways and a plain one that must agree to the bit."""

from __future__ import annotations

import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from hashlib import blake2b, shake_128
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.light import waves as module
from node.light.spectrum import REGIONS, VISIBLE, region_at
from node.light.waves import (
    BUCKETS,
    NUMPY_FROM,
    PHASES,
    SILENCE,
    WAVE_SIZE,
    Entry,
    StateWaves,
    bucket_of,
    superpose,
    wave,
)

LOUD = b"\xff" * WAVE_SIZE


def lanes(item: bytes) -> list[int]:
    return list(struct.unpack(f"<{PHASES}H", item))


def plain(base: bytes, added: Sequence[bytes], removed: Sequence[bytes]) -> bytes:
    """The definition: each phase by itself, modulo a turn."""
    columns = zip(lanes(base), zip(*map(lanes, added), strict=True) if added else [()] * PHASES, strict=True)
    sums = [start + sum(plus) for start, plus in columns]
    for item in removed:
        sums = [total - minus for total, minus in zip(sums, lanes(item), strict=True)]
    return struct.pack(f"<{PHASES}H", *(total % (1 << 16) for total in sums))


def many(count: int) -> list[Entry]:
    return [(number * 7 % BUCKETS, number.to_bytes(4)) for number in range(count)]


drawn_waves = st.binary(max_size=8).map(wave) | st.sampled_from([SILENCE, LOUD, b"\x00\xff" * PHASES])
entries = st.lists(st.tuples(st.integers(0, 3) | st.integers(0, 255), st.binary(max_size=4)), max_size=30)


@given(drawn_waves, st.lists(drawn_waves, max_size=5), st.lists(drawn_waves, max_size=5))
@settings(max_examples=40)
def test_superposition_is_lane_by_lane(base: bytes, added: list[bytes], removed: list[bytes]) -> None:
    assert superpose(base, added, removed) == plain(base, added, removed)


def test_no_number_of_waves_spills_over_into_another_phase() -> None:
    many_waves = (1 << 16) + 5
    assert superpose(LOUD, [LOUD] * many_waves) == struct.pack(f"<{PHASES}H", *[-6 % 65_536] * PHASES)
    assert superpose(SILENCE, [], [LOUD] * many_waves) == struct.pack(f"<{PHASES}H", *[5] * PHASES)


@given(entries, entries, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_both_ways_agree_in_any_order(added: list[Entry], removed: list[Entry], random: Random) -> None:
    by_integers, by_numpy = StateWaves([LOUD] * BUCKETS, numpy=False), StateWaves([LOUD] * BUCKETS)
    by_numpy.update(many(NUMPY_FROM), [])
    by_integers.update(many(NUMPY_FROM), [])
    assert by_numpy._rows is not None
    assert by_integers._rows is None
    touched = by_integers.update(added, removed)
    random.shuffle(added)
    random.shuffle(removed)
    assert by_numpy.update(added, removed) == touched == {bucket for bucket, _ in added + removed}
    assert by_numpy.commitment == by_integers.commitment
    assert [by_numpy[bucket] for bucket in touched] == [by_integers[bucket] for bucket in touched]


@given(entries, entries)
@settings(max_examples=30)
def test_what_came_and_went_leaves_no_trace(first: list[Entry], second: list[Entry]) -> None:
    state = StateWaves(numpy=False)
    state.update(first, [])
    before = state.commitment
    state.update(second, [])
    state.update([], second)
    assert state.commitment == before
    state.update(second, first)
    other = StateWaves(numpy=False)
    other.update(second, [])
    assert state.commitment == other.commitment
    state.update([], second)
    assert all(state[bucket] == SILENCE for bucket in range(BUCKETS))


def test_multiplicity_counts() -> None:
    once, twice = StateWaves(), StateWaves()
    once.update([(5, b"x")], [])
    twice.update([(5, b"x"), (5, b"x")], [])
    assert once.commitment != twice.commitment


@pytest.mark.parametrize("count", [NUMPY_FROM - 1, NUMPY_FROM, 4_096, 9_000])
def test_size_decides_the_way_and_never_the_result(count: int) -> None:
    one, other = StateWaves(numpy=True), StateWaves(numpy=False)
    for state in (one, other):
        state.update(many(count), [])
        state.update([], many(count)[:700])
    assert one.commitment == other.commitment
    assert [one[bucket] for bucket in range(BUCKETS)] == [other[bucket] for bucket in range(BUCKETS)]


def test_one_bucket_takes_more_entries_than_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever grinds addresses into one bucket must not stop the nodes that have no NumPy."""
    monkeypatch.setattr(module, "_BATCH", 40)
    crowd = [(9, number.to_bytes(4)) for number in range(500)]
    one, other = StateWaves(numpy=True), StateWaves(numpy=False)
    for state in (one, other):
        state.update(crowd, crowd[:50])
    assert one.commitment == other.commitment


def test_the_commitment_follows_every_change() -> None:
    state = StateWaves(numpy=False)
    silent = state.commitment
    state.update([(5, b"x")], [])
    one = state.commitment
    state.update([], [])
    assert state.commitment == one != silent
    state.update([(5, b"y")], [])
    assert state.commitment not in (one, silent)
    state.update([], [(5, b"x"), (5, b"y")])
    assert state.commitment == silent


@pytest.mark.parametrize("numpy", [True, False])
def test_a_large_update_takes_the_memory_of_one_batch(numpy: bool) -> None:
    state, crowd = StateWaves(numpy=numpy), many(24_000)
    state.update(crowd[:NUMPY_FROM], [])
    tracemalloc.start()
    state.update(crowd, [])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20, "all at once they are 48 MiB"


def test_a_missing_numpy_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with_numpy = StateWaves()
    with_numpy.update(many(1_000), [])
    monkeypatch.setitem(sys.modules, "numpy", None)
    without = StateWaves()
    without.update(many(1_000), [])
    assert without._rows is None
    assert without.commitment == with_numpy.commitment


def test_numpy_is_not_imported_before_it_pays() -> None:
    code = (
        "import sys; from node.light.waves import StateWaves, NUMPY_FROM\n"
        "one, other = StateWaves(), StateWaves(numpy=False)\n"
        "one.update([(1, b'x')] * (NUMPY_FROM - 1), []); other.update([(1, b'x')] * 1000, [])\n"
        "assert 'numpy' not in sys.modules\n"
        "one.update([(1, b'x')] * NUMPY_FROM, []); assert 'numpy' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_golden_values() -> None:
    """Every node must draw these: a change here is another network."""
    assert wave(b"nexus") == shake_128(b"nexus/wave:nexus").digest(2048)
    assert wave(b"nexus")[:16].hex() == "3b2c94449c9cb44d5d4503927b1fedfc"
    assert bucket_of("accounts", bytes(21)) == blake2b(b"accounts" + bytes(21), digest_size=32).digest()[0] == 198
    state = StateWaves()
    assert state.commitment.hex() == "0497df939d1698a448492c3313c852e9ca1bc8aa80b6c29a0031a8206d9bcb63"
    state.update([(198, b"one"), (3, b"two")], [])
    assert state.commitment.hex() == "0c0bfa568e9ec6a1952e5231bbce024c26462507742116974161898a323c7168"
    hashes = [blake2b(state[bucket], digest_size=32, person=b"nexus/bucket").digest() for bucket in range(BUCKETS)]
    assert state.commitment == blake2b(b"".join(hashes), digest_size=32, person=b"nexus/state").digest()


def test_the_state_wave_is_the_sum_of_all_buckets() -> None:
    state = StateWaves()
    state.update(many(300), [])
    assert state.state_wave == superpose(SILENCE, [wave(element) for _, element in many(300)])


def test_stored_waves_are_taken_up_again() -> None:
    state = StateWaves()
    state.update(many(50), [])
    again = StateWaves([state[bucket] for bucket in range(BUCKETS)])
    assert again.commitment == state.commitment
    again.update([(1, b"new")], [])
    assert again.commitment != state.commitment


@pytest.mark.parametrize("waves", [[SILENCE] * 255, [SILENCE] * 257, [SILENCE] * 255 + [SILENCE[:-1]], []])
def test_waves_of_a_wrong_shape_are_refused(waves: list[bytes]) -> None:
    with pytest.raises(ValueError, match="256 bucket waves"):
        StateWaves(waves)


def test_regions_tile_the_spectrum() -> None:
    edges = [(region.low_pm, region.high_pm) for region in sorted(REGIONS, key=lambda region: region.low_pm)]
    assert edges[0][0] == 100_000
    assert edges[-1][1] == 1_100_000
    assert all(one[1] == other[0] for one, other in pairwise(edges))
    assert [region.index for region in VISIBLE] == [0, 1, 2, 3, 4, 5]
    for region in REGIONS:
        assert region_at(region.low_pm) is region_at(region.high_pm - 1) is region


@pytest.mark.parametrize("wavelength", [99_999, 1_100_000, 0, -1])
def test_outside_the_spectrum_is_no_region(wavelength: int) -> None:
    with pytest.raises(ValueError, match="outside the spectrum"):
        region_at(wavelength)
