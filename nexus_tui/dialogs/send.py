"""The form of a payment: address and amount are checked while typing, fee and remainder are always in sight.

What it dismisses with is the wallet's own plan, the very body that will be signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Button, Input, OptionList
from textual.widgets.option_list import Option

from nexus_tui.dialogs.base import Dialog
from nexus_tui.dialogs.confirm import Facts
from nexus_tui.format import groups, short
from nexus_tui.sanitize import sanitize, text
from nexus_tui.widgets.fields import Field
from nexus_tui.widgets.line import Line
from nexus_tui.widgets.payments import full_amount
from node.api.errors import NexusError, Refused
from node.encoding.address import Address
from node.encoding.amounts import AmountError, exact_amount, format_amount, parse_amount

if TYPE_CHECKING:
    from node.api.records import Output
    from wallet.keystore import Account
    from wallet.payments import PaymentPlan

EVERYTHING = "max"
_SUGGESTIONS = 4


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed, so that nothing is lost when the confirmation is cancelled."""

    account: Account
    recipient: str = ""
    amount: str = ""
    memo: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """A plan to confirm, and the draft that it came from."""

    plan: PaymentPlan
    draft: Draft


class SendDialog(Dialog[Order]):
    """Dismissed with an `Order`."""

    title_text = "Send"
    AUTO_FOCUS = "#to"
    CSS = """
    SendDialog #contacts { height: auto; max-height: 4; background: $surface; }
    SendDialog #amount-row { height: auto; }
    SendDialog #amount { width: 1fr; }
    SendDialog #max { min-width: 7; margin: 0 0 0 1; }
    SendDialog #summary { margin-top: 1; min-height: 3; }
    SendDialog.-short #summary { margin-top: 0; min-height: 0; }
    SendDialog #from { width: 1fr; content-align: left middle; height: 1; padding: 0 1; margin-bottom: 1; }
    SendDialog.-short #from { margin-bottom: 0; }
    SendDialog #from.-one { display: none; }
    """

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft = draft
        self._account = draft.account
        self._plan: PaymentPlan | None = None

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        several = len(self._senders()) > 1
        yield Button("", id="from", classes="" if several else "-one")
        yield Line("To", classes="field-label")
        yield Field(self._draft.recipient, "address, name or nexus:…", id="to", limit=2048)
        yield OptionList(id="contacts", classes="hidden", markup=False)
        yield Line("", id="to-note", classes="note")
        yield Line("Amount in NXT", classes="field-label")
        with Horizontal(id="amount-row"):
            yield Field(self._draft.amount, "0.0", id="amount", limit=64)
            yield Button("Max", id="max")
        yield Line("", id="amount-note", classes="note")
        yield Line("Memo: public for ever, may stay empty", classes="field-label")
        yield Field(self._draft.memo, "", id="memo", limit=256)

    def fixed(self) -> ComposeResult:
        """What it costs, always in sight."""
        yield Facts([], id="summary")

    def buttons(self) -> ComposeResult:
        """See `Dialog.buttons`."""
        yield Button("Cancel", id="cancel")
        yield Button("Review", id="review", disabled=True)

    def on_mount(self) -> None:
        """Show the account, and check what a draft brought along."""
        self._show_account()
        self._changed()

    def _senders(self) -> list[Account]:
        return [line.account for line in self.nexus.view.lines if line.account.can_sign]

    def _show_account(self) -> None:
        spendable = next(
            (line.view.spendable for line in self.nexus.view.lines if line.account == self._account and line.view), None
        )
        amount = f"   {format_amount(spendable)} NXT" if spendable is not None else ""
        self.query_one("#from", Button).label = Content(f"From  {sanitize(self._account.label, 40)}{amount}")

    @on(Button.Pressed, "#from")
    def _other_account(self) -> None:
        senders = self._senders()
        places = [account.address for account in senders]
        self._account = senders[(places.index(self._account.address) + 1) % len(senders)]
        self._show_account()
        self._changed()

    @on(Button.Pressed, "#max")
    def _everything(self) -> None:
        field = self.query_one("#amount", Field)
        field.value = "" if field.value == EVERYTHING else EVERYTHING
        self._changed()

    @on(OptionList.OptionSelected, "#contacts")
    def _take_contact(self, event: OptionList.OptionSelected) -> None:
        field = self.query_one("#to", Field)
        field.value = event.option.id or ""
        self.query_one("#amount", Field).focus()

    @on(Input.Submitted)
    def _next_field(self, event: Input.Submitted) -> None:
        if event.input.id == "memo" or (event.input.id == "amount" and self._plan is not None):
            self._review()
        else:
            self.focus_next()

    @on(Button.Pressed, "#review")
    def _review(self) -> None:
        if self._plan is not None:
            self.dismiss(Order(self._plan, self._typed()))

    @on(Input.Changed)
    def _changed(self) -> None:
        self._plan = None
        self.query_one("#review", Button).disabled = True
        self._suggest()
        self._check()

    def _typed(self) -> Draft:
        return Draft(
            self._account,
            self.query_one("#to", Field).value.strip(),
            self.query_one("#amount", Field).value.strip(),
            self.query_one("#memo", Field).value,
        )

    def _suggest(self) -> None:
        live = self.nexus.live
        typed = self.query_one("#to", Field).value.strip().casefold()
        box = self.query_one("#contacts", OptionList)
        found = []
        if typed and live is not None and live.contacts is not None and len(typed) < 65:
            try:
                contacts = live.contacts.list()
            except NexusError:
                contacts = ()
            found = [c for c in contacts if typed in c.name.casefold() and c.name.casefold() != typed]
        box.clear_options()
        for contact in found[:_SUGGESTIONS]:
            address = short(live.contacts.address_text(contact)) if live is not None and live.contacts else ""
            box.add_option(
                Option(Content.assemble(sanitize(contact.name, 40), "  ", (address, "$muted")), id=contact.name)
            )
        box.set_class(not found, "hidden")

    @work(exclusive=True, group="plan", exit_on_error=False)
    async def _check(self) -> None:
        """Read the fields, ask the node what the payment costs, and show it."""
        typed = self._typed()
        raw, asked, said = self._recipient(typed.recipient)
        self.query_one("#to-note", Line).show(said)
        amount, complaint = self._amount(typed.amount)
        if amount is None and not typed.amount and asked is not None:
            amount = asked
            self.query_one("#amount", Field).value = exact_amount(asked)
        amount_note = self.query_one("#amount-note", Line)
        amount_note.show(complaint)
        summary = self.query_one("#summary", Facts)
        if raw is None or amount is None:
            summary.set_rows([])
            return
        try:
            plan = await self._prepare(raw, amount, typed.memo)
        except NexusError as error:
            amount_note.show(text(f"{error.message} {error.hint}", "$error"))
            summary.set_rows([])
            return
        self._plan = plan
        made = " with the new account" if plan.creation_fee else ""
        rows: list[tuple[str, Content | str]] = [
            ("Fee", Content.assemble(full_amount(plan.fees), (made, "$muted"))),
            ("Total", Content.styled(full_amount(plan.total), "bold")),
            ("Remains", full_amount(plan.remaining)),
        ]
        summary.set_rows(rows)
        self.query_one("#review", Button).disabled = False

    async def _prepare(self, raw: bytes, amount: int, memo: str) -> PaymentPlan:
        from node.api.records import Output
        from wallet.payments import prepare

        api = self.nexus.node_api()
        outputs: tuple[Output, ...] | bytes = raw if amount == -1 else (Output(raw, amount),)
        return await prepare(api, self._account, outputs, memo=memo.strip(), known=self.nexus.names().known())

    def _recipient(self, typed: str) -> tuple[bytes | None, int | None, Content]:
        """(raw address, amount that a request asks for, what to say) for what was typed."""
        if not typed:
            return None, None, Content("")
        from wallet.requests import read_recipient

        live = self.nexus.live
        assert live is not None
        good = self.nexus.glyphs.good
        contact = None
        if live.contacts is not None and len(typed) < 65:
            try:
                contact = live.contacts.find(typed)
            except NexusError as error:
                return None, None, text(error.message, "$error")
        if contact is not None:
            address = Address.from_raw(contact.address).text(live.prefix)
            return contact.address, None, text(f"{good} {contact.name}: {groups(address)}", "$success")
        try:
            request = read_recipient(typed, live.prefix)
        except Refused as error:
            beginning = f"{live.prefix}1"
            unfinished = len(typed) < 40 and (
                typed.lower().startswith(beginning) or beginning.startswith(typed.lower())
            )
            if unfinished:
                return None, None, text("an address, not complete yet", "$muted")
            if len(typed) < 20 and ":" not in typed:
                return None, None, text("no contact of that name, and no address", "$warning")
            return None, None, text(error.message, "$error")
        raw = request.address.raw
        name = self.nexus.names().name(raw)
        who = f"{name}: " if name else f"asked by {request.label}: " if request.label else ""
        memo = self.query_one("#memo", Field)
        if request.memo and not memo.value:
            memo.value = request.memo
        address = groups(request.address.text(live.prefix))
        return raw, request.amount, text(f"{good} {who}{address}", "$success")

    def _amount(self, typed: str) -> tuple[int | None, Content]:
        """(units, -1 for everything, None while there is none; what to say)."""
        if not typed:
            return None, Content("")
        if typed.casefold() == EVERYTHING:
            return -1, text("everything that can be spent", "$muted")
        try:
            units = parse_amount(typed)
        except AmountError as error:
            return None, text(str(error), "$error")
        if units == 0:
            return None, text("more than nothing, please", "$muted")
        return units, Content("")
