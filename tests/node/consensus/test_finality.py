"""Finality, explored: safety below a third of faulty stake, life after every partition, names of culprits above it.

Faulty validators run twice, once on each side of a partition, and vote and make blocks on both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from node.consensus.blocks import BlockError
from node.consensus.engine import Engine
from node.consensus.finality import quorum, spectral_quorum
from node.consensus.tables import Table
from node.consensus.views import Clauses
from node.consensus.votes import Vote
from node.ledger.genesis import Genesis
from node.ledger.registry import broken_invariants
from node.ledger.staking import Validator as Staker
from node.light.spectrum import VISIBLE
from tests.node.world import NEVER, NXT, VALIDATORS, Network, Payer, Validator, key, small_genesis, stranger

SEVEN = small_genesis(stakes=(1_000 * NXT,) * 7)


def agree(one: Engine, other: Engine) -> bool:
    """Whether two nodes' final checkpoints lie on one chain, as the one that knows both blocks sees it."""
    low, high = sorted((one.final, other.final), key=lambda target: target.number)
    for engine in (one, other):
        first, second = engine.blocks.get(low.checkpoint.block), engine.blocks.get(high.checkpoint.block)
        if first is not None and second is not None:
            return engine.on_chain(first, second)
    return low.number == 0 or low.hash == high.hash


@contextmanager
def suppress_code(code: str) -> Iterator[None]:
    """Pass over one kind of refusal, and no other."""
    try:
        yield
    except BlockError as error:
        if error.code != code:
            raise


class Parted(Network):
    """A network in two halves; faulty validators stand in both."""

    def __init__(self, genesis: Genesis, faulty: tuple[int, ...], clauses: Clauses | None = None) -> None:
        super().__init__(genesis, clauses=clauses or Clauses())
        self.faulty = faulty
        self.honest = [node for node in self.nodes if node.number not in faulty]
        self.doubles = [Validator(genesis, number, clauses=clauses or Clauses()) for number in faulty]
        self.payer = Payer(genesis.hash, key(1))
        self.paid = 0

    def part(self, left: set[int]) -> None:
        """The honest of `left` on one side, the others on the other; the faulty on both."""
        faulty = [node for node in self.nodes if node.number in self.faulty]
        # A double begins from what its twin knows.
        for node, double in zip(faulty, self.doubles, strict=True):
            double.voted = node.voted
        self.catch_up(self.doubles)
        self.groups = [
            [*(node for node in self.honest if node.number in left), *faulty],
            [*(node for node in self.honest if node.number not in left), *self.doubles],
        ]

    def catch_up(self, nodes: list[Validator]) -> None:
        blocks, votes = list(self.blocks), list(self.votes)
        for node in nodes:
            for block in blocks:
                # A history that contradicts what is final here may have tables of its own.
                with suppress_code("unknown_tables"):
                    node.engine.add(block, self.slot)
            for vote in votes:
                node.engine.add_vote(vote)

    def go(self, slots: int) -> None:
        for _ in range(slots):
            self.pass_slot(self.payer.pay(self.paid, stranger(self.paid), NXT))
            self.paid += self.slot % 3 == 0

    def everybody_hears_everything(self) -> None:
        self.groups = [self.nodes]
        self.catch_up(self.nodes)


@pytest.mark.parametrize("faulty", [(), (0,), (0, 1)])
def test_two_halves_never_finalise_apart_below_a_third(faulty: tuple[int, ...]) -> None:
    network = Parted(SEVEN, faulty)
    network.go(12)
    before = network.honest[0].engine.final.number
    network.part({2, 3})
    network.go(25)
    sides = [group[0].engine.final.number for group in network.groups]
    assert min(sides) - before <= 3, "two halves never have two thirds each"
    network.everybody_hears_everything()
    network.go(40)
    finals = [node.engine.final.number for node in network.honest]
    assert min(finals) > before + 6, "life returned"
    assert all(agree(one.engine, other.engine) for one, other in combinations(network.honest, 2))
    assert len({node.engine.waves.commitment for node in network.honest}) == 1
    assert not broken_invariants(network.honest[0].engine.state)
    named = {item.validator for item in network.honest[0].engine.evidence}
    assert named <= {key(VALIDATORS + number).address for number in faulty}, "no honest validator is ever named"


