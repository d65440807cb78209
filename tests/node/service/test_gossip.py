"""Whole nodes that gossip: they make one chain, follow it to finality, part and heal, and newcomers catch up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from node.encoding.amounts import SUPPLY
from node.encoding.canonical import pack
from node.ledger.types import TRANSFER, transfer_payload
from node.mesh.protocol.forms import encode
from node.mesh.protocol.messages import NUMBERS, TRANSACTION, Get, Given, Inventory, WholeBlock
from node.service.verify import verify_file
from tests.node.service.mesh_world import Joined, Mesh
from tests.node.service.service_world import confirmed, until
from tests.node.world import forge, key

LONG = 90.0


def same_state(mesh: Mesh) -> bool:
    tips = {joined.node.engine.tip.id for joined in mesh.nodes}
    return len(tips) == 1 and len({joined.node.engine.waves.commitment for joined in mesh.nodes}) == 1


def final_height(joined: Joined) -> int:
    return joined.node.engine.final.height


async def test_validators_that_gossip_make_one_chain_and_finish_it(tmp_path: Path) -> None:
    async with Mesh(tmp_path, validators=3, others=1) as mesh:
        for one, other in ((0, 1), (1, 2), (2, 3)):
            mesh.connect(one, other)
        payment = mesh.payer(1).pay(0, key(60).address, 5_000)
        await mesh.nodes[3].node.submit(payment.raw)
        for joined in mesh.nodes:
            await confirmed(joined.node, payment.txid)
        await until(lambda: all(final_height(joined) > 0 for joined in mesh.nodes), LONG)
        low = min(final_height(joined) for joined in mesh.nodes)
        assert len({joined.node.engine.chain.at[low].id for joined in mesh.nodes}) == 1
        assert not any(joined.closed for joined in mesh.nodes)
    for paths in mesh.profiles:
        report = verify_file(paths.chain_db, mesh.nodes[0].node.genesis)
        assert report.ok
        assert report.total_units == SUPPLY


@pytest.mark.slow
async def test_halves_that_were_parted_heal_and_keep_what_either_accepted(tmp_path: Path) -> None:
    async with Mesh(tmp_path, validators=4) as mesh:
        for one, other in ((0, 1), (2, 3)):
            mesh.connect(one, other)
        payments = []
        for nonce in range(5):
            for payer, at in ((1, 0), (2, 2)):
                payment = mesh.payer(payer).pay(nonce, key(60 + payer).address, 1_000)
                await mesh.nodes[at].node.submit(payment.raw)
                payments.append(payment)
            await asyncio.sleep(0.6)
        await confirmed(mesh.nodes[1].node, payments[-2].txid)
        await confirmed(mesh.nodes[3].node, payments[-1].txid)
        assert mesh.nodes[0].node.engine.tip.id != mesh.nodes[2].node.engine.tip.id
        mesh.connect(1, 2)
        for joined in mesh.nodes:
            for payment in payments:
                await confirmed(joined.node, payment.txid)
        await until(lambda: all(final_height(joined) > 0 for joined in mesh.nodes), LONG)
        await until(lambda: same_state(mesh), LONG)
        assert not any(joined.closed for joined in mesh.nodes)


@pytest.mark.slow
async def test_a_newcomer_catches_up_and_follows(tmp_path: Path) -> None:
    async with Mesh(tmp_path, validators=2, others=1, asleep=1) as mesh:
        mesh.connect(0, 1)
        for nonce in range(6):
            payment = mesh.payer(1).pay(nonce, key(60).address, 1_000)
            await mesh.nodes[0].node.submit(payment.raw)
            await confirmed(mesh.nodes[1].node, payment.txid)
        await until(lambda: final_height(mesh.nodes[0]) > 0, LONG)
        await mesh.wake()
        mesh.connect(2, 0)
        late = mesh.nodes[2].node
        for nonce in range(6):
            await confirmed(late, mesh.payer(1).pay(nonce, key(60).address, 1_000).txid)
        payment = mesh.payer(1).pay(6, key(60).address, 1_000)
        await late.submit(payment.raw)
        await confirmed(mesh.nodes[1].node, payment.txid)
        await until(lambda: same_state(mesh) and not mesh.nodes[2].gossip.machine.syncing, LONG)


# -- hostile peers --------------------------------------------------------------------------------------------------


class Stranger:
    """A peer that says what it likes to node 0 of a mesh, as link 99."""

    NUMBER = 99

    def __init__(self, mesh: Mesh) -> None:
        self.joined = mesh.nodes[0]
        self.gossip = self.joined.gossip
        self.heard: list[object] = []
        mesh.send = self._hear  # type: ignore[method-assign]
        hello = self.gossip.hello()._replace(nonce=b"stranger" * 2)
        self.gossip.connected(self.NUMBER, hello, True)

    def _hear(self, sender: int, receiver: int, kind: int, body: bytes) -> None:
        assert receiver == self.NUMBER
        self.heard.append((kind, body))

    def say(self, message: object) -> None:
        self.gossip.received(self.NUMBER, NUMBERS[type(message)], encode(message))  # type: ignore[index,arg-type]

    async def give(self, raw: bytes) -> None:
        """Announce a transaction, be asked for it, and give it."""
        name = self.gossip.host.name_of(TRANSACTION, raw)
        self.say(Inventory(TRANSACTION, (name,)))
        asked = NUMBERS[Get], encode(Get(TRANSACTION, (name,)))
        await until(lambda: asked in self.heard)
        self.say(Given(TRANSACTION, (raw,)))

    @property
    def gone(self) -> str:
        """Why it was sent away; empty while it is linked."""
        return self.joined.closed[0].code if self.joined.closed else ""


async def test_a_forged_signature_ends_the_link_and_a_poor_sender_does_not(tmp_path: Path) -> None:
    async with Mesh(tmp_path, validators=1) as mesh:
        stranger = Stranger(mesh)
        poor = mesh.payer(7).pay(0, key(60).address, 1_000)
        await stranger.give(poor.raw)
        await until(lambda: not stranger.gossip.host.judging)
        assert not stranger.gone
        good = mesh.payer(1).pay(0, key(60).address, 1_000)
        forged = good.raw[:-1] + bytes([good.raw[-1] ^ 1])
        await stranger.give(forged)
        await until(lambda: stranger.gone == "bad_signature")
        assert mesh.nodes[0].closed[0].ban_ms > 0
        await mesh.nodes[0].node.submit(good.raw)
        await confirmed(mesh.nodes[0].node, good.txid)


async def test_what_its_bytes_alone_show_to_be_wrong_ends_the_link(tmp_path: Path) -> None:
    async with Mesh(tmp_path, validators=1) as mesh:
        stranger = Stranger(mesh)
        nothing = mesh.payer(1).transaction(0, TRANSFER, transfer_payload(key(60).address, 0))
        await stranger.give(nothing.raw)
        await until(lambda: stranger.gone == "bad_amount")


@pytest.mark.parametrize("body", [b"", b"\xc1", pack(("x",)), pack(((b"x",), ()))])
async def test_a_body_that_is_none_ends_the_link(tmp_path: Path, body: bytes) -> None:
    async with Mesh(tmp_path, validators=1) as mesh:
        node = mesh.nodes[0].node
        await node.submit(mesh.payer(1).pay(0, key(60).address, 1_000).raw)
        await until(lambda: node.engine.tip.height > 0)
        stranger = Stranger(mesh)
        block = node.engine.chain.tip.block
        assert block is not None
        other = forge(block, 1, slot=block.header.slot + 1)
        stranger.gossip.machine.requests.want(2, other.id, Stranger.NUMBER)
        stranger.say(WholeBlock(other.header_bytes, body))
        await until(lambda: stranger.gone != "")
        assert stranger.gone in {"bad_body", "bad_form", "bad_encoding"}
