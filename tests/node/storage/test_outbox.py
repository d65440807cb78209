"""The outbox: an accepted transaction is on disk before anybody hears of it, and stays until it is deep or expired."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from node.api.errors import Damaged, Refused
from node.storage import outbox as outbox_module
from node.storage.chain import ChainDatabase
from node.storage.outbox import Outbox, OutboxEntry, read_outbox


def entry(number: int, size: int = 200) -> OutboxEntry:
    return OutboxEntry(b"%032d" % number, b"w%031d" % number, b"r" * size, 1_000 + number, number)


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    box = Outbox.open(tmp_path / "outbox.db")
    yield box
    await box.close()


async def test_add_find_remove(outbox: Outbox) -> None:
    assert await outbox.add(entry(1))
    assert not await outbox.add(entry(1))
    assert await outbox.add(entry(2))
    assert await outbox.waiting() == (entry(1), entry(2))
    assert await outbox.find(entry(2).txid) == entry(2)
    assert await outbox.find(b"?" * 32) is None
    await outbox.remove([entry(1).txid, b"?" * 32])
    assert await outbox.waiting() == (entry(2),)
    assert outbox.waiting_count == 1
    assert stat.S_IMODE(outbox.path.stat().st_mode) == 0o600


async def test_what_cannot_be_fetched_again_is_synced(outbox: Outbox, tmp_path: Path) -> None:
    assert outbox._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert outbox._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    chain = ChainDatabase.open(tmp_path / "chain.db")
    assert chain._connection.execute("PRAGMA synchronous").fetchone() == (1,)  # NORMAL
    chain.close()


async def test_expiry_is_noted_with_its_reason(outbox: Outbox) -> None:
    for number in range(3):
        await outbox.add(entry(number))
    await outbox.expire([entry(1).txid], "expired at slot 1001", 77)
    assert [kept.txid for kept in await outbox.waiting()] == [entry(0).txid, entry(2).txid]
    (gone,) = await outbox.expired()
    assert (gone.txid, gone.reason, gone.expired_ms) == (entry(1).txid, "expired at slot 1001", 77)
    assert outbox.waiting_count == 2
    assert read_outbox(outbox.path) == (await outbox.waiting(), await outbox.expired())
    assert await outbox.add(entry(1))  # sent again
    assert await outbox.expired() == ()
    assert outbox.waiting_count == 3


async def test_old_notes_are_forgotten(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "KEPT_EXPIRED", 5)
    for number in range(12):
        await outbox.add(entry(number))
        await outbox.expire([entry(number).txid], "late", number)
    assert [kept.txid for kept in await outbox.expired()] == [entry(number).txid for number in range(11, 6, -1)]


async def test_concurrent_submits_share_commits(outbox: Outbox) -> None:
    commits = 0
    commit = outbox._commit

    def counted(actions: list[object]) -> list[object]:
        nonlocal commits
        commits += 1
        return commit(actions)  # type: ignore[arg-type]

    outbox._commit = counted  # type: ignore[assignment,method-assign]
    added = await asyncio.gather(*(outbox.add(entry(number % 150)) for number in range(200)))
    assert sum(added) == 150
    assert commits <= 3
    assert outbox.waiting_count == 150


async def test_full_outbox_refuses(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "MAX_WAITING", 3)
    for number in range(3):
        await outbox.add(entry(number))
    with pytest.raises(Refused) as caught:
        await outbox.add(entry(3))
    assert caught.value.code == "outbox_full"
    await outbox.remove([entry(0).txid])
    assert await outbox.add(entry(3))
    monkeypatch.setattr(outbox_module, "MAX_WAITING_BYTES", 700)
    with pytest.raises(Refused):
        await outbox.add(entry(4, size=600))


async def test_a_caller_that_gives_up_takes_nobody_along(outbox: Outbox) -> None:
    tasks = [asyncio.create_task(outbox.add(entry(number))) for number in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(result is True for result in results[1::2])
    kept = {found.txid for found in await outbox.waiting()}
    assert {entry(number).txid for number in range(1, 20, 2)} <= kept


async def test_full_disk_accepts_nothing_and_loses_nothing(small_disk: Path, full_disk: Callable[[], Path]) -> None:
    box = Outbox.open(small_disk / "outbox.db")
    for number in range(20):
        await box.add(entry(number))
    full_disk()
    number = 20

    async def until_full() -> None:
        nonlocal number
        while True:  # the file has some room of its own left
            await box.add(entry(number, size=5_000))
            number += 1

    with pytest.raises(Damaged) as caught:
        await until_full()
    assert caught.value.code == "disk_full"
    assert box.waiting_count == number
    assert [int(found.txid) for found in await box.waiting()] == list(range(number))
    (small_disk / "filler").unlink()
    assert await box.add(entry(number))
    await box.close()
    again = Outbox.open(small_disk / "outbox.db")
    assert again.waiting_count == number + 1
    await again.close()


async def test_a_chain_is_no_outbox(tmp_path: Path) -> None:
    ChainDatabase.open(tmp_path / "chain.db").close()
    with pytest.raises(Damaged) as caught:
        Outbox.open(tmp_path / "chain.db")
    assert caught.value.code == "not_a_database"
    assert read_outbox(tmp_path / "none.db") == ((), ())


_SUBMITTER = """
import asyncio, sys
from pathlib import Path
from node.storage.outbox import Outbox, OutboxEntry
async def main():
    box = Outbox.open(Path(sys.argv[1]))
    number = int(sys.argv[2])
    async def one(number):
        await box.add(OutboxEntry(b"%032d" % number, b"w" * 32, b"r" * 300, 1, 1))
        print(number, flush=True)
    while True:
        await asyncio.gather(*(one(number + i) for i in range(8)))
        number += 8
asyncio.run(main())
"""


async def test_killed_outbox_keeps_everything_it_accepted(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    accepted: set[int] = set()
    chance = random.Random(7)
    for kill in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", _SUBMITTER, str(path), str(kill * 1_000_000)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        accepted.add(int(process.stdout.readline()))
        time.sleep(chance.uniform(0.001, 0.05))
        process.send_signal(signal.SIGKILL)
        accepted |= {int(line) for line in process.stdout.read().split("\n")[:-1]}
        process.wait()
        box = Outbox.open(path)
        kept = [int(found.txid) for found in await box.waiting()]
        assert len(kept) == len(set(kept)) == box.waiting_count
        assert accepted <= set(kept)
        await box.close()
    assert len(accepted) >= 6
    assert os.path.exists(path)
