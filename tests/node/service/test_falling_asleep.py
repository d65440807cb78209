"""Until when blocks are made, after branches that won and lost and after a restart (protocol section 4)."""

from __future__ import annotations

from pathlib import Path

from node.consensus import duties
from node.consensus.blocks import Block
from node.ledger.types import SignedTransaction
from node.service.node import Node
from tests.node.service.dag_world import Town, hear


class Branch:
    """A half of the town that passes slots while the other one is silent."""

    def __init__(self, town: Town, *numbers: int) -> None:
        self.town = town
        self.group = [town.network.nodes[number] for number in numbers]
        self.engine = self.group[0].engine

    def pass_slots(self, blocks: int, *transactions: SignedTransaction) -> list[Block]:
        """Slots until so many new blocks are there; the first carry the transactions."""
        network, goal = self.town.network, self.engine.tip.height + blocks
        before, network.groups = len(network.blocks), [self.group]
        while self.engine.tip.height < goal:
            network.pass_slot(*transactions)
            if len(network.blocks) > before:
                transactions = ()
        return network.blocks[before:]


async def executed(node: Node, *payments: SignedTransaction) -> int:
    """The newest height at which one of these was executed, as the stored chain says."""
    views = [await node.transaction(payment.txid) for payment in payments]
    return max(view.height or 0 for view in views if view is not None)


async def test_a_reorganisation_away_from_an_executing_block_and_back(tmp_path: Path) -> None:
    """What the node stays awake for is exact after each, and after each restart."""
    town = Town(tmp_path / "town", heartbeat_slots=100, silence_slots=100_000)
    payments = [town.payment(), town.payment()]
    both = Branch(town, 0, 1, 2, 3)
    left, right = Branch(town, 0, 1), Branch(town, 2, 3)
    async with town.node() as node:
        await hear(node, both.pass_slots(1, payments[0]))
        await hear(node, both.pass_slots(2))
        first, fork = await executed(node, *payments[:1]), node.engine.tip.height
        assert 0 < first < fork
        await hear(node, left.pass_slots(1))
        await hear(node, left.pass_slots(1, payments[1]))
        await hear(node, left.pass_slots(1))
        second = await executed(node, *payments)
        assert fork + 1 < second < node.engine.tip.height
        assert node.engine.busy_height == second
        assert node.engine.final.height == 0
        lost, new = node.engine.tip, right.pass_slots(5)
        await hear(node, new)
        assert node.engine.tip == right.engine.tip
        assert await executed(node, *payments) == first
        assert node.engine.busy_height == first, "blocks after it up to the fork executed nothing"
    async with town.node() as node:
        assert node.engine.busy_height == first
        back = left.pass_slots(4)
        await hear(node, back)
        assert lost.id in {block.id for block in node.engine.selected(node.engine.chain.tip)}
        assert node.engine.busy_height == second
    async with town.node() as node:
        assert node.engine.busy_height == second
    town.network.heal()
    async with town.node() as node:
        await hear(node, new)
        for vote in town.network.votes:
            await node.receive_vote(vote)
        rounds = 0
        while duties.is_busy(node.engine, False):
            assert node.engine.view.final.height < await executed(node, *payments) or list(node.engine.mergeable())
            before = len(town.network.votes)
            await hear(node, both.pass_slots(1))
            for vote in town.network.votes[before:]:
                await node.receive_vote(vote)
            rounds += 1
            assert rounds < 60
        assert rounds
        newest = await executed(node, *payments)
        assert node.engine.view.final.height >= newest == node.engine.busy_height >= second
        settled = node.engine.settled_height
        assert settled == newest
    async with town.node() as node:
        assert (node.engine.busy_height, node.engine.settled_height) == (newest, settled)
        assert not duties.is_busy(node.engine, False)
