"""Backups are whole or not at all; a restored key never signs the past; nothing is overwritten."""

from __future__ import annotations

import io
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from storage_network import ALICE, BOB, Network  # type: ignore[import-not-found]

from node.api.errors import Damaged, Refused
from node.encoding.canonical import decode, encode
from node.profile.paths import ProfilePaths
from node.service.validator_key import load_validator_key
from node.storage.backup import make_backup, read_backup, restore_backup
from node.storage.chain import ChainDatabase
from node.storage.outbox import Outbox, OutboxEntry, read_outbox
from node.storage.queries import Queries
from node.storage.signing_record import SigningRecord


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path / "profile")
    yield made
    made.database.close()


def key_of(path: Path) -> bytes:
    key = load_validator_key(path)
    assert key is not None
    return key.public_key


def restore(source: Path, folder: Path, slot: int = 777) -> ProfilePaths:
    folder.mkdir(mode=0o700, exist_ok=True)
    paths = ProfilePaths("restored", folder)
    restore_backup(paths, source, lambda genesis: slot, key_of)
    return paths


async def test_a_backup_of_a_running_node_comes_back(network: Network, tmp_path: Path) -> None:
    genesis = network.genesis.hash
    payments = [ALICE.pays(genesis, nonce, ((BOB.address, 5),)) for nonce in range(3)]
    for payment in payments:
        network.block(payment)
    box = Outbox.open(network.paths.outbox_db)
    waiting = ALICE.pays(genesis, 3, ((BOB.address, 5),))
    await box.add(OutboxEntry(waiting.txid, waiting.wid, waiting.raw, 10_000, 1))
    target = tmp_path / "copy.tar"
    report = make_backup(network.paths, target, 1_700_000_000_000, with_key=True)
    await box.close()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [name for name, _ in report.files] == ["genesis.nexus", "chain.db", "outbox.db", "validator.key"]
    assert (report.height, report.with_key) == (3, True)
    assert read_backup(target) == report
    assert not list(tmp_path.glob(".nexus-backup-*"))
    network.block(waiting)  # life goes on

    paths = restore(target, tmp_path / "restored")
    chain = ChainDatabase.open(paths.chain_db, check="full")
    assert not chain.report.unclean
    tip = chain.tip()
    assert tip is not None
    assert tip.height == 3
    assert all(chain.has_transaction(payment.txid) for payment in payments)
    chain.close()
    assert [entry.txid for entry in read_outbox(paths.outbox_db)[0]] == [waiting.txid]
    reader = await Queries.open(paths)
    assert (await reader.network()).genesis == genesis
    await reader.close()
    for place in (paths.genesis, paths.chain_db, paths.outbox_db, paths.validator_key, paths.signing_record):
        assert stat.S_IMODE(place.stat().st_mode) == 0o600, place.name
    record = SigningRecord.open(paths.signing_record, key_of(paths.validator_key))
    with pytest.raises(Refused):
        record.record_block(777)
    record.record_block(778)


def test_key_and_record_stay_at_home_unless_asked_for(network: Network, tmp_path: Path) -> None:
    target = tmp_path / "copy.tar"
    assert not make_backup(network.paths, target, 1).with_key
    content = target.read_bytes()
    assert network.paths.validator_key.read_bytes() not in content
    assert network.paths.signing_record.read_bytes() not in content
    paths = restore(target, tmp_path / "restored")
    assert not paths.validator_key.exists()
    assert not paths.signing_record.exists()


def test_backup_during_writes_is_one_state(network: Network, tmp_path: Path) -> None:
    stop = threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        nonce = 0
        try:
            while not stop.is_set():
                network.block(ALICE.pays(network.genesis.hash, nonce, ((BOB.address, 1),)))
                nonce += 1
        except BaseException as error:
            failures.append(error)
            raise

    thread = threading.Thread(target=write)
    thread.start()
    reports = []
    try:
        for number in range(5):
            reports.append(make_backup(network.paths, tmp_path / f"{number}.tar", 1))
    finally:
        stop.set()
        thread.join()
    assert failures == []
    heights = [report.height for report in reports]
    assert heights == sorted(heights)
    for number, height in enumerate(heights):
        paths = restore(tmp_path / f"{number}.tar", tmp_path / f"restored{number}")
        chain = ChainDatabase.open(paths.chain_db, check="full")
        assert [block.height for block in chain.blocks(1)] == list(range(1, height + 1))
        chain.close()


