"""What the machine wants done, and what it asks of its node: the border between what is said and who says it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from node.mesh.protocol.messages import Addresses, AnyMessage, AskAddresses, CircuitMessage, Routes


class Send(NamedTuple):
    """A message for a peer."""

    peer: int
    message: AnyMessage


class Judge(NamedTuple):
    """A thing that came: the host judges it, calls `accepted`, `refused` or `lacking` as it finds, and `judged` then.
    `parts` is the encoded thing, of a block its header and body."""

    peer: int
    kind: int
    name: bytes
    parts: tuple[bytes, ...]


class GiveBlocks(NamedTuple):
    """A peer asks for blocks: the host, who may have to read them, calls `give_block` for each, or `absent`."""

    peer: int
    names: tuple[bytes, ...]


class TellHistory(NamedTuple):
    """A peer asks what comes after the blocks it has: the host calls `tell_history`."""

    peer: int
    locator: tuple[bytes, ...]
    limit: int


class Close(NamedTuple):
    """The link to a peer ends, and for `ban_ms` it is not let in again."""

    peer: int
    code: str
    text: str
    ban_ms: int


class Heard(NamedTuple):
    """A message about addresses or circuits, which are the owner's business."""

    peer: int
    message: AskAddresses | Addresses | Routes | CircuitMessage


class Parted(NamedTuple):
    """What a peer keeps begins above all that is here: it cannot give what this node lacks."""

    peer: int


Effect = Send | Judge | GiveBlocks | TellHistory | Heard | Close | Parted


class Host(Protocol):
    """What the machine asks of its node and gets at once. `name_of` raises WireError for what has no good form."""

    def has(self, kind: int, name: bytes) -> bool:
        """Whether a thing is here, is being judged, or was found bad: it need not be asked for."""
        ...

    def missing(self, block: bytes) -> list[bytes]:
        """What must come before a block that waits here for its parents; nothing if it does not wait."""
        ...

    def name_of(self, kind: int, head: bytes) -> bytes:
        """The id of an encoded transaction or vote, or of the block with this encoded header."""
        ...

    def give(self, kind: int, name: bytes) -> bytes | None:
        """An encoded transaction or vote."""
        ...

    def held(self, kind: int) -> list[tuple[bytes, int]]:
        """Transactions or votes that can be given, the newest last, and what each is worth, from 0 to `MOST`."""
        ...

    def locator(self) -> tuple[bytes, ...]:
        """Ids of this node's blocks for `AskHistory`, its tips first."""
        ...

    def tips(self) -> tuple[tuple[bytes, bytes], ...]:
        """Id and encoded header of each block here on which nobody builds, the selected one first."""
        ...
