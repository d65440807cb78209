"""Everything that bounds what a peer can make a node hold, send or compute (protocol section 10), in one place.

The rates hold for what comes in and for what this node sends itself, so that an honest node is never found guilty.
They are generous: about ten times what a network at its limit of a full block a second needs.
"""

from __future__ import annotations

from typing import NamedTuple

from node.mesh.protocol import messages
from node.mesh.protocol.frames import FrameLimit
from node.mesh.protocol.messages import (
    Absent,
    Addresses,
    AnswerCircuit,
    AnyMessage,
    AskAddresses,
    AskCircuit,
    AskGenesis,
    AskHistory,
    AskPart,
    AskProof,
    AskSnapshot,
    Bye,
    CircuitCredit,
    CircuitData,
    EndCircuit,
    GenesisFile,
    Get,
    Given,
    History,
    Inventory,
    NewBlock,
    Offer,
    OfferCircuit,
    Part,
    Ping,
    Pong,
    Proof,
    Routes,
    WholeBlock,
)

CONTROL, BLOCKS, TRANSACTIONS, BULK, CIRCUITS = range(5)
"""Classes of the send queue, the most urgent first; what is carried for others comes last."""

MAX_THING = 32 << 10
"""Bytes of an encoded transaction or vote."""
MAX_GENESIS = 1 << 20
MAX_PROOF = 4 << 20
"""Bytes of a page of a proof: two tables, and at least one certificate."""
MAX_GIVEN_BYTES = 128 << 10
"""An answer with several of them is split beyond that."""

_ID = 37  # an id and its head
_WORTH = 9
_HEADER = 1_024
ANY = 1 << 40
"""The rate of answers: only what was asked for is taken."""
_BODY = 1 << 20  # the largest that a genesis may set


class Limit(NamedTuple):
    """`size` bytes at most; `rate` messages and `volume` bytes a minute; its queue's class."""

    size: int
    rate: int
    volume: int
    queue: int


LIMITS: dict[type[AnyMessage], Limit] = {
    Ping: Limit(32, 60, 4 << 10, CONTROL),
    Pong: Limit(32, 60, 4 << 10, CONTROL),
    Bye: Limit(1_100, 5, 8 << 10, CONTROL),
    Inventory: Limit(messages.MAX_NAMES * (_ID + _WORTH) + 16, 1_200, 8 << 20, TRANSACTIONS),
    Get: Limit(messages.MAX_ASKED * _ID + 16, 60_000, 32 << 20, TRANSACTIONS),
    Absent: Limit(messages.MAX_ASKED * _ID + 16, 60_000, 32 << 20, TRANSACTIONS),
    Given: Limit(MAX_GIVEN_BYTES + MAX_THING + 1_024, ANY, ANY, TRANSACTIONS),
    NewBlock: Limit(_HEADER + 16, 1_200, 2 << 20, BLOCKS),
    WholeBlock: Limit(_HEADER + _BODY + 32, ANY, ANY, BLOCKS),
    AskHistory: Limit(messages.MAX_LOCATOR * _ID + 32, 1_200, 4 << 20, BULK),
    History: Limit(messages.MAX_HISTORY * _ID + 32, ANY, ANY, BULK),
    AskAddresses: Limit(8, 10, 1 << 10, BULK),
    Addresses: Limit(messages.MAX_ADDRESSES * 1_100 + 16, 10, 2 << 20, BULK),
    AskGenesis: Limit(8, 3, 64, BULK),
    GenesisFile: Limit(MAX_GENESIS + 16, ANY, ANY, BULK),
    Routes: Limit(messages.MAX_ROUTES * 1_150 + 16, 20, 1 << 20, BULK),
    # All in one queue, so that they keep their order; data is bounded by credit, and credit by data.
    AskCircuit: Limit(64, 30, 2 << 10, CIRCUITS),
    OfferCircuit: Limit(64, 120, 8 << 10, CIRCUITS),
    AnswerCircuit: Limit(160, ANY, ANY, CIRCUITS),
    CircuitData: Limit(messages.MAX_CIRCUIT_DATA + 32, ANY, ANY, CIRCUITS),
    CircuitCredit: Limit(32, ANY, ANY, CIRCUITS),
    EndCircuit: Limit(160, 300, 48 << 10, CIRCUITS),
    AskProof: Limit(96, 600, 96 << 10, BULK),
    Proof: Limit(MAX_PROOF + 4_096, ANY, ANY, BULK),
    AskSnapshot: Limit(64, 60, 8 << 10, BULK),
    Offer: Limit(messages.MAX_CHECKPOINT + 32 * messages.BUCKETS + 9 * messages.SECTIONS + 64, ANY, ANY, BULK),
    AskPart: Limit(64, 60_000, 8 << 20, BULK),
    Part: Limit(messages.PART_SIZE + 64, ANY, ANY, BULK),
}
BY_NUMBER = {messages.NUMBERS[message]: limit for message, limit in LIMITS.items()}

SELDOM = 300
AT_ONCE = 6
"""Of what may be said more often than `SELDOM` a sixth of a minute's worth may come at once, of the rest all of it."""
OWN_PERCENT = 80
"""Of these rates for what this node sends itself."""

