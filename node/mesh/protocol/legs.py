"""What `circuits` keeps of circuits: the legs of each link, and at a relay what joins two of them."""

from __future__ import annotations

from node.mesh.protocol.limits import (
    CIRCUIT_ANSWER_MS,
    CIRCUIT_IDLE_MS,
    CIRCUIT_LIFE_MS,
    CIRCUIT_VOLUME,
    CIRCUIT_WINDOW,
    LIMITS,
    MAX_LINK_CIRCUITS,
    OWN_PERCENT,
)
from node.mesh.protocol.messages import AskCircuit, OfferCircuit, WireError
from node.mesh.protocol.quota import Bucket


class Leg:
    """One side of a circuit: at its ends the only one, at a relay one of two. `room` is what may still be sent on it,
    `allowed` what the peer may still send."""

    __slots__ = ("allowed", "circuit", "ended_here", "ended_there", "number", "open", "owed", "peer", "room", "waits")

    def __init__(self, peer: int, number: int, *, waits: bool = False, circuit: Circuit | None = None) -> None:
        self.peer = peer
        self.number = number
        self.circuit = circuit
        self.waits = waits
        """For the peer's answer."""
        self.open = False
        self.room = self.allowed = self.owed = 0
        self.ended_here = self.ended_there = False

    def begin(self) -> None:
        """Both sides may send."""
        self.open = True
        self.room = self.allowed = CIRCUIT_WINDOW


class Circuit:
    """At a relay: what joins two legs. `asking` is that of the node which asked."""

    __slots__ = ("active_ms", "asking", "offered", "since_ms", "volume")

    def __init__(self, now_ms: int) -> None:
        self.asking: Leg
        self.offered: Leg
        self.volume = Bucket(CIRCUIT_VOLUME, now_ms)
        self.since_ms = self.active_ms = now_ms

    def beside(self, leg: Leg) -> Leg:
        """The other one."""
        return self.offered if leg is self.asking else self.asking

    def due_ms(self) -> int:
        """When it ends, if nothing happens until then."""
        if not self.offered.open:
            return self.since_ms + CIRCUIT_ANSWER_MS
        return min(self.active_ms + CIRCUIT_IDLE_MS, self.since_ms + CIRCUIT_LIFE_MS)


class Link:
    """What one link carries. `theirs` is the highest number that the peer used, `ours` the next of this side."""

    __slots__ = ("asked", "direct", "legs", "node", "offered", "ours", "theirs")

    def __init__(self, node: bytes, inbound: bool, direct: bool, now_ms: int) -> None:
        self.node = node
        self.direct = direct
        self.legs: dict[int, Leg] = {}
        self.ours, self.theirs = (2, -1) if inbound else (1, 0)
        self.asked = Bucket(LIMITS[AskCircuit].rate * OWN_PERCENT // 100, now_ms)
        self.offered = Bucket(LIMITS[OfferCircuit].rate * OWN_PERCENT // 100, now_ms)

    @property
    def full(self) -> bool:
        """Whether there is no room for another."""
        return len(self.legs) >= MAX_LINK_CIRCUITS

    def next_number(self) -> int:
        """A number for a circuit that begins on this side."""
        self.ours += 2
        return self.ours - 2

    def take_number(self, number: int) -> None:
        """A number that the peer chose: one that is its to choose, each higher than the one before."""
        if (number - self.theirs) % 2 or number <= self.theirs:
            raise WireError("bad_circuit", "A circuit's number is used twice, or is not the sender's to choose.")
        self.theirs = number

    def leg(self, number: int) -> Leg:
        """The leg of this number. Raises WireError."""
        found = self.legs.get(number)
        if found is None:
            raise WireError("no_circuit", "A message is for a circuit that does not exist.")
        return found

    def had(self, number: int) -> bool:
        """Whether there ever was such a circuit."""
        return 0 < number <= self.theirs if (number - self.theirs) % 2 == 0 else 0 < number < self.ours
