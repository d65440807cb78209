"""Stakes: who may be in a table, and what evidence costs its offender and its sender."""

from __future__ import annotations

import pytest

from node.encoding.canonical import Value
from node.ledger import bank, pools, staking
from node.ledger.execution import DONE, FAILED, REASONS, Receipt, execute
from node.ledger.genesis import initial_state
from node.ledger.module import Context, Offence, OperationFailed
from node.ledger.registry import broken_invariants, check_payload, effects_of
from node.ledger.staking import DOUBLE_BLOCK, DOUBLE_VOTE, INVALID_HEADER, PENALTIES, SURROUND_VOTE, Validator
from node.ledger.state import State
from node.ledger.types import EVIDENCE, TransactionError
from tests.node.world import NXT, Payer, contents, key, small_genesis, stranger

GENESIS = small_genesis(stakes=tuple(1_000 * NXT + number for number in range(4)))
OFFENDER = GENESIS.validators[2]
ANN = Payer(GENESIS.hash, key(1), signed=False)
PROOF: tuple[Value, ...] = (DOUBLE_VOTE, (b"proof",))


class Court:
    """A state in which evidence proves what the test says."""

    def __init__(self, slot: int = 50) -> None:
        self.state = initial_state(GENESIS)
        self.context = Context(self.state, GENESIS.parameters, slot, self._judge)
        self.offence = Offence(DOUBLE_VOTE, OFFENDER.account, 7)
        self.nonce = 0

    def _judge(self, kind: int, proof: tuple[bytes, ...]) -> Offence:
        del proof
        return self.offence._replace(kind=kind)

    def accuse(self, kind: int = DOUBLE_VOTE, tip: int = 0) -> Receipt:
        transaction = ANN.transaction(self.nonce, EVIDENCE, (kind, (b"proof",)), tip=tip)
        self.nonce += 1
        (receipt,) = execute(self.context, [transaction])
        assert broken_invariants(self.state) == []
        return receipt

    def stake(self) -> int:
        found = staking.validator(self.state, OFFENDER.account)
        assert found is not None
        return found.stake


@pytest.mark.parametrize(
    ("kind", "share"), [(DOUBLE_BLOCK, 5), (DOUBLE_VOTE, 5), (SURROUND_VOTE, 20), (INVALID_HEADER, 10)]
)
def test_an_offence_costs_its_share_and_is_free_to_report(kind: int, share: int) -> None:
    court = Court()
    fund, fees = (pools.units(court.state, name) for name in (pools.ECOSYSTEM_FUND, pools.FEES_GO_TO))
    before = bank.account(court.state, ANN.address)[0]
    assert court.accuse(kind, tip=77)[1:] == (DONE, "", 0)
    lost = OFFENDER.stake * share // 100
    assert lost > 0
    assert court.stake() == OFFENDER.stake - lost
    assert pools.units(court.state, pools.ECOSYSTEM_FUND) == fund + lost
    assert pools.units(court.state, pools.FEES_GO_TO) == fees
    assert bank.account(court.state, ANN.address) == (before, 1), "the number is used, the fee came back"
    assert staking.tombstoned_at(court.state, OFFENDER.account) == 7
    assert set(PENALTIES) == {DOUBLE_BLOCK, DOUBLE_VOTE, SURROUND_VOTE, INVALID_HEADER}


def test_a_second_offence_of_the_tombstoned_is_charged_to_who_reports_it() -> None:
    court = Court()
    court.accuse()
    left = court.stake()
    for kind in PENALTIES:
        assert court.accuse(kind)[1:] == (FAILED, "already_tombstoned", 1_000)
    assert court.stake() == left


def test_an_offence_in_slot_zero_tombstones_too() -> None:
    court = Court()
    court.offence = court.offence._replace(slot=0)
    assert court.accuse().status == DONE
    assert staking.tombstoned_at(court.state, OFFENDER.account) == 1
    assert court.accuse().reason == "already_tombstoned"


@pytest.mark.parametrize(("slot", "reason"), [(207, ""), (208, "offence_too_old")])
def test_evidence_is_taken_while_the_stake_can_be_reached(slot: int, reason: str) -> None:
    court = Court(slot)
    assert GENESIS.parameters.unbonding_slots == 200
    assert court.accuse().reason == reason
    assert (court.stake() == OFFENDER.stake) == bool(reason)


