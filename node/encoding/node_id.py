"""Ids of nodes: the 32 raw bytes of an Ed25519 public key (protocol section 2), and their form for people.

A key of small order would accept signatures that nobody made, and one with a second encoding would let a node go under
two names; both are refused by name, whatever the library that checks signatures thinks of them.
"""

from __future__ import annotations

from node.encoding import bech32m

NODE_ID_SIZE = 32
PREFIX = "nxn"
_FIELD = 2**255 - 19
# The y of the eight points whose order divides 8; each point and its negative share one. RFC 8032, section 5.1.
_ORDER_8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
_SMALL_ORDER = frozenset((0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8))


class NodeIdError(ValueError):
    """Bytes or text that are no node's id; the message says what is wrong."""

    code = "bad_node_id"


def check_node_id(node: bytes) -> bytes:
    """`node` if it can be a node's id. Raises NodeIdError."""
    if len(node) != NODE_ID_SIZE:
        raise NodeIdError(f"A node's id has {NODE_ID_SIZE} bytes, not {len(node)}.")
    y = int.from_bytes(node, "little") & ((1 << 255) - 1)
    if y >= _FIELD:
        raise NodeIdError("This id is a key that is not in canonical form.")
    if y in _SMALL_ORDER:
        raise NodeIdError("This id is a key of small order, under which anybody could sign.")
    return node


def node_text(node: bytes) -> str:
    """The id for people: bech32m under `nxn`, 62 characters."""
    return bech32m.encode(PREFIX, node)


def parse_node_id(text: str) -> bytes:
    """The id written in `text`. Raises NodeIdError."""
    text = text.strip()
    try:
        prefix, payload = bech32m.decode(text)
    except bech32m.Bech32Error as error:
        shown = text if len(text) <= bech32m.MAX_TEXT else text[:24] + "…"
        raise NodeIdError(f"{shown!r} is no node's id: {error}.") from None
    if prefix != PREFIX:
        raise NodeIdError(f"This is something else ({prefix}1…); the id of a node begins with {PREFIX}1.")
    return check_node_id(payload)
