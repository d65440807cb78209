"""Words to a supervisor, heard at the other end of a socket."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from node.service.supervisor import Supervisor


def listening(address: str) -> socket.socket:
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(address)
    heard.settimeout(60)
    return heard


def test_without_a_supervisor_nothing_is_sent() -> None:
    for environment in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:1:2"}):
        assert not Supervisor(environment).tell("READY=1")


@pytest.mark.parametrize("abstract", [False, True])
def test_words_arrive_and_the_environment_is_cleared(tmp_path: Path, abstract: bool) -> None:
    name = f"nexus-test-{os.getpid()}"
    place = f"@{name}" if abstract else str(tmp_path / "notify")
    with listening(f"\0{name}" if abstract else place) as heard:
        environment = {"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "10", "OTHER": "kept"}
        supervisor = Supervisor(environment)
        assert environment == {"OTHER": "kept"}
        assert supervisor.tell("READY=1", "STATUS=block 3 \udc80")
        assert heard.recv(1_000) == b"READY=1\nSTATUS=block 3 ?"


def test_a_supervisor_that_is_gone_harms_nobody(tmp_path: Path) -> None:
    assert not Supervisor({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell("READY=1")


def test_one_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    place = str(tmp_path / "notify")
    with listening(place):
        supervisor = Supervisor({"NOTIFY_SOCKET": place})
        assert not all(supervisor.tell("WATCHDOG=1") for _ in range(10_000)), "its queue fills, and that is all"


async def test_signs_of_life_are_given_while_they_are_wanted(tmp_path: Path) -> None:
    place = str(tmp_path / "notify")
    with listening(place) as heard:
        numbers = iter(range(100))
        supervisor = Supervisor({"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": str(os.getpid())})
        alive = asyncio.create_task(supervisor.live(lambda: f"block {next(numbers)}"))
        for number in range(3):
            assert await asyncio.to_thread(heard.recv, 1_000) == f"WATCHDOG=1\nSTATUS=block {number}".encode()
        alive.cancel()


@pytest.mark.parametrize("values", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}])
async def test_else_none_are_given(tmp_path: Path, values: dict[str, str]) -> None:
    place = str(tmp_path / "notify")
    with listening(place) as heard:
        supervisor = Supervisor({"NOTIFY_SOCKET": place, **values})
        assert not supervisor.watches
        await supervisor.live(lambda: "never")
        heard.setblocking(False)
        with pytest.raises(BlockingIOError):
            heard.recv(1_000)
