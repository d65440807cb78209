"""`nexus wallet send` and `nexus wallet faucet`: money moves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nexus_tui.cli.accounts import AccountName
from nexus_tui.cli.asking import PassphraseCommand, PassphraseFd, Timeout, Yes, confirm, unlocking
from nexus_tui.cli.keys import WalletName
from nexus_tui.cli.output import amount, foreign, note, nxt
from nexus_tui.cli.session import session_of
from node.api.errors import Refused, UsageError

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from node.api.records import NetworkInfo, Output
    from wallet.payments import PaymentPlan
    from wallet.requests import PaymentRequest
    from wallet.wallet import Wallet

FAUCET_NXT = "100"

NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until a block has taken it.")]


def send(
    context: typer.Context,
    recipient: Annotated[
        str | None, typer.Argument(metavar="ADDRESS", help="An address, a contact's name or a payment request.")
    ] = None,
    value: Annotated[str | None, typer.Argument(metavar="AMOUNT", help="1.5, 1.5 NXT or 150000000u (units).")] = None,
    everything: Annotated[bool, typer.Option("--max", help="Send all that the account can spend.")] = False,
    to_file: Annotated[
        Path | None, typer.Option("--to-file", metavar="CSV", help="Pay a list: a recipient and an amount a line.")
    ] = None,
    memo: Annotated[str | None, typer.Option("--memo", help="Up to 256 bytes of text, open to all for ever.")] = None,
    tip: Annotated[str, typer.Option("--tip", metavar="AMOUNT", help="Pay more to be earlier.")] = "0",
    account: AccountName = None,
    wallet: WalletName = None,
    no_wait: NoWait = False,
    timeout: Timeout = 60.0,
    passphrase_fd: PassphraseFd = None,
    passphrase_command: PassphraseCommand = None,
    yes: Yes = False,
) -> None:
    """Pay, and wait until the payment is in a block.

    Without a running node a solo network's node is opened for the length of the command. A timeout exits 4; the
    payment is kept then.
    """
    from nexus_tui.cli import paying
    from node.encoding.amounts import parse_amount
    from wallet.history import AddressNames

    session = session_of(context)
    opened = session.wallets().open(wallet)
    outputs, asked_memo = outputs_to(session, opened, recipient, value, everything, to_file)
    chosen = opened.account(account)
    opened.signer(chosen)  # a watched account is refused before a passphrase is asked for
    names = AddressNames.of(opened.accounts, session.contacts().list())
    text = asked_memo if memo is None else memo

    def planned() -> tuple[PaymentPlan, NetworkInfo]:
        return paying.plan(session, chosen, outputs, memo=text, tip=parse_amount(tip), known=names.known())

    plan, info = planned()
    for warning in plan.warnings:
        note(f"Careful: {foreign(warning)}")
    shown = plan if confirm(paying.plan_lines(plan, info.hrp, names.name), yes, "A payment") else None
    opened.unlock(unlocking(passphrase_fd, passphrase_command))
    try:
        signer, patience = opened.signer(chosen), paying.Patience(not no_wait, timeout)
        plan, sent = paying.pay(session, plan, signer, lambda: planned()[0], patience)
    finally:
        opened.lock()
    document = {**paying.plan_document(plan, info.hrp), **paying.sent_document(sent)}
    document["from"] = opened.address_text(chosen)
    lines = [] if plan is shown else paying.plan_lines(plan, info.hrp, names.name)
    session.done(document, [*lines, paying.sent_line(sent)])


def outputs_to(
    session: Session,
    opened: Wallet,
    recipient: str | None,
    value: str | None,
    everything: bool,
    to_file: Path | None,
) -> tuple[tuple[Output, ...] | bytes, str]:
    """Whom to pay how much (or one address that gets everything), and the memo that a request asks for."""
    from node.api.records import Output
    from node.encoding.amounts import parse_amount
    from wallet.payment_lists import read_payments_file
    from wallet.requests import is_request

    contacts = session.contacts()
    if to_file is not None:
        if recipient is not None or everything:
            raise UsageError("usage", "--to-file names all recipients; ADDRESS, AMOUNT and --max do not go with it.")
        return read_payments_file(to_file, opened.prefix, contacts.list()), ""
    if recipient is None:
        raise UsageError("usage", "Say whom to pay: ADDRESS AMOUNT.", "nexus wallet send --help")
    amount_units = None if value is None else parse_amount(value)
    contact = None if is_request(recipient) else contacts.find(recipient)
    memo = ""
    if contact is not None:
        raw = contact.address
    else:
        request = _read(recipient, opened.prefix)
        raw, memo = request.address.raw, request.memo
        if request.amount is not None:
            if amount_units not in (None, request.amount):
                raise Refused(
                    "other_amount",
                    f"The request asks for {nxt(request.amount)}, but another amount was given. Nothing was sent.",
                    hint="Leave the amount away, or use the bare address.",
                )
            amount_units = request.amount
    if everything:
        if amount_units is not None:
            raise UsageError("usage", "--max sends everything; an amount does not go with it.")
        return raw, memo
    if amount_units is None:
        raise UsageError("usage", "Say how much: AMOUNT, or --max.", "nexus wallet send --help")
    if amount_units == 0:
        raise Refused("bad_amount", "An amount to send is at least one unit (0.00000001 NXT). Nothing was sent.")
    return (Output(raw, amount_units),), memo


def _read(recipient: str, prefix: str) -> PaymentRequest:
    from wallet.requests import read_recipient

    try:
        return read_recipient(recipient, prefix)
    except Refused as error:
        if len(recipient) < 40 and "1" not in recipient and ":" not in recipient:  # a name more likely than an address
            raise Refused(error.code, error.message, "It is no contact's name either: nexus contact list") from None
        raise


def faucet(
    context: typer.Context,
    value: Annotated[str, typer.Argument(metavar="[AMOUNT]", help="How much to get.")] = FAUCET_NXT,
    account: AccountName = None,
    wallet: WalletName = None,
    no_wait: NoWait = False,
    timeout: Timeout = 60.0,
) -> None:
    """Get play money on a solo or demo network from the faucet that its genesis pays; refused elsewhere."""
    from nexus_tui.cli import paying
    from node.api.records import Output
    from node.encoding.amounts import parse_amount
    from wallet.faucet import open_faucet
    from wallet.keystore import DERIVED, Account

    session = session_of(context)
    units = parse_amount(value)
    if units == 0:
        raise Refused("bad_amount", "The faucet gives at least one unit (0.00000001 NXT).")
    signer = open_faucet(session.paths.faucet_key)
    opened = session.wallets().open(wallet)
    chosen = opened.account(account)
    source = Account("faucet", DERIVED, signer.address.raw, None, signer.public_key)

    def planned() -> tuple[PaymentPlan, NetworkInfo]:
        return paying.plan(session, source, (Output(chosen.address, units),))

    plan, info = planned()
    plan, sent = paying.pay(session, plan, signer, lambda: planned()[0], paying.Patience(not no_wait, timeout))
    session.done(
        {
            **paying.sent_document(sent),
            "amount": amount(units),
            "to": opened.address_text(chosen),
            "from": paying.address_text(plan.transaction.sender, info.hrp),
        },
        [f"{nxt(units)} from the faucet to {opened.address_text(chosen)}", paying.sent_line(sent)],
    )
