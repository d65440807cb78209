"""Questions before something happens. Money: amount, recipient, fee and total once more, Cancel under the finger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Button

from nexus_tui.dialogs.base import Dialog
from nexus_tui.format import address_text, groups
from nexus_tui.sanitize import sanitize, text
from nexus_tui.widgets.line import Line
from nexus_tui.widgets.payments import full_amount

if TYPE_CHECKING:
    from wallet.keystore import Account
    from wallet.payments import PaymentPlan


NAME_WIDTH = 12
Rows = list[tuple[str, Content | str]]


class Question(Dialog[bool]):
    """A plain question. `focus_yes` only where yes loses nothing."""

    AUTO_FOCUS = ""

    def __init__(self, title: str, message: str, *, yes: str, no: str = "Cancel", focus_yes: bool = False) -> None:
        super().__init__()
        self._title, self._message, self._yes, self._no = title, message, yes, no
        self._focus = "#yes" if focus_yes else "#cancel"

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        yield Line(text(self._message, lines=True))

    def buttons(self) -> ComposeResult:
        """See `Dialog.buttons`."""
        yield Button(self._no, id="cancel")
        yield Button(self._yes, id="yes")

    def on_mount(self) -> None:
        """Set the title, and put the finger on one of the answers."""
        self.query_one("#title", Line).show(self._title)
        self.query_one(self._focus).focus()

    @on(Button.Pressed, "#yes")
    def _yes_pressed(self) -> None:
        self.dismiss(True)


class ConfirmPayment(Dialog[bool]):
    """The plan that will be signed, in full. Enter cancels."""

    title_text = "Send this payment?"
    AUTO_FOCUS = "#cancel"

    def __init__(self, plan: PaymentPlan, account: Account, prefix: str) -> None:
        super().__init__()
        self._plan, self._account, self._prefix = plan, account, prefix

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        plan, names = self._plan, self.nexus.names()
        rows: list[tuple[str, Content | str]] = [("Amount", Content.styled(full_amount(plan.amount), "bold"))]
        for output in plan.outputs[:20]:
            name = sanitize(names.name(output.recipient), 64)
            address = groups(address_text(output.recipient, self._prefix))
            rows.append(("To", Content.assemble((f"{name}\n" if name else "", "bold"), address)))
        if len(plan.outputs) > 20:
            rows.append(("", f"and {len(plan.outputs) - 20} more"))
        rows.append(("From", sanitize(self._account.label, 64)))
        if plan.memo:
            rows.append(("Memo", sanitize(plan.memo)))
        rows.append(("Fee", full_amount(plan.fee)))
        if plan.creation_fee:
            rows.append(("New account", full_amount(plan.creation_fee)))
        rows.append(("Total", Content.styled(full_amount(plan.total), "bold")))
        rows.append(("Remains", full_amount(plan.remaining)))
        yield Facts(rows)
        for warning in plan.warnings:
            yield Line(text(f"{self.nexus.glyphs.warning} {warning}", "$warning"), classes="gap")

    def buttons(self) -> ComposeResult:
        """See `Dialog.buttons`."""
        yield Button("Cancel", id="cancel")
        yield Button("Send", id="yes")

    @on(Button.Pressed, "#yes")
    def _yes_pressed(self) -> None:
        self.dismiss(True)


class Facts(Line):
    """Names and values, one pair below the other; values wrap beside their name."""

    def __init__(self, rows: Rows, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__("", id=id)
        self.rows = rows
        self._name_width = NAME_WIDTH
        self._fitted = 0

    def on_resize(self) -> None:
        """Wrap for the width there is, once this layout is done: within one, a new height would not count."""
        if self.size.width != self._fitted:
            self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        self._fitted = self.size.width
        self.lay_out()
        self.refresh(layout=True)

    def set_rows(self, rows: Rows, name_width: int = NAME_WIDTH) -> None:
        """Show other rows."""
        self.rows = rows
        self._name_width = name_width
        self.lay_out()

    def lay_out(self) -> None:
        """Put the rows together for the present width."""
        width = max(self.size.width - self._name_width, 8)
        lines: list[Content] = []
        for name, value in self.rows:
            content = Content(value) if isinstance(value, str) else value
            wrapped = content.wrap(width) if content.plain else [Content("")]
            for place, part in enumerate(wrapped):
                head = name if place == 0 else ""
                lines.append(Content.assemble((f"{head:<{self._name_width}}", "$muted"), part))
        self.show(Content("\n").join(lines))
