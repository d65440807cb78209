"""A payment, or whatever else an account signs, from plan to block, for every command that makes one.

Questions are asked between two looks at the node, never inside the event loop: there Ctrl-C would have to wait for an
answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from nexus_tui.cli.output import amount, foreign, note, nxt
from node.api.errors import NexusError, Refused, TimedOut

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from node.api.interface import NodeApi
    from node.api.records import NetworkInfo, Output, TransactionView
    from node.ledger.types import SignedTransaction
    from wallet.keystore import Account
    from wallet.payments import PaymentPlan, Plan
    from wallet.signing import Signer

    AnyPlan = TypeVar("AnyPlan", bound=Plan)

TIMEOUT_S = 60.0
_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a command waits for a block; not at all when `wait` is false."""

    wait: bool = True
    seconds: float = TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Sent:
    """A payment that was accepted; `view` is None where nobody waited for its block."""

    txid: bytes
    view: TransactionView | None


def plan(
    session: Session,
    account: Account,
    outputs: tuple[Output, ...] | bytes,
    *,
    memo: str = "",
    tip: int = 0,
    known: Iterable[tuple[str, bytes]] = (),
    lifetime_ms: int | None = None,
) -> tuple[PaymentPlan, NetworkInfo]:
    """Plan a payment with what the node knows now. `outputs` may be one raw address: then everything goes there."""

    async def ask() -> tuple[PaymentPlan, NetworkInfo]:
        from nexus_tui.cli.connection import connect
        from wallet.payments import LIFETIME_MS, prepare

        async with connect(session.paths, session.config, "read") as api:
            made = await prepare(
                api, account, outputs, memo=memo, tip=tip, known=known, lifetime_ms=lifetime_ms or LIFETIME_MS
            )
            return made, await api.network()

    return asyncio.run(ask())


def pay(
    session: Session, first: AnyPlan, signer: Signer, again: Callable[[], AnyPlan], patience: Patience
) -> tuple[AnyPlan, Sent]:
    """Sign and submit a confirmed plan; `again` plans it anew where another payment of the account took its number.

    The same amount must move then and no more be paid than was confirmed; else the refusal stands.
    """
    from wallet.payments import build

    current = first
    for _ in range(_ATTEMPTS):
        try:
            return current, submit(session, build(current, signer), patience, fresh=True)
        except Refused as error:
            if error.code not in ("nonce_waiting", "nonce_used"):
                raise
            refusal = error
            current = again()
            if current.amount != first.amount or current.total > first.total:
                raise
    raise refusal


def submit(session: Session, signed: SignedTransaction, patience: Patience, *, fresh: bool = False) -> Sent:
    """Hand a signed transaction to the node and wait for its block; `fresh` as in `submit_to`.

    Raises Refused when it is refused, or fails in its block (then its fee was charged), TimedOut when no block took it
    in time: it is kept then.
    """

    async def hand_over() -> Sent:
        from nexus_tui.cli.connection import connect

        async with connect(session.paths, session.config, "write") as api:
            return await submit_to(api, signed, patience, fresh=fresh)

    return asyncio.run(hand_over())


async def submit_to(
    api: NodeApi,
    signed: SignedTransaction,
    patience: Patience,
    tell: Callable[[str], None] = note,
    *,
    fresh: bool = False,
) -> Sent:
    """`submit` to a node that is already at hand; `tell` hears that the payment was accepted.

    A `fresh` transaction was signed just now. If the node knows it already, somebody else made the very same payment
    at the same moment, under the same number: that one is not this one, so it is Refused (nonce_waiting).
    """
    async with api.subscribe(("transaction",)) as events:
        submission = await api.submit(signed.raw)
        if fresh and submission.known:
            raise Refused(
                "nonce_waiting",
                "The same payment was made by another command at the same moment, and this one was not made.",
                hint="Send it again if you meant to pay twice.",
            )
        if not patience.wait:
            return Sent(submission.txid, None)
        tell(f"Accepted as {submission.txid.hex()}; waiting for its block.")
        try:
            async with asyncio.timeout(patience.seconds):
                view = await api.transaction(submission.txid)
                while view is None or view.status == "pending":
                    event = await anext(events)
                    if event.txid == submission.txid or event.missed:
                        view = await api.transaction(submission.txid)
        except TimeoutError:
            raise await _too_late(api, submission.txid, patience.seconds) from None
        except StopAsyncIteration:
            raise TimedOut(
                "node_stopped",
                f"The node stopped before a block took the payment. It is kept as {submission.txid.hex()}.",
                hint="It goes on when a node runs again: nexus node start",
            ) from None
    return Sent(submission.txid, _settled(view))


