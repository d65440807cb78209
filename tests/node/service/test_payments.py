"""A running node: what it accepts is confirmed, shown, told, and there after every kind of stop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from node.api.errors import Damaged, Refused
from node.api.records import TransactionView
from node.encoding.amounts import SUPPLY
from node.ledger.execution import REASONS
from node.ledger.types import SignedTransaction
from node.service import follower, journal, production
from node.service.node import Node
from node.storage.outbox import Outbox, OutboxEntry
from node.storage.records import Batch
from tests.node.service.service_world import STAKER, Place, alert, at_rest, confirmed, until
from tests.node.world import NXT, key, stranger


async def test_a_payment_is_confirmed_and_survives_a_restart(place: Place) -> None:
    payment = place.payer().pay(0, stranger(1), NXT, "rent")
    async with place.node() as node:
        submission = await node.submit(payment.raw)
        assert (submission.txid, submission.wid, submission.known) == (payment.txid, payment.wid, False)
        await confirmed(node, payment.txid)
        await at_rest(node)
        before = await node.transaction(payment.txid), await node.account(key(1).address), node.engine.tip
        assert (await node.verify()).ok
    async with place.node() as node:
        assert before == (await node.transaction(payment.txid), await node.account(key(1).address), node.engine.tip)
        view, account, _ = before
        assert view is not None
        assert (view.status, view.memo, view.fee, view.height) == ("done", "rent", 51_000, 1)
        assert (account.balance, account.nonce, account.next_nonce) == (999 * NXT - 51_000, 1, 1)
        assert (account.pending_out, account.spendable) == (0, account.balance)
        assert (await node.account(stranger(1))).balance == NXT
        assert not (await node.account(stranger(2))).exists
        assert sum(item.units for item in await node.places()) == SUPPLY
        status = await node.status()
        assert (status.height, status.final_height, status.mode) == (3, 2, "producing")
        assert (status.total_units, status.mempool_transactions) == (SUPPLY, 0)
        assert (await node.verify()).ok
        assert (await node.submit(payment.raw)).known
        again = place.payer().pay(1, stranger(1), NXT)
        await node.submit(again.raw)
        await confirmed(node, again.txid)


async def test_a_failed_operation_is_charged_and_says_why(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mempool would not take it, so it is passed by."""
    payment = place.payer().pay(0, stranger(1), 2_000 * NXT)
    async with place.node() as node:
        with pytest.raises(Refused) as caught:
            await node.submit(payment.raw)
        assert caught.value.code == "insufficient_funds"
        monkeypatch.setattr(node.mempool, "examine", lambda *_: 0)
        monkeypatch.setattr(node.mempool, "_cost", lambda *_: 0)
        await node.submit(payment.raw)
        await confirmed(node, payment.txid, "failed")
        view = await node.transaction(payment.txid)
        assert view is not None
        assert (view.fee, view.reason) == (1_000, REASONS["insufficient_funds"])
        assert (await node.account(key(1).address)).balance == 1_000 * NXT - 1_000
        assert (await node.verify()).ok


async def test_refused_submissions_leave_nothing_behind(place: Place) -> None:
    payer, good = place.payer(), place.payer().pay(0, stranger(1), NXT)
    bad = {
        "bad_encoding": b"\xc1",
        "bad_form": b"\x90",
        "bad_signature": good.body.signed(bytes(64)).raw,
        "other_network": place.payer().pay(0, stranger(1), NXT).body._replace(genesis=bytes(32)).signed(bytes(64)).raw,
        "bad_amount": payer.pay(0, stranger(1), 0).raw,
        "unknown_kind": payer.transaction(0, 77, ()).raw,
        "nonce_ahead": payer.pay(1_000, stranger(1), 1).raw,
        "expired": payer.pay(0, stranger(1), 1, expiry=1).raw,
        "insufficient_funds": payer.pay(0, stranger(1), 1_000 * NXT).raw,
    }
    async with place.node(produce=False) as node:
        for code, raw in bad.items():
            with pytest.raises(Refused) as caught:
                await node.submit(raw)
            assert caught.value.code == code
            assert "Nothing was sent" in caught.value.hint
        assert len(node.mempool) == 0
        assert node._outbox.waiting_count == 0
        assert (await node.history((key(1).address,))).transactions == ()


