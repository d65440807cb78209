"""Node ids: only keys under which one node alone can sign, and one text for each."""

from __future__ import annotations

import os

import pytest
from nacl.signing import SigningKey

from node.encoding import bech32m
from node.encoding.node_id import NodeIdError, check_node_id, node_text, parse_node_id

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]


def added(first: Point, second: Point) -> Point:
    """The sum of two points (RFC 8032, section 5.1.4, in affine form)."""
    (x1, y1), (x2, y2) = first, second
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P


def point_of(encoded: bytes) -> Point:
    """The point with this encoding (RFC 8032, section 5.1.3)."""
    number = int.from_bytes(encoded, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert x * x % P == square
    return (P - x) % P if x & 1 != sign else x, y


def small_order() -> set[bytes]:
    """The encodings of all eight points whose order divides 8, by arithmetic alone."""
    group_order = 2**252 + 27742317777372353535851937790883648493
    found: set[bytes] = set()
    seed = 0
    while len(found) < 8:
        seed += 1
        try:
            point = point_of(seed.to_bytes(32, "little"))
        except AssertionError:
            continue  # half of all y belong to no point
        result, doubling, left = (0, 1), point, group_order
        while left:
            if left & 1:
                result = added(result, doubling)
            doubling = added(doubling, doubling)
            left >>= 1
        multiple = (0, 1)
        for _ in range(8):
            multiple = added(multiple, result)
            x, y = multiple
            found.add((y | (x & 1) << 255).to_bytes(32, "little"))
        assert multiple == (0, 1)
    return found


def test_every_key_of_small_order_is_refused() -> None:
    points = small_order()
    assert len(points) == 8
    for encoded in points:
        with pytest.raises(NodeIdError, match="small order"):
            check_node_id(encoded)
        flipped = encoded[:31] + bytes((encoded[31] ^ 0x80,))
        with pytest.raises(NodeIdError, match="small order"):
            check_node_id(flipped)


@pytest.mark.parametrize("y", [P, P + 1, P + 18, 2**255 - 1])
@pytest.mark.parametrize("sign", [0, 1])
def test_second_encodings_are_refused(y: int, sign: int) -> None:
    with pytest.raises(NodeIdError, match="canonical"):
        check_node_id((y | sign << 255).to_bytes(32, "little"))


def test_true_keys_go_there_and_back() -> None:
    for _ in range(50):
        node = bytes(SigningKey(os.urandom(32)).verify_key)
        text = node_text(check_node_id(node))
        assert len(text) == 62
        assert text.startswith("nxn1")
        assert parse_node_id(f" {text.upper()}\n") == node


def test_a_known_id() -> None:
    node = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")  # RFC 8032, 7.1, test 1
    assert node_text(node) == "nxn16adfsqvzky9t042tlmfujeq88g8wzuhnm2nzxfd0qgdx3ac82ydqwuss7n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "checksum is missing"),
        ("nxn1qqqq", "checksum"),
        (bech32m.encode("nxt", bytes(21)), "something else"),
        (bech32m.encode("nxn", b"\x05" * 31), "32 bytes"),
        (bech32m.encode("nxn", bytes(32)), "small order"),
        ("x" * 5000, "too long"),
    ],
)
def test_what_is_no_id_says_why(text: str, why: str) -> None:
    with pytest.raises(NodeIdError, match=why) as caught:
        parse_node_id(text)
    assert len(str(caught.value)) < 200
