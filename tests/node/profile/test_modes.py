"""Which kind of node a device runs by itself, and what a kind makes of the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_tui.cli.connection import service_settings
from nexus_tui.settings import SECTIONS
from node.profile import modes
from node.profile.config import load
from node.service.mesh_settings import MeshSettings
from node.service.opening import ServiceSettings


def settings(folder: Path, *options: str) -> tuple[ServiceSettings, MeshSettings]:
    made = service_settings(load(folder / "config.toml", SECTIONS, options, {}))
    assert made.mesh is not None
    return made, made.mesh


def test_a_phone_is_known_by_its_system() -> None:
    assert not modes.is_android({"HOME": "/home/ada"})
    assert modes.is_android({"ANDROID_ROOT": "/system"})
    assert modes.is_android({"TERMUX_VERSION": "0.118"})


@pytest.mark.parametrize(("android", "mode"), [(True, "phone"), (False, "full")])
def test_auto_is_the_devices_own_kind(android: bool, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes, "is_android", lambda: android)
    assert modes.chosen_mode("auto") == mode
    assert [modes.chosen_mode(name) for name in modes.MODES] == list(modes.MODES)


def test_a_phone_makes_few_links_and_takes_none_unless_its_owner_says_so(tmp_path: Path) -> None:
    node, mesh = settings(tmp_path, "node.mode=phone")
    assert (node.mode, mesh.phone, mesh.hosts, mesh.outbound, mesh.relay) == ("phone", True, (), 4, False)
    _, mesh = settings(tmp_path, "node.mode=phone", "mesh.listen=192.168.1.5", "mesh.outbound=3")
    assert (mesh.hosts, mesh.outbound, mesh.inbound) == (("192.168.1.5",), 3, modes.PHONE_INBOUND)
    _, mesh = settings(tmp_path, "node.mode=phone", "mesh.listen=any")
    assert mesh.hosts == MeshSettings().hosts


def test_a_full_node_listens_everywhere(tmp_path: Path) -> None:
    node, mesh = settings(tmp_path, "node.mode=full")
    assert (node.mode, mesh.phone, mesh.hosts, mesh.outbound) == ("full", False, MeshSettings().hosts, 8)


def test_an_archive_keeps_everything_whatever_the_bounds_say(tmp_path: Path) -> None:
    node, _ = settings(tmp_path, "node.mode=archive", "node.keep_megabytes=5", "node.keep_bodies_hours=1")
    assert (node.keep_bodies_hours, node.keep_history_days, node.keep_megabytes) == (0, 0, 0)
    node, _ = settings(tmp_path, "node.mode=full", "node.keep_megabytes=5")
    assert node.keep_megabytes == 5
