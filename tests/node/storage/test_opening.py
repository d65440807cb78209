"""Opening: new, clean, unclean, migrated, foreign, newer, truncated, damaged, read-only and full."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from storage_blocks import RULES, line  # type: ignore[import-not-found]

from node.api.errors import Damaged, NexusError, Refused
from node.storage import database, schema
from node.storage.chain import ChainDatabase

_, STEPS = line([(("a", "b"), ("c", "d"))] * 40)


def fill(path: Path, blocks: int = 30) -> None:
    chain = ChainDatabase.open(path)
    chain.write_genesis(b"g" * 32, RULES, [("accounts", b"k%d" % n, b"v" * 50) for n in range(500)], [])
    for step in STEPS[:blocks]:
        chain.advance(step)
    chain.close()


def test_new_file_is_private_and_versioned(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        chain = ChainDatabase.open(tmp_path / "chain.db")
        for name in ("chain.db", "chain.db-wal", "chain.db-shm"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
    finally:
        os.umask(old)
    assert chain.report.created
    assert not chain.report.unclean
    chain.close()
    header = (tmp_path / "chain.db").read_bytes()[:100]
    assert int.from_bytes(header[68:72], "big") == schema.APPLICATION_ID
    assert int.from_bytes(header[60:64], "big") == schema.VERSION
    assert not (tmp_path / "chain.db-wal").exists()


def test_clean_and_unclean_stop_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    fill(path, 3)
    chain = ChainDatabase.open(path)
    assert not chain.report.unclean
    assert chain.report.check == "quick"
    killed = tmp_path / "killed"
    killed.mkdir()
    for file in tmp_path.glob("chain.db*"):
        shutil.copy(file, killed / file.name)  # what a kill leaves behind
    chain.close()
    chain = ChainDatabase.open(killed / "chain.db")
    assert chain.report.unclean
    assert chain.report.check == "quick"
    assert any("not closed" in line for line in chain.report.lines)
    chain.close()
    chain = ChainDatabase.open(killed / "chain.db", check="full")
    assert not chain.report.unclean
    assert chain.report.check == "full"
    chain.close()


def test_interrupted_creation_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    path.touch()
    ChainDatabase.open(path).close()
    path.unlink()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")  # killed between this and the first migration
    connection.close()
    chain = ChainDatabase.open(path)
    assert chain.report.created
    chain.close()


def test_migration_runs_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    fill(path, 2)
    second = schema.Migration(schema.VERSION + 1, ("CREATE TABLE later (id INTEGER PRIMARY KEY)",))
    broken = schema.Migration(
        schema.VERSION + 1, ("CREATE TABLE later (id INTEGER PRIMARY KEY)", "CREATE TABLE meta (x)")
    )
    with pytest.raises(NexusError):
        database.connect_writer(path, migrations=(*schema.MIGRATIONS, broken))
    ChainDatabase.open(path).close()  # still version 1, nothing half done
    connection, found = database.connect_writer(path, migrations=(*schema.MIGRATIONS, second))
    assert found == schema.VERSION
    assert connection.execute("SELECT count(*) FROM later").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM chain").fetchone() == (2,)
    connection.close()
    with pytest.raises(Damaged) as caught:
        ChainDatabase.open(path)
    assert caught.value.code == "newer_database"


def assert_refused(path: Path, code: str) -> Damaged:
    """Writer and reader refuse the file with `code` and leave its bytes alone."""
    before = path.read_bytes()
    for opening in (lambda: ChainDatabase.open(path), lambda: database.connect_reader(path)):
        with pytest.raises(Damaged) as caught:
            opening()
        assert caught.value.code == code, caught.value.message
        assert caught.value.hint
        assert path.read_bytes() == before
    return caught.value


def test_newer_database_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    fill(path, 2)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    error = assert_refused(path, "newer_database")
    assert "99" in error.message
    assert "newer Nexus" in error.message


def test_a_database_of_other_rules_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    fill(path, 2)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE meta SET value = 1 WHERE name = 'rule_version'")
    connection.commit()
    connection.close()
    error = assert_refused(path, "other_rules")
    assert "rule version 1" in error.message
    assert "version 2" in error.message


def test_newer_version_still_in_the_wal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    fill(path, 2)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA user_version = 99")
    try:
        assert int.from_bytes(path.read_bytes()[60:64], "big") == schema.VERSION
        with pytest.raises(Damaged) as caught:
            ChainDatabase.open(path)
        assert caught.value.code == "newer_database"
    finally:
        other.close()


@pytest.mark.parametrize("application_id", [0, 1234])
@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_foreign_database_is_left_alone(tmp_path: Path, application_id: int, journal: str) -> None:
    path = tmp_path / "chain.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute(f"PRAGMA application_id = {application_id}")
    connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()
    assert_refused(path, "not_a_database")


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    for content in (b"x", b"#!/bin/sh\n" * 500, os.urandom(8_192)):
        path.write_bytes(content)
        assert_refused(path, "not_a_database")


def test_truncated_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    fill(path)
    whole = path.read_bytes()
    for length in (50, 99, 100, 4_096, 5_000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        error = assert_refused(path, "damaged_database")
        assert "cut off" in error.message or "bytes are left" in error.message


def test_damaged_pages_are_found_after_an_unclean_stop(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    fill(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE meta SET value = 0 WHERE name = 'clean_shutdown'")
    connection.commit()
    connection.close()
    whole = bytearray(path.read_bytes())
    for page in range(2, len(whole) // 4_096 - 1):
        whole[page * 4_096 : page * 4_096 + 64] = b"\xa5" * 64
    path.write_bytes(whole)
    with pytest.raises(Damaged) as caught:
        ChainDatabase.open(path)
    assert caught.value.code == "damaged_database"
    assert caught.value.hint


def test_reader_sees_a_running_writer(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    with pytest.raises(Refused) as caught:
        database.connect_reader(path)
    assert caught.value.code == "missing_file"
    fill(path, 2)
    chain = ChainDatabase.open(path)
    reader = database.connect_reader(path)
    chain.advance(STEPS[2])
    assert reader.execute("SELECT max(height) FROM chain").fetchone() == (3,)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM blocks")
    reader.rollback()
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM blocks").fetchone()
    chain.advance(STEPS[3])  # an open read never holds up the writer
    assert reader.execute("SELECT max(height) FROM chain").fetchone() == (3,)
    reader.close()
    chain.close()


def test_empty_file_is_no_chain_for_a_reader(tmp_path: Path) -> None:
    (tmp_path / "chain.db").touch()
    with pytest.raises(Refused) as caught:
        database.connect_reader(tmp_path / "chain.db")
    assert caught.value.code == "empty_chain"


def test_full_disk_loses_nothing_confirmed(small_disk: Path) -> None:
    path = small_disk / "chain.db"
    chain = ChainDatabase.open(path)
    chain.write_genesis(b"g" * 32, RULES, [], [])
    height = 0
    _, steps = line([tuple((f"s{number}", f"r{n}") for n in range(25)) for number in range(120)])

    def apply_until_full() -> None:
        nonlocal height
        for step in steps:
            height += 1
            chain.advance(step)

    with pytest.raises(Damaged) as caught:
        apply_until_full()
    assert caught.value.code == "disk_full"
    assert "kept" in caught.value.message
    tip = chain.tip()
    assert tip is not None
    assert tip.height == height - 1 > 3
    assert chain.integrity_problems() == []
    with pytest.raises(Damaged):
        chain.advance(steps[height - 1])
    roomy = small_disk.parent / "roomy"
    shutil.copytree(small_disk, roomy)
    with contextlib.suppress(Damaged):  # there may be no room to note it
        chain.close()
    again = ChainDatabase.open(roomy / "chain.db", check="full")
    tip = again.tip()
    assert tip is not None
    assert tip.height == height - 1
    again.advance(steps[height - 1])
    again.close()


def test_no_room_to_create(full_disk: Callable[[], Path]) -> None:
    with pytest.raises(Damaged) as caught:
        ChainDatabase.open(full_disk() / "chain.db")
    assert caught.value.code == "disk_full"


def test_read_only_mount(read_only_view: Callable[[Path], Path], tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    fill(real / "chain.db", 4)
    view = read_only_view(real)
    with pytest.raises(Damaged) as caught:
        ChainDatabase.open(view / "chain.db")
    assert caught.value.code == "read_only"
    reader = database.connect_reader(view / "chain.db")
    assert reader.execute("SELECT max(height) FROM chain").fetchone() == (4,)
    reader.close()
    with pytest.raises(Damaged) as caught:
        ChainDatabase.open(view / "other.db")
    assert caught.value.code == "read_only"


def test_unclean_files_on_a_read_only_disk(read_only_view: Callable[[Path], Path], tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    fill(tmp_path / "chain.db", 2)
    chain = ChainDatabase.open(tmp_path / "chain.db")
    chain.advance(STEPS[2])
    for name in ("chain.db", "chain.db-wal"):  # killed, and the WAL's index lost with the power
        shutil.copy(tmp_path / name, real / name)
    chain.close()
    with pytest.raises(Damaged) as caught:
        database.connect_reader(read_only_view(real) / "chain.db")
    assert caught.value.code == "read_only"
    assert "not closed cleanly" in caught.value.message


def test_cut_off_file_beside_its_wal(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    fill(path)
    chain = ChainDatabase.open(path)
    chain.advance(STEPS[30])
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tmp_path.glob("chain.db*"):
        shutil.copy(file, copy / file.name)
    chain.close()
    whole = (copy / "chain.db").read_bytes()
    for length in (100, 4_096, len(whole) // 2, len(whole) * 3 // 4):  # the last pages may be whole in the WAL
        (copy / "chain.db").write_bytes(whole[:length])
        with pytest.raises(Damaged) as caught:
            ChainDatabase.open(copy / "chain.db")
        assert caught.value.code in ("damaged_database", "not_a_database"), caught.value.message


def test_a_database_in_other_hands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_MS", 50)
    path = tmp_path / "chain.db"
    fill(path, 2)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Refused) as caught:
        ChainDatabase.open(path)
    assert caught.value.code == "database_busy"
    other.execute("ROLLBACK")
    other.close()
    ChainDatabase.open(path).close()


_AS_OTHER = """
import os, sqlite3, sys, urllib.parse
from pathlib import Path
from node.api.errors import NexusError
from node.storage import database
from node.storage.chain import ChainDatabase
os.setgroups([]); os.setgid(65534); os.setuid(65534)
path = Path(sys.argv[1])
for opening in (ChainDatabase.open, database.connect_reader):
    try:
        opening(path)
    except NexusError as error:
        print(error.code)
    else:
        print("opened")
