"""What the system says of its network, and a command that says nothing or never ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.service.metered import asks_system, read_wifi

HOME = {"ip": "192.168.1.5", "ssid": "home", "supplicant_state": "COMPLETED"}


@pytest.mark.parametrize(
    ("answer", "metered"),
    [
        (HOME, False),
        (HOME | {"supplicant_state": "DISCONNECTED", "ip": "0.0.0.0"}, True),
        (HOME | {"ip": "0.0.0.0"}, True),
        (HOME | {"ip": None}, True),
        ({"API_ERROR": "No current connection"}, None),
        ([HOME], None),
    ],
)
def test_wifi_is_free_and_all_else_is_metered(answer: object, metered: bool | None) -> None:
    assert read_wifi(json.dumps(answer).encode()) is metered


def test_what_is_no_answer_says_nothing() -> None:
    assert read_wifi(b"") is None
    assert read_wifi(b"\xff{") is None


def program(folder: Path, body: str) -> str:
    path = folder / "tells"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return str(path)


async def test_the_command_is_run_and_never_waited_for_long(tmp_path: Path) -> None:
    assert await asks_system(program(tmp_path, f"echo '{json.dumps(HOME)}'")) is False
    assert await asks_system(program(tmp_path, "exec sleep 600"), patience_s=0.2) is None
    assert await asks_system(str(tmp_path / "none")) is None
