"""Where a profile lives: names, modes, long socket paths, folders that cannot be used."""

import os
import stat
from pathlib import Path

import pytest

from node.api.errors import Damaged
from node.profile import paths
from node.profile.paths import ProfileError


@pytest.fixture(autouse=True)
def nexus_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("NEXUS_HOME", str(home))
    return home


def test_home_is_the_environment_or_the_platform(nexus_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert paths.home() == nexus_home
    monkeypatch.delenv("NEXUS_HOME")
    assert paths.home().name == "nexus"


def make(name: str) -> paths.ProfilePaths:
    with paths.new_profile(name) as aside:
        aside.genesis.write_bytes(b"x")
    return paths.profile_paths(name)


def test_a_profile_appears_complete_or_not_at_all(nexus_home: Path) -> None:
    with paths.new_profile("work") as aside:
        aside.genesis.write_bytes(b"x")
        assert paths.list_profiles() == ()
    assert paths.list_profiles() == ("work",)
    assert paths.existing_profile("work").wallets.is_dir()
    with pytest.raises(ProfileError, match="exists already"), paths.new_profile("work"):
        pass


def test_a_failed_creation_leaves_nothing(nexus_home: Path) -> None:
    def fail() -> None:
        with paths.new_profile("work") as aside:
            aside.genesis.write_bytes(b"x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list((nexus_home / "profiles").iterdir()) == []


def test_foreign_files_in_the_way_are_kept(nexus_home: Path) -> None:
    paths.make_private_folder(nexus_home / "profiles" / "work")
    with paths.new_profile("work") as aside:  # an empty folder is in nobody's way
        aside.genesis.write_bytes(b"x")
    kept = nexus_home / "profiles" / "other" / "note"
    paths.make_private_folder(kept.parent)
    kept.write_text("mine")
    with pytest.raises(ProfileError, match="in the way"), paths.new_profile("other"):
        pass
    assert kept.read_text() == "mine"


def test_folders_are_private(nexus_home: Path) -> None:
    made = make("work")
    for folder in (nexus_home, made.root, made.wallets, nexus_home / "logs"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["", "..", "a/b", "Ä", "A", "-x", "x" * 33, "a b", "a\n", "١"])
def test_impossible_names_are_refused(name: str) -> None:
    with pytest.raises(ProfileError, match="cannot name a profile"):
        paths.profile_paths(name)


def test_an_unknown_profile_is_refused_with_the_nearest(nexus_home: Path) -> None:
    with pytest.raises(ProfileError, match="no profile here yet"):
        paths.existing_profile("work")
    make("work")
    with pytest.raises(ProfileError) as caught:
        paths.existing_profile("wrok")
    assert "Did you mean 'work'?" in caught.value.hint
    assert not (nexus_home / "profiles" / "wrok").exists()


def test_a_short_socket_path_stays_in_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_HOME", "/h")
    assert paths.profile_paths("work").socket == Path("/h/profiles/work/node.sock")


def test_a_long_socket_path_moves_and_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nexus_home: Path
) -> None:
    home = tmp_path / ("x" * 120)
    monkeypatch.setenv("NEXUS_HOME", str(home))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    made = make("work")
    place = made.prepare_socket()
    assert len(os.fsencode(place)) <= paths.MAX_SOCKET_PATH
    assert made.socket_note.read_text().strip() == str(place)
    # Another process with another environment finds the same place by the note.
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/var/tmp")
    assert made.socket == place
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    place.parent.rmdir()


def test_two_homes_with_long_paths_have_two_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = set()
    for letter in "xy":
        monkeypatch.setenv("NEXUS_HOME", str(tmp_path / (letter * 120)))
        places.add(paths.profile_paths("work").socket)
    assert len(places) == 2


def test_a_runtime_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path / ("x" * 120)))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    made = make("work")
    elsewhere = tmp_path / "link"
    elsewhere.symlink_to(tmp_path)
    monkeypatch.setattr(paths, "_runtime_folder", lambda: elsewhere)
    with pytest.raises(Damaged, match="another user"):
        made.prepare_socket()


def test_a_file_in_the_place_of_the_home_is_named(nexus_home: Path) -> None:
    nexus_home.write_text("I was here first")
    with pytest.raises(Damaged, match="A file is where the folder"):
        paths.make_home()
    assert nexus_home.read_text() == "I was here first"


def test_an_unwritable_home_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_HOME", "/proc/nexus")
    with pytest.raises(Damaged):
        paths.make_home()
