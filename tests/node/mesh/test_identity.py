"""The node's key: made once, kept, never replaced, and checked like any other."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from node.api.errors import Damaged, NexusError, Refused
from node.encoding.canonical import pack
from node.mesh.identity import NodeKey, load_node_key, open_node_key, signed_by


def test_a_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    assert load_node_key(path) is None
    made = open_node_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = open_node_key(path)
    assert again.id == made.id
    assert signed_by(made.id, b"text", again.sign(b"text"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["node.key"]


def test_the_seed_is_never_shown() -> None:
    seed = os.urandom(32)
    key = NodeKey(seed)
    assert key.id.hex() in repr(key)
    assert seed.hex() not in repr(key)


def test_a_key_of_rfc_8032() -> None:
    key = NodeKey(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert key.id.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155")


def test_only_the_very_signature_counts() -> None:
    key = NodeKey(bytes(32))
    signature = key.sign(b"text")
    assert not signed_by(key.id, b"other", signature)
    assert not signed_by(NodeKey(bytes([1]) * 32).id, b"text", signature)
    assert not signed_by(key.id, b"text", signature[:63])
    assert not signed_by(key.id, b"text", signature + b"\0")
    # Under the identity point this signature would fit every message.
    assert not signed_by(b"\1" + bytes(31), b"any", b"\1" + bytes(63))


@pytest.mark.parametrize(
    "content", [b"", b"\0", pack(("nexus node key 1", bytes(31))), pack(("nexus node key 2", bytes(32))), b"x" * 5000]
)
def test_a_damaged_key_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "node.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Damaged, match="left as it is") as caught:
        open_node_key(path)
    assert caught.value.code == "node_key_damaged"
    assert caught.value.hint
    assert path.read_bytes() == content


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    open_node_key(path)
    path.chmod(0o640)
    with pytest.raises(Refused) as caught:
        open_node_key(path)
    assert caught.value.code == "node_key_open"


def test_an_unreadable_key_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "node.key"
    before = open_node_key(path)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:  # mode bits do not stop root
        patch.setattr(Path, "open", denied)
        with pytest.raises(Damaged) as caught:
            open_node_key(path)
    assert caught.value.code == "node_key_unreadable"
    assert open_node_key(path).id == before.id


def test_a_link_to_nowhere_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    path.symlink_to(tmp_path / "gone")
    with pytest.raises(Damaged) as caught:
        open_node_key(path)
    assert caught.value.code == "node_key_unreadable"
    assert path.is_symlink()


def test_a_folder_in_the_way_is_an_error_of_the_house(tmp_path: Path) -> None:
    (tmp_path / "node.key").mkdir()
    with pytest.raises(NexusError):
        open_node_key(tmp_path / "node.key")
    with pytest.raises(NexusError):
        open_node_key(tmp_path / "missing" / "node.key")


def test_many_at_once_get_one_key(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    found: list[bytes] = []
    ready = threading.Barrier(8)

    def work() -> None:
        ready.wait()
        found.append(open_node_key(path).id)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_crash_before_the_rename_leaves_no_half_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "node.key"

    def crash(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", crash)
        with pytest.raises(NexusError):
            open_node_key(path)
    assert not path.exists()
    (tmp_path / "node.key.new").write_bytes(b"half")  # as a power cut leaves it
    open_node_key(path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["node.key"]
