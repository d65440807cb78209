"""The messages of the mesh (protocol section 10).

A frame's body is the canonical encoding of an array whose fields a message's class names. A thing that travels
(transaction, vote, block) is bytes here: what it says is judged by whoever owns its rules. `forms.py`
encodes them and checks what comes; `limits.py` has the sizes and rates of each type.
"""

from __future__ import annotations

from typing import NamedTuple

TRANSACTION, VOTE, BLOCK = range(3)
"""Kinds of things that are announced, asked for and given."""
KINDS = (TRANSACTION, VOTE, BLOCK)

MOST = (1 << 63) - 1
"""What a thing can be worth."""
MAX_NAMES = 1_000
"""Ids in one inventory."""
MAX_ASKED = 128
"""Ids in one request."""
MAX_LOCATOR = 64
MAX_HISTORY = 500
"""Blocks named in one page of history."""
BEYOND = 2
MAX_ADDRESSES = 100
MAX_ROUTES = 32
MAX_CIRCUIT_DATA = 16 << 10
"""Bytes in one message of a circuit."""
BUCKETS = 256
FRONT = BUCKETS
"""Section of a snapshot after those of its buckets: its head and the blocks (`node.storage.snapshot`)."""
SECTIONS = BUCKETS + 1
PART_SIZE = 256 << 10
"""A section is given in parts of this size, the last one of what is left."""
MAX_SECTION = 1 << 30
MAX_CERTIFICATES = 32
"""In one page of a proof."""
MAX_CHECKPOINT = 1_024
"""Bytes of an encoded checkpoint."""


class WireError(ValueError):
    """A message that no honest node sends; `code` names what is wrong with it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Ping(NamedTuple):
    """Are you there? The answer is `Pong` with the same token."""

    token: int


class Pong(NamedTuple):
    """The answer to `Ping`."""

    token: int


class Bye(NamedTuple):
    """Why the sender closes the link: a code for programs and a text for people."""

    code: str
    text: str


class Inventory(NamedTuple):
    """Things that the sender has and found good, the most wanted first. `worths` are what the first names are worth;
    the others are worth as much as the last of these."""

    kind: int
    names: tuple[bytes, ...]
    worths: tuple[int, ...] = (0,)


class Get(NamedTuple):
    """A request for things."""

    kind: int
    names: tuple[bytes, ...]


class Absent(NamedTuple):
    """The answer to `Get` for things that the sender does not have (any more)."""

    kind: int
    names: tuple[bytes, ...]


class Given(NamedTuple):
    """Transactions or votes that were asked for, encoded."""

    kind: int
    things: tuple[bytes, ...]


class NewBlock(NamedTuple):
    """The header of a block that the sender found good: pushed at once, its body is for the asking."""

    header: bytes


class WholeBlock(NamedTuple):
    """A block that was asked for."""

    header: bytes
    body: bytes


class AskHistory(NamedTuple):
    """What comes after these? Ids of blocks that the sender has, the newest first, at growing distances."""

    locator: tuple[bytes, ...]
    limit: int


class History(NamedTuple):
    """Names of blocks after the first of the locator that is known, parents before children; `more` is 1 if the page
    was too small for all, and `BEYOND` where what the sender keeps begins above all that the locator names."""

    names: tuple[bytes, ...]
    more: int


class AskAddresses(NamedTuple):
    """Which other nodes do you know?"""


class Addresses(NamedTuple):
    """Other nodes: host, port and node id of each."""

    entries: tuple[tuple[str, int, bytes], ...]


class Routes(NamedTuple):
    """Nodes that cannot be called, and relays through which they can be reached: host, port and node id of the relay,
    and the id of the node. What a node says of itself replaces what it said before."""

    entries: tuple[tuple[str, int, bytes, bytes], ...]


class AskCircuit(NamedTuple):
    """Please join me with a node that you are linked with. Whoever opened the link numbers circuits 1, 3, 5 …, the
    other side 2, 4, 6 …, asking and offering alike."""

    circuit: int
    node: bytes


class OfferCircuit(NamedTuple):
    """A node asks for a circuit to you."""

    circuit: int
    node: bytes


class AnswerCircuit(NamedTuple):
    """The circuit is there (an empty code), or why there is none."""

    circuit: int
    code: str


class CircuitData(NamedTuple):
    """Bytes of a circuit. Only its two ends can read them."""

    circuit: int
    data: bytes


class CircuitCredit(NamedTuple):
    """So much more may be sent on a circuit."""

    circuit: int
    size: int


class EndCircuit(NamedTuple):
    """Nothing more comes on a circuit from this side; it is over once both have said so."""

    circuit: int
    code: str


class AskGenesis(NamedTuple):
    """The network's genesis, please: a guest knows its hash, or the beginning of it."""


class GenesisFile(NamedTuple):
    """The encoded genesis."""

    data: bytes


CircuitMessage = AskCircuit | OfferCircuit | AnswerCircuit | CircuitData | CircuitCredit | EndCircuit


class AskProof(NamedTuple):
    """What proves that a checkpoint is final, for who trusts an earlier one by its hash or the first 16 bytes of it:
    certificates of checkpoints above number `after`?"""

    trusted: bytes
    checkpoint: bytes
    after: int


class Proof(NamedTuple):
    """The trusted checkpoint and the contents of its two tables; certificates on the way from there, ascending; `more`
    is 1 if others follow. All empty: the sender does not know one of the two."""

    trusted: bytes
    tables: tuple[bytes, ...]
    certificates: tuple[bytes, ...]
    more: int


class AskSnapshot(NamedTuple):
    """Which snapshot of the state can you give? That of the checkpoint with this hash if you can, else your newest."""

    checkpoint: bytes


class Offer(NamedTuple):
    """A snapshot: its encoded checkpoint, the hashes of the 256 buckets' waves one after the other, which give the
    checkpoint's state commitment, and the sizes of its sections. All empty: the sender has none."""

    checkpoint: bytes
    buckets: bytes
    sizes: tuple[int, ...]


class AskPart(NamedTuple):
    """A part of one section of the snapshot at a checkpoint, please."""

    checkpoint: bytes
    section: int
    part: int


class Part(NamedTuple):
    """The answer; empty where the sender has it no longer."""

    checkpoint: bytes
    section: int
    part: int
    data: bytes


AnyMessage = (
    Ping
    | Pong
    | Bye
    | Inventory
    | Get
    | Absent
    | Given
    | NewBlock
    | WholeBlock
    | AskHistory
    | History
    | AskAddresses
    | Addresses
    | Routes
    | AskGenesis
    | GenesisFile
    | CircuitMessage
    | AskProof
    | Proof
    | AskSnapshot
    | Offer
    | AskPart
    | Part
)

HELLO = 0
"""The type of the first frame on a link; see `hello.py`."""
TYPES: dict[int, type[AnyMessage]] = {
    1: Ping,
    2: Pong,
    3: Bye,
    10: Inventory,
    11: Get,
    12: Absent,
    13: Given,
    14: NewBlock,
    15: WholeBlock,
    20: AskHistory,
    21: History,
    30: AskAddresses,
    31: Addresses,
    32: Routes,
    40: AskGenesis,
    41: GenesisFile,
    50: AskCircuit,
    51: OfferCircuit,
    52: AnswerCircuit,
    53: CircuitData,
    54: CircuitCredit,
    55: EndCircuit,
    42: AskProof,
    43: Proof,
    44: AskSnapshot,
    45: Offer,
    46: AskPart,
    47: Part,
}
NUMBERS: dict[type[AnyMessage], int] = {message: number for number, message in TYPES.items()}
