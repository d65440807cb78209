"""Commands about money: sending, receiving, accounts, history and contacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus_tui.commands.base import HOME, WALLET, Command, front

if TYPE_CHECKING:
    from nexus_tui.app import NexusApp


class _Ready(Command):
    """Needs a node that answers and a wallet."""

    @classmethod
    def available(cls, app: NexusApp) -> bool:
        """See `Command.available`."""
        return app.live is not None and app.live.wallet is not None


def _pane(app: NexusApp) -> str | None:
    return getattr(front(app), "pane", None)


class _InPane(_Ready):
    """Makes sense where one pane of the wallet has the attention."""

    pane = ""

    @classmethod
    def available(cls, app: NexusApp) -> bool:
        """See `Command.available`."""
        return super().available(app) and _pane(app) == cls.pane


class Send(_Ready):
    """Pay to an address or a contact. Nothing moves before you have confirmed amount, recipient and fee."""

    id = "wallet.send"
    title = "Send NXT"
    keys = "s"
    label = "Send"
    order = 10
    places = (HOME, WALLET)

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.flows import send

        send(app)


class Receive(_Ready):
    """Show an account's address, and as a QR code, with an amount if you like."""

    id = "wallet.receive"
    title = "Receive NXT"
    keys = "r"
    label = "Receive"
    order = 11
    places = (HOME, WALLET)

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.dialogs.receive import ReceiveDialog

        app.push_screen(ReceiveDialog(app.selected_account()))


class Search(_Ready):
    """Find payments by name, address, memo, amount or transaction id."""

    id = "wallet.search"
    title = "Search history"
    keys = "/"
    label = "Find"
    order = 20
    places = (WALLET,)

    @classmethod
    def shown(cls, app: NexusApp) -> bool:
        """See `Command.shown`."""
        return _pane(app) == "history"

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        (await app.wallet_screen()).open_search()


class ShowAccounts(_Ready):
    """Go to the accounts."""

    id = "wallet.accounts"
    title = "Show accounts"
    keys = "a"
    places = (WALLET,)
    pane = "accounts"

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        (await app.wallet_screen()).show_pane(cls.pane)


class ShowHistory(ShowAccounts):
    """Go to the history."""

    id = "wallet.history"
    title = "Show history"
    keys = "h"
    pane = "history"


class ShowContacts(ShowAccounts):
    """Go to the contacts, the address book."""

    id = "wallet.contacts"
    title = "Show contacts"
    keys = "b"
    pane = "contacts"


class AddAccount(_Ready):
    """Make another account from the same recovery words; nothing new to write down."""

    id = "account.add"
    title = "New account"
    keys = "n"
    label = "New"
    order = 29
    places = (WALLET,)

    @classmethod
    def shown(cls, app: NexusApp) -> bool:
        """See `Command.shown`."""
        return _pane(app) == "accounts"

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.flows import add_account

        add_account(app)


class LabelAccount(_InPane):
    """Give the chosen account another name."""

    id = "account.label"
    title = "Rename account"
    keys = "l"
    label = "Rename"
    order = 30
    places = (WALLET,)
    pane = "accounts"

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.flows import label_account

        label_account(app, app.selected_account())


class WatchAddress(_Ready):
    """Follow an address whose key is elsewhere: its balance and history, no spending."""

    id = "account.watch"
    title = "Watch an address"
    keys = "w"
    places = (WALLET,)

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.flows import watch_address

        watch_address(app)


class AddContact(_Ready):
    """Keep an address under a name; look-alikes of known addresses are pointed out."""

    id = "contact.add"
    title = "Add contact"
    keys = "c"
    label = "Add"
    order = 30
    places = (WALLET,)

    @classmethod
    def shown(cls, app: NexusApp) -> bool:
        """See `Command.shown`."""
        return _pane(app) == "contacts"

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.flows import add_contact

        add_contact(app)


class RemoveContact(_InPane):
    """Forget the chosen contact. Payments to it stay in the history."""

    id = "contact.remove"
    title = "Remove contact"
    keys = "d"
    label = "Remove"
    order = 31
    places = (WALLET,)
    pane = "contacts"

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.flows import remove_contact

        remove_contact(app)


class CopyAddress(_Ready):
    """Send the chosen account's address to the terminal's clipboard."""

    id = "account.copy"
    title = "Copy address"
    keys = "y"
    places = (HOME, WALLET)

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        app.copy_address(app.selected_account())


class LoadMore(_InPane):
    """Read older payments."""

    id = "history.more"
    title = "Older payments"
    keys = "m"
    places = (WALLET,)
    pane = "history"

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        await (await app.wallet_screen()).load_more()


class Export(_Ready):
    """Write the history to a file, as a table (CSV) or JSON."""

    id = "history.export"
    title = "Export history"
    keys = "e"
    label = "Export"
    order = 32
    places = (WALLET,)

    @classmethod
    def shown(cls, app: NexusApp) -> bool:
        """See `Command.shown`."""
        return _pane(app) == "history"

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.flows import export

        export(app)


class Faucet(_Ready):
    """Take play money from this network's own faucet (solo networks only)."""

    id = "wallet.faucet"
    title = "Get play money"
    keys = "f"
    label = "Play money"
    order = 40
    places = (HOME, WALLET)

    @classmethod
    def available(cls, app: NexusApp) -> bool:
        """See `Command.available`."""
        return super().available(app) and app.household is not None and app.household.has_faucet

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.flows import faucet

        faucet(app)


class LockWallet(_Ready):
    """Forget the keys until the passphrase is given again, in every program that has the wallet open."""

    id = "wallet.lock"
    title = "Lock the wallet"
    keys = "k"
    places = (HOME, WALLET)

    @classmethod
    def available(cls, app: NexusApp) -> bool:
        """See `Command.available`."""
        return super().available(app) and app.live is not None and app.live.unlocked

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        app.lock_wallet()
