"""Hosts in network namespaces, joined by a hub that this process plays: packets come late, and some never.

The kernel's own means (`netem`) are not everywhere. Each host's `eth0` is a TAP device whose other end is read here; a
packet goes to the host that has its address, or to all, after the delay, unless the dice say no.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
from collections import Counter
from random import Random

import pytest

from tests.scenarios.netns import Town, ip

_TUNSETIFF = 0x400454CA
_TAP, _NO_HEAD = 0x0002, 0x1000
_LARGEST = 2_048


def require_taps() -> None:
    """Skip, with the reason, where such devices cannot be made."""
    try:
        end = os.open("/dev/net/tun", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"no TAP devices here: {error.strerror}")
    try:
        fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", b"", _TAP | _NO_HEAD))
    except OSError as error:
        pytest.skip(f"TAP devices are not permitted here: {error.strerror}")
    finally:
        os.close(end)


class StormyTown(Town):
    """Use it as an async context. `loss` of a hundred packets are lost, the others come `delay_s` later; both may be
    changed at any time."""

    def __init__(self, count: int, seed: int = 1) -> None:
        super().__init__(count)
        self.loss = 0
        self.delay_s = 0.0
        self.fate: Counter[str] = Counter()
        self._random = Random(seed)
        self._ends: list[int] = []
        self._homes: dict[bytes, int] = {}

    async def __aenter__(self) -> StormyTown:
        try:
            for number in range(self.count):
                self._host(number)
        except BaseException:
            await self.__aexit__()
            raise
        for end in self._ends:
            asyncio.get_running_loop().add_reader(end, self._read, end)
        return self

    async def __aexit__(self, *error: object) -> None:
        for end in self._ends:
            asyncio.get_running_loop().remove_reader(end)
            os.close(end)
        self._ends.clear()
        self.__exit__(*error)

    def _host(self, number: int) -> None:
        name, cable = self.name(number), f"{self._tag}t{number}"
        ip("netns", "add", name)
        end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", cable.encode(), _TAP | _NO_HEAD))
        self._ends.append(end)
        ip("link", "set", cable, "netns", name)
        ip("-n", name, "link", "set", cable, "name", "eth0")
        self._bring_up(number)

    def _read(self, end: int) -> None:
        """What a host sent."""
        while True:
            try:
                packet = os.read(end, _LARGEST)
            except BlockingIOError:
                return
            self._homes[packet[6:12]] = end
            home = self._homes.get(packet[:6])
            for other in (home,) if home is not None else [each for each in self._ends if each != end]:
                lost = self._random.randrange(100) < self.loss
                self.fate["lost" if lost else "carried"] += 1
                if not lost:
                    asyncio.get_running_loop().call_later(self.delay_s, self._write, other, packet)

    def _write(self, end: int, packet: bytes) -> None:
        if end in self._ends:
            try:
                os.write(end, packet)
            except BlockingIOError:
                self.fate["full"] += 1
