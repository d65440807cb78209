"""Payments before they are signed: what they cost, what stays, and what the owner should look at.

Fees come from `node.ledger.quotes`, the functions that charge them (protocol section 1). A plan carries the very body
that will be signed, so that what is confirmed and what is signed cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from node.api.errors import Refused
from node.api.interface import NodeApi
from node.api.records import AccountView, NetworkInfo, Output
from node.encoding.address import P256, Address, AddressError
from node.encoding.amounts import SUPPLY, exact_amount
from node.ledger.quotes import creation_fee, static_fee
from node.ledger.types import (
    MAX_MEMO_BYTES,
    MAX_OUTPUTS,
    MULTI_TRANSFER,
    TRANSFER,
    SignedTransaction,
    Transaction,
    TransactionError,
    multi_transfer_payload,
    transfer_payload,
)
from wallet.keystore import Account
from wallet.lookalikes import address_warning
from wallet.signing import Signer, verify_p256
from wallet.text import is_hidden

LIFETIME_MS = 30 * 60 * 1000  # how long a payment may wait for its block
OFFLINE_LIFETIME_MS = 7 * 24 * 3600 * 1000  # signed elsewhere, carried by hand
_FEWEST_SLOTS = 20
Known = Iterable[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class PaymentPlan:
    """A payment to confirm. All amounts in units.

    `fee` is charged even if the payment fails (the tip is in it), `creation_fee` only when it succeeds: it is for the
    `new_accounts` among the recipients. `remaining` is what the account can spend afterwards.
    """

    transaction: Transaction
    outputs: tuple[Output, ...]
    memo: str
    amount: int
    fee: int
    creation_fee: int
    new_accounts: tuple[bytes, ...]
    remaining: int
    expires_ms: int
    warnings: tuple[str, ...]

    @property
    def fees(self) -> int:
        """All that is paid beyond the amount."""
        return self.fee + self.creation_fee

    @property
    def total(self) -> int:
        """What leaves the account."""
        return self.amount + self.fees


class Plan(Protocol):
    """What can be confirmed, then signed: the body, and the units that leave the account with it and beside it."""

    @property
    def transaction(self) -> Transaction: ...
    @property
    def amount(self) -> int: ...
    @property
    def total(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Sender:
    """Who pays: the account's state, its key, and the slot that the network is in."""

    view: AccountView
    public_key: bytes
    current_slot: int
    scheme: int = P256


def plan_transfer(
    info: NetworkInfo,
    sender: Sender,
    outputs: tuple[Output, ...],
    new_accounts: frozenset[bytes] = frozenset(),
    *,
    memo: str = "",
    tip: int = 0,
    lifetime_ms: int = LIFETIME_MS,
    known: Known = (),
) -> PaymentPlan:
    """Plan a payment to one recipient or to up to 256.

    `new_accounts` are the recipients that have no account record yet; `known` are (name, raw address) pairs of
    contacts and own accounts for the look-alike check. Raises `Refused` (bad_amount, bad_memo, bad_recipient,
    too_many_outputs, insufficient_funds).
    """
    _check_outputs(outputs)
    _check_memo(memo)
    if not 0 <= tip <= SUPPLY:
        raise Refused("bad_amount", "A tip is zero or more, and less than all NXT there is.")
    transaction = _body(info, sender, outputs, memo, tip, lifetime_ms)
    new = tuple(dict.fromkeys(o.recipient for o in outputs if o.recipient in new_accounts))
    fee, made = static_fee(info, transaction), creation_fee(info, len(new))
    amount = sum(output.amount for output in outputs)
    spendable = sender.view.spendable
    if amount + fee + made > spendable:
        raise _insufficient(amount, fee + made, spendable)
    return PaymentPlan(
        transaction,
        outputs,
        memo,
        amount,
        fee,
        made,
        new,
        spendable - amount - fee - made,
        info.start_ms + transaction.expiry * info.slot_ms,
        tuple(_warnings(info, sender, outputs, memo, known)),
    )


