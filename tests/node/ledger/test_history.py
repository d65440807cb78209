"""Any history of payments: a plain model agrees, the total never moves, and every undo leads back exactly."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.encoding.amounts import SUPPLY
from node.ledger import bank, pools
from node.ledger.execution import DONE, FAILED, SKIPPED, execute
from node.ledger.genesis import initial_state
from node.ledger.module import Context
from node.ledger.registry import broken_invariants, moved_units, total_units
from node.ledger.state import Change, State, Tables, apply_to_waves, waves_of
from node.ledger.types import SignedTransaction
from node.light.waves import StateWaves
from tests.node.world import Payer, contents, key, small_genesis, stranger

FUNDS = 300_000
GENESIS = small_genesis((FUNDS,) * 3)
PAYERS = [Payer(GENESIS.hash, key(number), signed=False) for number in (1, 2, 3)]
PLACES = [payer.address for payer in PAYERS] + [stranger(number) for number in range(5)]

who = st.sampled_from(PAYERS)
places = st.sampled_from(PLACES)
amounts = st.integers(1, 400_000) | st.sampled_from([1, FUNDS, SUPPLY])


class Model:
    """The rules of protocol section 1 in a few plain lines: balances, numbers and one pool."""

    def __init__(self) -> None:
        self.balances = {payer.address: FUNDS for payer in PAYERS}
        self.nonces = {payer.address: 0 for payer in PAYERS}
        self.fees = 0

    def copy(self) -> Model:
        other = Model()
        other.balances, other.nonces, other.fees = dict(self.balances), dict(self.nonces), self.fees
        return other

    def pay(self, sender: bytes, nonce: int, expired: bool, tip: int, outputs: list[tuple[bytes, int]]) -> str:
        fee = 1_000 * len(outputs) + tip
        if nonce != self.nonces.get(sender, 0) or expired or self.balances.get(sender, 0) < fee:
            return SKIPPED
        self.balances[sender] -= fee
        self.nonces[sender] = nonce + 1
        self.fees += fee
        creation = 50_000 * len({recipient for recipient, _ in outputs} - set(self.balances))
        spent = sum(amount for _, amount in outputs) + creation
        if self.balances[sender] < spent:
            return FAILED
        self.balances[sender] -= spent
        self.fees += creation
        for recipient, amount in outputs:
            self.balances[recipient] = self.balances.get(recipient, 0) + amount
        return DONE


class Payments(RuleBasedStateMachine):
    """Blocks of random payments, taken back and made again."""

    @initialize()
    def begin(self) -> None:
        self.state: State = initial_state(GENESIS)
        self.waves: StateWaves = waves_of(self.state)
        self.model = Model()
        self.slot = 100
        self.pool = pools.units(self.state, pools.FEES_GO_TO)
        self.blocks: list[tuple[list[Change], Tables, bytes, Model]] = []
        self.waiting: list[tuple[SignedTransaction, str]] = []
        self.ahead = self.model.copy()

    def _judge(self, transaction: SignedTransaction, outputs: list[tuple[bytes, int]]) -> None:
        body = transaction.body
        expired = body.expiry < self.slot
        self.waiting.append((transaction, self.ahead.pay(transaction.sender, body.nonce, expired, body.tip, outputs)))

    @rule(
        payer=who,
        recipient=places,
        amount=amounts,
        tip=st.integers(0, 3_000) | st.just(0),
        gap=st.sampled_from([0, 0, 0, 0, 1, -1]),
        late=st.sampled_from([False, False, False, True]),
    )
    def pay(self, payer: Payer, recipient: bytes, amount: int, tip: int, gap: int, late: bool) -> None:
        nonce = max(0, self.ahead.nonces[payer.address] + gap)
        transaction = payer.pay(nonce, recipient, amount, tip=tip, expiry=self.slot - late)
        self._judge(transaction, [(recipient, amount)])

    @rule(payer=who, outputs=st.lists(st.tuples(places, st.integers(1, 50_000)), min_size=1, max_size=6))
    def pay_all(self, payer: Payer, outputs: list[tuple[bytes, int]]) -> None:
        self._judge(payer.pay_all(self.ahead.nonces[payer.address], *outputs), outputs)

    @rule()
    def block(self) -> None:
        before = (contents(self.state), self.waves.commitment, self.model)
        context = Context(self.state, GENESIS.parameters, self.slot)
        receipts = execute(context, [transaction for transaction, _ in self.waiting])
        assert [receipt.status for receipt in receipts] == [status for _, status in self.waiting]
        assert all(bool(receipt.reason) == (receipt.status != DONE) for receipt in receipts)
        assert all(bool(receipt.fee) == (receipt.status != SKIPPED) for receipt in receipts)
        self.model = self.ahead
        assert sum(receipt.fee for receipt in receipts) == self.model.fees - before[2].fees
        changes = self.state.changes()
        assert moved_units(changes) == 0
        assert all(change.old != change.new for change in changes)
        self.state.settle()
        apply_to_waves(self.waves, changes)
        self.blocks.append((changes, *before))
        self.waiting = []
        self.ahead = self.model.copy()

    @rule()
    def abandon(self) -> None:
        """A block that was executed and is thrown away leaves nothing."""
        before = contents(self.state)
        execute(Context(self.state, GENESIS.parameters, self.slot), [transaction for transaction, _ in self.waiting])
        self.state.roll_back(0)
        assert contents(self.state) == before
        assert self.state.changes() == []

    @rule(count=st.integers(1, 3))
    def undo(self, count: int) -> None:
        for _ in range(min(count, len(self.blocks))):
            changes, before, commitment, model = self.blocks.pop()
            self.state.restore(changes)
            apply_to_waves(self.waves, [Change(table, name, new, old) for table, name, old, new in changes])
            assert contents(self.state) == before
            assert self.waves.commitment == commitment
            self.model = model
            self.waiting = []
            self.ahead = self.model.copy()

    @invariant()
    def agrees_with_the_model(self) -> None:
        if not hasattr(self, "state"):
            return
        accounts = {place: bank.account(self.state, place) for place in self.state.rows(bank.ACCOUNTS)}
        model = self.model
        assert accounts == {place: (units, model.nonces.get(place, 0)) for place, units in model.balances.items()}
        assert pools.units(self.state, pools.FEES_GO_TO) == self.pool + model.fees
        assert total_units(self.state) == SUPPLY
        assert broken_invariants(self.state) == []
        assert self.waves.commitment == waves_of(self.state).commitment


Payments.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestPayments = Payments.TestCase
