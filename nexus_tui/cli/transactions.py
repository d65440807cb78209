"""`nexus tx`: look at a transaction; build, sign and submit one as files, so that keys can stay on another device."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus_tui.cli.accounts import AccountName
from nexus_tui.cli.asking import PassphraseCommand, PassphraseFd, Timeout, Yes, confirm, unlocking
from nexus_tui.cli.files import new_file
from nexus_tui.cli.keys import WalletName
from nexus_tui.cli.output import amount, fields, foreign, note, nxt
from nexus_tui.cli.payments import NoWait
from nexus_tui.cli.session import session_of
from node.api.errors import Refused

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from node.api.records import Status, TransactionView
    from node.ledger.types import Transaction

_Out = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The file to write; it must not exist.")]


def show(
    context: typer.Context,
    txid: Annotated[str, typer.Argument(metavar="TXID", help="The transaction's id, or its first digits.")],
) -> None:
    """Show a transaction by its id."""
    session = session_of(context)
    view, status = asyncio.run(_find(session, txid))
    if view is None:
        raise Refused(
            "unknown_transaction",
            f"This node knows no transaction {txid.strip().lower()}.",
            hint="It may have expired, or belong to another network or profile.",
        )
    prefix = status.network.hrp
    final = view.height is not None and view.height <= status.final_height
    session.done({**transaction_document(view, prefix), "final": final}, _lines(view, prefix, final))


async def _find(session: Session, text: str) -> tuple[TransactionView | None, Status]:
    from nexus_tui.cli.connection import connect
    from nexus_tui.cli.ids import whole_id

    async with connect(session.paths, session.config, "read") as api:
        txid = await whole_id(text, api.find_transactions, "transactions")
        return None if txid is None else await api.transaction(txid), await api.status()


def transaction_document(view: TransactionView, prefix: str) -> dict[str, Any]:
    """A transaction for a document."""
    from nexus_tui.cli.paying import address_text

    return {
        "txid": view.txid.hex(),
        "wid": view.wid.hex(),
        "kind": view.kind_name,
        "status": view.status,
        "reason": view.reason,
        "from": address_text(view.sender, prefix),
        "outputs": [
            {"address": address_text(output.recipient, prefix), "amount": amount(output.amount)}
            for output in view.outputs
        ],
        "memo": view.memo,
        "fee": amount(view.fee),
        "tip": amount(view.tip),
        "nonce": view.nonce,
        "expiry": view.expiry,
        "height": view.height,
        "block": None if view.block is None else view.block.hex(),
        "slot": view.slot,
        "time_ms": view.time_ms,
        "size": view.size,
        "raw": view.raw.hex(),
    }


def _lines(view: TransactionView, prefix: str, final: bool) -> list[str]:
    from nexus_tui.cli.paying import address_text
    from nexus_tui.format import exactly_when

    pairs = [("Id", view.txid.hex()), ("Status", view.status + (f": {foreign(view.reason)}" if view.reason else ""))]
    pairs.append(("From", address_text(view.sender, prefix)))
    pairs += [("To", f"{address_text(o.recipient, prefix)}  {nxt(o.amount)}") for o in view.outputs]
    if view.memo:
        pairs.append(("Memo", foreign(view.memo)))
    pairs.append(("Fee", nxt(view.fee)))
    if view.height is not None:
        pairs.append(("Block", f"{view.height} (slot {view.slot}), {'final' if final else 'not final yet'}"))
    if view.time_ms is not None:
        pairs.append(("Time", exactly_when(view.time_ms)))
    return fields(pairs)


def build(
    context: typer.Context,
    recipient: Annotated[str, typer.Argument(metavar="ADDRESS", help="An address, a contact or a payment request.")],
    value: Annotated[str | None, typer.Argument(metavar="AMOUNT", help="1.5, 1.5 NXT or 150000000u (units).")] = None,
    out: _Out = Path("unsigned.json"),
    everything: Annotated[bool, typer.Option("--max", help="Send all that the account can spend.")] = False,
    memo: Annotated[str | None, typer.Option("--memo", help="Up to 256 bytes of text, open to all for ever.")] = None,
    account: AccountName = None,
    wallet: WalletName = None,
) -> None:
    """Write a payment that is not signed yet, to be signed on the device that has the key. Valid for a week."""
    from nexus_tui.cli import paying
    from nexus_tui.cli.payments import outputs_to
    from wallet.history import AddressNames
    from wallet.offline import unsigned_file, write_file
    from wallet.payments import OFFLINE_LIFETIME_MS

    session = session_of(context)
    place = new_file(out)
    opened = session.wallets().open(wallet)
    outputs, asked_memo = outputs_to(session, opened, recipient, value, everything, None)
    names = AddressNames.of(opened.accounts, session.contacts().list())
    plan, info = paying.plan(
        session,
        opened.account(account),
        outputs,
        memo=asked_memo if memo is None else memo,
        known=names.known(),
        lifetime_ms=OFFLINE_LIFETIME_MS,
    )
    for warning in plan.warnings:
        note(f"Careful: {foreign(warning)}")
    write_file(place, unsigned_file(plan))
    session.done(
        {
            "file": str(place),
            "txid": plan.transaction.txid.hex(),
            **paying.plan_document(plan, info.hrp),
            "expires_ms": plan.expires_ms,
        },
        [*paying.plan_lines(plan, info.hrp, names.name), f"Written to {foreign(str(out))}; next: nexus tx sign there."],
    )


def sign(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `nexus tx build` wrote.")],
    out: _Out = Path("signed.json"),
    wallet: WalletName = None,
    passphrase_fd: PassphraseFd = None,
    passphrase_command: PassphraseCommand = None,
    yes: Yes = False,
) -> None:
    """Sign a built payment with this wallet's key; needs no node and no network."""
    from node.service.founding import read_genesis
    from wallet.offline import read_unsigned, signed_file, write_file
    from wallet.payments import sign as sign_body

    session = session_of(context)
    place = new_file(out)
    opened = session.wallets().open(wallet)
    transaction = read_unsigned(file)
    if transaction.genesis != read_genesis(session.paths).hash:
        raise Refused(
            "other_network",
            f"The transaction in {foreign(str(file))} belongs to another network than this profile.",
            hint="Choose the profile of its network with --profile.",
        )
    owner = next((item for item in opened.accounts if item.address == transaction.sender and item.can_sign), None)
    if owner is None:
        raise Refused("other_account", "This wallet has no key for the account that pays. Nothing was signed.")
    lines, document = _summary(transaction, opened.prefix)
    if confirm(lines, yes, "Signing"):
        lines = []
    opened.unlock(unlocking(passphrase_fd, passphrase_command))
    try:
        signed = sign_body(transaction, opened.signer(owner))
    finally:
        opened.lock()
    write_file(place, signed_file(signed))
    session.done(
        {"file": str(place), **document},
        [*lines, f"Signed into {foreign(str(out))}; next: nexus tx submit where a node runs."],
    )


