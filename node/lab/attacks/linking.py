"""Attacks on links: bodies announced and not given, inventories of nothing, a node surrounded by attackers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.lab.attacks.attack import Attack, Graph
from node.lab.behaviour import Behaviour
from node.mesh.protocol.messages import (
    MAX_NAMES,
    MOST,
    TRANSACTION,
    AnyMessage,
    Inventory,
    NewBlock,
    Ping,
    Pong,
    WholeBlock,
)

if TYPE_CHECKING:
    from node.lab.network import Network
    from node.lab.node import Node
    from node.lab.scenario import Scenario
    from node.lab.wires import Link

_WATCH_MS = 1_000


class Bodiless(Attack):
    """Whoever is the first to announce a block is asked for it first. So attackers announce each header as soon as they
    see it, and give nothing: each time somebody waits until the next source may be asked."""

    name = "bodiless"
    about = "Attackers announce all blocks before anybody else and give none."

    def behaviour(self) -> Behaviour:
        return _Announcing(self)


class _Announcing(Behaviour):
    def __init__(self, attack: Attack) -> None:
        self._attack = attack
        self._announced: set[bytes] = set()

    def hear(self, node: Node, link: Link, message: AnyMessage) -> None:
        if isinstance(message, NewBlock) and message.header not in self._announced:
            self._announced.add(message.header)
            self._attack.count("header announced without its body")
            node.talk.say(node.network.links.peers[node.index], message)
        super().hear(node, link, message)

    def lets(self, node: Node, link: Link, message: AnyMessage) -> bool:
        return not isinstance(message, WholeBlock)


class InventorySpam(Attack):
    """Each slot each attacker tells each neighbour of a thousand transactions that do not exist and are worth most."""

    name = "inventories"
    about = "Attackers announce transactions that do not exist, as many as the rates allow, and praise them."

    def begin(self) -> None:
        """Lies come by the clock, beside honest duties."""
        for node in self.network.attackers:
            self.network.agenda.after(0, self._lie, node)

    def _lie(self, node: Node) -> None:
        network = self.network
        network.agenda.after(network.genesis.parameters.slot_ms, self._lie, node)
        if node.is_up and network.wires.of(node.index):
            names = tuple(network.random.randbytes(32) for _ in range(MAX_NAMES))
            node.talk.say(network.links.peers[node.index], Inventory(TRANSACTION, names, (MOST,)))
            self.count("inventory of nothing")


class Eclipse(Attack):
    """One node has links to attackers, who keep all from it that others say, and a single one to somebody honest."""

    name = "eclipse"
    about = "Attackers take all of one node's links but one, and keep from it whatever happens."

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.victim = self._victim(network.scenario)
        self._behind = self._behind_final = 0

    @classmethod
    def _victim(cls, scenario: Scenario) -> int:
        """The last honest node but one: the last one observes."""
        attackers = set(cls.attackers(scenario))
        honest = [node for node in range(scenario.nodes) if node not in attackers]
        return honest[-2] if len(honest) > 1 else honest[-1]

    @classmethod
    def rewire(cls, scenario: Scenario, peers: Graph) -> Graph:
        """The victim has as many links as others, all but one of them to attackers."""
        victim, attackers = cls._victim(scenario), cls.attackers(scenario)
        edges = [set(some) - {victim} for some in peers]
        friend = next((node for node in range(scenario.nodes) if node not in (*attackers, victim)), victim)
        edges[victim] = {*attackers[: max(1, scenario.degree - 1)], friend} - {victim}
        for neighbour in edges[victim]:
            edges[neighbour].add(victim)
        return tuple(tuple(sorted(some)) for some in edges)

    def begin(self) -> None:
        """Watch the victim."""
        super().begin()
        self.network.agenda.after(_WATCH_MS, self._watch)

    def _watch(self) -> None:
        network = self.network
        victim, observer = network.nodes[self.victim].engine, network.observer.engine
        self._behind = max(self._behind, observer.dag.next - victim.dag.next)
        self._behind_final = max(self._behind_final, observer.final.number - victim.final.number)
        network.agenda.after(_WATCH_MS, self._watch)

    def behaviour(self) -> Behaviour:
        return _Hiding(self)

    def findings(self) -> dict[str, Any]:
        """How far the victim was behind."""
        return {
            "victim": self.victim,
            "behind_blocks_at_most": self._behind,
            "behind_checkpoints_at_most": self._behind_final,
        }


class _Hiding(Behaviour):
    def __init__(self, attack: Eclipse) -> None:
        self._attack = attack

    def lets(self, node: Node, link: Link, message: AnyMessage) -> bool:
        if link.beyond(node.index) != self._attack.victim or isinstance(message, Ping | Pong):
            return True
        self._attack.count("message kept from the victim")
        return False