def plan_max(
    info: NetworkInfo,
    sender: Sender,
    recipient: bytes,
    new_accounts: frozenset[bytes] = frozenset(),
    *,
    memo: str = "",
    tip: int = 0,
    lifetime_ms: int = LIFETIME_MS,
    known: Known = (),
) -> PaymentPlan:
    """Plan to send all that can be spent: afterwards nothing remains. Raises as `plan_transfer`."""
    sample = (Output(recipient, 1),)
    _check_outputs(sample)
    _check_memo(memo)
    fees = static_fee(info, _body(info, sender, sample, memo, tip, lifetime_ms))
    fees += creation_fee(info, 1 if recipient in new_accounts else 0)
    amount = sender.view.spendable - fees
    if amount <= 0:
        raise _insufficient(1, fees, sender.view.spendable)
    return plan_transfer(
        info,
        sender,
        (Output(recipient, amount),),
        new_accounts,
        memo=memo,
        tip=tip,
        lifetime_ms=lifetime_ms,
        known=known,
    )


async def prepare(
    api: NodeApi,
    account: Account,
    outputs: tuple[Output, ...] | bytes,
    *,
    memo: str = "",
    tip: int = 0,
    lifetime_ms: int = LIFETIME_MS,
    known: Known = (),
) -> PaymentPlan:
    """Ask the node for what a plan needs and make it. `outputs` may be one raw address: then everything goes there.

    Raises as `plan_transfer`, and `Refused` (no_public_key) for a watched account whose key nobody knows.
    """
    info, status = await api.network(), await api.status()
    sender = Sender(await api.account(account.address), await sender_key(api, account), status.current_slot)
    recipients = (
        (outputs,)
        if isinstance(outputs, bytes)
        else tuple(dict.fromkeys(output.recipient for output in outputs))[:MAX_OUTPUTS]
    )
    new = frozenset([raw for raw in recipients if not (await api.account(raw)).exists])
    if isinstance(outputs, bytes):
        return plan_max(info, sender, outputs, new, memo=memo, tip=tip, lifetime_ms=lifetime_ms, known=known)
    return plan_transfer(info, sender, outputs, new, memo=memo, tip=tip, lifetime_ms=lifetime_ms, known=known)


async def sender_key(api: NodeApi, account: Account) -> bytes:
    """The account's public key: from the wallet, else from a transaction that it once sent."""
    if account.public_key is not None:
        return account.public_key
    for view in (await api.history((account.address,))).transactions:
        if view.sender == account.address:
            body = SignedTransaction.from_raw(view.raw).body
            if body.scheme == P256 and body.sender == account.address:
                return body.key
    raise Refused(
        "no_public_key",
        f"The public key of {account.label!r} is not known: it is only watched and has sent nothing lately.",
        hint="Watch it by its public key (66 hexadecimal digits) instead of its address.",
    )


def build(plan: Plan, signer: Signer) -> SignedTransaction:
    """Sign a plan. Raises `Locked`, or `Refused` (other_account) when the signer is not the plan's sender."""
    return sign(plan.transaction, signer)


def sign(transaction: Transaction, signer: Signer) -> SignedTransaction:
    """Sign a body. Raises as `build`; the signature is checked before anyone sees it."""
    if (signer.scheme, signer.public_key) != (transaction.scheme, transaction.key):
        raise Refused(
            "other_account",
            "This transaction belongs to another account than the one that was to sign it; it was not signed.",
            hint="Choose the account that sends.",
        )
    try:
        signed = transaction.signed(signer.sign(transaction.signing_hash()))
    except TransactionError as error:
        raise Refused(error.code, str(error)) from None
    # A fault while signing (in hardware, say) can give the key away: such a signature must not leave.
    if signer.scheme == P256 and not verify_p256(transaction.key, signed.signing_hash(), signed.signature):
        raise Refused("bad_signature", "The signature that was made does not fit; nothing was sent.", hint="Try again.")
    return signed


