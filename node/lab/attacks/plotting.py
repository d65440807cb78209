"""Attacks by a plan: a private chain, a quiet hour's seats filled afterwards, reveals withheld for a better draw."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from node.consensus.blocks import Block
from node.consensus.tables import Table, next_seed
from node.lab.attacks.attack import Attack, PrivateChain
from node.lab.behaviour import Behaviour

if TYPE_CHECKING:
    from node.consensus.dagblocks import Progress
    from node.lab.network import Network
    from node.lab.node import Node
    from node.lab.scenario import Scenario

_LONGEST_SECRET = 15  # blocks: with more, the network would find them all red
_BEHIND = 3  # blocks: further back a secret chain is not held on to in the hope of luck
_SETTLED_SLOTS = 30  # after the last payment, what there was is final
_BEFORE_VOTES = 2  # of blue score: the filled seats are shown when the living are so far from voting again


class SelfishMining(Attack):
    """Attackers build on their own blocks alone and show them before they are left behind."""

    name = "selfish"
    about = "Attackers build a private chain and publish it before the public one leaves it behind."

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.chain = PrivateChain(network)
        self.secret: list[Block] = []

    def behaviour(self) -> Behaviour:
        return _Selfish(self)

    def extend(self, node: Node, slot: int) -> None:
        """One more secret block."""
        if not self.secret:
            self.chain.learn(node, slot)
        block = self.chain.build(node, slot, carry=True)
        if block is not None:
            self.chain.engine.add(block, node.slot)
            self.secret.append(block)
            self.count("secret block")

    def watch(self, node: Node) -> None:
        """Show the secret when it would soon be worth nothing."""
        if not self.secret:
            return
        own, public = (engine.chain.tip.coloured.work for engine in (self.chain.engine, node.engine))
        if public > own + _BEHIND or len(self.secret) >= _LONGEST_SECRET:
            secret, self.secret = self.secret, []
            self.count("secret shown")
            self.network.agenda.after(0, self._show, node, secret)

    @staticmethod
    def _show(node: Node, secret: list[Block]) -> None:
        for block in secret:
            node.publish(block)


class _Selfish(Behaviour):
    def __init__(self, attack: SelfishMining) -> None:
        self._attack = attack

    def lead(self, node: Node, slot: int, seat: int) -> None:
        if node.wants_block(slot):
            self._attack.extend(node, slot)

    def tell(self, node: Node, progress: Progress) -> None:
        super().tell(node, progress)
        if progress.added:
            self._attack.watch(node)


class LateFill(Attack):
    """After a quiet time attackers fill all their seats of it, a chain longer than what the living have made since."""

    name = "late-fill"
    about = "After a quiet time attackers fill all the silent seats that were theirs, and publish that chain."

    @classmethod
    def adapt(cls, scenario: Scenario) -> Scenario:
        if scenario.quiet is not None:
            return scenario
        return replace(scenario, quiet=(scenario.seconds * 2 // 10, scenario.seconds * 7 // 10))

    def begin(self) -> None:
        """Attackers do their duties, until the moment comes."""
        quiet = self.network.scenario.quiet
        if self.network.attackers and quiet is not None:
            self.network.agenda.at(quiet[1] * 1000, self._lurk, quiet)

    def _lurk(self, quiet: tuple[int, int]) -> None:
        """Strike at the last moment before the living vote: what they have built is longest then, and not justified."""
        network, parameters = self.network, self.network.genesis.parameters
        engine = network.attackers[0].engine
        ripe = engine.chain.tip.coloured.score - max(0, parameters.vote_depth - _BEFORE_VOTES)
        if any(
            target.checkpoint.slot * parameters.slot_ms > quiet[1] * 1000 and target.score <= ripe
            for target in engine.view.known.values()
        ):
            self._strike(quiet)
        else:
            network.agenda.after(parameters.slot_ms, self._lurk, quiet)

    def _strike(self, quiet: tuple[int, int]) -> None:
        network, node = self.network, self.network.attackers[0]
        chain, now = PrivateChain(network), node.slot
        first = quiet[0] * 1000 // network.genesis.parameters.slot_ms + _SETTLED_SLOTS
        chain.learn(node, first)
        used = {
            (block.header.creator, block.header.slot)
            for attacker in network.attackers
            for block in attacker.disk.blocks.values()
        }
        filled = []
        for slot in range(first + 1, now):
            for attacker in network.attackers:
                if (attacker.identity, slot) in used:
                    continue  # a second block of a slot would be punished
                block = chain.build(attacker, slot, carry=False)
                if block is not None:
                    chain.engine.add(block, now)
                    filled.append(block)
                    self.count("seat filled late")
        for block in filled:
            node.publish(block)


class WithheldReveals(Attack):
    """Attackers keep their reveals to the end of each period, and give only those that draw them more seats."""

    name = "reveals"
    about = "Attackers hold their blocks back until an epoch ends and reveal only what draws them more seats."

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self._ids = frozenset(node.identity for node in network.attackers)

    @classmethod
    def adapt(cls, scenario: Scenario) -> Scenario:
        if any(name == "epoch_slots" for name, _ in scenario.changed) or scenario.preset == "minimal":
            return scenario
        return replace(scenario, changed=(*scenario.changed, ("epoch_slots", 60)))

    def behaviour(self) -> Behaviour:
        return _Grinding(self)

    def pays(self, node: Node, slot: int) -> bool:
        """Whether the table drawn with this validator's reveal gives the attackers as many seats as without it."""
        view = node.engine.view
        epoch = node.engine.slots.epoch_of(slot)
        validator = view.table.validator(node.identity)
        if validator is None or node.operator is None:
            return True
        reveal = (node.identity, epoch, node.operator.reveals.preimage(epoch - validator.first_epoch))
        without = Table(next_seed(view.table.seed, view.reveals), view.next_table.validators)
        with_it = Table(next_seed(view.table.seed, view.reveals | {reveal}), view.next_table.validators)
        # What is drawn when this epoch ends is the next table first, and rules the epoch after that.
        return self._seats(with_it, epoch + 2)[0] >= self._seats(without, epoch + 2)[0]

    def _seats(self, table: Table, epoch: int) -> tuple[int, int]:
        """Seats of an epoch that a table gives the attackers, and all that somebody fills."""
        parameters = self.network.genesis.parameters
        first = epoch * parameters.epoch_slots
        leaders = [
            leader
            for slot in range(first, first + parameters.epoch_slots)
            for seat in range(parameters.seats)
            if (leader := table.leader(slot, seat)) is not None
        ]
        return sum(leader in self._ids for leader in leaders), len(leaders)

    def findings(self) -> dict[str, Any]:
        """How many seats attackers had in epochs that tables drawn in this run ruled, on the observer's chain."""
        engine = self.network.observer.engine
        ruling: dict[int, Table] = {}
        for block in engine.selected(engine.chain.tip):
            if block.view is not None and block.view.table.seed != self.network.genesis.hash:
                ruling[engine.slots.epoch_of(block.slot)] = block.view.table
        counts = [self._seats(table, epoch) for epoch, table in sorted(ruling.items())]
        won, seats = sum(count[0] for count in counts), sum(count[1] for count in counts)
        return {
            "epochs": len(counts),
            "seats": seats,
            "seats_percent": round(100 * won / seats, 2) if seats else 0.0,
        }


class _Grinding(Behaviour):
    def __init__(self, attack: WithheldReveals) -> None:
        self._attack = attack

    def lead(self, node: Node, slot: int, seat: int) -> None:
        if not node.wants_block(slot):
            return
        length = node.network.genesis.parameters.epoch_slots
        if slot % length >= length * 3 // 4 and self._attack.pays(node, slot):
            node.publish(node.make_block(slot))
        else:
            self._attack.count("block withheld")