def test_a_stranger_has_no_stake_to_lose() -> None:
    court = Court()
    court.offence = court.offence._replace(validator=stranger(1))
    before = contents(court.state)
    assert court.accuse()[1:] == (FAILED, "unknown_validator", 1_000)
    after = contents(court.state)
    assert after["stakes"] == before["stakes"]


def test_a_judge_who_sees_no_offence_charges() -> None:
    def none(kind: int, proof: tuple[bytes, ...]) -> Offence:
        del kind, proof
        raise OperationFailed("no_offence")

    court = Court()
    court.context.judge = none
    assert court.accuse()[1:] == (FAILED, "no_offence", 1_000)
    assert court.stake() == OFFENDER.stake
    assert staking.tombstoned_at(court.state, OFFENDER.account) == 0


def test_without_a_judge_nobody_is_punished() -> None:
    state = initial_state(GENESIS)
    (receipt,) = execute(Context(state, GENESIS.parameters, 5), [ANN.transaction(0, EVIDENCE, PROOF)])
    assert (receipt.status, receipt.fee) == (FAILED, 1_000)
    assert broken_invariants(state) == []


def test_every_reason_has_words() -> None:
    for code in ("no_offence", "unknown_validator", "already_tombstoned", "offence_too_old"):
        assert REASONS[code].endswith(".")


def test_the_tombstoned_are_in_no_new_table() -> None:
    court = Court()
    court.accuse()
    assert OFFENDER.account not in {item.id for item in staking.active_set(court.state)}
    assert len(staking.active_set(court.state)) == 3
    assert len(staking.validators(court.state)) == 4


def test_the_active_set_is_the_sixty_with_most_stake_by_id() -> None:
    state = State()
    stakes = [5 + number % 7 for number in range(80)]
    for number, stake in enumerate(stakes):
        staking.register(state, Validator(stranger(number), stake, bytes(33), bytes(32), 0))
    chosen = staking.active_set(state)
    assert len(chosen) == staking.MAX_ACTIVE == 60
    assert [item.id for item in chosen] == sorted(item.id for item in chosen)
    ranked = sorted(range(80), key=lambda number: (-stakes[number], number))
    assert {item.id for item in chosen} == {stranger(number) for number in ranked[:60]}
    staking.register(state, Validator(stranger(99), 0, bytes(33), bytes(32), 0))
    assert stranger(99) not in {item.id for item in staking.active_set(state)}


@pytest.mark.parametrize(
    "payload",
    [
        (),
        (DOUBLE_VOTE,),
        (DOUBLE_VOTE, (b"a",), 1),
        (0, (b"a",)),
        (5, (b"a",)),
        (True, (b"a",)),
        (b"\x02", (b"a",)),
        (DOUBLE_VOTE, b"a"),
        (DOUBLE_VOTE, ()),
        (DOUBLE_VOTE, (b"a",) * 7),
        (DOUBLE_VOTE, (b"a", "b")),
        (DOUBLE_VOTE, ((b"a",),)),
    ],
)
def test_malformed_evidence_is_named(payload: tuple[Value, ...]) -> None:
    with pytest.raises(TransactionError) as caught:
        check_payload(ANN.transaction(0, EVIDENCE, payload).body)
    assert caught.value.code == "bad_form"


def test_evidence_spends_and_pays_nothing() -> None:
    body = ANN.transaction(0, EVIDENCE, PROOF).body
    check_payload(body)
    effects = effects_of(body)
    assert (effects.spends, effects.outputs, effects.memo) == (0, (), "")


def test_the_share_rounds_down_in_the_stakers_favour() -> None:
    court = Court()
    court.state.put(
        staking.STAKES, OFFENDER.account, (19, *(court.state.get(staking.STAKES, OFFENDER.account) or ())[1:])
    )
    pools.add(court.state, pools.TREASURY, OFFENDER.stake - 19)
    court.accuse()
    assert court.stake() == 19, "5 % of 19 units is none"
    assert staking.tombstoned_at(court.state, OFFENDER.account) == 7