async def test_what_waits_is_seen_in_every_view(place: Place) -> None:
    payer = place.payer()
    first, second = payer.pay(0, stranger(1), NXT, tip=5), payer.pay(1, key(2).address, 3)
    async with place.node(produce=False) as node:
        for item in (first, second):
            await node.submit(item.raw)
        assert (await node.submit(first.raw)).known
        view = await node.transaction(first.txid)
        assert view is not None
        assert (view.status, view.height, view.fee, view.tip) == ("pending", None, 51_005, 5)
        account = await node.account(key(1).address)
        assert (account.balance, account.next_nonce, account.pending_out) == (1_000 * NXT, 2, NXT + 52_008)
        assert account.spendable == account.balance - account.pending_out
        assert (await node.account(key(2).address)).pending_in == 3
        page = await node.history((key(1).address,))
        assert [item.txid for item in page.transactions] == [second.txid, first.txid]
        assert [item.txid for item in (await node.history((key(2).address,))).transactions] == [second.txid]
        assert (await node.status()).mempool_transactions == 2
        with pytest.raises(Refused, match="number"):
            await node.submit(payer.pay(1, stranger(5), 1).raw)


async def test_what_expires_is_told_and_kept_as_expired(place: Place) -> None:
    async with place.node(produce=False) as node:
        payment = place.payer().pay(0, stranger(1), NXT, expiry=node._slot() + 4)
        await node.submit(payment.raw)
        later = place.payer(2).pay(0, stranger(1), NXT)
        await node.submit(later.raw)
    place.offset_ms += 2_000
    async with place.node() as node, node.subscribe(("transaction",)) as events:
        await confirmed(node, later.txid)
        seen = [await anext(events) for _ in range(2)]
        assert {(event.txid, event.text) for event in seen} == {(payment.txid, "expired"), (later.txid, "done")}
    async with place.node() as node:
        view = await node.transaction(payment.txid)
        assert view is not None
        assert (view.status, view.fee, view.reason) == ("expired", 0, REASONS["expired"])
        assert [item.status for item in (await node.history((key(1).address,))).transactions] == ["expired"]
        assert (await node.account(key(1).address)).balance == 1_000 * NXT
        with pytest.raises(Refused) as caught:
            await node.submit(payment.raw)
        assert caught.value.code == "expired"


async def test_expired_ones_keep_their_order_over_a_restart(place: Place) -> None:
    async with place.node(produce=False) as node:
        items = [place.payer(number).pay(0, stranger(1), NXT) for number in (1, 2, 3)]
        for item in items:
            await node.submit(item.raw)
            node.mempool.drop(item.txid)
            await node._expire([item], "expired")
            await asyncio.sleep(0.002)
        before = [view.txid for view in (await node.history((stranger(1),))).transactions]
    async with place.node() as node:
        after = [view.txid for view in (await node.history((stranger(1),))).transactions]
    assert before == after == [item.txid for item in reversed(items)]


async def test_events_tell_of_blocks_payments_and_balances(place: Place) -> None:
    payment = place.payer().pay(0, stranger(1), NXT)
    async with place.node() as node, node.subscribe() as events:
        await node.submit(payment.raw)
        seen = [await anext(events) for _ in range(8)]
        assert [(event.topic, event.text) for event in seen[:4]] == [
            ("transaction", "pending"),
            ("dag", ""),
            ("block", ""),
            ("transaction", "done"),
        ]
        assert {event.address: event.units for event in seen[4:7]} == {
            key(1).address: 999 * NXT - 51_000,
            stranger(1): NXT,
            key(STAKER).address: (await node.account(key(STAKER).address)).balance,  # the reward
        }
        assert (seen[7].topic, seen[7].block_id) == ("dag", None)
        block = seen[2].block
        assert block is not None
        assert seen[1].block_id == block.id
        stored = await node.block(block.height)
        assert stored is not None
        assert stored.summary == block, "what is told is what is stored"
        assert (block.transactions, block.failed, block.fees) == (1, 0, 51_000)


async def test_two_that_come_at_once_are_one(place: Place) -> None:
    payment, rival = place.payer().pay(0, stranger(1), NXT), place.payer().pay(0, stranger(2), NXT)
    async with place.node() as node:
        results = await asyncio.gather(
            *(node.submit(item.raw) for item in (payment, payment, rival, payment)), return_exceptions=True
        )
        assert sorted(result.known for result in results if not isinstance(result, BaseException)) == [
            False,
            True,
            True,
        ]
        (refused,) = [result for result in results if isinstance(result, Refused)]
        assert refused.code in {"nonce_waiting", "nonce_used"}
        await confirmed(node, payment.txid)
        await asyncio.sleep(0.3)
        assert await node.transaction(rival.txid) is None
        assert (await node.account(key(1).address)).balance == 999 * NXT - 51_000