def test_above_a_third_the_culprits_are_named() -> None:
    """Three of seven on both sides of a partition finalise two histories; whoever hears both can name all three."""
    faulty = (0, 1, 2)
    network = Parted(SEVEN, faulty)
    network.go(10)
    network.part({3, 4})
    network.go(30)
    left, right = network.honest[0].engine, network.honest[-1].engine
    assert left.final.number > 3
    assert right.final.number > 3
    network.everybody_hears_everything()
    assert not agree(left, right)
    for node in network.honest:
        named = {item.validator for item in node.engine.evidence}
        assert named == {key(VALIDATORS + number).address for number in faulty}
        assert node.engine.ballots.conflict is not None


class Partitions(RuleBasedStateMachine):
    """Any sequence of partitions, silences and healings with two of seven faulty."""

    @initialize(faulty=st.sets(st.integers(0, 6), max_size=2))
    def begin(self, faulty: set[int]) -> None:
        self.network = Parted(SEVEN, tuple(sorted(faulty)))
        self.parted = False

    @rule(slots=st.integers(1, 6))
    def pass_slots(self, slots: int) -> None:
        self.network.go(slots)

    @precondition(lambda self: not self.parted)
    @rule(left=st.sets(st.integers(0, 6)))
    def part(self, left: set[int]) -> None:
        self.network.part(left)
        self.parted = True

    @precondition(lambda self: self.parted)
    @rule()
    def heal(self) -> None:
        self.network.everybody_hears_everything()
        self.parted = False

    @invariant()
    def no_two_histories_are_final(self) -> None:
        if not hasattr(self, "network"):
            return
        one = self.network.honest[0].engine
        assert all(agree(one, node.engine) for node in self.network.honest)
        assert all(node.engine.ballots.conflict is None for node in self.network.honest)

    def teardown(self) -> None:
        if not hasattr(self, "network"):
            return
        self.network.everybody_hears_everything()
        before = max(node.engine.final.number for node in self.network.honest)
        self.network.go(30)
        assert min(node.engine.final.number for node in self.network.honest) > before, "life returns"
        assert len({node.engine.waves.commitment for node in self.network.honest}) == 1


TestPartitions = Partitions.TestCase
TestPartitions.settings = settings(max_examples=4, stateful_step_count=10, deadline=None)


@pytest.mark.slow
class TestManyPartitions(Partitions.TestCase):  # type: ignore[misc,valid-type]
    """The same, three times as often."""


TestManyPartitions.settings = settings(TestPartitions.settings, max_examples=12)


def table(*stakes: int) -> Table:
    return Table(bytes(32), tuple(Staker(bytes((number,)), stake, b"", b"", 0) for number, stake in enumerate(stakes)))


def test_a_quorum_is_more_than_two_thirds_of_stake() -> None:
    three = table(10, 10, 10)
    ids = [item.id for item in three.validators]
    assert not quorum(ids[:2], three, three, stake_alone=True), "exactly two thirds are not enough"
    assert quorum(ids, three, three, stake_alone=True)
    four = table(10, 10, 10, 1)
    assert not quorum(ids[:2], four, four, stake_alone=True)
    assert quorum([*ids[:2], four.validators[3].id], four, four, stake_alone=True)


def test_after_a_rotation_both_tables_are_asked() -> None:
    old, new = table(10, 10, 10), table(1, 1, 100)
    heavy = new.validators[2].id
    assert quorum([heavy], new, new, stake_alone=True)
    assert not quorum([heavy], new, old, stake_alone=True)
    assert quorum([heavy], new, old, stake_alone=True, rear=False)


