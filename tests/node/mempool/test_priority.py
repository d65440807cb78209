"""What goes first, what takes another's place, and what a full mempool lets go."""

from __future__ import annotations

from random import Random

import pytest

from node.ledger import bank, registry
from node.ledger.module import Effects
from node.ledger.types import SignedTransaction, TransactionError
from node.light.orbits import REFERENCE_PM
from node.mempool import pool as module
from node.mempool import queues
from node.mempool.pool import EVICTED, REPLACED, Displaced
from tests.node.mempool.waiting import ALICE, BASE, BOB, CAROL, DAVE, SLOT, Waiting
from tests.node.world import NXT, Payer


@pytest.fixture
def here() -> Waiting:
    return Waiting()


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Memos whose payments are carried by light of some wavelength: no operation of today's ledger is."""
    wavelengths: dict[str, int] = {}

    def effects_of(body: object) -> Effects:
        effects = registry.effects_of(body)  # type: ignore[arg-type]
        return Effects(effects.spends, effects.outputs, effects.memo, wavelengths.get(effects.memo))

    monkeypatch.setattr(queues, "effects_of", effects_of)
    return wavelengths


def test_the_shorter_wave_goes_first_among_equal_tips(here: Waiting, light: dict[str, int]) -> None:
    light.update(violet=400_000, blue=470_000, infrared=900_000, reference=REFERENCE_PM)
    plain = ALICE.pay(0, DAVE.address, 1)
    waves = [
        BOB.pay(0, DAVE.address, 1, "infrared"),
        CAROL.pay(0, DAVE.address, 1, "blue"),
        DAVE.pay(0, ALICE.address, 1, "violet"),
    ]
    here.admit(plain, *waves)
    assert here.order() == [waves[2], waves[1], plain, waves[0]]
    better = ALICE.pay(0, DAVE.address, 1, "infrared", tip=BASE)
    here.admit(better)
    assert here.order()[0] == better, "the tip comes before the wavelength"
    same = DAVE.pay(0, ALICE.address, 2, "reference", tip=BASE)
    here.admit(same)
    assert here.order()[:2] == [same, better]


def test_what_is_taken_first_is_told_first(here: Waiting, light: dict[str, int]) -> None:
    light.update(violet=400_000, infrared=900_000)
    waiting = [
        ALICE.pay(0, DAVE.address, 1, "infrared"),
        BOB.pay(0, DAVE.address, 1),
        CAROL.pay(0, DAVE.address, 1, "violet"),
        DAVE.pay(0, ALICE.address, 1, "infrared", tip=BASE),
    ]
    here.admit(*waiting)
    urgencies = {item: here.pool.urgency(item.txid) for item in waiting}
    assert sorted(waiting, key=urgencies.__getitem__, reverse=True) == here.order()
    assert all(0 <= urgency < 1 << 63 for urgency in urgencies.values())


def test_none_is_more_urgent_than_what_must_go_before_it(here: Waiting) -> None:
    first, second = ALICE.pay(0, BOB.address, 5), ALICE.pay(1, BOB.address, 5, tip=BASE)
    third = BOB.pay(0, CAROL.address, 5)
    here.admit(first, third, second)
    assert here.pool.urgency(second.txid) == here.pool.urgency(first.txid) == here.pool.urgency(third.txid)


def test_a_higher_tip_takes_the_place_of_its_number(here: Waiting) -> None:
    first, second = ALICE.pay(0, BOB.address, 5, tip=3), ALICE.pay(1, BOB.address, 5)
    here.admit(first, second)
    here.refused(ALICE.pay(0, CAROL.address, 5, tip=2), "nonce_waiting")
    here.refused(ALICE.pay(0, CAROL.address, 5, tip=3 + BASE - 1), "nonce_waiting")
    better = ALICE.pay(0, CAROL.address, 7, tip=3 + BASE)
    assert here.admit(better) == [Displaced(first, REPLACED)]
    assert first.txid not in here.pool
    assert here.order() == [better, second]
    assert here.pool.pending_out(here.state, ALICE.address) == 3 * BASE + 3 + 7 + 5
    assert (here.pool.pending_in(BOB.address), here.pool.pending_in(CAROL.address)) == (5, 7)
    assert here.pool.bytes == len(better.raw) + len(second.raw)
    here.refused(first, "nonce_waiting")