def outputs_of(transaction: Transaction) -> tuple[tuple[Output, ...], str]:
    """(outputs, memo) of a body from outside. Raises `Refused` (unknown_kind, bad_form) for what cannot be shown."""
    match transaction.kind, transaction.payload:
        case (int(kind), (bytes(recipient), int(amount), str(memo))) if kind == TRANSFER:
            outputs: tuple[Output, ...] = (Output(recipient, amount),)
        case (int(kind), (tuple(pairs), str(memo))) if kind == MULTI_TRANSFER:
            outputs = tuple(_output(pair) for pair in pairs)
        case _:
            raise Refused(
                "unknown_kind",
                "This transaction is no payment that this program can show; it will not sign what it cannot show.",
            )
    _check_outputs(outputs)
    if len(memo.encode()) > MAX_MEMO_BYTES:
        raise Refused("bad_form", "The transaction's memo is too long.")
    return outputs, memo


def _output(pair: object) -> Output:
    match pair:
        case (bytes(recipient), int(amount)):
            return Output(recipient, amount)
    raise Refused("bad_form", "An output of the transaction is no recipient with an amount.")


def _body(
    info: NetworkInfo, sender: Sender, outputs: tuple[Output, ...], memo: str, tip: int, lifetime_ms: int
) -> Transaction:
    single = len(outputs) == 1
    payload = (
        transfer_payload(outputs[0].recipient, outputs[0].amount, memo)
        if single
        else multi_transfer_payload(tuple((o.recipient, o.amount) for o in outputs), memo)
    )
    return Transaction(
        info.genesis,
        TRANSFER if single else MULTI_TRANSFER,
        sender.scheme,
        sender.public_key,
        sender.view.next_nonce,
        expiry_of(info, sender, lifetime_ms),
        tip,
        payload,
    )


def expiry_of(info: NetworkInfo, sender: Sender, lifetime_ms: int = LIFETIME_MS) -> int:
    """The last slot in which a transaction made now may be executed."""
    return sender.current_slot + max(lifetime_ms // info.slot_ms, _FEWEST_SLOTS)


def _check_outputs(outputs: tuple[Output, ...]) -> None:
    if not outputs:
        raise Refused("bad_form", "There is no recipient.")
    if len(outputs) > MAX_OUTPUTS:
        raise Refused(
            "too_many_outputs",
            f"One transaction pays at most {MAX_OUTPUTS} recipients, not {len(outputs)}.",
            hint="Split the list.",
        )
    for output in outputs:
        if type(output.amount) is not int or not 0 < output.amount <= SUPPLY:
            raise Refused("bad_amount", "An amount to send is at least one unit (0.00000001 NXT).")
        try:
            Address.from_raw(output.recipient)
        except AddressError as error:
            raise Refused("bad_recipient", str(error)) from None


def _check_memo(memo: str) -> None:
    try:
        size = len(memo.encode())
    except UnicodeEncodeError:
        raise Refused("bad_memo", "The memo is no valid text.") from None
    if size > MAX_MEMO_BYTES:
        raise Refused("bad_memo", f"A memo has at most {MAX_MEMO_BYTES} bytes; this one has {size}.")
    if any(is_hidden(character) for character in memo):
        raise Refused("bad_memo", "A memo is one line without invisible or control characters.")


def _insufficient(amount: int, fees: int, spendable: int) -> Refused:
    return Refused(
        "insufficient_funds",
        f"This takes {exact_amount(amount + fees)} NXT ({exact_amount(amount)} and {exact_amount(fees)} in fees); "
        f"the account can spend {exact_amount(max(spendable, 0))} NXT. Nothing was sent.",
        hint="Send less, or wait for payments that are on their way.",
    )


def _warnings(info: NetworkInfo, sender: Sender, outputs: tuple[Output, ...], memo: str, known: Known) -> Iterable[str]:
    pairs = list(known)
    seen: set[bytes] = set()
    for output in outputs:
        text = Address.from_raw(output.recipient).text(info.hrp)
        if output.recipient in seen:
            yield f"{text} is paid more than once."
            continue
        seen.add(output.recipient)
        if output.recipient == sender.view.address:
            yield "This account pays itself: only the fee is spent."
        elif warning := address_warning(output.recipient, pairs, info.hrp):
            yield f"{text}: {warning}"
    if memo:
        yield "The memo is public: everyone can read it for ever."