def test_nothing_is_overwritten(network: Network, tmp_path: Path) -> None:
    target = tmp_path / "copy.tar"
    target.write_text("mine")
    with pytest.raises(Refused) as caught:
        make_backup(network.paths, target, 1)
    assert caught.value.code == "file_exists"
    assert target.read_text() == "mine"
    target.unlink()
    make_backup(network.paths, target, 1, with_key=True)
    before = network.paths.chain_db.read_bytes()
    with pytest.raises(Refused) as caught:
        restore_backup(network.paths, target, lambda genesis: 1, key_of)
    assert caught.value.code == "profile_not_empty"
    assert network.paths.chain_db.read_bytes() == before
    folder = tmp_path / "half"
    folder.mkdir()
    (folder / "signing-record").write_text("old")
    with pytest.raises(Refused, match="signing-record"):
        restore(target, folder)
    assert [file.name for file in folder.iterdir()] == ["signing-record"]
    with pytest.raises(Refused) as caught:
        make_backup(network.paths, tmp_path / "none" / "copy.tar", 1)
    assert caught.value.code == "missing_folder"
    with pytest.raises(Refused):
        restore(tmp_path / "absent.tar", tmp_path / "new")


Edit = Callable[[dict[str, bytes]], object]


def rebuilt(source: Path, target: Path, edit: Edit, member: str = "") -> Path:
    """The backup with its members edited; `member` becomes a link."""
    with tarfile.open(source) as tar:
        contents = {}
        for info in tar:
            file = tar.extractfile(info)
            assert file is not None
            contents[info.name] = file.read()
    edit(contents)
    with tarfile.open(target, "w") as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if name == member:
                info.type, info.linkname, info.size, content = tarfile.SYMTYPE, "/etc/passwd", 0, b""
            tar.addfile(info, io.BytesIO(content))
    return target


def manifest(change: Callable[[list[Any]], object]) -> Edit:
    def edit(contents: dict[str, bytes]) -> None:
        fields = list(decode(contents["manifest.nexus"]))  # type: ignore[arg-type]
        change(fields)
        contents["manifest.nexus"] = encode(tuple(fields))  # type: ignore[arg-type]

    return edit


def flipped(contents: dict[str, bytes]) -> None:
    chain = bytearray(contents["chain.db"])
    chain[-5] ^= 1
    contents["chain.db"] = bytes(chain)


def renamed(contents: dict[str, bytes]) -> None:
    contents["../../evil"] = contents.pop("chain.db")


def shorter(contents: dict[str, bytes]) -> None:
    contents["chain.db"] = contents["chain.db"][:-4_096]


def evil_name(fields: list[Any]) -> None:
    fields[3] = (*fields[3], ("../evil", 1, b"x" * 32))


@pytest.mark.parametrize(
    "edit",
    [
        flipped,
        renamed,
        shorter,
        lambda contents: contents.pop("chain.db"),
        lambda contents: contents.pop("manifest.nexus"),
        lambda contents: contents.update({"manifest.nexus": b"\xc1"}),
        manifest(lambda fields: fields.pop()),
        manifest(lambda fields: fields.__setitem__(0, "nexus node backup 9")),
        manifest(lambda fields: fields.__setitem__(3, (5,))),
        manifest(lambda fields: fields.__setitem__(3, ())),
        manifest(evil_name),
        manifest(lambda fields: fields.__setitem__(3, fields[3] * 2)),
    ],
)
def test_a_backup_that_is_not_whole(network: Network, tmp_path: Path, edit: Edit) -> None:
    good = tmp_path / "good.tar"
    make_backup(network.paths, good, 1)
    bad = rebuilt(good, tmp_path / "bad.tar", edit)
    with pytest.raises(Damaged) as caught:
        restore(bad, tmp_path / "restored")
    assert caught.value.code == "damaged_backup"
    assert list((tmp_path / "restored").iterdir()) == []
    assert not (tmp_path / "evil").exists()


def test_links_and_cut_files(network: Network, tmp_path: Path) -> None:
    good = tmp_path / "good.tar"
    make_backup(network.paths, good, 1)
    bad = [rebuilt(good, tmp_path / "link.tar", lambda contents: None, member="chain.db")]
    whole = good.read_bytes()
    for length in (0, 10, 600, 5_000, len(whole) // 2):
        cut = tmp_path / f"cut{length}.tar"
        cut.write_bytes(whole[:length])
        bad.append(cut)
    for number, source in enumerate(bad):
        folder = tmp_path / f"restored{number}"
        with pytest.raises(Damaged):
            restore(source, folder)
        assert list(folder.iterdir()) == []


def test_damaged_chain_is_not_backed_up(network: Network, tmp_path: Path) -> None:
    for nonce in range(30):
        network.block(ALICE.pays(network.genesis.hash, nonce, ((BOB.address, 1),)))
    network.database.close()
    path = network.paths.chain_db
    content = bytearray(path.read_bytes())
    for page in range(3, len(content) // 4_096 - 1, 2):
        content[page * 4_096 : page * 4_096 + 100] = b"\xa5" * 100
    path.write_bytes(content)
    with pytest.raises(Damaged) as caught:
        make_backup(network.paths, tmp_path / "copy.tar", 1)
    assert caught.value.code == "damaged_database"
    assert not (tmp_path / "copy.tar").exists()
    path.unlink()
    network.database = ChainDatabase.open(path)
