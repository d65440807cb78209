"""Invitations: how somebody who knows nobody joins a network (protocol section 10).

As text, `nexus://join?genesis=…&node=NODE@HOST:PORT&…`, with everything: the genesis hash, a name for people, a recent
final checkpoint and one or more nodes. As a QR code that fits 41 columns, `NEXUS:` and base32 in capital letters (which
QR codes hold densely): one node, and the first 16 bytes of the genesis hash and of the checkpoint's. Sixteen bytes are
enough to know them again: whoever wanted another with the same ones had to find a second preimage of 128 bits.

A node that nobody can call names a relay: `node=NODE@via:RELAY@HOST:PORT`. The relay is of the network too, so the QR
code names the relay alone, as if it had invited.
"""

from __future__ import annotations

from base64 import b32decode, b32encode
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from node.api.errors import Refused
from node.encoding.hosts import Address, is_host
from node.encoding.node_id import PREFIX as PREFIX_OF_NODES
from node.encoding.node_id import NodeIdError, check_node_id, node_text, parse_node_id

SCHEME = "nexus"
QR_SCHEME = "NEXUS:"
MAX_TEXT = 2_048
MAX_NODES = 8
MAX_NAME = 64
PREFIX = 16
"""Bytes of a hash that an invitation must have at least."""
_VIA = "via:"
_VERSION = 1
_CHECK = 4


class Invitation(NamedTuple):
    """`genesis` and `checkpoint` are 32 bytes, or the first 16 out of a QR code; an empty checkpoint for none."""

    genesis: bytes
    nodes: tuple[Address, ...]
    checkpoint: bytes = b""
    name: str = ""

    def text(self) -> str:
        """Everything, to be sent in a message."""
        fields = [("genesis", self.genesis.hex())]
        if self.checkpoint:
            fields.append(("checkpoint", self.checkpoint.hex()))
        fields += [("node", address_text(node)) for node in self.nodes]
        if self.name:
            fields.append(("name", self.name))
        return f"{SCHEME}://join?" + "&".join(f"{key}={quote(value, safe='@:[]')}" for key, value in fields)

    def compact(self) -> str:
        """The short form, for a QR code. Raises Refused where the first node's host is a name too long for it."""
        node = self.nodes[0].there
        try:
            host, kind = IPv4Address(node.host).packed, 4
        except ValueError:
            try:
                host, kind = IPv6Address(node.host).packed, 6
            except ValueError:
                host, kind = node.host.encode(), 0
        if len(host) > 16:
            raise Refused(
                "name_too_long",
                f"The name {node.host} is too long for a small QR code.",
                "Show an address instead (nexus mesh invite --host ADDRESS), or send the invitation as text.",
            )
        head = bytes((_VERSION << 4 | kind, len(host)))
        checkpoint = self.checkpoint[:PREFIX].ljust(PREFIX, b"\0")
        data = head + host + node.port.to_bytes(2) + node.node + self.genesis[:PREFIX] + checkpoint
        return QR_SCHEME + b32encode(data + _checksum(data)).decode().rstrip("=")


def parse_invitation(text: str) -> Invitation:
    """Read an invitation in either form; nothing is contacted. Raises Refused (bad_invitation), which says why."""
    text = text.strip()
    if len(text) > MAX_TEXT:
        raise _refusal("it is too long")
    if text.upper().startswith(QR_SCHEME) and not text.lower().startswith(f"{SCHEME}://"):
        return _parse_compact(text[len(QR_SCHEME) :].upper())
    return _parse_text(text)


def _parse_text(text: str) -> Invitation:
    try:
        parts = urlsplit(text)
        pairs = parse_qsl(parts.query, strict_parsing=True, max_num_fields=MAX_NODES + 3)
    except ValueError:
        raise _refusal("its fields cannot be read") from None
    if (parts.scheme, parts.netloc, parts.path) != (SCHEME, "join", ""):
        raise _refusal("it does not begin with nexus://join?")
    fields: dict[str, list[str]] = {}
    for key, value in pairs:
        fields.setdefault(key, []).append(value)
    if unknown := fields.keys() - {"genesis", "checkpoint", "node", "name"}:
        raise _refusal(f"its part {sorted(unknown)[0][:32]!r} is not known")
    if any(len(fields.get(key, [])) > 1 for key in ("genesis", "checkpoint", "name")):
        raise _refusal("one of its parts stands twice")
    genesis = _hash(fields.get("genesis", [""])[0], "genesis")
    checkpoint = _hash(fields["checkpoint"][0], "checkpoint") if "checkpoint" in fields else b""
    nodes = tuple(_node_of_invitation(value) for value in fields.get("node", []))
    if not 0 < len(nodes) <= MAX_NODES:
        raise _refusal(f"it names no node, or more than {MAX_NODES}")
    name = fields.get("name", [""])[0]
    if len(name) > MAX_NAME or not name.isprintable():
        raise _refusal("its name is too long, or holds characters that cannot be shown")
    return Invitation(genesis, nodes, checkpoint, name)


