"""Receiving: an account's address to read out, to copy, and as a QR code with an amount if one is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.widgets import Button, Input

from nexus_tui.dialogs.code import CodeDialog
from nexus_tui.format import groups
from nexus_tui.sanitize import sanitize, text
from nexus_tui.widgets.fields import Field
from nexus_tui.widgets.line import Line
from node.encoding.address import Address
from node.encoding.amounts import AmountError, parse_amount

if TYPE_CHECKING:
    from wallet.keystore import Account


class ReceiveDialog(CodeDialog):
    """An account's address; closes without a result."""

    title_text = "Receive"
    edge = (4, 6)
    CSS = """
    ReceiveDialog #address { margin: 1 0; }
    ReceiveDialog.-narrow #who, ReceiveDialog.-narrow #address { text-align: center; margin: 0; }
    ReceiveDialog.-short #code { display: none; }
    ReceiveDialog.-medium #dialog, ReceiveDialog.-wide #dialog { width: 76; }
    """

    def __init__(self, account: Account | None) -> None:
        super().__init__()
        self._account = account

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        if self._account is None:
            yield Line("There is no account to receive on.")
            return
        yield from super().body()

    def words(self) -> ComposeResult:
        """See `CodeDialog.words`."""
        assert self._account is not None
        yield Line(sanitize(self._account.label, 64), id="who")
        yield Line("", id="address")
        yield Line("Amount to ask for", classes="field-label")
        yield Field(placeholder="any", id="amount", limit=40)
        yield Line("", id="amount-note", classes="note")

    def buttons(self) -> ComposeResult:
        """See `Dialog.buttons`."""
        yield Button("Close", id="cancel")
        if self._account is not None:
            yield Button("Copy", id="copy")
            if len(self.nexus.view.lines) > 1:
                yield Button("Next account", id="next")

    @on(Input.Changed, "#amount")
    def _changed(self) -> None:
        self.draw()

    @on(Button.Pressed, "#copy")
    def _copy(self) -> None:
        assert self._account is not None
        uri, amount = self._request()
        whole = uri if amount else self._address()
        self.nexus.copy_out(whole, "The payment request" if amount else "The address")

    @on(Button.Pressed, "#next")
    def _next(self) -> None:
        accounts = [line.account for line in self.nexus.view.lines]
        places = [account.address for account in accounts]
        assert self._account is not None
        self._account = accounts[(places.index(self._account.address) + 1) % len(accounts)]
        self.nexus.chosen = self._account.address
        self.query_one("#who", Line).show(sanitize(self._account.label, 64))
        self.draw()

    def _address(self) -> str:
        assert self._account is not None
        assert self.nexus.live is not None
        return Address.from_raw(self._account.address).text(self.nexus.live.prefix)

    def _request(self) -> tuple[str, int | None]:
        from wallet.requests import make_request

        assert self._account is not None
        assert self.nexus.live is not None
        note = self.query_one("#amount-note", Line)
        value = self.query_one("#amount", Field).value.strip()
        amount: int | None = None
        try:
            amount = parse_amount(value) or None if value else None
            note.show("")
        except AmountError as error:
            note.show(text(str(error), "$error"))
        request = make_request(Address.from_raw(self._account.address), amount)
        return request.uri(self.nexus.live.prefix), amount

    def draw(self) -> None:
        """See `CodeDialog.draw`."""
        if self._account is None or not self.is_mounted:
            return
        from wallet.requests import qr

        uri, _ = self._request()
        self.show_code(qr(uri, blocks=not self.nexus.glyphs.ascii))
        self.query_one("#address", Line).show(groups(self._address()))