"""


def test_another_users_files(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    folder = Path("/tmp") / f"nexus-other-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        fill(folder / "chain.db", 2)
        done = subprocess.run(
            [sys.executable, "-c", _AS_OTHER, str(folder / "chain.db")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.split() == ["read_only", "read_only"], done.stderr
        (folder / "chain.db").chmod(0o644)
        done = subprocess.run(
            [sys.executable, "-c", _AS_OTHER, str(folder / "chain.db")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.split() == ["read_only", "opened"], done.stderr
    finally:
        shutil.rmtree(folder)


_KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from storage_blocks import RULES, line  # type: ignore[import-not-found]
from node.storage.chain import ChainDatabase
_, steps = line([tuple((f"s{number % 7}", f"r{n}") for n in range(40)) for number in range(150)])
chain = ChainDatabase.open(Path(sys.argv[1]))
tip = chain.tip()
height = 0 if tip is None else tip.height
if tip is None and chain.meta("genesis") is None:
    chain.write_genesis(b"g" * 32, RULES, [], [])
while True:
    height += 1
    chain.advance(steps[height - 1])
    print(height, flush=True)
"""


@pytest.mark.parametrize("times", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_killed_writer_keeps_every_confirmed_block(tmp_path: Path, times: int) -> None:
    path = tmp_path / "chain.db"
    here = str(Path(__file__).parent)
    for kills in range(1, times + 1):
        process = subprocess.Popen([sys.executable, "-c", _KILLED, str(path), here], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        confirmed = 0
        for _ in range(7 * kills):
            confirmed = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        process.wait()
        confirmed = int(rest[-1]) if rest else confirmed
        chain = ChainDatabase.open(path, check="full")
        assert chain.report.unclean
        tip = chain.tip()
        assert tip is not None
        assert tip.height in (confirmed, confirmed + 1)
        assert [block.height for block in chain.blocks(1)] == list(range(1, tip.height + 1))
        chain.close()
