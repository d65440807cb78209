"""What the wallet plans and signs is what the ledger accepts and charges, to the unit."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from wallet_world import INFO  # type: ignore[import-not-found]

from node.api.errors import Refused
from node.api.records import AccountView, Output
from node.encoding.address import Address
from node.encoding.canonical import EncodingError
from node.ledger import bank
from node.ledger.execution import DONE, execute
from node.ledger.module import Context
from node.ledger.parameters import PRESETS
from node.ledger.registry import check_payload
from node.ledger.signatures import verify_transaction
from node.ledger.state import State
from node.ledger.types import TransactionError
from wallet.offline import summary
from wallet.payments import PaymentPlan, Sender, build, plan_max, plan_transfer
from wallet.secret import Secret
from wallet.signing import P256Signer

PARAMETERS = PRESETS["solo"]
PRICES = replace(INFO, base_fee=PARAMETERS.base_fee, record_fee=PARAMETERS.record_fee, byte_fee=PARAMETERS.byte_fee)
SIGNER = P256Signer(Secret((7).to_bytes(32)))
ME = SIGNER.address.raw
PEOPLE = [Address(0, bytes([n]) * 20).raw for n in range(1, 8)]
EXISTING = frozenset(PEOPLE[:4]) | {ME}
FUNDS = 10**9


def ledger() -> Context:
    state = State()
    for address in EXISTING:
        bank.credit(state, address, FUNDS)
    return Context(state, PARAMETERS, 100)


def sender() -> Sender:
    return Sender(AccountView(ME, True, FUNDS, 0, 0, FUNDS, 0, 0), SIGNER.public_key, 100)


def settles(plan: PaymentPlan) -> None:
    """The ledger takes the signed plan and the account ends with exactly what the plan said."""
    signed = build(plan, SIGNER)
    check_payload(signed.body)
    assert verify_transaction(signed)
    context = ledger()
    (receipt,) = execute(context, [signed])
    assert (receipt.status, receipt.fee) == (DONE, plan.fees)
    back = sum(output.amount for output in plan.outputs if output.recipient == ME)
    assert bank.account(context.state, ME)[0] == plan.remaining + back
    for address in set(PEOPLE):
        got = sum(output.amount for output in plan.outputs if output.recipient == address)
        assert bank.account(context.state, address)[0] == got + (FUNDS if address in EXISTING else 0)


outputs_of_people = st.lists(
    st.builds(Output, st.sampled_from([*PEOPLE, ME]), st.integers(1, 10**6)), min_size=1, max_size=20
)


@given(outputs_of_people, st.text("abc ☂", max_size=60), st.integers(0, 10**6))
@settings(max_examples=50)
def test_a_plan_costs_what_it_says(outputs: list[Output], memo: str, tip: int) -> None:
    missing = frozenset(output.recipient for output in outputs) - EXISTING
    settles(plan_transfer(PRICES, sender(), tuple(outputs), missing, memo=memo, tip=tip))


@given(st.sampled_from(PEOPLE), st.integers(0, 10**6))
@settings(max_examples=20)
def test_everything_leaves_nothing(recipient: bytes, tip: int) -> None:
    plan = plan_max(PRICES, sender(), recipient, frozenset([recipient]) - EXISTING, tip=tip)
    assert plan.remaining == 0
    settles(plan)


values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 10**15) | st.binary(max_size=40) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=12,
)
addresses = st.sampled_from(PEOPLE)
payloads = st.one_of(
    st.tuples(values, values, values),
    st.tuples(addresses, st.integers(0, 10**15), st.text(max_size=300)),
    st.tuples(st.lists(st.tuples(addresses, st.integers(0, 10**15)), max_size=4).map(tuple), st.text(max_size=10)),
    values.map(lambda value: (value, "")),
)


@given(st.sampled_from([1, 2, 3]), payloads)
@settings(max_examples=300)
def test_the_wallet_shows_exactly_the_payments_that_the_ledger_knows(kind: int, payload: tuple[object, ...]) -> None:
    """`summary` stands between a foreign file and a signature: it and the ledger must not read a payload apart."""
    plan = plan_transfer(PRICES, sender(), (Output(PEOPLE[0], 1),))
    body = plan.transaction._replace(kind=kind, payload=payload)  # type: ignore[arg-type]
    try:
        check_payload(body)
        known = True
    except (TransactionError, EncodingError):
        known = False
    try:
        summary(body)
        shown = True
    except Refused:
        shown = False
    assert shown == known
