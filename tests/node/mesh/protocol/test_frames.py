"""Frames: however the bytes are cut the same comes out, and nothing that came makes the decoder hold much."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.mesh.protocol.frames import HEAD_SIZE, Frame, FrameDecoder, FrameError, frame_head

LIMITS = {0: 0, 1: 10, 2: 300, 7: 5_000}


def encoded(frames: list[Frame]) -> bytes:
    return b"".join(frame_head(kind, len(body)) + body for kind, body in frames)


def decoded(slices: list[bytes]) -> tuple[list[Frame], str]:
    """What the slices give, and the code of the fault that ended them."""
    decoder = FrameDecoder(LIMITS.get)
    frames: list[Frame] = []
    try:
        for data in slices:
            frames.extend(decoder.feed(data))
            assert len(decoder._rest) <= HEAD_SIZE + max(LIMITS.values())
    except FrameError as error:
        return frames, error.code
    return frames, "unfinished" if decoder.unfinished else ""


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[start:stop] for start, stop in pairwise(edges)]


a_frame = st.sampled_from(sorted(LIMITS)).flatmap(
    lambda kind: st.tuples(st.just(kind), st.binary(max_size=min(LIMITS[kind], 600)))
)
places = st.lists(st.integers(0, 2_000), max_size=30)


@given(st.lists(a_frame, max_size=12), places)
def test_any_cut_gives_the_same_frames(frames: list[Frame], at: list[int]) -> None:
    data = encoded(frames)
    assert decoded(cut(data, at)) == (frames, "")
    assert decoded([data[place : place + 1] for place in range(len(data))]) == (frames, "")


@given(st.lists(a_frame, max_size=5), st.binary(max_size=400), places)
def test_any_cut_of_hostile_bytes_ends_alike(frames: list[Frame], junk: bytes, at: list[int]) -> None:
    data = encoded(frames) + junk
    whole = decoded([data])
    assert decoded(cut(data, at)) == whole
    assert whole[0][: len(frames)] == frames


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (frame_head(3, 1), "unknown_type"),
        (frame_head(255, 0), "unknown_type"),
        (frame_head(1, 11), "oversize"),
        (frame_head(0, 1), "oversize"),
        (b"\xff\xff\xff\xff\x07", "oversize"),
        (b"\0\0\0\0\1", "empty_frame"),
    ],
)
def test_a_bad_head_is_refused_before_a_body_is_kept(head: bytes, code: str) -> None:
    decoder = FrameDecoder(LIMITS.get)
    assert list(decoder.feed(encoded([(2, b"good")]))) == [(2, b"good")]
    with pytest.raises(FrameError) as caught:
        list(decoder.feed(head))
    assert caught.value.code == code
    assert len(decoder._rest) <= HEAD_SIZE


def test_frames_before_a_fault_come_out() -> None:
    data = encoded([(1, b"one"), (2, b"two")]) + frame_head(9, 0)
    frames, code = decoded([data])
    assert frames == [(1, b"one"), (2, b"two")]
    assert code == "unknown_type"


def test_the_limit_may_change_after_any_frame() -> None:
    decoder = FrameDecoder({0: 5}.get)
    frames = []
    for frame in decoder.feed(encoded([(0, b"hello"), (7, b"x" * 100)])):
        frames.append(frame)
        decoder.limit = LIMITS.get
    assert frames == [(0, b"hello"), (7, b"x" * 100)]
    with pytest.raises(FrameError):
        list(decoder.feed(encoded([(0, b"hello")])))


def test_a_large_body_comes_out_whole_from_many_slices() -> None:
    body = bytes(range(256)) * (16 << 10)
    decoder = FrameDecoder({7: 4 << 20}.get)
    data = encoded([(7, body)])
    frames: list[Frame] = []
    for start in range(0, len(data), 1 << 16):
        assert not frames
        frames += decoder.feed(data[start : start + (1 << 16)])
    assert frames == [(7, body)]
    assert not decoder.unfinished