MAX_HELLO = 4 << 10
GUEST_MS = 30_000
"""A guest, who wants the genesis or a snapshot, is shown out when he asked nothing for so long."""
MAX_GUESTS = 8
"""Guests at a time that are given parts of snapshots."""
GUEST_VOLUME = 256 << 20
"""Bytes a minute that one of them is given; beyond that he waits."""
PARTS_IN_FLIGHT = 8
"""Parts of a snapshot asked of one peer and not come yet."""
PART_MS = 15_000
"""A peer that gave none of them for so long is passed over."""
OFFER_MS = 20_000
"""Who has no snapshot that can be used is asked again so much later."""
MAX_SLEEPS = 3
"""So often is a peer passed over before its link is given up."""

PING_MS = 20_000
SILENCE_MS = 50_000
"""A peer that is not heard for so long is gone: it did not answer a ping either."""
FIRST_PING_MS = 1_000
MEASURE_MS = 60_000
"""A link's delay is measured so soon, and so often where pings are not due because the link is busy."""
SPARED_PING_MS = 4 * 60_000
SPARED_SILENCE_MS = 5 * 60_000
"""The same for a link with a phone: its radio sleeps between."""
CLOCK_SKEW_MS = 60_000
"""Clocks further apart are told to the owner; the link stays."""

KNOWN = 4_093
"""Places for ids of which a node remembers that a peer has them, of each kind; a prime."""
ANNOUNCE_MS = {messages.TRANSACTION: 200, messages.VOTE: 20}
"""Things of a kind that come within that time are announced together."""
REQUEST_MS = 2_000
"""A peer that gave nothing for so long after it was asked is passed over, and the next is asked."""
PATIENCE = 4
"""How many times that, where there is no other to ask: a phone on a bad link is slow, not hostile."""
MAX_OVERDUE = 256
"""Things that a peer did not give in time, and may give yet."""
MAX_IN_FLIGHT = 64
"""Things asked of one peer and not come yet."""
MAX_QUEUED = 2_000
"""Things that wait to be asked of one peer; the least wanted goes when there are more."""
MAX_WISHES = 4_000
"""Where more things than that are wanted in all, each peer's queues are held to their share of them."""
MAX_SOURCES = 8
"""Peers remembered for each of them."""
MAX_BLOCKS_IN_FLIGHT = 16
MAX_SERVED = 64
"""Blocks that one peer may wait for; four times what an honest one asks for at once."""
MAX_CHASED = 3
"""Missing parents are asked for one by one so many times; then history is asked for."""
HISTORY_MS = 10_000
"""A question about history that is not answered by then may be asked again."""
PAGE_END = 6
"""So many names at the end of a page of history stand in the question for the next one."""
MAX_HELD, MAX_HELD_BYTES = 1_000, 1 << 20
"""Messages held back because a rate of this node's own would be passed; beyond that the link is given up."""
HELD_MS = 500

CIRCUIT_WINDOW = 64 << 10
"""What may be under way on a circuit in one direction, each message counting `CIRCUIT_COST` more than its bytes."""
CIRCUIT_COST = 256
CIRCUIT_CREDIT = CIRCUIT_WINDOW // 4
"""Credit is given in pieces of at least that."""
MAX_CIRCUITS = 64
"""Circuits that a node makes for others at a time."""
MAX_LINK_CIRCUITS = 8
"""Circuits on one link, of whatever purpose."""
CIRCUIT_VOLUME, RELAYED_VOLUME = 6 << 20, 32 << 20
"""Bytes a minute of one circuit, and of all that a node makes for others; credit waits where more would pass."""
CIRCUIT_ANSWER_MS = 10_000
CIRCUIT_IDLE_MS = 10 * 60_000
"""A circuit that carries nothing for so long is dead: links ping, those of phones rarely."""
CIRCUIT_LIFE_MS = 2 * 3_600_000
"""Then both sides look anew for the best way."""

FAULTS = 100
"""Points of small faults (absences, too much talk, being late while the link is not) that a peer may have; one is
forgiven each `FAULT_MS`."""
FAULT_MS = 10_000
FAULTY_MS = 10 * 60_000
"""How long a peer with too many of them is not let in."""
BAN_MS = 24 * 3_600_000
"""How long one is not let in that sent what no honest node sends."""


def size_of(kind: int) -> int | None:
    """The largest body of a message of this type in any network; None for a type that does not exist."""
    limit = BY_NUMBER.get(kind)
    return None if limit is None else limit.size


def sizes_in(max_body: int, genesis: int) -> FrameLimit:
    """The same in one network, by its largest block body and the size of its genesis: who begins a frame and never
    ends it makes the other side hold so much."""
    known = {
        messages.NUMBERS[WholeBlock]: _HEADER + max_body + 32,
        messages.NUMBERS[GenesisFile]: genesis + 16,
    }
    return lambda kind: known.get(kind) or size_of(kind)


_FOR_BEGINNERS = {messages.NUMBERS[answer] for answer in (GenesisFile, Proof, Offer, Part)}


def heard_of_members(sizes: FrameLimit) -> FrameLimit:
    """What a node hears that is no beginner: not the long answers that only those ask for."""
    return lambda kind: None if kind in _FOR_BEGINNERS else sizes(kind)
