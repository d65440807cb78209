"""One payment of the history with everything that is known about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Button

from nexus_tui.dialogs.base import Dialog
from nexus_tui.dialogs.confirm import Facts
from nexus_tui.format import exactly_when, groups
from nexus_tui.sanitize import sanitize
from nexus_tui.widgets.payments import full_amount, party

if TYPE_CHECKING:
    from wallet.history import HistoryRow

TITLES = {"in": "Received", "out": "Sent", "self": "Between your accounts"}
STATES = {
    "pending": "waiting for a block",
    "done": "done",
    "failed": "failed: only the fee was charged",
    "expired": "expired: nothing was charged",
}


def facts(row: HistoryRow, hidden: bool, final_height: int) -> list[tuple[str, Content | str]]:
    """The rows of a payment, for the dialog and for the wallet's third pane."""
    rows: list[tuple[str, Content | str]] = [
        ("Amount", Content.styled(full_amount(row.amount, hidden), "bold")),
        ("State", STATES.get(row.status, sanitize(row.status, 40))),
    ]
    if row.reason:
        rows.append(("Reason", sanitize(row.reason)))
    side = "From" if row.direction == "in" else "To"
    for name, address in row.counterparties[:20]:
        known = sanitize(name, 64)
        rows.append((side, Content.assemble((f"{known}\n" if known else "", "bold"), groups(address))))
    rows.append(("Account", sanitize(row.account, 64)))
    if row.memo:
        rows.append(("Memo", sanitize(row.memo)))
    if row.fee:
        rows.append(("Fee", full_amount(row.fee, hidden)))
    rows.append(("Time", exactly_when(row.time_ms) if row.time_ms is not None else "not yet"))
    if row.height is not None:
        final = "final" if row.height <= final_height else "not final yet: a reorganisation could move it"
        rows.append(("Block", f"{row.height:,}, {final}"))
    rows.append(("Id", row.txid.hex()))
    return rows


class PaymentDialog(Dialog[None]):
    """Closes without a result."""

    AUTO_FOCUS = "#cancel"

    def __init__(self, row: HistoryRow) -> None:
        super().__init__()
        self._row = row
        title = TITLES.get(row.direction, "Payment") if row.counterparties else party(row).capitalize()
        self.title_text = title  # type: ignore[misc]

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        status = self.nexus.view.status
        yield Facts(facts(self._row, self.nexus.amounts_hidden, status.final_height if status is not None else -1))

    def buttons(self) -> ComposeResult:
        """See `Dialog.buttons`."""
        yield Button("Close", id="cancel")
        yield Button("Copy id", id="copy")
        if self._unknown() is not None:
            yield Button("Add contact", id="contact")

    def _unknown(self) -> str | None:
        if self._row.direction == "self" or len(self._row.counterparties) != 1:
            return None
        name, address = self._row.counterparties[0]
        return None if name else address

    @on(Button.Pressed, "#copy")
    def _copy(self) -> None:
        self.nexus.copy_out(self._row.txid.hex(), "The transaction's id")

    @on(Button.Pressed, "#contact")
    def _contact(self) -> None:
        from nexus_tui.flows import add_contact

        self.dismiss(None)
        add_contact(self.nexus, self._unknown() or "")
