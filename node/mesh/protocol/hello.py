"""The first frame of each side: who one is, of which network, where one stands (protocol section 10)."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, cast

from node.encoding import canonical
from node.encoding.canonical import EncodingError, Value, pack
from node.mesh.protocol.limits import CLOCK_SKEW_MS, MAX_HELLO
from node.mesh.protocol.messages import WireError

PROTOCOL = 1
MAX_TIPS = 10
MAX_AGENT = 64
RELAY, GUEST, CIRCUITS, SPARING = 1, 2, 4, 8
"""Services: tells on what it hears; has no genesis yet and only wants that; makes circuits for others; is a phone,
whose links are kept alive rarely."""


class Hello(NamedTuple):
    """`rules` is the rule version, `port` where one listens (0: nowhere), `clock_ms` Unix time, `nonce` 16 random bytes
    that show a node talking to itself. `tips` are ids of blocks nobody builds on, `final` and `final_hash` the newest
    final checkpoint, `score` the blue score of the selected tip."""

    protocol: int
    rules: int
    genesis: bytes
    services: int
    port: int
    clock_ms: int
    nonce: bytes
    tips: tuple[bytes, ...]
    score: int
    final: int
    final_hash: bytes
    agent: str

    def encoded(self) -> bytes:
        """Canonical bytes."""
        return pack(cast(Value, tuple(self)))

    @classmethod
    def decode(cls, data: bytes) -> Hello:
        """A hello of good form. Raises WireError.

        One of another protocol version is refused by its number before the rest is looked at.
        """
        try:
            value = canonical.decode(data, MAX_HELLO)
        except EncodingError as error:
            raise WireError("bad_hello", f"The greeting's bytes are not canonical: {error}") from None
        if type(value) is not tuple or not value or type(value[0]) is not int:
            raise WireError("bad_hello", "The greeting is malformed.")
        if value[0] != PROTOCOL:
            raise WireError("other_protocol", f"The peer speaks mesh protocol {value[0]}, this program {PROTOCOL}.")
        if tuple(map(type, value)) != _SHAPE:
            raise WireError("bad_hello", "The greeting does not have the fields of its version.")
        made = cls._make(value)
        sizes = ((made.genesis, 32), (made.nonce, 16), (made.final_hash, 32), *((tip, 32) for tip in made.tips))
        if any(type(item) is not bytes or len(item) != size for item, size in sizes):
            raise WireError("bad_hello", "A hash or the nonce in the greeting has a wrong length.")
        if len(made.tips) > MAX_TIPS or made.port >= 1 << 16 or len(made.agent) > MAX_AGENT:
            raise WireError("bad_hello", "The greeting says too much.")
        return made


_SHAPE = (int, int, bytes, int, int, int, bytes, tuple, int, int, bytes, str)


def judge(mine: Hello, theirs: Hello) -> None:
    """Whether two nodes have something to say to each other. Raises WireError."""
    if theirs.genesis != mine.genesis and not (mine.services | theirs.services) & GUEST:
        raise WireError("other_network", "The peer belongs to another network.")
    if theirs.rules != mine.rules:
        raise WireError("other_rules", f"The peer follows rule version {theirs.rules}, this node {mine.rules}.")
    if theirs.nonce == mine.nonce:
        raise WireError("self", "The node reached itself.")


def skew_of_most(ahead_ms: Collection[int]) -> tuple[int, int]:
    """Where most peers' clocks are far from this one's, to the same side: how many are, and by how much the middle one
    of them is ahead. `(0, 0)` where all is well, or the peers do not agree with each other."""
    for side in (1, -1):
        far = sorted(ahead for ahead in ahead_ms if ahead * side > CLOCK_SKEW_MS)
        if 2 * len(far) > len(ahead_ms):
            return len(far), far[len(far) // 2]
    return 0, 0
