"""`nexus wallet list | show | balance | address | watch` and `nexus wallet account …`: what needs no signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus_tui.cli.asking import PassphraseCommand, PassphraseFd, unlocking
from nexus_tui.cli.keys import WalletName
from nexus_tui.cli.output import amount, foreign, nxt, table
from nexus_tui.cli.session import session_of
from node.api.errors import Refused

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from node.api.records import AccountView
    from wallet.keystore import Account
    from wallet.wallet import Wallet

AccountName = Annotated[
    str | None,
    typer.Option("--account", "-a", metavar="ACCOUNT", help="Label, number or address; the first if not given."),
]


def list_wallets(context: typer.Context) -> None:
    """List the wallets of the profile."""
    from node.api.errors import NexusError

    session = session_of(context)
    store = session.wallets()
    listed: list[dict[str, Any]] = []
    for name in store.list():
        try:
            listed.append({"name": name, "accounts": len(store.open(name).accounts), "problem": ""})
        except NexusError as error:
            listed.append({"name": name, "accounts": 0, "problem": error.message})
    lines = (
        table(
            (item["name"], (item["problem"] and foreign(item["problem"])) or _count(item["accounts"]))
            for item in listed
        )
        if listed
        else "No wallet yet. `nexus wallet create` makes one."
    )
    session.done({"profile": session.profile_name, "wallets": listed}, lines)


def _count(accounts: int) -> str:
    return f"{accounts} account" + ("" if accounts == 1 else "s")


def show(context: typer.Context, wallet: WalletName = None) -> None:
    """Show a wallet's accounts; needs no passphrase and no node."""
    session = session_of(context)
    opened = session.wallets().open(wallet)
    accounts = [_account(opened, account, place) for place, account in enumerate(opened.accounts, 1)]
    session.done(
        {"profile": session.profile_name, "wallet": opened.name, "accounts": accounts},
        table(
            (str(item["number"]), foreign(item["label"]), item["address"], "" if item["can_sign"] else "watched")
            for item in accounts
        ),
    )


def _account(wallet: Wallet, account: Account, place: int) -> dict[str, Any]:
    return {
        "number": place,
        "label": account.label,
        "address": wallet.address_text(account),
        "public_key": None if account.public_key is None else account.public_key.hex(),
        "can_sign": account.can_sign,
    }


def balance(
    context: typer.Context,
    account: AccountName = None,
    wallet: WalletName = None,
) -> None:
    """Show what the accounts own; needs no passphrase. Without a running node it reads the profile's files.

    The total leaves watched accounts out, since this wallet cannot spend them, unless it only watches.
    """
    import asyncio

    session = session_of(context)
    opened = session.wallets().open(wallet)
    chosen = opened.accounts if account is None else (opened.account(account),)
    views = asyncio.run(_views(session, chosen))
    rows = []
    documents = []
    for item, view in zip(chosen, views, strict=True):
        documents.append(
            {
                **_account(opened, item, opened.accounts.index(item) + 1),
                "balance": amount(view.balance),
                "spendable": amount(view.spendable),
                "pending_in": amount(view.pending_in),
                "pending_out": amount(view.pending_out),
                "nonce": view.nonce,
            }
        )
        remarks = ("" if item.can_sign else "watched", _pending(view))
        rows.append((foreign(item.label), nxt(view.balance), ", ".join(filter(None, remarks))))
    own = account is None and any(item.can_sign for item in chosen)
    total = sum(view.balance for item, view in zip(chosen, views, strict=True) if item.can_sign or not own)
    if len(rows) > 1:
        rows.append(("Total", nxt(total), ""))
    session.done(
        {"profile": session.profile_name, "wallet": opened.name, "total": amount(total), "accounts": documents},
        table(rows, right=frozenset({1})),
    )


def _pending(view: AccountView) -> str:
    parts = [
        f"{nxt(units)} {way}" for units, way in ((view.pending_in, "coming"), (view.pending_out, "leaving")) if units
    ]
    return ", ".join(parts)


async def _views(session: Session, accounts: tuple[Account, ...]) -> list[AccountView]:
    from nexus_tui.cli.connection import connect

    async with connect(session.paths, session.config, "read") as api:
        return [await api.account(account.address) for account in accounts]


