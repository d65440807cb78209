"""When validators make blocks and for what they vote: a quiet network is silent (protocol section 4)."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from node.consensus import duties
from node.consensus.engine import Engine
from node.consensus.votes import Vote
from node.ledger import bank
from node.ledger.types import SignedTransaction
from tests.node.consensus.follower import SHARED
from tests.node.world import NXT, Network, Payer, Validator, forge, key, small_genesis, stranger

BEAT = 100
GENESIS = small_genesis(stakes=(1_000 * NXT,) * 6, heartbeat_slots=BEAT, silence_slots=100_000)
ALICE = Payer(GENESIS.hash, key(1))


class Quiet(Network):
    """Validators that do their duty and nothing else. Who sleeps hears nothing; who wakes hears all."""

    def __init__(self) -> None:
        super().__init__(GENESIS)
        self.waiting: list[SignedTransaction] = []
        self.asleep: Collection[int] = ()
        self.made: list[int] = []  # slots of the blocks

    @property
    def awake(self) -> list[Validator]:
        return [node for node in self.nodes if node.number not in self.asleep]

    @property
    def engine(self) -> Engine:
        return self.awake[0].engine

    def candidates(self, node: Validator) -> list[SignedTransaction]:
        nonce = bank.account(node.engine.state, ALICE.address)[1]
        return [item for item in self.waiting if item.body.nonce >= nonce]

    def go(self, slots: int) -> None:
        for _ in range(slots):
            self.slot += 1
            blocks = []
            for node in self.awake:
                waiting = self.candidates(node)
                if node.leads(self.slot) and duties.wants_block(node.engine, self.slot, bool(waiting)):
                    blocks.append(node.block(self.slot, *waiting))
            self.made += [block.header.slot for block in blocks]
            self.tell(self.awake, blocks)
            self.vote()

    def vote(self) -> None:
        """All vote until nobody has anything to say."""
        while votes := [vote for node in self.awake if (vote := node.vote()) is not None]:
            self.tell(self.awake, votes)

    def wake(self) -> None:
        """Everybody is awake and catches up."""
        sleepers = [node for node in self.nodes if node.number in self.asleep]
        self.asleep = ()
        for block in list(self.blocks):
            for node in sleepers:
                node.engine.add(block, block.header.slot)
        for vote in list(self.votes):
            for node in sleepers:
                node.engine.add_vote(vote)
        self.vote()

    def pay(self) -> SignedTransaction:
        self.waiting.append(ALICE.pay(len(self.waiting), stranger(len(self.waiting) % 3), 5))
        return self.waiting[-1]

    def executed(self) -> int:
        """The height of the newest chain block that executed a payment."""
        return self.engine.busy_height

    def is_final(self) -> bool:
        """By the votes in the past of the tip."""
        return not self.candidates(self.awake[0]) and self.engine.view.final.height >= self.executed()

    def until_final(self) -> None:
        for _ in range(120):
            self.go(1)
            if self.is_final():
                return
        pytest.fail("no certificate came")


def test_nothing_to_do_is_nothing_done_but_heartbeats() -> None:
    network = Quiet()
    network.go(3 * BEAT + 5)
    assert set(network.made) == {BEAT, 2 * BEAT, 3 * BEAT}, "these are always filled"
    for node in network.nodes:
        assert not duties.is_busy(node.engine, False)


def test_a_transaction_wakes_the_network_until_its_certificate_and_no_further() -> None:
    network = Quiet()
    network.go(BEAT + 7)
    before = len(network.made)
    network.pay()
    network.until_final()
    burst = network.made[before:]
    assert burst[0] <= BEAT + 9, "the next leader takes it up"
    assert burst[-1] == network.slot, "the block with the certificate …"
    first = network.engine.blocks[network.engine.chain.at[network.executed()].id]
    tip = network.engine.chain.tip
    parent = network.engine.by_index[tip.coloured.selected]
    assert parent.known_view.final.height < first.height <= tip.known_view.final.height
    rest = 2 * BEAT - network.slot
    network.go(rest - 1)
    assert network.made[before:] == burst, "… needs no successor"
    network.go(1)
    assert network.made[-1] == 2 * BEAT
    assert len(burst) < 40


def test_each_burst_ends() -> None:
    network = Quiet()
    for _ in range(4):
        network.go(13)
        network.pay()
        network.pay()
        network.until_final()
        ended = len(network.made)
        network.go(5)
        assert all(slot % BEAT == 0 for slot in network.made[ended:])


def test_votes_alone_wake_nobody() -> None:
    network = Quiet()
    network.asleep = (5,)
    network.pay()
    network.until_final()
    made = len(network.made)
    network.wake()
    votes = [vote for vote in network.votes if vote.voter == network.nodes[5].id]
    assert votes, "the sleeper votes when it wakes"
    network.go(20)
    assert len(network.made) == made
    for node in network.nodes:
        assert not duties.wants_block(node.engine, network.slot + 1, False)


def test_who_sleeps_through_a_burst_finds_the_certificate_at_the_next_heartbeat() -> None:
    network = Quiet()
    network.asleep = (4,)
    network.pay()
    network.until_final()
    height = network.executed()
    network.go(BEAT - network.slot - 1)
    sleeper = network.nodes[4]
    assert sleeper.engine.tip.height == 0
    network.asleep = ()
    network.go(1)
    assert network.made[-1] == BEAT
    waiting = [block.id for block in network.blocks if block.header.slot == BEAT]
    assert all(name in sleeper.engine._orphans for name in waiting), "it hears the heartbeat, and asks for the rest"
    for block in network.blocks[::-1]:
        sleeper.engine.add(block, network.slot)
    assert sleeper.engine.tip.slot == BEAT
    assert sleeper.engine.view.final.height >= height
    assert not duties.is_busy(sleeper.engine, False)


def test_a_sleeping_third_gets_its_certificate_when_it_wakes() -> None:
    """Four of six cannot finalise. As soon as the others wake and vote, it takes a few blocks."""
    network = Quiet()
    network.asleep = (4, 5)
    network.pay()
    network.go(60)
    assert network.engine.view.final.number == 0
    network.wake()
    woken = network.slot
    network.until_final()
    assert network.slot - woken < 30
    made = len(network.made)
    network.go(BEAT - network.slot % BEAT - 1)
    assert len(network.made) == made, "and silence again"


@pytest.fixture
def standstill(monkeypatch: pytest.MonkeyPatch) -> int:
    assert duties.STANDSTILL == 120
    monkeypatch.setattr(duties, "STANDSTILL", 12)
    return 12


def stuck() -> Quiet:
    """A network whose finality stands still."""
    network = Quiet()
    network.asleep = (4, 5)
    network.pay()
    return network


def test_at_a_standstill_blocks_become_sparse(standstill: int) -> None:
    network = stuck()
    network.go(300)
    engine = network.engine
    since = max(engine.busy_height, engine.stirred)
    assert since < 20, "nothing new came after the first votes"
    levels: list[int] = []
    for height in range(since + 1, engine.tip.height + 1):
        level = (height - 1 - since) // standstill
        slot = engine.chain.at[height].slot
        assert slot % (1 << level) == 0 or slot % BEAT == 0, "only slots divisible by 2^j produce"
        levels.append(level)
    assert max(levels) >= 3
    early = sum(slot <= 100 for slot in network.made)
    late = sum(200 < slot <= 300 for slot in network.made)
    assert late < early / 4
    assert any(slot % BEAT == 0 for slot in network.made), "heartbeats are filled all the same"


def test_it_never_becomes_sparser_than_one_in_256(standstill: int) -> None:
    network = stuck()
    network.go(30)
    network.engine._moving.executing = [-100 * standstill]
    network.engine.view.final.height = -100 * standstill
    network.engine._stirred = -100 * standstill
    assert duties.sparse(network.engine) == 8


def test_a_transaction_ends_the_sparseness(standstill: int) -> None:
    network = stuck()
    network.go(200)
    assert duties.sparse(network.engine) >= 2
    network.pay()
    made = len(network.made)
    network.go(40)
    assert len(network.made) - made > 8
    assert network.executed() > 3 * standstill


def test_a_vote_of_a_so_far_silent_validator_ends_it_and_others_do_not(standstill: int) -> None:
    network = stuck()
    network.go(200)
    engine, loud = network.engine, network.nodes[0]
    level = duties.sparse(engine)
    assert level >= 2
    again = next(vote for vote in network.votes[::-1] if vote.voter == loud.id)
    engine.add_vote(again)
    assert duties.sparse(engine) == level, "it was heard before"
    sleeper = network.nodes[4]
    for block in network.blocks:
        sleeper.engine.add(block, block.header.slot)
    vote = sleeper.vote()
    assert vote is not None
    forged = vote._replace(signature=again.signature)
    assert not engine.add_vote(forged).votes
    assert duties.sparse(engine) == level, "it is not his"
    unknown = vote._replace(target_hash=bytes(32))
    assert not engine.add_vote(unknown).votes, "nobody can tell whether it is good, so it is not told on"
    assert duties.sparse(engine) == level
    assert engine.add_vote(vote).votes == [vote]
    assert duties.sparse(engine) == 0


def test_a_vote_that_had_to_wait_is_told_on_once_it_counts() -> None:
    network = Quiet()
    network.pay()
    network.go(12)
    engine = Engine.begin(GENESIS, numpy=False, **SHARED)  # type: ignore[arg-type]
    vote = network.votes[0]
    assert not engine.add_vote(vote)
    assert not engine.add_vote(vote)
    told: list[Vote] = []
    for block in network.blocks:
        if vote not in block.votes:
            told += engine.add(block, network.slot).votes
        else:
            break
    assert told == [vote]
    assert engine.stirred > 0


def test_a_late_transaction_in_no_chain_block_keeps_the_network_awake_until_it_is_merged() -> None:
    network = Quiet()
    network.go(4)
    slot = network.slot + 1
    while not any(node.leads(slot) for node in network.nodes):
        slot += 1
    maker = next(node for node in network.nodes if node.leads(slot))
    one = maker.block(slot, ALICE.pay(0, stranger(1), 5))
    network.slot = slot
    wrong = forge(one, maker.number, state_commitment=bytes(32))
    network.tell(network.nodes, [wrong])
    assert network.engine.tip.height == 0
    assert duties.is_busy(network.engine, False)
    engine, made = network.engine, len(network.made)
    while not engine.dag.is_ancestor(engine.blocks[wrong.id].index, engine.chain.tip.index):
        assert duties.is_busy(engine, False)
        network.go(1)
    assert len(network.made) - made < 6
    assert bank.account(engine.state, ALICE.address)[1] == 1
    network.until_final()
    made = len(network.made)
    network.go(10)
    assert len(network.made) == made


def test_what_can_never_be_merged_any_more_keeps_nobody_awake() -> None:
    """A block of long ago that comes only now lies too deep: whoever sends it must not cost others their sleep."""
    genesis = small_genesis(stakes=(1_000 * NXT,) * 6, merge_depth_slots=20, heartbeat_slots=20)
    network = Network(genesis)
    slot = 3
    while not any(node.leads(slot) for node in network.nodes):
        slot += 1
    maker = next(node for node in network.nodes if node.leads(slot))
    stale = maker.block(slot, Payer(genesis.hash, key(1)).pay(0, stranger(1), 5))
    for _ in range(60):
        network.pass_slot()
    for node in network.nodes:
        node.engine.add(stale, network.slot)
        slot = network.slot + 1 + (network.slot + 1) % 20 // 19
        assert stale.id in node.engine.blocks
        assert stale.id not in {block.id for block in node.engine.parents(slot)[0]}
        assert not duties.wants_block(node.engine, slot, False)


# -- votes ------------------------------------------------------------------------------------------------------------


def test_a_vote_goes_to_the_highest_checkpoint_that_lies_deep_enough() -> None:
    network = Network(GENESIS)
    depth, every = GENESIS.parameters.vote_depth, GENESIS.parameters.checkpoint_score
    assert (depth, every) == (2, 4)
    seen = 0
    for _ in range(40):
        network.pass_slot()
        engine = network.nodes[0].engine
        score = engine.chain.tip.coloured.score
        on_chain = [
            target
            for target in engine.view.known.values()
            if score - target.score >= depth and target.number > engine.view.final.number
        ]
        target = duties.target_to_vote(engine, 0, 0)
        assert (target is None) == (not on_chain)
        if target is not None:
            seen += 1
            assert target.number == max(item.number for item in on_chain)
            assert score - target.score >= depth
            assert duties.target_to_vote(engine, 0, target.number) is None, "each number once"
            assert duties.target_to_vote(engine, target.source.number + 1, 0) is None, "never from an older source"
            assert target.source.number < target.number
    assert seen > 10


def test_votes_do_not_leave_the_rules_of_the_signing_record() -> None:
    """Sources never fall, targets always rise: nothing that a validator signs can contradict itself."""
    network = Network(GENESIS)
    for number in range(50):
        if number == 15:
            network.groups = [network.nodes[:2], network.nodes[2:]]
        if number == 30:
            network.heal()
        network.pass_slot()
    for node in network.nodes:
        mine = list(dict.fromkeys(vote for vote in network.votes if vote.voter == node.id))
        mine.sort(key=lambda vote: vote.target)
        assert len(mine) > 5
        assert len({vote.target for vote in mine}) == len(mine)
        assert [vote.source for vote in mine] == sorted(vote.source for vote in mine)


def test_a_stranger_has_no_vote() -> None:
    network = Network(GENESIS)
    for _ in range(8):
        network.pass_slot()
    engine = network.nodes[0].engine
    target = next(target for target in engine.ballots.targets.values() if target.number == 1)
    assert duties.make_vote(engine, key(1).address, target, key(1).sign_digest) is None
    mine = duties.make_vote(engine, network.nodes[0].id, target, network.nodes[0].key.sign_digest)
    assert mine is not None
    assert not engine.add_vote(mine._replace(voter=key(1).address)), "not even counted"


def test_blocks_carry_each_vote_once() -> None:
    network = Network(GENESIS)
    for _ in range(40):
        network.pass_slot()
    engine = network.nodes[0].engine
    for block in engine.selected(engine.chain.tip):
        if block.coloured.selected < 0:
            continue
        parent = engine.by_index[block.coloured.selected]
        before = parent.known_view
        for vote in block.votes:
            assert vote.voter not in before.links.get(vote.link, ())
            assert vote.target > before.final.number
    assert sum(len(block.votes) for block in engine.blocks.values()) > 30


def test_fitting_leaves_out_what_is_too_large_and_its_senders_later_ones() -> None:
    engine = Network(GENESIS).nodes[0].engine
    bob = Payer(GENESIS.hash, key(2), signed=False)
    room = engine.parameters.max_body_bytes
    large = [ALICE.pay_all(nonce, *((stranger(n), 1) for n in range(256))) for nonce in range(20)]
    small = [bob.pay(nonce, stranger(1), 1) for nonce in range(3)]
    chosen = list(duties.fitting(engine, [*large, *small], 0))
    assert chosen == [*large[: len(chosen) - 3], *small], "smaller ones of others still fit"
    assert sum(len(item.raw) for item in chosen) < room < sum(len(item.raw) for item in large)
    fewer = list(duties.fitting(engine, [*large, *small], 128))
    assert len(fewer) < len(chosen)
