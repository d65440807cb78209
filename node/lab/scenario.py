"""A scenario: everything that decides a simulation's course, and the network it founds."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from random import Random

from node.consensus.views import Clauses
from node.encoding.amounts import UNITS_PER_NXT
from node.lab.links import Partition
from node.lab.people import Operator, Person
from node.ledger.genesis import Allocation, Founder, Genesis, make_genesis
from node.ledger.parameters import BOUNDS, PRESETS, ParameterError

STAKE = 300_000 * UNITS_PER_NXT
"""Of all validators together."""
FUNDS = 100_000 * UNITS_PER_NXT
"""Of all payers together."""
POCKET = 10 * UNITS_PER_NXT
"""Of each reporter."""
START_MS = 1_000_000
CLAUSES = tuple(item.name for item in fields(Clauses))


class ScenarioError(ValueError):
    """A scenario that cannot be played; the message says what to change."""

    code = "bad_scenario"


@dataclass(frozen=True, slots=True)
class Cut:
    """The network is parted from second `start` until second `end`: `percent` of its nodes, and of its validators, on
    one side."""

    start: int
    end: int
    percent: int

    @classmethod
    def parse(cls, text: str) -> Cut:
        """From "120-240:50". Raises ScenarioError."""
        times, _, percent = text.partition(":")
        start, _, end = times.partition("-")
        numbers = [start, end, percent or "50"]
        if not all(item.isascii() and item.isdecimal() and len(item) < 9 for item in numbers):
            raise ScenarioError(f"{text[:40]!r} is no partition: write START-END:PERCENT in seconds, as in 120-240:50.")
        cut = cls(*map(int, numbers))
        if not (cut.start < cut.end and 0 < cut.percent < 100):
            raise ScenarioError(f"The partition {text[:40]!r} must end after it starts and part 1 to 99 percent.")
        return cut


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated. Times in seconds of virtual time unless the name says otherwise."""

    nodes: int = 100
    validators: int = 30
    seconds: int = 600
    seed: int = 1
    attack: str = "none"
    share_percent: int = 30  # of the validators, those who attack: below a third
    preset: str = "main"
    payments_per_s: int = 5
    latency_ms: int = 200  # median of a hop
    loss_permille: int = 0
    skew_ms: int = 0  # clocks are wrong by at most this
    degree: int = 8
    kilobits: int = 0  # what a node can send in a second, 0 for any amount
    crashes: int = 0
    away: tuple[int, int] | None = None  # the last node but one is off between these seconds
    quiet: tuple[int, int] | None = None  # no payments between these seconds
    cuts: tuple[Cut, ...] = ()
    without: tuple[str, ...] = ()  # clauses that are switched off
    changed: tuple[tuple[str, int], ...] = field(default=())  # genesis parameters that differ from the preset's

    def __post_init__(self) -> None:
        if not 1 <= self.validators <= self.nodes:
            raise ScenarioError(
                f"Each validator has a node of its own: {self.validators} validators need as many nodes, or more, and "
                f"there are {self.nodes}."
            )
        if self.quiet is not None and not self.quiet[0] < min(self.quiet[1], self.seconds):
            raise ScenarioError(f"A quiet time starts before it ends, and within the run of {self.seconds} s.")
        if self.away is not None and not self.away[0] < self.away[1] < self.seconds:
            raise ScenarioError(f"A node that is away leaves before it comes back, within the run of {self.seconds} s.")
        if late := [cut for cut in self.cuts if cut.start >= self.seconds]:
            raise ScenarioError(
                f"A partition from second {late[0].start} on lies beyond the {self.seconds} s of the run."
            )
        if self.preset not in PRESETS:
            raise ScenarioError(f"The preset {self.preset[:40]!r} is not known; there are {', '.join(PRESETS)}.")
        if unknown := [name for name in self.without if name not in CLAUSES]:
            raise ScenarioError(f"There is no clause {unknown[0][:40]!r}; there are {', '.join(CLAUSES)}.")
        if wrong := [name for name, _ in self.changed if name not in BOUNDS]:
            raise ScenarioError(f"There is no parameter {wrong[0][:40]!r}; there are {', '.join(BOUNDS)}.")

    def random(self, use: str) -> Random:
        """A stream of draws of its own for each use, so that one more draw here changes nothing there."""
        return Random(f"nexus lab {self.seed} {use}")

    @property
    def clauses(self) -> Clauses:
        """The rules in force."""
        return Clauses(**dict.fromkeys(self.without, False))

    def partitions(self) -> tuple[Partition, ...]:
        """The cuts with their groups: validators and other nodes are parted in the same proportion."""
        found = []
        for number, cut in enumerate(self.cuts):
            random = self.random(f"cut {number}")
            groups = [0] * self.nodes
            for some in (range(self.validators), range(self.validators, self.nodes)):
                for node in random.sample(some, len(some) * cut.percent // 100):
                    groups[node] = 1
            found.append(Partition(cut.start * 1000, cut.end * 1000, tuple(groups)))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Cast:
    """The people of a scenario and the network that they found."""

    genesis: Genesis
    operators: tuple[Operator, ...]
    payers: tuple[Person, ...]
    reporters: tuple[Person, ...]  # who send evidence, one an operator


def found(scenario: Scenario, stakes: tuple[int, ...]) -> Cast:
    """Make keys and genesis. `stakes` are the validators' shares of `STAKE`, as weights."""
    whole = sum(stakes)
    operators = tuple(Operator(f"{scenario.seed} operator {number}") for number in range(len(stakes)))
    payers = tuple(Person(f"{scenario.seed} payer {number}") for number in range(max(16, 40 * scenario.payments_per_s)))
    reporters = tuple(Person(f"{scenario.seed} reporter {number}") for number in range(len(stakes)))
    genesis = make_genesis(
        scenario.preset,
        START_MS,
        (
            *(Allocation(person.address, FUNDS // len(payers), "") for person in payers),
            *(Allocation(person.address, POCKET, "") for person in reporters),
        ),
        tuple(
            Founder(
                operator.owner.address, operator.consensus.key, STAKE * weight // whole, operator.reveals.commitment
            )
            for operator, weight in zip(operators, stakes, strict=True)
        ),
        name="lab",
    )
    try:
        parameters = replace(genesis.parameters, **dict(scenario.changed))
        return Cast(replace(genesis, parameters=parameters), operators, payers, reporters)
    except ParameterError as error:
        raise ScenarioError(str(error)) from None
