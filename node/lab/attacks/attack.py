"""What an attack is: who takes part, how stakes lie, and what those nodes do instead of their duties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.consensus.blocks import Block, BlockError
from node.lab.behaviour import Behaviour

if TYPE_CHECKING:
    from node.lab.network import Network
    from node.lab.node import Node
    from node.lab.scenario import Scenario

Graph = tuple[tuple[int, ...], ...]
"""The neighbours of each node."""


class Attack:
    """Nobody attacks.

    Attackers know of each other at once; their nodes relay what others send unless an attack says otherwise.
    """

    name = "none"
    about = "Everybody is honest."

    def __init__(self, network: Network) -> None:
        self.network = network

    @classmethod
    def adapt(cls, scenario: Scenario) -> Scenario:
        """The scenario in which the attack shows."""
        return scenario

    @classmethod
    def stakes(cls, scenario: Scenario) -> tuple[int, ...]:
        """The validators' stakes, as weights."""
        return (1,) * scenario.validators

    @classmethod
    def attackers(cls, scenario: Scenario) -> tuple[int, ...]:
        """Numbers of the validators who attack, ascending: drawn, and as many as the scenario says."""
        if cls.name == "none":
            return ()
        count = scenario.validators * scenario.share_percent // 100
        return tuple(sorted(scenario.random("attackers").sample(range(scenario.validators), count)))

    @classmethod
    def rewire(cls, scenario: Scenario, peers: Graph) -> Graph:
        """Who is linked to whom."""
        del scenario
        return peers

    def begin(self) -> None:
        """Give the attackers their behaviour."""
        for node in self.network.attackers:
            node.behaviour = self.behaviour()

    def behaviour(self) -> Behaviour:
        """What each attacker does."""
        return Behaviour()

    def count(self, offence: str) -> None:
        """Note that an attacker did something that an honest node would not."""
        self.network.measures.offences[offence] += 1

    def findings(self) -> dict[str, Any]:
        """What only this attack can tell, for the report."""
        return {}


class PrivateChain:
    """An engine that the attackers feed as they like, to build on what they choose to see."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.engine = network.new_engine()
        self.engine.awake_since = 1 << 60  # nothing counts as late here

    def learn(self, node: Node, until_slot: int) -> None:
        """Take what a node has, up to a slot."""
        for name, block in node.disk.blocks.items():
            if name not in self.engine.blocks and block.header.slot <= until_slot:
                self.engine.add(block, node.slot)

    def build(self, node: Node, slot: int, *, carry: bool) -> Block | None:
        """A block of a node's validator on this chain's tip, if it leads the slot there; `carry` fills its body."""
        engine = self.engine
        transactions = node.pool.candidates(engine.state) if carry else ()
        try:
            return self._network.forge(engine, node, slot, transactions)
        except BlockError:
            return None  # by this chain's tables somebody else leads, or its tip is not older than the slot
