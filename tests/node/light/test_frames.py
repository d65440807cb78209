"""Frames of light: read right, or not at all."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.light.frames import (
    DATA,
    PARITY,
    PREAMBLE,
    SIZE,
    Collector,
    Frame,
    find_frames,
    frames_of,
    read_frame,
    stream_of,
)
from node.light.symbols import LightError

TEXT = b"Meet me at the old bridge, and bring your phone. " * 4


def collected(frames: list[Frame]) -> bytes | None:
    collector = Collector()
    collector.add(frames)
    return collector.payload()


@given(st.binary(max_size=2_000), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_frames_in_any_order_give_the_payload(payload: bytes, random: Random) -> None:
    frames = [read_frame(frame) for frame in frames_of(payload)]
    random.shuffle(frames)
    collector = Collector()
    for place, frame in enumerate(frames):
        assert collector.payload() is None
        assert collector.have == place
        collector.add([frame, frame])
        assert collector.count == len(frames)
    assert collector.payload() == payload


@given(st.data())
@settings(max_examples=100)
def test_what_the_code_promises_is_put_right(data: st.DataObject) -> None:
    """Two lost symbols cost what one wrong symbol costs, sixteen in all."""
    lost = data.draw(st.integers(0, PARITY))
    wrong = data.draw(st.integers(0, (PARITY - lost) // 2))
    places = data.draw(st.permutations(range(SIZE)))
    frame = frames_of(TEXT)[1]
    seen: list[int | None] = list(frame)
    for place in places[:lost]:
        seen[place] = None
    for place in places[lost : lost + wrong]:
        seen[place] = frame[place] ^ data.draw(st.integers(1, 63))
    assert read_frame(seen) == read_frame(frame)


@given(st.lists(st.none() | st.integers(-2, 70), min_size=SIZE - 1, max_size=SIZE + 1))
@settings(max_examples=200)
def test_noise_is_no_frame(seen: list[int | None]) -> None:
    with pytest.raises(LightError) as error:
        read_frame(seen)
    assert error.value.code == "damaged"


def test_a_frame_that_is_too_far_gone_is_never_read_wrong() -> None:
    random = Random(4)
    frames = frames_of(TEXT)
    right = [read_frame(frame) for frame in frames]
    read = 0
    for _ in range(2_000):
        number = random.randrange(len(frames))
        seen = [random.randrange(64) if random.random() < 0.3 else symbol for symbol in frames[number]]
        try:
            assert read_frame(seen) == right[number]
            read += 1
        except LightError:
            pass
    assert 0 < read < 2_000


def test_frames_are_found_in_a_stream_that_began_earlier() -> None:
    stream: list[int | None] = [7, None, *list(stream_of(TEXT)), *list(stream_of(TEXT))]
    for place in range(3, len(stream), 9):
        stream[place] = None
    cut = stream[40:-17]
    assert collected(list(find_frames(cut))) == TEXT
    assert list(find_frames([*PREAMBLE, 1, 2, 3])) == []
    assert list(find_frames([])) == []


def test_frames_of_two_messages_are_not_mixed() -> None:
    one, other = ([read_frame(frame) for frame in frames_of(text)] for text in (TEXT, TEXT[::-1]))
    collector = Collector()
    collector.add(one[:2])
    with pytest.raises(LightError, match="something else"):
        collector.add(other)
    collector.add(one)
    assert collector.payload() == TEXT


def test_frames_that_name_another_hash_give_nothing() -> None:
    """Right frames of a liar: their checksums are good, but they are no payload with that hash."""
    frames = [read_frame(frame) for frame in frames_of(TEXT)]
    frames[0] = frames[0]._replace(data=frames[0].data[::-1])
    with pytest.raises(LightError):
        collected(frames)


def test_what_is_too_long_for_light_is_refused() -> None:
    with pytest.raises(LightError) as error:
        frames_of(b"\xff" * (3 * DATA * 1_100))
    assert error.value.code == "too_long"
