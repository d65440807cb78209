"""A look at a node's files without running it: the same answers, nothing taken, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.api.errors import NoNode
from node.service.reading import read_only
from tests.node.service.service_world import Place, confirmed
from tests.node.world import NXT, key, stranger


async def test_what_a_crash_left_is_shown_as_it_is(place: Place, tmp_path: Path) -> None:
    payer = place.payer()
    sender = key(1).address
    async with place.node() as node:
        await node.submit((done := payer.pay(0, stranger(1), 5 * NXT)).raw)
        await confirmed(node, done.txid)
        assert node.producer is not None
        node.producer.next_slot = lambda: None  # type: ignore[method-assign]
        await node.submit((waiting := payer.pay(1, stranger(1), 2 * NXT)).raw)
        crashed = place.image(tmp_path / "crashed")
        for sent in (done, waiting):
            assert await node.find_transactions(sent.txid.hex()[:10]) == (sent.txid,)
        assert await node.find_transactions("0" * 64) == ()
        running = await node.account(sender), (await node.history((sender,))).transactions
        height = node.engine.tip.height  # the payment's block, and maybe those that make it final

    async with read_only(crashed.paths, crashed.clock) as files:
        # The confirmed payment lies in the outbox still; it must not be counted twice.
        status = await files.status()
        assert (status.mode, status.mempool_transactions) == ("read-only", 1)
        assert 1 <= status.height <= height
        assert await files.account(sender) == running[0]
        assert [(item.txid, item.status) for item in (await files.history((sender,))).transactions] == [
            (item.txid, item.status) for item in running[1]
        ]
        receiver = await files.account(stranger(1))
        assert (receiver.balance, receiver.pending_in) == (5 * NXT, 2 * NXT)
        found = await files.transaction(waiting.txid)
        assert found is not None
        assert found.status == "pending"
        for sent in (done, waiting):
            assert await files.find_transactions(sent.txid.hex()[:10]) == (sent.txid,)
        assert (await files.verify()).ok

    async with crashed.node() as node:
        await confirmed(node, waiting.txid)


async def test_what_would_change_something_names_the_way(place: Place) -> None:
    async with place.node():
        pass
    async with read_only(place.paths, place.clock) as files:
        assert [alert.code for alert in (await files.status()).alerts] == ["no_node"]
        with pytest.raises(NoNode, match="No node runs"):
            await files.submit(place.payer().pay(0, stranger(1), NXT).raw)
        with pytest.raises(NoNode):
            files.subscribe()
        with pytest.raises(NoNode):
            await files.stop()
        async with place.node() as node:  # no lock is held
            assert node.engine.tip.height == 0
