"""Signatures checked before the engine looks: the same verdicts, on threads or in slices, and never instead of it."""

from __future__ import annotations

import asyncio

import pytest

from node.consensus.blocks import Block
from node.consensus.engine import Engine
from node.ledger import signatures
from node.ledger.types import SignedTransaction, TransactionError
from node.service import ahead
from node.service.ahead import FEW, Ahead, Measured, measured, words
from tests.node.world import Payer, Validator, forge, key, small_genesis, stranger

MANY = 2 * FEW + 5
HOW = pytest.mark.parametrize("threads", [1, 2, 3], ids=["slices", "two threads", "three threads"])


@pytest.fixture
def maker() -> Validator:
    return Validator(small_genesis(), 0)


def payments(maker: Validator, count: int = MANY) -> list[SignedTransaction]:
    payer = Payer(maker.engine.genesis_hash, key(1))
    return [payer.pay(nonce, stranger(nonce), 1_000) for nonce in range(count)]


def block_with(maker: Validator, *transactions: SignedTransaction) -> Block:
    slot = next(slot for slot in range(1, 1_000) if maker.leads(slot))
    return maker.block(slot, *transactions)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Wids whose signatures the engine itself checked."""
    checked: list[bytes] = []
    verify = signatures.verify_transaction

    def note(transaction: SignedTransaction) -> bool:
        checked.append(transaction.wid)
        return verify(transaction)

    monkeypatch.setattr(signatures, "verify_transaction", note)
    return checked


@HOW
async def test_the_engine_checks_no_signature_again(maker: Validator, counted: list[bytes], threads: int) -> None:
    block = block_with(maker, *payments(maker))
    counted.clear()
    plain, helped = (Engine.begin(maker.engine.genesis) for _ in range(2))
    plain.add(block, block.header.slot)
    assert len(counted) == MANY
    counted.clear()
    checker = Ahead(threads)
    await checker.check(helped, block, block.header.slot)
    helped.add(block, block.header.slot)
    assert not counted
    assert helped.waves.commitment == plain.waves.commitment
    assert helped.tip.id == plain.tip.id == block.id
    checker.close()


@HOW
@pytest.mark.parametrize("at", [0, FEW, MANY - 1])
async def test_a_bad_signature_is_refused_as_without(maker: Validator, threads: int, at: int) -> None:
    transactions = payments(maker)
    transactions[at] = transactions[at].body.signed(transactions[at - 1].signature)
    block = block_with(maker, *transactions)
    engine, checker = Engine.begin(maker.engine.genesis), Ahead(threads)
    await checker.check(engine, block, block.header.slot)
    with pytest.raises(TransactionError) as refused:
        engine.add(block, block.header.slot)
    assert refused.value.code == "bad_signature"
    assert engine.tip.height == 0
    checker.close()


async def test_only_the_leader_of_a_seat_can_ask_for_checks(maker: Validator) -> None:
    block = block_with(maker, *payments(maker))
    engine, slot = Engine.begin(maker.engine.genesis), block.header.slot
    assert len(engine.unchecked(block, slot)) == MANY
    for wrong in (
        forge(block, 1),
        forge(block, 0, seat=200),
        forge(block, 0, parents=(bytes(32),)),
        forge(block, 0, body_root=bytes(32)),
        forge(block, 0, slot=slot + 50),
        forge(block, 0, creator=stranger(9)),
    ):
        assert engine.unchecked(wrong, slot) == ()
    engine.add(block, slot)
    assert engine.unchecked(block, slot) == ()


async def test_slices_let_others_run_and_can_be_given_up(maker: Validator, monkeypatch: pytest.MonkeyPatch) -> None:
    block = block_with(maker, *payments(maker))
    engine, slot = Engine.begin(maker.engine.genesis), block.header.slot
    monkeypatch.setattr(ahead, "_SLICE_S", 0.0)
    task = asyncio.create_task(Ahead(1).check(engine, block, slot))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
    assert 0 < len(engine.unchecked(block, slot)) < MANY
    engine.add(block, slot)
    assert engine.tip.id == block.id


async def test_threads_that_are_given_up_hold_nothing_up(maker: Validator) -> None:
    block = block_with(maker, *payments(maker))
    engine, checker = Engine.begin(maker.engine.genesis), Ahead(2)
    task = asyncio.create_task(checker.check(engine, block, block.header.slot))
    await asyncio.sleep(0)
    task.cancel()
    checker.close()
    await asyncio.wait([task])
    assert task.cancelled()
    engine.add(block, block.header.slot)
    assert engine.tip.id == block.id


def test_one_core_needs_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "_cores", lambda: 1)
    assert measured.__wrapped__() == Measured(100, 1)
    assert "one thread" in words(Measured(100, 1))


def test_a_phone_checks_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "_cores", lambda: 8)
    monkeypatch.setenv("ANDROID_ROOT", "/system")
    assert measured.__wrapped__() == Measured(100, 1)


def test_what_is_measured_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "_cores", lambda: 4)
    for taken, threads in (([100, 60] * 4, 4), ([100, 98] * 4, 1), ([100, 900] * 3 + [100, 60], 4)):
        times = iter(taken)
        monkeypatch.setattr(ahead, "_taken", lambda work, times=times: next(times))
        assert measured.__wrapped__().threads == threads
