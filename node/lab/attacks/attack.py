"""What an attack is: who takes part, how stakes lie, and what those nodes do instead of their duties."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.lab.behaviour import Behaviour

if TYPE_CHECKING:
    from node.lab.network import Network
    from node.lab.scenario import Scenario


class Attack:
    """Nobody attacks.

    Attackers know of each other at once; their nodes relay what others send unless an attack says otherwise.
    """

    name = "none"
    about = "Everybody is honest."

    def __init__(self, network: Network) -> None:
        self.network = network

    @staticmethod
    def adapt(scenario: Scenario) -> Scenario:
        """The scenario in which the attack shows."""
        return scenario

    @staticmethod
    def stakes(scenario: Scenario) -> tuple[int, ...]:
        """The validators' stakes, as weights."""
        return (1,) * scenario.validators

    def begin(self) -> None:
        """Give the attackers their behaviour."""
        for node in self.network.attackers:
            node.behaviour = self.behaviour()

    def behaviour(self) -> Behaviour:
        """What each attacker does."""
        return Behaviour()

    def count(self, offence: str) -> None:
        """Note that an attacker did something against the rules."""
        self.network.measures.offences[offence] += 1
