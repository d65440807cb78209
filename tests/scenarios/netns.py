"""Nodes in network namespaces of their own: two streets of one town, joined by a bridge that a test can cut."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path
from string import ascii_lowercase

import pytest

NETWORK = "10.77.0"


_MADE = count()


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=30)


def require_command(name: str, package: str) -> None:
    """Skip, with the reason, where a command is missing; in CI, which installs it, that is a fault."""
    if shutil.which(name) is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no `{name}` command ({package})")


def require_namespaces() -> None:
    """Skip, with the reason, where namespaces cannot be made."""
    require_command("ip", "iproute2")
    probe = f"nxp{os.getpid() % 10_000}"
    try:
        ip("netns", "add", probe)
        ip("netns", "del", probe)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces are not permitted here: {error.stderr.decode().strip()[:100]}")


def fresh_tag(kind: str) -> str:
    """What names of one test's links and namespaces begin with. They have at most 15 characters, and what was removed
    is gone only after a while: another test must not use them."""
    return f"{kind}{os.getpid() % 10_000}{ascii_lowercase[next(_MADE) % 26]}"


class Town:
    """`count` hosts, the first half in one street, the rest in the other. Nothing of it reaches any other network."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._tag = fresh_tag("nx")
        self._bridges = f"{self._tag}a", f"{self._tag}b"
        self._joint = f"{self._tag}j", f"{self._tag}k"

    def __enter__(self) -> Town:
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self) -> None:
        for bridge in self._bridges:
            ip("link", "add", bridge, "type", "bridge")
            ip("link", "set", bridge, "up")
        one, other = self._joint
        ip("link", "add", one, "type", "veth", "peer", "name", other)
        for end, bridge in zip(self._joint, self._bridges, strict=True):
            ip("link", "set", end, "master", bridge, "up")
        for number in range(self.count):
            self._host(number)

    def _host(self, number: int) -> None:
        name, cable = self.name(number), f"{self._tag}v{number}"
        ip("netns", "add", name)
        ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", cable, "master", self._bridges[number * 2 // self.count], "up")
        self._bring_up(number)

    def _bring_up(self, number: int) -> None:
        """Give a host's `eth0` its address."""
        for command in (
            ("addr", "add", f"{self.address(number)}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
            ("route", "add", "default", "dev", "eth0"),
        ):
            ip("-n", self.name(number), *command)

    def __exit__(self, *error: object) -> None:
        for number in range(self.count):
            subprocess.run(["ip", "netns", "del", self.name(number)], check=False, capture_output=True)
        for link in (self._joint[0], *self._bridges):
            subprocess.run(["ip", "link", "del", link], check=False, capture_output=True)

    def name(self, number: int) -> str:
        return f"{self._tag}n{number}"

    def address(self, number: int) -> str:
        return f"{NETWORK}.{number + 1}"

    def part(self) -> None:
        """The streets do not hear each other any more."""
        ip("link", "set", self._joint[0], "down")

    def heal(self) -> None:
        """They do again."""
        ip("link", "set", self._joint[0], "up")

    def run_node(self, number: int, profile: str, log: Path) -> subprocess.Popen[bytes]:
        """A node of a profile in a host's namespace, as its owner would run it there."""
        return run_inside(self.name(number), profile, log)


def run_inside(namespace: str, profile: str, log: Path) -> subprocess.Popen[bytes]:
    """A node of a profile in a namespace."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_MESH_")}
    inside = ("ip", "netns", "exec", namespace)
    with log.open("wb") as output:
        return subprocess.Popen(
            [*inside, sys.executable, "-m", "nexus_tui", "--profile", profile, "node", "run"],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