def test_the_absent_count_nothing_unless_they_vote() -> None:
    five = table(10, 10, 10, 10, 10)
    ids = [item.id for item in five.validators]
    assert not quorum(ids[:3], five, five, stake_alone=True)
    assert quorum(ids[:3], five, five, stake_alone=True, absent=frozenset(ids[3:4]))
    assert quorum(ids[1:5], five, five, stake_alone=True, absent=frozenset(ids[:5]))


def test_regions_are_asked_from_four_full_ones_on() -> None:
    """24 equal validators fill six regions with four each: five of six need more than a third of their stake."""
    full = table(*([10] * 24))
    regions: dict[int, list[bytes]] = {}
    for identity, region in full.regions.items():
        regions.setdefault(region, []).append(identity)
    assert sorted(map(len, regions.values())) == [4] * len(VISIBLE)
    ordered = [regions[region] for region in sorted(regions)]
    dark_two = frozenset(identity for members in ordered[2:] for identity in members) | {ordered[0][0]}
    assert 3 * 10 * len(dark_two) > 2 * full.total_stake, "two thirds of the stake are there"
    assert not spectral_quorum(dark_two, full), "but two regions lack more than a third"
    assert not quorum(dark_two, full, full, stake_alone=False)
    assert quorum(dark_two, full, full, stake_alone=True)
    dark_one = frozenset(identity for members in ordered[1:] for identity in members)
    assert quorum(dark_one, full, full, stake_alone=False)
    assert spectral_quorum(frozenset(), table(*([10] * 12))), "with too few full regions nobody asks"


def test_after_a_long_silence_the_living_go_on_and_the_absent_come_back() -> None:
    """Three of seven fall silent for good: finality stands still for the length of a long silence, then goes on."""
    network = Parted(SEVEN, ())
    silence = SEVEN.parameters.silence_slots
    network.go(12)
    before = network.nodes[6].engine.final
    stood_still = 0
    for _ in range(3 * silence):
        network.pass_slot(network.payer.pay(network.paid, stranger(network.paid), NXT), silent=(0, 1, 2))
        network.paid += network.slot % 3 == 0
        if network.nodes[6].engine.final.number <= before.number + 3:
            stood_still = network.slot
    resumed = network.nodes[6].engine
    assert stood_still - before.checkpoint.slot >= silence, "nothing is final before the silence was long"
    assert resumed.final.number > before.number + 10, "then the living are enough"
    assert resumed.view.certificate[-1].absent == tuple(sorted(key(VALIDATORS + number).address for number in range(3)))
    network.go(40)
    assert not resumed.view.certificate[-1].absent, "who votes again counts again"
    assert len({node.engine.waves.commitment for node in network.nodes}) == 1


@pytest.mark.parametrize(
    ("exact", "links"),
    [
        pytest.param(True, [(0, 4), (0, 1), (1, 2), (4, 5)], id="by surrounding votes"),
        pytest.param(False, [(0, 1), (0, 4), (1, 3), (4, 6)], id="without the exact successor"),
    ],
)
def test_a_checkpoint_keeps_its_proof_when_an_older_one_becomes_final(
    exact: bool, links: list[tuple[int, int]]
) -> None:
    """4 is justified from below 1; then 1 is final, and what lies below is forgotten; then 4 becomes final too."""
    network = Network(small_genesis(), clauses=Clauses(exact_successor=exact))
    node = network.nodes[0]
    node.voted = NEVER, NEVER  # its votes are cast by hand
    while node.engine.view.number < 7:
        network.pass_slot()
    for ends in links:
        by_number = {target.number: target for target in node.engine.ballots.targets.values()}
        source, target = (by_number[number] for number in ends)
        vote = Vote(*ends[:1], source.hash, ends[1], target.hash, target.checkpoint.slot, 0, node.id, b"")
        vote = vote._replace(region=target.table.regions[node.id])
        signature = node.key.sign_digest(vote.digest(network.genesis.hash, source.header, target.header))
        network.tell(network.nodes, [vote._replace(signature=signature)])
        network.pass_slot()
    view = node.engine.view
    assert view.final.number == 4
    assert [(link.source.number, link.target.number) for link in view.certificate] == [(0, 4), links[-1]]