async def test_one_that_comes_again_while_its_block_is_made_is_known(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second call passes every check, then waits for the disk until the payment is in a block."""
    payment = place.payer().pay(0, stranger(1), NXT)
    async with place.node() as node:
        add, calls = node._outbox.add, 0

        async def slow_add(entry: OutboxEntry) -> bool:
            nonlocal calls
            calls += 1
            second = calls == 2
            added = await add(entry)
            if second:
                await confirmed(node, payment.txid)
            return added

        monkeypatch.setattr(node._outbox, "add", slow_add)
        results = await asyncio.gather(node.submit(payment.raw), node.submit(payment.raw))
        assert calls == 2
        assert sorted(result.known for result in results) == [False, True]
        assert node._outbox.waiting_count == 1, "kept until its block is safe from a power cut"


async def test_one_that_comes_again_while_the_first_is_looked_up_is_known(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second call does not find the payment anywhere, and while it looks the first one is admitted."""
    payment = place.payer().pay(0, stranger(1), NXT)
    async with place.node(produce=False) as node:
        look_up, first = node._queries.transaction, asyncio.Event()

        async def slow_look_up(txid: bytes) -> TransactionView | None:
            view = await look_up(txid)
            if not first.is_set():
                first.set()
                assert not (await node.submit(payment.raw)).known
            return view

        monkeypatch.setattr(node._queries, "transaction", slow_look_up)
        assert (await node.submit(payment.raw)).known


async def test_a_crash_between_acceptance_and_block_loses_nothing(place: Place, tmp_path: Path) -> None:
    payments = [place.payer().pay(nonce, stranger(1), NXT) for nonce in (1, 0)]
    async with place.node(produce=False) as node:
        for item in payments:
            await node.submit(item.raw)
        left = place.image(tmp_path / "crashed")
    async with left.opened() as service:
        assert "Took up 2 accepted" in " ".join(service.report)
        for item in payments:
            await confirmed(service.node, item.txid)
        assert (await service.node.account(stranger(1))).balance == 2 * NXT


async def test_a_crash_after_the_block_executes_nothing_twice(place: Place, tmp_path: Path) -> None:
    payment = place.payer().pay(0, stranger(1), NXT)
    async with place.node() as node:
        await node.submit(payment.raw)
        await confirmed(node, payment.txid)
        assert node._outbox.waiting_count == 1, "kept until its block is safe from a power cut"
        left = place.image(tmp_path / "crashed")
    async with left.node() as node:
        await asyncio.sleep(0.3)
        assert (await node.account(stranger(1))).balance == NXT
        assert len(node.mempool) == 0
        assert (await node.verify()).ok
    outbox = Outbox.open(left.paths.outbox_db)
    assert outbox.waiting_count == 0
    await outbox.close()


def fail_writing(node: Node, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the disk be full for blocks until the returned list is emptied."""
    full, write = ["disk_full"], node._writer.advance

    async def advance(batch: Batch) -> None:
        if full:
            raise Damaged("disk_full", "The disk is full.", "Free some space.")
        await write(batch)

    monkeypatch.setattr(node._writer, "advance", advance)
    return full


async def test_a_full_disk_tells_nobody_of_the_block_and_keeps_the_payment(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine is ahead of the disk then: what it executed waits for everybody else, and is written later."""
    monkeypatch.setattr(journal, "RETRY_S", 0.3)
    monkeypatch.setattr(production, "_RETRY_S", 0.3)
    payment = place.payer().pay(0, stranger(1), NXT)
    async with place.node() as node, node.subscribe(("block",)) as blocks:
        full = fail_writing(node, monkeypatch)
        await node.submit(payment.raw)
        await until(lambda: alert(node, "disk_full") is not None)
        raised = alert(node, "disk_full")
        assert raised is not None
        assert (raised.level, raised.hint) == ("error", "Free some space.")
        assert node.engine.tip.height == 1
        assert await node.block() is None
        view = await node.transaction(payment.txid)
        assert view is not None
        assert (view.status, view.height) == ("pending", None)
        assert [item.status for item in (await node.history((stranger(1),))).transactions] == ["pending"]
        assert (await node.submit(payment.raw)).known
        left = place.image(tmp_path / "crashed")
        await asyncio.sleep(0.7)
        assert node.engine.tip.height == 1, "nothing is built on what is in memory only"
        full.clear()
        await confirmed(node, payment.txid)
        await until(lambda: alert(node, "disk_full") is None)
        async with asyncio.timeout(60):
            event = await anext(blocks)
        assert event.block is not None
        assert event.block.height == 1
        await at_rest(node)
        assert (await node.verify()).ok
    async with left.node() as node:
        await confirmed(node, payment.txid)
        assert (await node.account(stranger(1))).balance == NXT


async def test_while_a_block_is_written_its_payments_are_not_counted_twice(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (place.payer().pay(nonce, stranger(1), 600 * NXT - nonce * 300 * NXT) for nonce in (0, 1))
    writing, go_on = asyncio.Event(), asyncio.Event()
    async with place.node() as node:
        write = node._writer.advance

        async def advance(batch: Batch) -> None:
            writing.set()
            await go_on.wait()
            await write(batch)

        monkeypatch.setattr(node._writer, "advance", advance)
        await node.submit(first.raw)
        await writing.wait()
        account = await node.account(key(1).address)
        assert (account.pending_out, account.spendable) == (0, account.balance)
        await node.submit(second.raw)
        go_on.set()
        for item in (first, second):
            await confirmed(node, item.txid)


async def test_a_full_outbox_disk_refuses_the_payment(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async with place.node() as node:

        async def add(_: object) -> bool:
            raise Damaged("disk_full", "The disk is full.", "Free some space.")

        monkeypatch.setattr(node._outbox, "add", add)
        with pytest.raises(Damaged, match="disk is full"):
            await node.submit(place.payer().pay(0, stranger(1), NXT).raw)
        assert len(node.mempool) == 0


async def test_an_outbox_that_fails_after_a_block_was_made_does_not_part_memory_from_disk(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A skipped payment is noted in the outbox: were that done first, its error would leave the block in memory."""
    monkeypatch.setattr(production, "_RETRY_S", 0.1)
    async with place.node(produce=False) as node:
        stale = place.payer(2).pay(0, stranger(1), NXT, expiry=node._slot() + 4)
        await node.submit(stale.raw)
    place.offset_ms += 2_000
    async with place.node() as node:
        monkeypatch.setattr(node.mempool, "expire", lambda slot: [])
        failures: list[SignedTransaction] = []

        async def expire(txids: list[bytes], reason: str, now_ms: int) -> None:
            failures.append(stale)
            raise Damaged("disk_full", "The disk is full.", "Free some space.")

        monkeypatch.setattr(node._outbox, "expire", expire)
        payment = place.payer().pay(0, stranger(1), NXT)
        await node.submit(payment.raw)
        await confirmed(node, payment.txid)
        await until(lambda: bool(failures))
        another = place.payer().pay(1, stranger(1), NXT)
        await node.submit(another.raw)
        await confirmed(node, another.txid)
        assert (await node.verify()).ok


async def test_many_payments_at_once(place: Place) -> None:
    items = [place.payer(number).pay(nonce, stranger(nonce % 7), 5) for nonce in range(60) for number in (1, 2, 3)]
    async with place.node() as node:
        await asyncio.gather(*(node.submit(item.raw) for item in items))
        await confirmed(node, items[-1].txid)
        await until(lambda: len(node.mempool) == 0)
        assert [(await node.account(key(number).address)).nonce for number in (1, 2, 3)] == [60] * 3
        report = await node.verify()
        assert report.ok
        assert report.total_units == SUPPLY


async def test_what_a_crash_left_settled_is_tidied_at_the_next_start(place: Place, tmp_path: Path) -> None:
    """A node that never lives for long must not fill its outbox with what was settled long ago."""
    payment = place.payer().pay(0, key(50).address, 1_000)
    async with place.node() as node:
        await node.submit(payment.raw)
        await confirmed(node, payment.txid)
        await at_rest(node)
        assert node._outbox.waiting_count == 1, "it is tidied in a while, not for each payment"
        crashed = place.image(tmp_path / "crashed")
    async with crashed.node() as node:
        assert node._outbox.waiting_count == 0
        await confirmed(node, payment.txid)


async def test_many_settled_payments_are_tidied_at_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "_MANY", 3)
    async with place.node() as node:
        for nonce in range(8):
            await node.submit(place.payer().pay(nonce, key(50).address, 1_000).raw)
        await at_rest(node)
        await until(lambda: node._outbox.waiting_count <= 3)
