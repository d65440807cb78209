"""Who a node is: an Ed25519 key of its own, apart from any account (protocol section 2).

The file holds the seed, mode 0600, in the profile's folder. It is made once. One that is there and cannot be read is
never replaced: others know the node by its id, and would take a new one for a stranger.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from node.api.errors import Damaged
from node.encoding.canonical import EncodingError, decode, pack
from node.encoding.node_id import NodeIdError, check_node_id
from node.storage.faults import translated
from node.storage.files import create_durably, read_key_file

SIGNATURE_SIZE = 64
_FORMAT = "nexus node key 1"
_SEED_SIZE = 32
_MAX_FILE = 1_024


class NodeKey:
    """A node's key in memory. Its `repr` shows only the id, the 32 raw bytes of the public key."""

    def __init__(self, seed: bytes) -> None:
        self._key = SigningKey(seed)
        self.id = bytes(self._key.verify_key)

    def __repr__(self) -> str:
        return f"NodeKey({self.id.hex()})"

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of a signature (RFC 8032)."""
        return self._key.sign(message).signature


def signed_by(node: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the node signed the message; False also for an id that cannot be one."""
    if len(signature) != SIGNATURE_SIZE:
        return False
    try:
        VerifyKey(check_node_id(node)).verify(message, signature)
    except (NodeIdError, BadSignatureError):
        return False
    return True


def open_node_key(path: Path) -> NodeKey:
    """The key in a file, which is made if there is none.

    Raises Damaged for a file that cannot be read or is broken, Refused for one that others can read.
    """
    while (key := load_node_key(path)) is None:
        with translated(path), suppress(FileExistsError):  # another program may be faster
            create_durably(path, pack((_FORMAT, os.urandom(_SEED_SIZE))))
    return key


def load_node_key(path: Path) -> NodeKey | None:
    """The key in a file, None without a file. Raises Damaged and Refused as `open_node_key` does."""
    data = read_key_file(path, _MAX_FILE, "node key")
    if data is None:
        return None
    try:
        value = decode(data)
    except EncodingError:
        value = None
    if type(value) is not tuple or len(value) != 2 or value[0] != _FORMAT:
        raise _broken(path)
    seed = value[1]
    if type(seed) is not bytes or len(seed) != _SEED_SIZE:
        raise _broken(path)
    return NodeKey(seed)


def _broken(path: Path) -> Damaged:
    return Damaged(
        "node_key_damaged",
        f"{path} is no node key, or it is damaged. It was left as it is, and this node will not join the mesh.",
        "Restore it from a backup. Or move it away: the node then becomes another one, which others do not know yet.",
    )
