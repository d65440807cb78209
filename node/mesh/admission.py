"""Who may connect, and how often: counts of inbound links by address and by network (research, section 5.5).

Plain counting; the time comes in. Addresses of the local machine and the local network have limits of their own: what
comes through Tor has the address of this machine, and a household may own many phones.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

WINDOW_S = 60.0
_MAX_COUNTED = 4_096
"""Addresses whose attempts are counted in a window; beyond that only the counts of links hold."""


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Inbound links at a time: in all, an address, a network (/24, /64 of IPv6); and attempts an address a minute."""

    total: int = 64
    per_address: int = 3
    per_network: int = 8
    attempts: int = 20
    local_per_address: int = 32
    local_per_network: int = 64
    local_attempts: int = 300


def plain(host: str) -> IPv4Address | IPv6Address:
    """The address in a socket's host, without a scope; IPv4 in IPv6's clothes is IPv4."""
    found = ip_address(host.partition("%")[0])
    return (found.ipv4_mapped if isinstance(found, IPv6Address) else None) or found


def _network(address: IPv4Address | IPv6Address) -> bytes:
    return address.packed[:3] if address.version == 4 else address.packed[:8]


class Admission:
    """Counts of who is in and who tried. Hosts are as a socket tells them."""

    def __init__(self, limits: AdmissionLimits) -> None:
        self._limits = limits
        self._addresses: Counter[bytes] = Counter()
        self._networks: Counter[bytes] = Counter()
        self._attempts: Counter[bytes] = Counter()
        self._window = 0.0

    @property
    def inside(self) -> int:
        """Links that are counted."""
        return self._addresses.total()

    def enter(self, host: str, now: float) -> str | None:
        """None: counted in, to be told when it leaves. Else the reason why not. `now` is monotonic, in seconds."""
        limits, address = self._limits, plain(host)
        local = address.is_loopback or address.is_private or address.is_link_local
        network = _network(address)
        if now - self._window >= WINDOW_S:
            self._attempts.clear()
            self._window = now
        # Whoever has one address of IPv6 has all of its network.
        source = address.packed if address.version == 4 else network
        if source in self._attempts or len(self._attempts) < _MAX_COUNTED:
            self._attempts[source] += 1
        if self._attempts[source] > (limits.local_attempts if local else limits.attempts):
            return "too_often"
        if self.inside >= limits.total:
            return "full"
        if self._addresses[address.packed] >= (limits.local_per_address if local else limits.per_address):
            return "address_full"
        if self._networks[network] >= (limits.local_per_network if local else limits.per_network):
            return "network_full"
        self._addresses[address.packed] += 1
        self._networks[network] += 1
        return None

    def leave(self, host: str) -> None:
        """One that had entered is gone."""
        address = plain(host)
        for counts, key in ((self._addresses, address.packed), (self._networks, _network(address))):
            counts[key] -= 1
            if counts[key] <= 0:
                del counts[key]