def address(
    context: typer.Context,
    account: AccountName = None,
    wallet: WalletName = None,
    ask: Annotated[
        str | None, typer.Option("--amount", metavar="AMOUNT", help="Make a payment request for this much.")
    ] = None,
    label: Annotated[str, typer.Option("--label", help="Your name in the request.")] = "",
    memo: Annotated[str, typer.Option("--memo", help="A memo in the request; it will be public.")] = "",
    public_key: Annotated[
        bool, typer.Option("--public-key", help="Show the public key instead, for watching the account elsewhere.")
    ] = False,
    qr: Annotated[bool, typer.Option("--qr", help="Draw a QR code.")] = False,
) -> None:
    """Show an address to receive on, or a payment request."""
    from node.encoding.address import Address
    from node.encoding.amounts import parse_amount
    from wallet.requests import make_request
    from wallet.requests import qr as draw

    session = session_of(context)
    opened = session.wallets().open(wallet)
    chosen = opened.account(account)
    text = opened.address_text(chosen)
    asked = None if ask is None else parse_amount(ask)
    request = make_request(Address.from_raw(chosen.address), asked, label, memo).uri(opened.prefix)
    if public_key:
        session.done({**_account(opened, chosen, opened.accounts.index(chosen) + 1)}, _public_key(chosen))
        return
    lines = [request if asked is not None or label or memo else text]
    if qr:
        lines += draw(request, blocks=_draws_blocks())
    session.done({"wallet": opened.name, "label": chosen.label, "address": text, "request": request}, lines)


def _public_key(account: Account) -> str:
    if account.public_key is None:
        raise Refused("no_public_key", f"Only the address of {foreign(account.label)} is known here.")
    return account.public_key.hex()


def _draws_blocks() -> bool:
    import sys

    from nexus_tui.terminal import detect

    return detect(encoding=sys.stdout.encoding).unicode


def watch(
    context: typer.Context,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="The address, or the public key, of an account elsewhere.")
    ],
    label: Annotated[str, typer.Option("--label", help="How you call it.")] = "Watched",
    wallet: WalletName = None,
    remove: Annotated[bool, typer.Option("--remove", help="Stop watching it.")] = False,
) -> None:
    """Watch an account whose key is not here.

    With its public key (`nexus wallet address --public-key` where it is), payments of it can be built here and
    signed there.
    """
    session = session_of(context)
    opened = session.wallets().open(wallet)
    if remove:
        gone = opened.account(address)
        opened.remove_watch(gone)
        session.done(
            {"wallet": opened.name, "removed": opened.address_text(gone)},
            f"{foreign(gone.label)} is no longer watched.",
        )
        return
    added = opened.add_watch(address, label)
    session.done(
        {"wallet": opened.name, **_account(opened, added, len(opened.accounts))},
        f"Watching {opened.address_text(added)} as {foreign(added.label)}",
    )


def account_add(
    context: typer.Context,
    label: Annotated[str, typer.Argument(metavar="[LABEL]", help="How you call it.")] = "",
    wallet: WalletName = None,
    passphrase_fd: PassphraseFd = None,
    passphrase_command: PassphraseCommand = None,
) -> None:
    """Add the next account of the wallet's own keys."""
    session = session_of(context)
    opened = session.wallets().open(wallet)
    opened.unlock(unlocking(passphrase_fd, passphrase_command))
    try:
        added = opened.add_account(label)
    finally:
        opened.lock()
    session.done(
        {"wallet": opened.name, **_account(opened, added, len(opened.accounts))},
        f"{foreign(added.label)}: {opened.address_text(added)}",
    )


def account_label(
    context: typer.Context,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Label, number or address.")],
    label: Annotated[str, typer.Argument(metavar="LABEL", help="Its new name.")],
    wallet: WalletName = None,
) -> None:
    """Name an account."""
    session = session_of(context)
    opened = session.wallets().open(wallet)
    changed = opened.set_label(opened.account(account), label)
    place = next(place for place, item in enumerate(opened.accounts, 1) if item.address == changed.address)
    session.done(
        {"wallet": opened.name, **_account(opened, changed, place)},
        f"{opened.address_text(changed)} is now called {foreign(changed.label)}",
    )
