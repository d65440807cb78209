"""A street of public addresses in network namespaces, and homes that hide behind routers of theirs."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.scenarios.netns import fresh_tag, ip, require_command, require_namespaces

STREET = "5.1.0"  # public, so that nodes take it for the internet; nothing of it leaves the namespaces
MASQUERADE = """
table ip nat {
  chain out { type nat hook postrouting priority srcnat; oifname "street" masquerade; }
}
table ip filter {
  chain pass {
    type filter hook forward priority filter; policy drop;
    iifname "home" accept
    ct state established,related accept
  }
}
"""


def require_routers() -> None:
    """Skip, with the reason, where a router cannot be made."""
    require_namespaces()
    require_command("nft", "nftables")
    probe = f"nxr{os.getpid() % 10_000}"
    ip("netns", "add", probe)
    try:
        _masquerade(probe)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"a router cannot be made here: {error.stderr.decode().strip()[:100]}")
    finally:
        ip("netns", "del", probe)


def _masquerade(namespace: str) -> None:
    command = ["ip", "netns", "exec", namespace, "nft", "-f", "-"]
    subprocess.run(command, input=MASQUERADE.encode(), check=True, capture_output=True, timeout=30)


class Street:
    """`open_hosts` hosts with public addresses, then `homes` hosts of which each is behind a router of its own."""

    def __init__(self, open_hosts: int, homes: int) -> None:
        self.open_hosts, self.homes = open_hosts, homes
        self._tag = fresh_tag("ns")

    def __enter__(self) -> Street:
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self) -> None:
        ip("link", "add", self._tag, "type", "bridge")
        ip("link", "set", self._tag, "up")
        for number in range(self.open_hosts):
            self._namespace(self.name(number))
            self._to_street(self.name(number), number)
        for number in range(self.open_hosts, self.open_hosts + self.homes):
            self._home(number)

    def __exit__(self, *error: object) -> None:
        for number in range(self.open_hosts + self.homes):
            for name in (self.name(number), self._router(number)):
                subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self._tag], check=False, capture_output=True)

    def name(self, number: int) -> str:
        return f"{self._tag}n{number}"

    def address(self, number: int) -> str:
        """Of an open host, or of a home's router."""
        return f"{STREET}.{number + 1}"

    def _router(self, number: int) -> str:
        return f"{self._tag}r{number}"

    def _namespace(self, name: str) -> None:
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")

    def _to_street(self, namespace: str, number: int) -> None:
        cable = f"{self._tag}v{number}"
        ip("link", "add", cable, "type", "veth", "peer", "name", "street", "netns", namespace)
        ip("link", "set", cable, "master", self._tag, "up")
        ip("-n", namespace, "addr", "add", f"{self.address(number)}/24", "dev", "street")
        ip("-n", namespace, "link", "set", "street", "up")
        ip("-n", namespace, "route", "add", "default", "dev", "street")

    def _home(self, number: int) -> None:
        router, host = self._router(number), self.name(number)
        self._namespace(router)
        self._namespace(host)
        self._to_street(router, number)
        ip("-n", router, "link", "add", "home", "type", "veth", "peer", "name", "eth0", "netns", host)
        for namespace, device, address in ((router, "home", "192.168.7.1"), (host, "eth0", "192.168.7.2")):
            ip("-n", namespace, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", namespace, "link", "set", device, "up")
        ip("-n", host, "route", "add", "default", "via", "192.168.7.1")
        ip("netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        _masquerade(router)