def _settled(view: TransactionView) -> TransactionView:
    if view.status == "done":
        return view
    what = "evidence" if view.kind_name == "evidence" else "payment"
    charged = f" Its fee of {nxt(view.fee)} was charged." if view.status == "failed" else " Nothing was charged."
    raise Refused(
        f"{what}_{view.status}",
        f"The {what} {view.txid.hex()} {view.status}: {view.reason or 'no reason is known'}.{charged}",
    )


async def _too_late(api: NodeApi, txid: bytes, seconds: float) -> TimedOut:
    why = ""
    try:
        alerts = [alert for alert in (await api.status()).alerts if alert.level == "error"]
        why = f" The node says: {alerts[0].message}" if alerts else ""
    except NexusError:
        pass
    return TimedOut(
        "not_confirmed",
        f"No block took the payment in {seconds:g} seconds. It is kept as {txid.hex()} and goes on by itself while a "
        f"node runs.{why}",
        hint=f"Look again: nexus tx show {txid.hex()}",
    )


def plan_lines(plan: PaymentPlan, prefix: str, names: Callable[[bytes], str] = lambda raw: "") -> list[str]:
    """What a person must see before money moves: amounts, recipients, fees, what stays."""
    lines = []
    for output in plan.outputs:
        name = names(output.recipient)
        lines.append(f"Pay {nxt(output.amount)} to {address_text(output.recipient, prefix)}{_named(name)}")
    if len(plan.outputs) > 1:
        lines.append(f"Together {nxt(plan.amount)} to {len(plan.outputs)} recipients")
    made = f" ({nxt(plan.creation_fee)} of it for new accounts)" if plan.creation_fee else ""
    lines.append(f"Fee {nxt(plan.fees)}{made}; in all {nxt(plan.total)} leave the account, {nxt(plan.remaining)} stay.")
    if plan.memo:
        lines.append(f"Memo, open to all: {foreign(plan.memo)}")
    return lines


def _named(name: str) -> str:
    return f" ({foreign(name)})" if name else ""


def plan_document(plan: PaymentPlan, prefix: str) -> dict[str, Any]:
    """A plan for a document."""
    return {
        "outputs": [
            {"address": address_text(output.recipient, prefix), "amount": amount(output.amount)}
            for output in plan.outputs
        ],
        "memo": plan.memo,
        "amount": amount(plan.amount),
        "fee": amount(plan.fees),
        "total": amount(plan.total),
        "remaining": amount(plan.remaining),
        "warnings": list(plan.warnings),
    }


def sent_document(sent: Sent) -> dict[str, Any]:
    """What became of a payment, for a document."""
    view = sent.view
    document: dict[str, Any] = {"txid": sent.txid.hex(), "status": "accepted" if view is None else view.status}
    if view is not None:
        document |= {
            "height": view.height,
            "block": None if view.block is None else view.block.hex(),
            "slot": view.slot,
            "fee": amount(view.fee),
        }
    return document


def sent_line(sent: Sent) -> str:
    """What became of a payment, for people."""
    if sent.view is None:
        return f"Accepted as {sent.txid.hex()}; a block will take it while a node runs."
    return f"Paid: {sent.txid.hex()} is in block {sent.view.height}, fee {nxt(sent.view.fee)}."


def address_text(raw: bytes, prefix: str) -> str:
    """A raw address as people write it."""
    from node.encoding.address import Address

    return Address.from_raw(raw).text(prefix)
