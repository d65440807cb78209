"""Circuits as a state machine: two nodes that cannot be called meet through one that both called (protocol section 10).

A circuit has two legs, one on each of the relay's links. Whoever wants one asks the relay, the relay offers it to the
other, and what they say then is TLS of their own: the relay sees ids and ciphertext. How much may be under way is
bounded by credit, which the receiving end gives and the relay passes on; where a circuit, or all of them together,
would carry more than their share a minute, the credit waits. So nothing is ever dropped, and a relay holds no more than
a window of each circuit. A leg is forgotten once both sides have ended it.

The owner of the links tells what came and when links come and go; what it has to do is in `effects`. WireError is
raised for what no honest peer sends.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from node.mesh.protocol.effects import Send
from node.mesh.protocol.legs import Circuit, Leg, Link
from node.mesh.protocol.limits import (
    CIRCUIT_COST,
    CIRCUIT_CREDIT,
    CIRCUIT_IDLE_MS,
    CIRCUIT_WINDOW,
    MAX_CIRCUITS,
    RELAYED_VOLUME,
)
from node.mesh.protocol.messages import (
    MAX_CIRCUIT_DATA,
    AnswerCircuit,
    AskCircuit,
    CircuitCredit,
    CircuitData,
    CircuitMessage,
    EndCircuit,
    OfferCircuit,
    WireError,
)
from node.mesh.protocol.quota import Bucket


class Offered(NamedTuple):
    """A relay offers a circuit to `node`: the owner calls `accept` or `refuse`."""

    peer: int
    number: int
    node: bytes


class Opened(NamedTuple):
    """A circuit that this node asked for is there."""

    peer: int
    number: int


class Came(NamedTuple):
    """Bytes for this node; once they are out of the way the owner calls `took`."""

    peer: int
    number: int
    data: bytes


class Room(NamedTuple):
    """`write` takes more again."""

    peer: int
    number: int


class Ended(NamedTuple):
    """A circuit of this node is over."""

    peer: int
    number: int
    code: str


CircuitEffect = Send | Offered | Opened | Came | Room | Ended


class Circuits:
    """All circuits of a node: those it makes for others and those that end here. Links have the owner's numbers."""

    def __init__(self, now_ms: int) -> None:
        self.relaying = False
        """Whether circuits are made for others."""
        self.relayed = 0
        """Bytes that were carried for others."""
        self.effects: list[CircuitEffect] = []
        self._links: dict[int, Link] = {}
        self._by_node: dict[bytes, int] = {}
        self._circuits: dict[Circuit, None] = {}
        self._volume = Bucket(RELAYED_VOLUME, now_ms)
        self._unpaid: deque[Leg] = deque()

    def __len__(self) -> int:
        """Circuits that are made for others now."""
        return len(self._circuits)

    @property
    def waits(self) -> bool:
        """Whether credit waits until more may be carried: `tick` is to be called soon."""
        return bool(self._unpaid)

    def take_effects(self) -> list[CircuitEffect]:
        """The effects since the last call."""
        taken, self.effects = self.effects, []
        return taken

    # -- links ----------------------------------------------------------------------------------------------------

    def connected(self, peer: int, node: bytes, inbound: bool, direct: bool, now_ms: int) -> None:
        """A link is up. Only on `direct` ones are circuits made: one does not run through another."""
        self._links[peer] = Link(node, inbound, direct, now_ms)
        if direct:
            self._by_node[node] = peer

    def gone(self, peer: int, now_ms: int) -> None:
        """A link is gone, and with it what ran on it."""
        link = self._links.pop(peer, None)
        if link is None:
            return
        if self._by_node.get(link.node) == peer:
            del self._by_node[link.node]
        for leg in link.legs.values():
            leg.ended_there = True
            self._over(leg, "lost")

    # -- what came ------------------------------------------------------------------------------------------------

    def take(self, peer: int, message: CircuitMessage, now_ms: int) -> None:
        """A message of good form came. Raises WireError."""
        link = self._links.get(peer)
        if link is None:
            return
        match message:
            case AskCircuit(number, node):
                link.take_number(number)
                self._asked(peer, link, number, node, now_ms)
            case OfferCircuit(number, node):
                link.take_number(number)
                if not link.direct or link.full:
                    self._send(peer, AnswerCircuit(number, "busy"))
                else:
                    link.legs[number] = Leg(peer, number)
                    self.effects.append(Offered(peer, number, node))
            case AnswerCircuit(number, code):
                self._answered(link.leg(number), code, now_ms)
            case CircuitData(number, data):
                self._came(link.leg(number), data, now_ms)
            case CircuitCredit(number, size):
                self._credited(link.leg(number), size, now_ms)
            case EndCircuit(number, code):
                if number in link.legs or not link.had(number):
                    self._ended(link.leg(number), code)

    def _asked(self, peer: int, link: Link, number: int, node: bytes, now_ms: int) -> None:
        refusal, target = self._refusal(link, node, now_ms)
        if refusal:
            self._send(peer, AnswerCircuit(number, refusal))
            return
        there = self._links[target]
        there.offered.take(1)
        circuit = Circuit(now_ms)
        circuit.asking = link.legs[number] = Leg(peer, number, circuit=circuit)
        offered = there.next_number()
        circuit.offered = there.legs[offered] = Leg(target, offered, waits=True, circuit=circuit)
        self._circuits[circuit] = None
        self._send(target, OfferCircuit(offered, link.node))

    def _refusal(self, link: Link, node: bytes, now_ms: int) -> tuple[str, int]:
        """Why a circuit is not made (empty: it is), and the link that leads on."""
        target = self._by_node.get(node)
        if not self.relaying or not link.direct:
            return "off", 0
        if target is None or node == link.node:
            return "not_here", 0
        there = self._links[target]
        if len(self._circuits) >= MAX_CIRCUITS or link.full or there.full:
            return "busy", 0
        if not self._volume.has(0, now_ms) or not there.offered.has(1, now_ms):
            return "busy", 0
        return "", target

    def _answered(self, leg: Leg, code: str, now_ms: int) -> None:
        if not leg.waits:
            raise WireError("bad_circuit", "A circuit is answered that was not asked for, or twice.")
        leg.waits = False
        if code:
            del self._links[leg.peer].legs[leg.number]
            self._over(leg, code)
            return
        leg.begin()  # even where this side has ended it already: the peer may not know, and send
        if leg.ended_here:
            return
        if leg.circuit is None:
            self.effects.append(Opened(leg.peer, leg.number))
            return
        leg.circuit.active_ms = now_ms
        asking = leg.circuit.asking
        asking.begin()
        self._send(asking.peer, AnswerCircuit(asking.number, ""))

    def _came(self, leg: Leg, data: bytes, now_ms: int) -> None:
        cost = len(data) + CIRCUIT_COST
        if leg.ended_there or cost > leg.allowed:
            raise WireError("bad_circuit", "More comes on a circuit than its window allows, or after its end.")
        leg.allowed -= cost
        if leg.ended_here:
            return
        if leg.circuit is None:
            self.effects.append(Came(leg.peer, leg.number, data))
            return
        beside = leg.circuit.beside(leg)
        beside.room -= cost
        leg.circuit.volume.take(cost)
        self._volume.take(cost)
        leg.circuit.active_ms = now_ms
        self.relayed += len(data)
        self._send(beside.peer, CircuitData(beside.number, data))

    def _credited(self, leg: Leg, size: int, now_ms: int) -> None:
        if leg.ended_there or not leg.open or size < CIRCUIT_CREDIT or leg.room + size > CIRCUIT_WINDOW:
            raise WireError("bad_circuit", "The credit of a circuit is more than its window, or too little.")
        leg.room += size
        if leg.ended_here:
            return
        if leg.circuit is None:
            self.effects.append(Room(leg.peer, leg.number))
            return
        beside = leg.circuit.beside(leg)
        beside.owed += size
        if beside not in self._unpaid and not self._pay(beside, now_ms):
            self._unpaid.append(beside)

    def _pay(self, leg: Leg, now_ms: int) -> bool:
        """Pass on the credit that a relay owes on a leg, unless too much was carried already: what is under way then
        still passes, and takes from what may pass next."""
        circuit = leg.circuit
        if circuit is None or leg.ended_here or leg.ended_there:
            return True
        if not circuit.volume.has(0, now_ms) or not self._volume.has(0, now_ms):
            return False
        self._give_credit(leg)
        return True

    def _give_credit(self, leg: Leg) -> None:
        leg.allowed += leg.owed
        self._send(leg.peer, CircuitCredit(leg.number, leg.owed))
        leg.owed = 0

    # -- the end --------------------------------------------------------------------------------------------------

    def _ended(self, leg: Leg, code: str) -> None:
        """The peer ends a leg, or confirms its end."""
        if leg.ended_there:
            raise WireError("bad_circuit", "A circuit ends twice.")
        leg.ended_there = True
        self._over(leg, code)

    def _over(self, leg: Leg, code: str) -> None:
        """Nothing more is sent on a leg, nor on the one beside it."""
        if leg.circuit is not None:
            self._circuits.pop(leg.circuit, None)
            beside = leg.circuit.beside(leg)
            self._finish(leg, code)
            self._finish(beside, code)
            return
        if not leg.ended_here:
            self.effects.append(Ended(leg.peer, leg.number, code))
        self._finish(leg, code)

    def _finish(self, leg: Leg, code: str) -> None:
        link = self._links.get(leg.peer)
        if link is None or link.legs.get(leg.number) is not leg:
            return
        answered = leg.circuit is None or leg is leg.circuit.offered or leg.open
        if not leg.ended_here:
            leg.ended_here = True
            if not answered:  # a refusal is an end without more ado
                del link.legs[leg.number]
                self._send(leg.peer, AnswerCircuit(leg.number, code or "ended"))
                return
            self._send(leg.peer, EndCircuit(leg.number, code))
        if leg.ended_there:
            del link.legs[leg.number]

    # -- what the owner wants -------------------------------------------------------------------------------------

    def ask(self, peer: int, node: bytes, now_ms: int) -> int | None:
        """Ask the peer of a link for a circuit to a node: the circuit's number, None where there are too many."""
        link = self._links.get(peer)
        if link is None or not link.direct or link.full or not link.asked.has(1, now_ms):
            return None
        link.asked.take(1)
        number = link.next_number()
        link.legs[number] = Leg(peer, number, waits=True)
        self._send(peer, AskCircuit(number, node))
        return number

    def accept(self, peer: int, number: int) -> None:
        """Take a circuit that was offered."""
        leg = self._own(peer, number)
        if leg is not None:
            leg.begin()
            self._send(peer, AnswerCircuit(number, ""))

    def refuse(self, peer: int, number: int, code: str) -> None:
        """Do not take it."""
        if self._own(peer, number) is not None:
            del self._links[peer].legs[number]
            self._send(peer, AnswerCircuit(number, code))

    def write(self, peer: int, number: int, data: bytes) -> int:
        """Send as much of `data` as the window allows; how many bytes that was. `Room` tells when to go on."""
        leg = self._own(peer, number)
        sent = 0
        while leg is not None and sent < len(data) and leg.room > CIRCUIT_COST:
            piece = data[sent : sent + min(MAX_CIRCUIT_DATA, leg.room - CIRCUIT_COST)]
            leg.room -= len(piece) + CIRCUIT_COST
            sent += len(piece)
            self._send(peer, CircuitData(number, piece))
        return sent

    def took(self, peer: int, number: int, data: bytes) -> None:
        """What came is out of the way, so that as much may come again."""
        leg = self._own(peer, number)
        if leg is not None:
            leg.owed += len(data) + CIRCUIT_COST
            if leg.owed >= CIRCUIT_CREDIT:
                self._give_credit(leg)

    def end(self, peer: int, number: int, code: str) -> None:
        """End a circuit of this node."""
        leg = self._own(peer, number)
        if leg is not None:
            self._finish(leg, code)

    def _own(self, peer: int, number: int) -> Leg | None:
        """A leg that ends here and has not been ended."""
        link = self._links.get(peer)
        leg = None if link is None else link.legs.get(number)
        return None if leg is None or leg.circuit is not None or leg.ended_here else leg

    # -- time -----------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> None:
        """Do what is due: pass on credit that waited, end what is silent or old. To be called every few seconds."""
        for _ in range(len(self._unpaid)):
            leg = self._unpaid.popleft()
            if not self._pay(leg, now_ms):
                self._unpaid.append(leg)
        for circuit in [one for one in self._circuits if one.due_ms() <= now_ms]:
            if not circuit.offered.open:
                code = "no_answer"
            else:
                code = "idle" if circuit.active_ms + CIRCUIT_IDLE_MS <= now_ms else "old"
            self._over(circuit.asking, code)

    def _send(self, peer: int, message: CircuitMessage) -> None:
        self.effects.append(Send(peer, message))