def _hash(text: str, what: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32 or len(text) != 64:
        raise _refusal(f"its {what} is not 64 hexadecimal digits")
    return found


def address_text(address: Address) -> str:
    """NODE@HOST:PORT, or NODE@via:RELAY@HOST:PORT."""
    via = f"{_VIA}{node_text(address.relay)}@" if address.relay else ""
    return f"{node_text(address.node)}@{via}{_bracketed(address.host)}:{address.port}"


def parse_address(text: str) -> Address:
    """NODE@HOST:PORT or NODE@via:RELAY@HOST:PORT, nodes as nxn1… or 64 hexadecimal digits. Raises Refused."""
    try:
        return _node(text.strip())
    except ValueError as error:
        raise Refused(
            "bad_place",
            f"This does not say where a node is: {error}.",
            "Write NODE@HOST:PORT, the node's id (nxn1…) before the @, or give a whole invitation (nexus://join?…).",
        ) from None


def _node_of_invitation(text: str) -> Address:
    try:
        return _node(text)
    except ValueError as error:
        raise _refusal(f"of a node that it names, {error}") from None


def _node(text: str) -> Address:
    """Raises ValueError, which says why."""
    identity, _, place = text.rpartition("@")
    identity, through, relay = identity.partition(f"@{_VIA}")
    host, _, port = place.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("the IPv6 address stands without its brackets")
    if not is_host(host) or not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 1 << 16):
        raise ValueError("the place is not NODE@HOST:PORT")
    try:
        found = Address(host, int(port), _id(identity), _id(relay) if through else b"")
    except ValueError:
        raise ValueError("what stands before the @ is no node's id") from None
    if found.node == found.relay:
        raise ValueError("it is to be its own relay")
    return found


def _id(text: str) -> bytes:
    return parse_node_id(text) if text.startswith(PREFIX_OF_NODES) else check_node_id(bytes.fromhex(text))


def _parse_compact(text: str) -> Invitation:
    try:
        data = b32decode(text + "=" * (-len(text) % 8))
    except ValueError:
        raise _refusal("a character in it never occurs in one") from None
    body, check = data[:-_CHECK], data[-_CHECK:]
    whole = b32encode(data).decode().rstrip("=") == text
    if not whole or len(data) < _CHECK or check != _checksum(body):
        raise _refusal("its checksum does not fit: a character is wrong or missing")
    if body[0] >> 4 != _VERSION:
        raise _refusal("it was made by another version of Nexus")
    kind, size = body[0] & 15, body[1]
    host, rest = body[2 : 2 + size], body[2 + size :]
    if len(rest) != 2 + 32 + 2 * PREFIX:
        raise _refusal("it is cut off")
    try:
        name = str(IPv4Address(host)) if kind == 4 else str(IPv6Address(host)) if kind == 6 else host.decode("ascii")
    except ValueError:
        name = ""
    address = Address(name, int.from_bytes(rest[:2]), rest[2:34])
    if not is_host(name) or not address.port or not _is_node(address.node):
        raise _refusal("its node is not one")
    genesis, checkpoint = rest[34 : 34 + PREFIX], rest[34 + PREFIX :]
    return Invitation(genesis, (address,), checkpoint if any(checkpoint) else b"")


def _is_node(node: bytes) -> bool:
    try:
        check_node_id(node)
    except NodeIdError:
        return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _checksum(data: bytes) -> bytes:
    return blake2b(data, digest_size=_CHECK, person=b"nexus/invite").digest()


def _refusal(why: str) -> Refused:
    return Refused(
        "bad_invitation",
        f"This is no invitation to a network: {why}.",
        "An invitation looks like nexus://join?genesis=…&node=NODE@HOST:PORT. Copy the whole of it.",
    )
