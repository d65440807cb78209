"""What a node remembers of one peer while they are linked."""

from __future__ import annotations

from array import array
from collections import deque

from node.mesh.protocol.hello import Hello
from node.mesh.protocol.limits import FAULT_MS, FAULTS, FIRST_PING_MS, KNOWN, OWN_PERCENT
from node.mesh.protocol.messages import KINDS, AnyMessage
from node.mesh.protocol.quota import Quota


class Known:
    """Ids that a peer has, or was told of: a table of marks of eight bytes, in which a new one may overwrite an old.

    A forgotten id only costs telling it once more. It takes 32 kB however much a peer says; a table of whole ids took
    ninety times as much.
    """

    __slots__ = ("_marks",)

    def __init__(self) -> None:
        self._marks: array[int] | None = None  # for a kind that is never spoken of

    def __contains__(self, name: bytes) -> bool:
        if self._marks is None:
            return False
        mark = _mark(name)
        return self._marks[mark % KNOWN] == mark

    def add(self, name: bytes) -> bool:
        """Remember an id, which is a hash of 32 bytes; whether it is new."""
        if self._marks is None:
            self._marks = array("Q", bytes(8 * KNOWN))
        mark = _mark(name)
        if self._marks[mark % KNOWN] == mark:
            return False
        self._marks[mark % KNOWN] = mark
        return True


def _mark(name: bytes) -> int:
    return int.from_bytes(name[-8:]) or 1  # 0 is an empty place


class Peer:
    """One linked peer. `number` names the link; `announce` are ids that it is told of next, by kind."""

    def __init__(self, number: int, hello: Hello, inbound: bool, now_ms: int) -> None:
        self.number = number
        self.hello = hello
        self.inbound = inbound
        self.since_ms = now_ms
        self.heard_ms = now_ms
        self.known = [Known() for _ in KINDS]
        self.announce: list[dict[bytes, int]] = [{} for _ in KINDS]  # id → worth
        self.incoming = Quota()
        self.outgoing = Quota(OWN_PERCENT)
        self.held: dict[type[AnyMessage], deque[AnyMessage]] = {}
        """Messages for which there was no quota, by type; they go in their order."""
        self.held_bytes = 0
        self.token = 0
        """Of the last ping."""
        self.pinged_ms: int | None = None
        self.measure_ms = now_ms + FIRST_PING_MS
        """When it is pinged though the link is not silent."""
        self.delay_ms: int | None = None
        """How long the last ping took, there and back."""
        self.asked_history_ms: int | None = None
        """Since when an answer to a question about history is waited for."""
        self.overdue: dict[bytes, None] = {}
        """Things that it did not give in time, the oldest first: they may come yet."""
        self.overdue_pages = 0
        """The same of history."""
        self.late_ms = now_ms
        """When that was last held against it."""
        self.locator: tuple[bytes, ...] = ()
        """What that question said."""
        self.page: tuple[bytes, ...] = ()
        """The end of the last page of its history."""
        self.parted = False
        """Whether it said that what it keeps begins above all that is here."""
        self.behind = True
        """Whether this node may lack what the peer has."""
        self.untold = False
        """Whether blocks became known here of which it was not told one by one."""
        self.chased = 0
        """Blocks from it one after the other whose parents were not here."""
        self.judging = 0
        """Things that came from it and are with the host."""
        self._faults = 0
        self._faults_at = now_ms

    def fault(self, points: int, now_ms: int) -> bool:
        """Count a small fault; whether there have been too many."""
        forgiven = (now_ms - self._faults_at) // FAULT_MS
        self._faults = max(0, self._faults - forgiven) + points
        self._faults_at += forgiven * FAULT_MS
        return self._faults > FAULTS

    @property
    def faults(self) -> int:
        """Points that stand against it."""
        return self._faults
