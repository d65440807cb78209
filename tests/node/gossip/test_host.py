"""What a node answers the mesh's machine, and what it makes of what comes."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from node.consensus import blocks
from node.consensus.blocks import Header
from node.gossip import host
from node.gossip.host import EngineHost, Reading
from node.ledger.types import TransactionError
from node.mempool.pool import Mempool
from node.mesh.protocol.effects import Close, Judge, Send
from node.mesh.protocol.machine import Machine
from node.mesh.protocol.messages import BLOCK, TRANSACTION, VOTE, Inventory, WireError
from tests.node.world import NXT, Network, Payer, key, small_genesis

GENESIS = small_genesis(stakes=(1_000 * NXT,) * 4)
MAX_BODY = GENESIS.parameters.max_body_bytes


class Here:
    """A host over a small network's first engine, whose clock a test moves."""

    def __init__(self) -> None:
        self.network = Network(GENESIS)
        self.now = 0
        self.engine = self.network.nodes[0].engine
        self.pool = Mempool(GENESIS.parameters, self.engine.check)
        self.host = EngineHost(self.engine, self.pool, Reading(MAX_BODY), lambda: self.now)
        self.machine = Machine(self.host)
        self.machine.connected(1, self.hello(), True, 0)
        self.machine.take_effects()

    def hello(self):  # type: ignore[no-untyped-def]
        return self.host.hello(services=1, port=0, clock_ms=0, nonce=bytes(16))

    def sent(self):  # type: ignore[no-untyped-def]
        return [effect.message for effect in self.machine.take_effects() if isinstance(effect, Send)]

    def pay(self, nonce: int = 0):  # type: ignore[no-untyped-def]
        return Payer(GENESIS.hash, key(1)).pay(nonce, key(2).address, 5)


def test_a_header_is_read_once_though_it_comes_twice() -> None:
    here = Here()
    here.network.pass_slot(here.pay())
    block = here.network.blocks[0]
    reading = Reading(MAX_BODY)
    with patch.object(blocks.Header, "decode", wraps=Header.decode) as decode:
        assert reading.name(BLOCK, block.header_bytes) == block.id
        read = reading.block(bytes(bytearray(block.header_bytes)), block.body())
    assert decode.call_count == 1
    assert (read.id, read.transactions[0].txid) == (block.id, block.transactions[0].txid)


def test_headers_that_nobody_needs_are_forgotten() -> None:
    here = Here()
    for _ in range(12):
        here.network.pass_slot()
    reading = Reading(MAX_BODY, max_headers=5)
    for block in here.network.blocks:
        reading.name(BLOCK, block.header_bytes)
    assert len(reading._headers) == 5


@pytest.mark.parametrize("head", [b"", b"\xc1", bytes(2_000)])
def test_what_is_no_header_has_no_name(head: bytes) -> None:
    with pytest.raises(WireError):
        Reading(MAX_BODY).name(BLOCK, head)


def test_what_was_told_is_given_for_a_while_and_named_as_long_as_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Here()
    payment = here.pay()
    here.pool.admit(payment, here.engine.state, 1)
    here.host.tell_transaction(here.machine, payment)
    assert here.host.has(TRANSACTION, payment.wid)
    assert here.host.give(TRANSACTION, payment.wid) == payment.raw
    assert [name for name, _ in here.host.held(TRANSACTION)] == [payment.wid]
    here.pool.drop(payment.txid)
    assert here.host.held(TRANSACTION) == []
    assert here.host.give(TRANSACTION, payment.wid) == payment.raw, "a peer may have been told just before"
    monkeypatch.setattr(host, "_MAX_RECENT", len(payment.raw))
    later = Payer(GENESIS.hash, key(3)).pay(0, key(2).address, 5)
    here.pool.admit(later, here.engine.state, 1)
    here.host.tell_transaction(here.machine, later)
    assert here.host.give(TRANSACTION, payment.wid) is None
    assert here.host.give(TRANSACTION, later.wid) == later.raw


def test_what_was_useless_is_not_asked_for_again_for_a_while() -> None:
    here = Here()
    name = bytes(32)
    here.host.useless(name)
    assert here.host.has(TRANSACTION, name)
    assert here.host.has(VOTE, name)
    assert not here.host.has(BLOCK, name)
    here.now += 60_000
    assert not here.host.has(VOTE, name)


def test_who_sends_what_shows_itself_bad_goes_and_a_messenger_stays() -> None:
    here = Here()
    payment = here.pay()
    poor = Payer(GENESIS.hash, key(77)).pay(0, key(2).address, 5)
    for transaction, stays in ((poor, True), (payment.body.signed(bytes(64)), False)):
        effect = Judge(1, TRANSACTION, transaction.wid, (transaction.raw,))
        with pytest.raises(TransactionError) as refused:
            here.pool.admit(transaction, here.engine.state, 1)
        here.host.refused(here.machine, effect, refused.value)
        assert (1 in here.machine.peers) is stays
    (closed,) = here.machine.take_effects()
    assert isinstance(closed, Close)
    assert closed.ban_ms > 0


def test_a_payment_with_a_tip_is_told_and_given_before_older_ones() -> None:
    here, there = Here(), Here()
    waiting = [Payer(GENESIS.hash, key(number)).pay(0, key(9).address, 5, tip=number % 2) for number in range(1, 5)]
    for payment in waiting:
        here.pool.admit(payment, here.engine.state, 1)
        here.host.tell_transaction(here.machine, payment)
    here.machine.tick(1_000)
    (told,) = (message for message in here.sent() if isinstance(message, Inventory))
    dear = [payment.wid for payment in waiting if payment.body.tip]
    assert told.names[:2] == tuple(dear)
    there.machine.take(1, told, 1_000)
    (asked,) = there.sent()
    here.machine.take(1, asked, 1_000)
    (given,) = here.sent()
    assert [payment.raw for payment in waiting if payment.body.tip] == list(given.things[:2])


def test_what_waits_for_parents_says_what_is_missing_below_it() -> None:
    here = Here()
    here.network.groups = [here.network.nodes[1:]]
    for _ in range(4):
        here.network.pass_slot()
    first, *later = here.network.blocks
    for block in reversed(later):
        here.engine.add(block, 10)
    last = later[-1].id
    assert here.host.has(BLOCK, last)
    assert here.host.missing(last) == [first.id], "through the others that wait"
    here.engine.add(first, 10)
    assert here.host.missing(last) == []
