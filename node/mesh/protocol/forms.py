"""The forms of the mesh's messages: how they are encoded, what a good one looks like, and what it weighs (protocol
section 10)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

from node.encoding import canonical
from node.encoding.canonical import EncodingError, Value, pack
from node.mesh.protocol.messages import (
    BUCKETS,
    KINDS,
    MAX_ADDRESSES,
    MAX_ASKED,
    MAX_CERTIFICATES,
    MAX_CHECKPOINT,
    MAX_CIRCUIT_DATA,
    MAX_HISTORY,
    MAX_LOCATOR,
    MAX_NAMES,
    MAX_ROUTES,
    MAX_SECTION,
    MOST,
    PART_SIZE,
    SECTIONS,
    TYPES,
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
    WireError,
)

_FIELDS: dict[type[AnyMessage], tuple[type, ...]] = {
    Ping: (int,),
    Pong: (int,),
    Bye: (str, str),
    Inventory: (int, tuple, tuple),
    Get: (int, tuple),
    Absent: (int, tuple),
    Given: (int, tuple),
    NewBlock: (bytes,),
    WholeBlock: (bytes, bytes),
    AskHistory: (tuple, int),
    History: (tuple, int),
    AskAddresses: (),
    Addresses: (tuple,),
    Routes: (tuple,),
    AskGenesis: (),
    GenesisFile: (bytes,),
    AskCircuit: (int, bytes),
    OfferCircuit: (int, bytes),
    AnswerCircuit: (int, str),
    CircuitData: (int, bytes),
    CircuitCredit: (int, int),
    EndCircuit: (int, str),
    AskProof: (bytes, bytes, int),
    Proof: (bytes, tuple, tuple, int),
    AskSnapshot: (bytes,),
    Offer: (bytes, bytes, tuple),
    AskPart: (bytes, int, int),
    Part: (bytes, int, int, bytes),
}
_MOST: dict[type[AnyMessage], int] = {
    AskHistory: MAX_LOCATOR,
    History: MAX_HISTORY,
}


def encode(message: AnyMessage) -> bytes:
    """The body of a message's frame."""
    return pack(cast(Value, tuple(message)))


def weight(message: AnyMessage) -> int:
    """About how many bytes a message takes, at least as many as it does: what quotas count, on both sides alike."""
    if (weigh := _WEIGH.get(type(message))) is not None:
        return weigh(message)
    total = 8
    for field in message:
        if type(field) is bytes:
            total += len(field) + 5
        elif type(field) is str:
            total += 4 * len(field) + 5
        elif type(field) is tuple:
            total += 5 + sum(map(_WEIGHTS[type(field[0])], field)) if field else 5
        else:
            total += 9
    return total


_WEIGHTS: dict[type, Callable[[Any], int]] = {
    bytes: lambda item: len(item) + 5,
    int: lambda item: 9,
    tuple: lambda entry: 4 * len(entry[0]) + 17 + sum(len(node) + 5 for node in entry[2:]),
}
"""Of what a field lists, by the type of the first: all are alike in a message of good form."""
_NAME = 34
_WEIGH: dict[type, Callable[[Any], int]] = {
    Inventory: lambda message: 27 + _NAME * len(message.names) + 9 * len(message.worths),
    Get: lambda message: 22 + _NAME * len(message.names),
    Absent: lambda message: 22 + _NAME * len(message.names),
    AskHistory: lambda message: 22 + _NAME * len(message.locator),
    History: lambda message: 22 + _NAME * len(message.names),
    Given: lambda message: 22 + sum(map(len, message.things)) + 5 * len(message.things),
}
"""Of those that list something, and are many. An id is 32 bytes and its head."""


def decode(kind: int, body: bytes) -> AnyMessage:
    """A message of good form from a frame. Raises WireError."""
    message = TYPES.get(kind)
    if message is None:
        raise WireError("unknown_type", f"There is no message of type {kind}.")
    try:
        value = canonical.decode(body, len(body))
    except EncodingError as error:
        raise WireError("bad_encoding", f"A message's bytes are not canonical: {error}") from None
    if type(value) is not tuple or tuple(map(type, value)) != _FIELDS[message]:
        raise WireError("bad_form", f"A message of type {kind} does not have the fields of its type.")
    made = cast(AnyMessage, cast(Any, message)._make(value))
    _check(made)
    return made


