"""`nexus contact`: names for addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nexus_tui.cli.asking import Yes, confirm
from nexus_tui.cli.output import foreign, note, table
from nexus_tui.cli.session import session_of

if TYPE_CHECKING:
    from wallet.store import WalletStore
    from wallet.wallet import Wallet


def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="How you call them.")],
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Their address.")],
    remark: Annotated[str, typer.Option("--note", help="A remark for yourself.")] = "",
    yes: Yes = False,
) -> None:
    """Keep a name for an address. Warns when name or address can be mistaken for another."""
    from wallet.wallet import read_address

    session = session_of(context)
    contacts = session.contacts()
    raw = read_address(address, contacts.prefix).raw
    own = [
        (f"your account {account.label}", account.address)
        for wallet in _readable_wallets(session.wallets())
        for account in wallet.accounts
        if account.address != raw
    ]
    warnings = contacts.warnings(name, raw, own)
    for warning in warnings:
        note(f"Careful: {foreign(warning)}")
    if warnings:
        confirm((), yes, "Adding a look-alike")
    contact = contacts.add(name, address, remark)
    text = contacts.address_text(contact)
    session.done(
        {"name": contact.name, "address": text, "note": contact.note, "warnings": list(warnings)},
        f"{foreign(contact.name)} is {text}",
    )


def _readable_wallets(store: WalletStore) -> list[Wallet]:
    from node.api.errors import NexusError

    found = []
    for name in store.list():
        try:
            found.append(store.open(name))
        except NexusError as error:
            note(f"The wallet {name} is left out: {foreign(error.message)}")
    return found


def list_contacts(context: typer.Context) -> None:
    """List the contacts."""
    session = session_of(context)
    contacts = session.contacts()
    listed = contacts.list()
    session.done(
        {
            "contacts": [
                {"name": item.name, "address": contacts.address_text(item), "note": item.note} for item in listed
            ]
        },
        table((foreign(item.name), contacts.address_text(item), foreign(item.note)) for item in listed)
        if listed
        else "No contacts yet. `nexus contact add NAME ADDRESS` keeps one.",
    )


def remove(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name or address of the contact.")],
) -> None:
    """Forget a contact."""
    session = session_of(context)
    contacts = session.contacts()
    gone = contacts.remove(name)
    session.done({"removed": gone.name, "address": contacts.address_text(gone)}, f"{foreign(gone.name)} was removed.")