def _summary(transaction: Transaction, prefix: str) -> tuple[list[str], dict[str, Any]]:
    from nexus_tui.cli.paying import address_text
    from wallet.offline import summary

    seen = summary(transaction)
    lines = [f"Pay {nxt(item.amount)} to {address_text(item.recipient, prefix)}" for item in seen.outputs]
    lines.append(f"From {address_text(seen.sender, prefix)}, tip {nxt(seen.tip)}, fees on top")
    if seen.memo:
        lines.append(f"Memo, open to all: {foreign(seen.memo)}")
    return lines, {
        "txid": seen.txid.hex(),
        "from": address_text(seen.sender, prefix),
        "outputs": [
            {"address": address_text(item.recipient, prefix), "amount": amount(item.amount)} for item in seen.outputs
        ],
        "amount": amount(seen.amount),
        "memo": seen.memo,
    }


def submit(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `nexus tx sign` wrote.")],
    no_wait: NoWait = False,
    timeout: Timeout = 60.0,
    yes: Yes = False,
) -> None:
    """Hand a signed payment to the node and wait until it is in a block."""
    from nexus_tui.cli import paying
    from node.service.founding import read_genesis
    from wallet.offline import read_signed

    session = session_of(context)
    genesis = read_genesis(session.paths)
    signed = read_signed(file)
    if signed.body.genesis != genesis.hash:
        raise Refused("other_network", "This transaction belongs to another network than this profile.")
    lines, document = _summary(signed.body, genesis.prefix)
    if confirm(lines, yes, "Submitting"):
        lines = []
    sent = paying.submit(session, signed, paying.Patience(not no_wait, timeout))
    session.done({**document, **paying.sent_document(sent)}, [*lines, paying.sent_line(sent)])
