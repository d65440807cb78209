"""Attacks by blocks: held back, doubled, on old parents, in a wrong region, junk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.consensus.blocks import Block
from node.lab.attacks.attack import Attack, PrivateChain
from node.lab.behaviour import Behaviour
from node.light.signature import wave_signature
from node.light.spectrum import VISIBLE

if TYPE_CHECKING:
    from node.lab.network import Network
    from node.lab.node import Node

_HELD_SLOTS = 12
_STALE_SLOTS = 20


def tell(node: Node, block: Block, to: tuple[int, ...] | None = None) -> None:
    """Announce a block to neighbours without asking the own engine, all of them unless `to` names some nodes."""
    node.talk.offer_block(block, node.network.links.peers[node.index] if to is None else to)


def halves(node: Node) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A node's neighbours in two halves."""
    peers = node.network.links.peers[node.index]
    return peers[::2], peers[1::2]


class Withhold(Attack):
    """Blocks are made in their slots and told twelve slots later, when they lie beside all that came since."""

    name = "withhold"
    about = "Attackers publish their blocks twelve slots late."

    def behaviour(self) -> Behaviour:
        return _Withholding(self)


class _Withholding(Behaviour):
    def __init__(self, attack: Attack) -> None:
        self._attack = attack

    def lead(self, node: Node, slot: int, seat: int) -> None:
        if node.wants_block(slot):
            network = node.network
            delay = _HELD_SLOTS * network.genesis.parameters.slot_ms
            network.agenda.after(delay, self._publish, node, node.make_block(slot))

    def _publish(self, node: Node, block: Block) -> None:
        if node.is_up:
            self._attack.count("withheld block")
            node.publish(block)


class Equivocate(Attack):
    """Two blocks for one seat, one half of the neighbours is told the first, the other half the second."""

    name = "equivocate"
    about = "Attackers make two blocks for each seat and show each half of the network another."

    def behaviour(self) -> Behaviour:
        return _Equivocating(self)


class _Equivocating(Behaviour):
    def __init__(self, attack: Attack) -> None:
        self._attack = attack

    def lead(self, node: Node, slot: int, seat: int) -> None:
        if not node.wants_block(slot):
            return
        one, other = node.make_block(slot), node.make_block(slot, transactions=False)
        if one.id == other.id:
            node.publish(one)
            return
        self._attack.count("double block")
        for block, peers in zip((one, other), halves(node), strict=True):
            node.hidden.add(block.id)
            node.take_block(block)
            node.hidden.discard(block.id)
            tell(node, block, peers)


class StaleParents(Attack):
    """Blocks name parents of twenty slots ago, as if nothing had been heard since."""

    name = "stale-parents"
    about = "Attackers build on parents that are twenty slots old."

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.past = PrivateChain(network)

    def behaviour(self) -> Behaviour:
        return _Stale(self)


class _Stale(Behaviour):
    def __init__(self, attack: StaleParents) -> None:
        self._attack = attack

    def lead(self, node: Node, slot: int, seat: int) -> None:
        if not node.wants_block(slot):
            return
        past = self._attack.past
        past.learn(node, slot - _STALE_SLOTS)
        block = past.build(node, slot, carry=False)
        if block is not None:
            self._attack.count("stale block")
            node.publish(block)


class WrongRegion(Attack):
    """Blocks shine in the region beside their creator's, with a wave signature and a signature that fit."""

    name = "wrong-region"
    about = "Attackers' blocks shine in a region that is not their creator's."

    def behaviour(self) -> Behaviour:
        return _Straying(self)


class _Straying(Behaviour):
    def __init__(self, attack: Attack) -> None:
        self._attack = attack

    def lead(self, node: Node, slot: int, seat: int) -> None:
        if not node.wants_block(slot):
            return
        assert node.operator is not None
        block = node.make_block(slot)
        header = block.header._replace(region=(block.header.region + 1) % len(VISIBLE))
        header = header._replace(
            wave=wave_signature(header.unwaved(), header.region, header.wave.amplitude, header.slot)
        )
        header = header._replace(signature=node.operator.consensus.sign(header.signing_hash()))
        self._attack.count("block in a wrong region")
        tell(node, Block(header, block.transactions, block.votes))


class Spam(Attack):
    """Each slot each attacker sends junk: a block and a vote with bad signatures, an orphan, and a payment too many."""

    name = "spam"
    about = "Attackers flood junk blocks, orphans, junk votes and twice the load of payments."

    def begin(self) -> None:
        """Junk comes by the clock, beside honest duties."""
        for node in self.network.attackers:
            self.network.agenda.after(0, self._spam, node, 0)

    def _spam(self, node: Node, number: int) -> None:
        network = self.network
        network.agenda.after(network.genesis.parameters.slot_ms, self._spam, node, number + 1)
        if not node.is_up or not node.disk.blocks:
            return
        assert node.operator is not None
        assert node.reporter is not None
        base = next(reversed(node.disk.blocks.values()))
        bits = network.random.randbytes
        junk = base.header._replace(body_root=bits(32), signature=bits(64))
        tell(node, Block(junk, (), ()))
        header = base.header._replace(slot=node.slot, creator=node.identity, parents=(bits(32),))
        header = header._replace(signature=node.operator.consensus.sign(header.signing_hash()))
        tell(node, Block(header, (), ()))
        targets = list(node.engine.ballots.targets.values())
        vote = node.sign_vote(targets[-1])
        if vote is not None and vote.source < vote.target:
            vote = vote._replace(signature=bits(64))
            node.talk.offer_vote(vote, network.links.peers[node.index])
        nonce = node.pool.next_nonce(node.engine.state, node.reporter.address)
        for _ in range(2):
            network.submit(node.index, node.reporter.pay(network.genesis.hash, nonce, node.identity, 1 + nonce))
            nonce += 1
        self.count("junk sent")
