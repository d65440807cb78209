"""Wallet: accounts, history with search, contacts. One pane on a phone, two on a small screen, three on a wide one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import Click, DescendantFocus
from textual.widgets import Input, OptionList

from nexus_tui.bindings import bindings_for, key_of
from nexus_tui.dialogs.confirm import Facts, Rows
from nexus_tui.dialogs.payment import TITLES, facts
from nexus_tui.format import exactly_when
from nexus_tui.screens.base import MainScreen
from nexus_tui.widgets.fields import Field
from nexus_tui.widgets.line import Line
from nexus_tui.widgets.payments import CardList, account_lines, contact_lines, payment_lines
from node.api.errors import NexusError
from node.encoding.amounts import format_amount

if TYPE_CHECKING:
    from textual.content import Content

    from nexus_tui.live import Line as AccountLine
    from nexus_tui.live import View
    from wallet.contacts import Contact
    from wallet.history import HistoryRow

PANES = ("accounts", "history", "contacts")


class Segment(Line):
    """One word of the bar that chooses the pane; as wide as a thumb."""

    ALLOW_SELECT = False

    def __init__(self, pane: str) -> None:
        super().__init__(pane.upper(), id=f"segment-{pane}", classes="segment title")
        self.pane = pane

    def on_click(self, event: Click) -> None:
        """Choose the pane."""
        event.stop()
        screen = self.screen
        assert isinstance(screen, WalletScreen)
        screen.show_pane(self.pane)


class WalletScreen(MainScreen):
    """Screen 3. `pane` is the one with the attention."""

    place = "wallet"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings_for("wallet"),
        Binding("escape", "leave_search", show=False, id="wallet.leave_search"),
    ]
    CSS = """
    WalletScreen #segments { height: 1; width: 1fr; margin: 0 1 1 0; }
    WalletScreen.-short #segments { margin-bottom: 0; }
    WalletScreen .segment { width: 1fr; text-align: center; }
    WalletScreen .segment.-chosen { color: $primary; text-style: bold underline; }
    WalletScreen .pane { display: none; height: 1fr; width: 1fr; }
    WalletScreen .pane.-chosen { display: block; }
    WalletScreen #search { display: none; }
    WalletScreen.-searching #search { display: block; }
    WalletScreen .empty { color: $muted; width: 1fr; padding: 0 1; }
    WalletScreen #panes { height: 1fr; }
    WalletScreen #detail-pane, WalletScreen #detail-title { display: none; }
    WalletScreen.-medium .segment, WalletScreen.-wide .segment { width: auto; text-align: left; padding: 0 1; }
    WalletScreen.-medium .segment, WalletScreen.-wide .segment { margin-right: 3; }
    WalletScreen.-medium #segment-accounts, WalletScreen.-medium #accounts-pane { width: 30; margin-right: 3; }
    WalletScreen.-wide #segment-accounts, WalletScreen.-wide #accounts-pane { width: 34; margin-right: 3; }
    WalletScreen.-medium #accounts-pane, WalletScreen.-wide #accounts-pane { display: block; }
    WalletScreen.-wide #segment-contacts { width: 1fr; margin-right: 0; }
    WalletScreen.-wide #detail-pane { display: block; width: 36; margin-left: 3; height: 1fr; }
    WalletScreen.-wide #detail-title { display: block; width: 36; margin-left: 3; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.pane = "accounts"
        self._query = ""
        self._rows: tuple[HistoryRow, ...] = ()

    def body(self) -> ComposeResult:
        """See `MainScreen.body`."""
        with Vertical(id="body"):
            with Horizontal(id="segments"):
                for pane in PANES:
                    yield Segment(pane)
                yield Line("", id="detail-title", classes="title")
            with Horizontal(id="panes"):
                with Vertical(id="accounts-pane", classes="pane"):
                    yield CardList(id="accounts")
                with Vertical(id="history-pane", classes="pane"):
                    yield Field(placeholder="name, address, memo, amount or id", id="search", limit=128)
                    yield Line("", id="history-empty", classes="empty hidden")
                    yield CardList(id="history")
                    yield Line("", id="history-end", classes="empty hidden")
                with Vertical(id="contacts-pane", classes="pane"):
                    yield Line("", id="contacts-empty", classes="empty hidden")
                    yield CardList(id="contacts")
                with VerticalScroll(id="detail-pane", can_focus=False):
                    yield Facts([], id="detail")

    def on_mount(self) -> None:
        """Begin with accounts on a phone, with the history beside them elsewhere."""
        if self.app.size.width >= 60:
            self.pane = "history"
        self._mark_pane()
        super().on_mount()
        self.call_after_refresh(self._focus_pane)

    # Panes

    def show_pane(self, pane: str) -> None:
        """Give a pane the attention."""
        self.pane = pane
        self._mark_pane()
        self._focus_pane()
        self.refresh_bindings()
        self._show_detail()

    def _mark_pane(self) -> None:
        wide = self.app.size.width >= 60
        shown = self.pane if not wide or self.pane != "accounts" else None
        for pane in PANES:
            if shown is not None or not wide:
                self.query_one(f"#{pane}-pane").set_class(pane == self.pane, "-chosen")
            self.query_one(f"#segment-{pane}").set_class(pane == self.pane, "-chosen")
        if wide and not self.query("#history-pane.-chosen, #contacts-pane.-chosen"):
            self.query_one("#history-pane").add_class("-chosen")

    def _focus_pane(self) -> None:
        self.query_one(f"#{self.pane}", CardList).focus()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """The pane follows the focus, so that keys mean what is looked at."""
        pane = event.widget.id
        if pane in PANES and pane != self.pane:
            self.pane = pane
            self._mark_pane()
            self.refresh_bindings()
            self._show_detail()

    def on_resize(self) -> None:
        """Another width may show other panes."""
        if self.is_mounted:
            self._mark_pane()

    # What is shown

    def show(self, view: View) -> None:
        """See `MainScreen.show`."""
        hidden = self.nexus.amounts_hidden
        self.query_one("#accounts", CardList).fill(
            [(line.address, line) for line in view.lines], lambda line, width: account_lines(line, width, hidden)
        )
        self._show_history(view)
        self._show_contacts()
        self._show_detail()

    def _show_history(self, view: View) -> None:
        from wallet.history import search

        rows = self.nexus.rows(view.history)
        self._rows = search(rows, self._query) if self._query else rows
        glyphs, hidden, now = self.nexus.glyphs, self.nexus.amounts_hidden, self.nexus.now_ms()
        self.query_one("#history", CardList).fill(
            [(row.txid.hex(), row) for row in self._rows],
            lambda row, width: payment_lines(row, width, glyphs, now, hidden),
        )
        empty = self.query_one("#history-empty", Line)
        more = f" Older payments: {key_of('history.more', self.nexus.rebound)}." if view.next_before is not None else ""
        if not view.read:
            empty.show("reading …")
        elif self._query:
            empty.show(f"Nothing in the {len(rows)} payments read so far fits.{more} Esc ends the search.")
        else:
            key = key_of("wallet.receive", self.nexus.rebound)
            empty.show(f"Nothing has moved yet. Press {key} to show your address.")
        empty.set_class(bool(self._rows), "hidden")
        self._show_end(view)

    def _show_end(self, view: View) -> None:
        """Where the history begins, if that is not with the network: what is older must not look as if it never was."""
        began = None if view.status is None or view.next_before is not None else view.status.began_ms
        end = self.query_one("#history-end", Line)
        end.set_class(began is None, "hidden")
        if began is not None:
            end.show(f"Payments before {exactly_when(began)} are not kept here; balances are whole.")

    def _contacts(self) -> tuple[Contact, ...]:
        live = self.nexus.live
        if live is None or live.contacts is None:
            return ()
        try:
            return live.contacts.list()
        except NexusError as error:
            self.nexus.fail(error)
            return ()

    def _show_contacts(self) -> None:
        contacts = self._contacts()
        live = self.nexus.live
        prefix_contacts = live.contacts if live is not None else None

        def lines(contact: Contact, width: int) -> Content:
            assert prefix_contacts is not None
            return contact_lines(contact, prefix_contacts.address_text(contact), width)

        self.query_one("#contacts", CardList).fill([(contact.name, contact) for contact in contacts], lines)
        empty = self.query_one("#contacts-empty", Line)
        key = key_of("contact.add", self.nexus.rebound)
        empty.show(f"No contacts yet. Press {key} to keep an address under a name.")
        empty.set_class(bool(contacts), "hidden")

    @on(OptionList.OptionHighlighted)
    def _show_detail(self) -> None:
        if not self.has_class("-wide"):
            return
        detail, title = self.query_one("#detail", Facts), self.query_one("#detail-title", Line)
        hidden = self.nexus.amounts_hidden
        if self.pane == "history":
            chosen = self.query_one("#history", CardList).chosen
            row = next((row for row in self._rows if row.txid.hex() == chosen), None)
            title.show(TITLES[row.direction].upper() if row else "")
            status = self.nexus.view.status
            final_height = status.final_height if status is not None else -1
            detail.set_rows(facts(row, hidden, final_height) if row else [])
        elif self.pane == "accounts":
            line = self._chosen_line()
            title.show("ACCOUNT" if line else "")
            if line is None:
                detail.set_rows([])
                return
            from nexus_tui.format import HIDDEN_AMOUNT, groups

            view = line.view
            amounts = [("Balance", view.balance), ("Spendable", view.spendable)] if view is not None else []
            detail.set_rows(
                [
                    ("Name", line.account.label),
                    *((name, HIDDEN_AMOUNT if hidden else f"{format_amount(units)} NXT") for name, units in amounts),
                    ("Sent", f"{view.nonce:,} payments" if view is not None else "…"),
                    ("Address", groups(line.address)),
                ]
            )
        else:
            from nexus_tui.format import groups

            contact = next((c for c in self._contacts() if c.name == self.chosen_contact()), None)
            live = self.nexus.live
            title.show("CONTACT" if contact else "")
            rows: Rows = []
            if contact is not None and live is not None and live.contacts is not None:
                rows = [("Name", contact.name), ("Address", groups(live.contacts.address_text(contact)))]
                rows += [("Note", contact.note)] if contact.note else []
            detail.set_rows(rows)

    def _chosen_line(self) -> AccountLine | None:
        chosen = self.query_one("#accounts", CardList).chosen
        return next((line for line in self.nexus.view.lines if line.address == chosen), None)

    def chosen_contact(self) -> str | None:
        """Name of the chosen contact."""
        return self.query_one("#contacts", CardList).chosen

    # What is done

    @on(OptionList.OptionHighlighted, "#accounts")
    def _choose_account(self, event: OptionList.OptionHighlighted) -> None:
        if self.query_one("#accounts").has_focus:
            self.nexus.choose_account(event.option.id or "")

    @on(OptionList.OptionSelected, "#accounts")
    async def _open_account(self, event: OptionList.OptionSelected) -> None:
        self.nexus.choose_account(event.option.id or "")
        await self.nexus.action_command("wallet.receive")

    @on(OptionList.OptionSelected, "#history")
    def _open_payment(self, event: OptionList.OptionSelected) -> None:
        self.nexus.open_payment(event.option.id or "")

    @on(OptionList.OptionSelected, "#contacts")
    def _pay_contact(self, event: OptionList.OptionSelected) -> None:
        from nexus_tui.flows import send

        send(self.nexus, event.option.id or "")

    def open_search(self) -> None:
        """Show the search field."""
        self.show_pane("history")
        self.add_class("-searching")
        self.query_one("#search", Field).focus()

    @on(Input.Changed, "#search")
    def _search(self, event: Input.Changed) -> None:
        self._query = event.value.strip()
        self._show_history(self.nexus.view)

    @on(Input.Submitted, "#search")
    def _to_results(self) -> None:
        self.query_one("#history", CardList).focus()

    def action_leave_search(self) -> None:
        """Show the whole history again."""
        self.query_one("#search", Field).value = ""
        self.remove_class("-searching")
        self._focus_pane()

    async def load_more(self) -> None:
        """Read an older page."""
        live = self.nexus.live
        if live is None or not await live.load_more():
            self.nexus.say("These are all payments there are.")
