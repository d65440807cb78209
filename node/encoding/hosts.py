"""Where a node is reached: at a host's name or address and a port, or through another node that listens there."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

MAX_HOST = 253


class Address(NamedTuple):
    """Where a node listens, and who it must prove to be (32 bytes; its Ed25519 key).

    With a `relay` it is that node which listens there, and makes a circuit to `node`.
    """

    host: str
    port: int
    node: bytes
    relay: bytes = b""

    @property
    def there(self) -> Address:
        """The node that listens there."""
        return Address(self.host, self.port, self.relay or self.node)


def is_host(text: str) -> bool:
    """Whether a text is an address literal or could be a host's name."""
    if not 0 < len(text) <= MAX_HOST or not text.isascii():
        return False
    if _literal(text) is not None:
        return True
    labels = text.rstrip(".").split(".")
    return (
        all(
            0 < len(label) <= 63 and label.replace("-", "a").replace("_", "a").isalnum() and label[0] != "-"
            for label in labels
        )
        and not labels[-1].isdigit()
    )


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(host)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def is_public(host: str) -> bool:
    """Whether the host can be reached from everywhere: addresses of a local network are nobody else's business."""
    literal = _literal(host)
    if literal is None:
        return not host.endswith((".local", ".lan", ".home", ".internal")) and host != "localhost"
    return literal.is_global


def prefix_of(host: str) -> str:
    """What one operator is likely to own: /16 of IPv4, /32 of IPv6, the domain of a name; a local network is one."""
    literal = _literal(host)
    if literal is None:
        return ".".join(host.lower().rstrip(".").split(".")[-2:])
    if not literal.is_global:
        return "local"
    bits = 16 if literal.version == 4 else 96
    return f"{literal.version}:{int(literal) >> bits:x}"
