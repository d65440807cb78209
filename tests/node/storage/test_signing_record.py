"""The signing record: nothing is ever signed twice, and a missing or damaged record stops signing."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from node.api.errors import Damaged, NexusError
from node.storage.signing_record import SigningRecord

KEY = b"\x02" + b"k" * 32
OTHER = b"\x03" + b"o" * 32


def refusal(action: object, *arguments: object) -> NexusError:
    with pytest.raises(NexusError) as caught:
        action(*arguments)  # type: ignore[operator]
    return caught.value


def test_slots_only_rise(tmp_path: Path) -> None:
    record = SigningRecord.create(tmp_path / "signing-record", KEY)
    record.record_block(0)
    record.record_block(7)
    for slot in (7, 6, 0):
        assert refusal(record.record_block, slot).code == "slot_already_signed"
    again = SigningRecord.open(tmp_path / "signing-record", KEY)
    assert again.slot == 7
    assert refusal(again.record_block, 7).code == "slot_already_signed"
    again.record_block(8)
    assert stat.S_IMODE((tmp_path / "signing-record").stat().st_mode) == 0o600


def test_votes_only_rise(tmp_path: Path) -> None:
    record = SigningRecord.create(tmp_path / "signing-record", KEY)
    record.record_vote(0, 1)
    record.record_vote(1, 4)
    for source, target in ((1, 4), (0, 5), (2, 3), (5, 5), (6, 5)):
        assert refusal(record.record_vote, source, target).code == "vote_already_signed"
    record.record_vote(1, 5)
    assert SigningRecord.open(tmp_path / "signing-record", KEY).vote == (1, 5)


def test_a_restored_key_holds_its_votes_until_they_are_released(tmp_path: Path) -> None:
    path = tmp_path / "signing-record"
    record = SigningRecord.create(path, KEY, restored_at=900)
    assert refusal(record.record_vote, 50, 60).code == "votes_held"
    record.record_block(901)
    record = SigningRecord.open(path, KEY)
    assert (record.held, record.slot, record.vote) == (900, 901, (-1, -1))
    record.release(7, 9)
    record = SigningRecord.open(path, KEY)
    assert (record.held, record.vote) == (-1, (7, 9))
    for source, target in ((6, 10), (7, 9)):
        assert refusal(record.record_vote, source, target).code == "vote_already_signed"
    record.record_vote(8, 10)
    record.hold(100)
    assert (record.slot, record.held, record.vote) == (901, 901, (8, 10)), "never before what it signed"
    assert refusal(SigningRecord.open(path, KEY).record_vote, 9, 11).code == "votes_held"


def test_missing_record_refuses(tmp_path: Path) -> None:
    error = refusal(SigningRecord.open, tmp_path / "signing-record", KEY)
    assert error.code == "signing_record_missing"
    assert "will not sign" in error.message
    assert not (tmp_path / "signing-record").exists()


def test_other_keys_record_refuses(tmp_path: Path) -> None:
    path = tmp_path / "signing-record"
    SigningRecord.create(path, KEY).record_block(5)
    assert refusal(SigningRecord.open, path, OTHER).code == "signing_record_other_key"
    assert refusal(SigningRecord.create, path, OTHER).code == "signing_record_exists"
    assert SigningRecord.open(path, KEY).slot == 5


def test_every_damage_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "signing-record"
    SigningRecord.create(path, KEY).record_block(500)
    good = path.read_bytes()
    damages = [good[:length] for length in range(len(good))] + [good + b"\0", b""]
    for position in range(len(good)):
        damages.append(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
    for damage in damages:
        path.write_bytes(damage)
        with pytest.raises(Damaged) as caught:
            SigningRecord.open(path, KEY)
        assert caught.value.code == "signing_record_damaged"
        assert path.read_bytes() == damage


def test_a_restored_record_never_signs_the_past(tmp_path: Path) -> None:
    record = SigningRecord.create(tmp_path / "signing-record", KEY, restored_at=900)
    assert refusal(record.record_block, 900).code == "slot_already_signed"
    record.record_block(901)


def test_no_signature_without_a_durable_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "signing-record"
    record = SigningRecord.create(path, KEY)
    record.record_block(1)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    error = refusal(record.record_block, 2)
    assert (type(error), error.code) == (Damaged, "disk_full")
    monkeypatch.undo()
    assert record.slot == 1
    assert SigningRecord.open(path, KEY).slot == 1
    assert not path.with_name("signing-record.new").exists()
    record.record_block(2)


def test_full_and_read_only_disks(
    small_disk: Path, full_disk: Callable[[], Path], read_only_view: Callable[[Path], Path], tmp_path: Path
) -> None:
    record = SigningRecord.create(small_disk / "signing-record", KEY)
    record.record_block(1)
    full_disk()
    error = refusal(record.record_block, 2)
    assert error.code == "disk_full"
    assert SigningRecord.open(small_disk / "signing-record", KEY).slot == 1
    (tmp_path / "real").mkdir()
    SigningRecord.create(tmp_path / "real" / "signing-record", KEY, restored_at=5)
    seen = SigningRecord.open(read_only_view(tmp_path / "real") / "signing-record", KEY)
    assert refusal(seen.record_block, 6).code == "read_only"
    assert seen.slot == 5


def test_file_and_folder_are_synced_before_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(number: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        fsync(number)

    def noted_replace(old: Path, new: Path) -> None:
        calls.append("rename")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    SigningRecord.create(tmp_path / "signing-record", KEY)
    assert calls == ["file", "rename", "folder"]


_SIGNER = """
import sys
from pathlib import Path
from node.storage.signing_record import SigningRecord
record = SigningRecord.open(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]))
slot = record.slot
while True:
    slot += 1
    record.record_block(slot)
    print(slot, flush=True)
"""


def test_killed_signer_never_repeats_a_slot(tmp_path: Path) -> None:
    path = tmp_path / "signing-record"
    SigningRecord.create(path, KEY)
    chance = random.Random(3)
    signed: list[int] = []
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", _SIGNER, str(path), KEY.hex()], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        signed.append(int(process.stdout.readline()))
        time.sleep(chance.uniform(0.0, 0.03))
        process.send_signal(signal.SIGKILL)
        signed += [int(line) for line in process.stdout.read().split("\n")[:-1]]
        process.wait()
        assert SigningRecord.open(path, KEY).slot >= signed[-1]
    assert signed == sorted(set(signed))