def test_a_replacement_may_spend_what_the_replaced_one_held(here: Waiting) -> None:
    here.admit(ALICE.pay(0, BOB.address, NXT - BASE))
    here.refused(ALICE.pay(0, CAROL.address, NXT - 2 * BASE + 1, tip=BASE), "insufficient_funds")
    here.admit(ALICE.pay(0, CAROL.address, NXT - 2 * BASE, tip=BASE))


def test_a_refused_replacement_leaves_the_first(here: Waiting) -> None:
    first = ALICE.pay(0, BOB.address, 5)
    here.admit(first)

    def refuse(transaction: SignedTransaction) -> None:
        raise TransactionError("bad_signature", "No.")

    here.pool._check = refuse
    with pytest.raises(TransactionError):
        here.pool.admit(ALICE.pay(0, BOB.address, 6, tip=BASE), here.state, SLOT)
    assert list(here.pool.transactions()) == here.order() == [first]


def test_replacing_is_no_way_around_the_limit_of_a_sender(here: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PER_SENDER", 2)
    here.admit(ALICE.pay(0, BOB.address, 1), ALICE.pay(1, BOB.address, 1))
    here.admit(ALICE.pay(1, BOB.address, 2, tip=BASE))
    here.refused(ALICE.pay(2, BOB.address, 1, tip=BASE), "sender_full")


def test_a_full_mempool_lets_the_lowest_go_and_says_so(here: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TRANSACTIONS", 3)
    low, middle, high = (payer.pay(0, DAVE.address, 1, tip=tip) for payer, tip in ((ALICE, 1), (BOB, 2), (CAROL, 3)))
    here.admit(middle, low, high)
    here.refused(DAVE.pay(0, ALICE.address, 1, tip=1), "mempool_full")
    newcomer = DAVE.pay(0, ALICE.address, 1, tip=2)
    assert here.admit(newcomer) == [Displaced(low, EVICTED)]
    assert here.order() == [high, middle, newcomer]
    assert here.pool.pending_out(here.state, ALICE.address) == 0
    here.refused(low, "mempool_full")


def test_a_tail_is_worth_no_more_than_what_it_waits_for(here: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dear last one must not protect cheap ones before it, and none goes from the middle."""
    monkeypatch.setattr(module, "MAX_TRANSACTIONS", 4)
    cheap, dear = ALICE.pay(0, DAVE.address, 1, tip=1), ALICE.pay(1, DAVE.address, 1, tip=900)
    others = [BOB.pay(0, DAVE.address, 1, tip=5), CAROL.pay(0, DAVE.address, 1, tip=6)]
    here.admit(cheap, dear, *others)
    newcomer = DAVE.pay(0, ALICE.address, 1, tip=2)
    assert here.admit(newcomer) == [Displaced(dear, EVICTED)]
    assert here.admit(BOB.pay(1, DAVE.address, 1, tip=3)) == [Displaced(cheap, EVICTED)]


def test_what_waits_behind_a_gap_goes_first(here: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """It pays nothing as long as the gap stays, however high its tip is."""
    monkeypatch.setattr(module, "MAX_TRANSACTIONS", 2)
    stuck, poor = ALICE.pay(1, DAVE.address, 1, tip=900), BOB.pay(0, DAVE.address, 1)
    here.admit(stuck, poor)
    here.refused(CAROL.pay(3, DAVE.address, 1, tip=800), "mempool_full")
    newcomer = CAROL.pay(0, DAVE.address, 1)
    assert here.admit(newcomer) == [Displaced(stuck, EVICTED)]
    here.refused(ALICE.pay(1, DAVE.address, 1, tip=900), "mempool_full")


def test_a_gap_that_was_filled_by_a_block_counts_as_filled(here: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TRANSACTIONS", 2)
    waiting, other = ALICE.pay(1, DAVE.address, 1, tip=900), BOB.pay(0, DAVE.address, 1, tip=5)
    here.admit(waiting, other)
    here.refused(CAROL.pay(1, DAVE.address, 1), "mempool_full")  # ranks them once, by the old state
    here.execute(ALICE.pay(0, DAVE.address, 1))
    assert here.admit(CAROL.pay(0, DAVE.address, 1, tip=6)) == [Displaced(other, EVICTED)]


def test_nobody_loses_his_own_for_his_own(here: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TRANSACTIONS", 2)
    here.admit(ALICE.pay(0, DAVE.address, 1, tip=2), ALICE.pay(2, DAVE.address, 1, tip=2))
    here.refused(ALICE.pay(1, DAVE.address, 1, tip=2), "mempool_full")


def test_bytes_make_room_for_bytes_or_nothing_changes(here: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    small = [payer.pay(0, DAVE.address, 1, tip=tip) for payer, tip in ((ALICE, 1), (BOB, 2))]
    small.append(ALICE.pay(1, DAVE.address, 1, tip=1))
    here.admit(*small, CAROL.pay(0, DAVE.address, 1, tip=9))
    monkeypatch.setattr(module, "MAX_BYTES", here.pool.bytes)
    wanted = [(bytes(20) + bytes([number]), 60_000) for number in range(4)]
    here.refused(DAVE.pay_all(0, *wanted, memo="m" * 200, tip=2), "mempool_full")
    assert len(here.pool) == 4
    big = DAVE.pay_all(0, *wanted, memo="m" * 200, tip=3)
    gone = here.admit(big)
    assert gone == [Displaced(item, EVICTED) for item in (small[2], small[0], small[1])[: len(gone)]]
    assert sum(len(item.raw) for item, _ in gone[:-1]) < len(big.raw) <= sum(len(item.raw) for item, _ in gone)
    assert len(gone) >= 2


def test_evicting_finds_the_lowest_of_many(here: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a plain search, through admissions, blocks and expiries."""
    random = Random("eviction")
    monkeypatch.setattr(module, "MAX_TRANSACTIONS", 12)
    monkeypatch.setattr(queues, "_STALE", 16)
    payers = (ALICE, BOB, CAROL, DAVE)
    arrived: dict[bytes, int] = {}
    evictions = 0
    for step in range(1_500):
        if random.random() < 0.1:
            here.execute(*here.order()[: random.randint(0, 3)])
        payer = random.choice(payers)
        first = here.pool.next_nonce(here.state, payer.address)
        number = max(0, first + random.choice((0, 0, 0, 1, 2)))
        transaction = payer.pay(number, stranger_of(payer), 1, tip=random.randrange(8), expiry=10**6 + step)
        arrived[transaction.txid] = step
        waiting = list(here.pool.transactions())
        worst = lowest(here, waiting, payer, transaction, arrived)
        try:
            gone = here.pool.admit(transaction, here.state, SLOT)
        except TransactionError as error:
            if error.code == "mempool_full":
                assert worst is None
            continue
        if len(waiting) == 12:
            assert worst is not None
            assert gone == [Displaced(worst, EVICTED)]
            evictions += 1
        else:
            assert gone == []
        assert len(here.pool) <= 12
    assert evictions > 100
    assert len(here.pool._tails._heap) <= 2 * len(payers) + 16 + len(payers)


def stranger_of(payer: Payer) -> bytes:
    return BOB.address if payer is ALICE else ALICE.address


def lowest(
    here: Waiting,
    waiting: list[SignedTransaction],
    payer: Payer,
    newcomer: SignedTransaction,
    arrived: dict[bytes, int],
) -> SignedTransaction | None:
    """The last transaction of another sender that ranks lowest, if that is below the newcomer; by definition."""

    def rank(item: SignedTransaction, among: list[SignedTransaction]) -> tuple[bool, int, int]:
        """Of one and all before it, the least: is nothing missing before, the tip, the earlier."""
        before = [other for other in among if other.sender == item.sender and other.body.nonce <= item.body.nonce]
        numbers = {other.body.nonce for other in before}
        nonce = bank.account(here.state, item.sender)[1]
        return min(
            (numbers.issuperset(range(nonce, other.body.nonce)), other.body.tip, -arrived[other.txid])
            for other in before
        )

    tails: dict[bytes, SignedTransaction] = {}
    for item in waiting:
        if item.sender != payer.address and item.body.nonce >= tails.get(item.sender, item).body.nonce:
            tails[item.sender] = item
    worst = min(tails.values(), key=lambda item: rank(item, waiting), default=None)
    if worst is None or rank(worst, waiting) >= rank(newcomer, [*waiting, newcomer]):
        return None
    return worst


def test_what_it_no_longer_can_pay_is_not_offered(here: Waiting) -> None:
    """A rival of the same account took the money: the body of a block is not the place to find that out."""
    here.admit(ALICE.pay(1, BOB.address, NXT // 2), ALICE.pay(2, BOB.address, 5), BOB.pay(0, CAROL.address, 1))
    here.execute(ALICE.pay(0, BOB.address, NXT // 2))
    assert [item.sender for item in here.order()] == [BOB.address]
    here.execute(here.order()[0])
    assert not here.pool.has_candidates(here.state)
    here.execute(DAVE.pay(0, ALICE.address, NXT // 2))
    assert [item.body.nonce for item in here.order()] == [1, 2]


def test_a_new_account_that_exists_by_now_costs_no_more(here: Waiting) -> None:
    nobody = bytes(20) + b"\x07"
    exact = ALICE.pay(1, nobody, NXT // 4)
    here.admit(exact)
    left = NXT // 4 + BASE
    here.execute(ALICE.pay(0, BOB.address, NXT - left - BASE), CAROL.pay(0, nobody, 1))
    assert here.order() == [exact]


def test_what_a_reorganisation_undid_comes_back_first(here: Waiting) -> None:
    undone = [ALICE.pay(0, BOB.address, 1), ALICE.pay(1, BOB.address, 1), BOB.pay(0, CAROL.address, 1)]
    later, newer = ALICE.pay(2, BOB.address, 1), CAROL.pay(0, BOB.address, 1)
    here.admit(newer, later)
    assert here.pool.readmit([*undone, later], here.state, SLOT) == []
    assert here.order() == [*undone, newer, later]
    again = DAVE.pay(0, BOB.address, 1)
    assert here.pool.readmit([again], here.state, SLOT) == []
    assert here.order()[0] == again


def test_what_cannot_come_back_is_named(here: Waiting) -> None:
    here.execute(BOB.pay(0, CAROL.address, 1))
    used, expired = BOB.pay(0, ALICE.address, 1), CAROL.pay(0, ALICE.address, 1, expiry=SLOT - 1)
    good = DAVE.pay(0, ALICE.address, 1)
    assert here.pool.readmit([used, expired, good], here.state, SLOT) == [
        Displaced(used, "nonce_used"),
        Displaced(expired, "expired"),
    ]
    assert list(here.pool.transactions()) == [good]


def test_where_money_is_short_the_last_number_goes(here: Waiting) -> None:
    """The order of a sender's payments is his; the later of them was promised money that is spent again."""
    first, last = ALICE.pay(0, BOB.address, NXT // 2), ALICE.pay(1, BOB.address, NXT // 2 + 1)
    here.admit(last)
    assert here.pool.readmit([first], here.state, SLOT) == [Displaced(last, "insufficient_funds")]
    assert here.order() == [first]
    whole = BOB.pay(0, CAROL.address, 2 * NXT)
    assert here.pool.readmit([whole], here.state, SLOT) == [Displaced(whole, "insufficient_funds")]