def _check(message: AnyMessage) -> None:
    match message:
        case Inventory(kind, names, worths):
            _check_kind(kind)
            _check_names(names, MAX_NAMES)
            _check_worths(worths, len(names))
        case Get(kind, names) | Absent(kind, names):
            _check_kind(kind)
            _check_names(names, MAX_ASKED)
        case AskHistory(names, _) | History(names, _):
            _check_names(names, _MOST[type(message)])
        case Given(kind, things):
            _check_kind(kind)
            if not 0 < len(things) <= MAX_ASKED or any(type(thing) is not bytes for thing in things):
                raise WireError("bad_form", "What was asked for is given as bytes, and not more than can be asked for.")
        case Bye(code, text):
            if len(code) > 32 or len(text) > 200:
                raise WireError("bad_form", "A farewell is short.")
        case Addresses(entries):
            if len(entries) > MAX_ADDRESSES or any(not _is_address(entry) for entry in entries):
                raise WireError("bad_form", f"A node tells at most {MAX_ADDRESSES} addresses: host, port and node id.")
        case Routes(entries):
            if len(entries) > MAX_ROUTES or any(not _is_address(entry, ids=2) for entry in entries):
                raise WireError("bad_form", f"A node tells at most {MAX_ROUTES} routes: a relay's address, and a node.")
        case AskCircuit(_, node) | OfferCircuit(_, node):
            if len(node) != 32:
                raise WireError("bad_form", "A circuit leads to a node, whose id has 32 bytes.")
        case AnswerCircuit(_, code) | EndCircuit(_, code):
            if len(code) > 32:
                raise WireError("bad_form", "What is said of a circuit is short.")
        case CircuitData(_, data):
            if not 0 < len(data) <= MAX_CIRCUIT_DATA:
                raise WireError("bad_form", f"A message carries 1 to {MAX_CIRCUIT_DATA:,} bytes of a circuit.")
        case AskProof(trusted, checkpoint, _):
            if not 16 <= len(trusted) <= 32 or len(checkpoint) != 32:
                raise WireError("bad_form", "A hash has 32 bytes, and 16 of them are enough to name what is trusted.")
        case Proof(trusted, tables, certificates, _):
            if len(trusted) > MAX_CHECKPOINT or len(tables) > 2 or len(certificates) > MAX_CERTIFICATES:
                raise WireError("bad_form", "A page of a proof is longer than it can be.")
            if any(type(item) is not bytes for item in (*tables, *certificates)):
                raise WireError("bad_form", "Tables and certificates come as bytes.")
        case AskSnapshot(checkpoint):
            if len(checkpoint) > 32:
                raise WireError("bad_form", "A hash has 32 bytes.")
        case Offer(checkpoint, buckets, sizes):
            _check_offer(checkpoint, buckets, sizes)
        case AskPart(checkpoint, section, part) | Part(checkpoint, section, part, _):
            if len(checkpoint) != 32 or section >= SECTIONS or part * PART_SIZE >= MAX_SECTION:
                raise WireError("bad_form", "No snapshot has such a part.")
            if type(message) is Part and len(message.data) > PART_SIZE:
                raise WireError("bad_form", "A part of a snapshot is larger than parts are.")
        case _:
            pass


def _check_offer(checkpoint: bytes, buckets: bytes, sizes: tuple[int, ...]) -> None:
    if not checkpoint and not buckets and not sizes:
        return
    if not 0 < len(checkpoint) <= MAX_CHECKPOINT or len(buckets) != 32 * BUCKETS or len(sizes) != SECTIONS:
        raise WireError("bad_form", "The offer of a snapshot does not have its form.")
    if any(type(size) is not int or not 0 < size <= MAX_SECTION for size in sizes):
        raise WireError("bad_form", "A section of the offered snapshot has an impossible size.")


def _check_kind(kind: int) -> None:
    if kind not in KINDS:
        raise WireError("unknown_kind", f"There are no things of kind {kind}.")


def _check_names(names: tuple[bytes, ...], most: int) -> None:
    if not len(names) <= most or any(type(name) is not bytes or len(name) != 32 for name in names):
        raise WireError("bad_form", f"At most {most} ids of 32 bytes go into this message.")
    if len(set(names)) != len(names):
        raise WireError("bad_form", "A message names something twice.")


def _check_worths(worths: tuple[int, ...], names: int) -> None:
    if not 0 < len(worths) <= max(1, names) or any(
        type(worth) is not int or not 0 <= worth <= MOST for worth in worths
    ):
        raise WireError("bad_form", "What the first names of an inventory are worth is one number for each.")
    if any(one < other for one, other in pairwise(worths)):
        raise WireError("bad_form", "An inventory names the most wanted first.")


def _is_address(entry: object, ids: int = 1) -> bool:
    if type(entry) is not tuple or tuple(map(type, entry)) != (str, int, *(bytes,) * ids):
        return False
    host, port, *nodes = entry
    return 0 < len(host) <= 255 and 0 < port < 1 << 16 and all(len(node) == 32 for node in nodes)
