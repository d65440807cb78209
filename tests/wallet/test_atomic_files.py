"""Files are whole or not there: interrupted at every system call, on a full disk, in folders that are not ours."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

import mnemonic
import pytest

from node.api.errors import Damaged, NexusError, Refused
from wallet import files
from wallet.files import folder_lock, read_bounded, write_atomic
from wallet.secret import Secret
from wallet.store import WalletStore
from wallet.wallet import Wallet

CALLS = ("open", "fsync", "replace", "unlink")


class PowerCut(BaseException):
    """The machine stops here: nobody catches this."""


@pytest.mark.parametrize("at", range(12))
def test_a_write_cut_off_at_any_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    path = tmp_path / "main.wallet"
    with folder_lock(tmp_path):
        write_atomic(path, b"old" * 1000)
    count = 0

    def counted(name: str) -> object:
        real = getattr(os, name)

        def call(*arguments: object, **options: object) -> object:
            nonlocal count
            if count == at:
                raise PowerCut
            count += 1
            return real(*arguments, **options)

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, counted(name))
    try:
        write_atomic(path, b"new" * 1000)
        finished = True
    except PowerCut:
        finished = False
    monkeypatch.undo()
    content = path.read_bytes()
    assert content in (b"old" * 1000, b"new" * 1000)
    if finished:
        assert content == b"new" * 1000
    assert all(entry.stat().st_mode & 0o777 == 0o600 for entry in tmp_path.iterdir())
    with folder_lock(tmp_path):
        write_atomic(path, b"after")
    assert path.read_bytes() == b"after"
    assert [entry.name for entry in tmp_path.iterdir()] == ["main.wallet"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EROFS, "not_writable"),
        (errno.EIO, "not_writable"),
    ],
)
def test_an_error_leaves_the_old_file(
    wallet: Wallet, monkeypatch: pytest.MonkeyPatch, call: str, number: int, code: str
) -> None:
    before = wallet.paths.wallet.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(Damaged) as damage:
        wallet.add_account("More")
    monkeypatch.undo()
    assert damage.value.code == code
    assert damage.value.exit_status == 6
    assert "unchanged" in damage.value.message
    assert wallet.paths.wallet.read_bytes() == before
    assert [a.label for a in wallet.accounts] == ["Main"]
    assert not list(wallet.paths.folder.glob(".*"))


def test_a_folder_that_is_not_synced(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has taken its place by then, and that is what is said."""
    real = os.fsync

    def fail_for_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail_for_folders)
    with pytest.raises(Damaged) as damage:
        wallet.add_account("More")
    assert damage.value.code == "not_synced"
    wallet.refresh()
    assert [a.label for a in wallet.accounts] == ["Main", "More"]


@pytest.mark.parametrize(("number", "works"), [(errno.ENOSYS, True), (errno.EINVAL, True), (errno.EIO, False)])
def test_a_file_system_without_locks(wallet: Wallet, monkeypatch: pytest.MonkeyPatch, number: int, works: bool) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fail)
    if works:
        assert wallet.add_account("More").label == "More"
    else:
        with pytest.raises(Damaged):
            wallet.add_account("More")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_is_really_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's own answer: the new file is /dev/full."""
    path = tmp_path / "main.wallet"
    path.write_bytes(b"old")
    real = os.open

    def full(name: object, flags: int, *rest: int) -> int:
        return real("/dev/full", os.O_WRONLY) if str(name).endswith(".new") else real(name, flags, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(Damaged) as damage:
        write_atomic(path, b"new")
    assert damage.value.code == "disk_full"
    assert path.read_bytes() == b"old"


def test_a_folder_that_cannot_be_made(tmp_path: Path, passphrase: Secret) -> None:
    (tmp_path / "file").write_text("in the way")
    from wallet_world import CHEAP  # type: ignore[import-not-found]

    with pytest.raises(Damaged) as damage:
        WalletStore(tmp_path / "file" / "wallets", "tnxt", cost=CHEAP).create("main", passphrase)
    assert damage.value.code == "not_writable"


def test_a_busy_folder_is_said(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_WAIT_SECONDS", 0.05)
    with folder_lock(wallet.paths.folder), pytest.raises(Refused) as refusal:
        wallet.add_account("More")
    assert refusal.value.code == "busy"
    wallet.add_account("More")


def test_a_symbolic_link_in_the_way_of_a_write(tmp_path: Path) -> None:
    """Someone who may write here puts a link where the new file goes; what it points to stays as it is."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    path = tmp_path / "main.wallet"
    path.with_name(".main.wallet.new").symlink_to(victim)
    write_atomic(path, b"new")
    assert victim.read_text() == "mine"
    assert path.read_bytes() == b"new"
    assert not path.is_symlink()


def codes_as_nobody(operations: list[Callable[[], object]]) -> list[str]:
    """What each operation ends with when another user does it: "done" or an error's code."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        try:
            os.setgid(65534)
            os.setuid(65534)
            for operation in operations:
                try:
                    operation()
                    result = "done"
                except NexusError as error:
                    result = error.code
                os.write(writing, result.encode() + b"\n")
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading) as results:
        lines = results.read().splitlines()
    os.waitpid(child, 0)
    return lines


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_users_folder(wallet: Wallet, store: WalletStore, passphrase: Secret) -> None:
    """Readable files of others can be opened, never changed; the rest says why not."""
    read_late = (Path(mnemonic.__file__), Path(files.__file__))
    if not all(folder.stat().st_mode & 0o005 == 0o005 for path in read_late for folder in path.parents):
        pytest.skip("another user cannot read this checkout or its environment")
    store.backup("main", store.folder / "readable.wallet")
    (store.folder / "readable.wallet").chmod(0o644)
    for folder in (store.folder, *store.folder.parents):
        if folder == Path("/tmp"):
            break
        folder.chmod(0o755)
    before = {path.name: path.read_bytes() for path in store.folder.iterdir()}
    codes = codes_as_nobody(
        [
            lambda: store.open("main"),
            store.list,
            lambda: store.create("other", passphrase),
            lambda: store.open("readable").unlock(passphrase),
            lambda: store.open("readable").add_watch("02" + "11" * 32, "watched"),
            lambda: store.open("readable").lock_everywhere(),
        ]
    )
    assert codes == ["not_readable", "done", "not_writable", "done", "not_writable", "not_writable"]
    assert {path.name: path.read_bytes() for path in store.folder.iterdir()} == before


def test_reading_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte that takes no room
    with pytest.raises(Damaged) as damage:
        read_bounded(path, 1000, "a list")
    assert damage.value.code == "too_large"
    with pytest.raises(NexusError):
        read_bounded(Path("/dev/zero"), 1000, "a list")
