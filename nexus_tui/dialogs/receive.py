"""Receiving: an account's address to read out, to copy, and as a QR code with an amount if one is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Button, Input

from nexus_tui.dialogs.base import Dialog
from nexus_tui.format import groups
from nexus_tui.sanitize import sanitize, text
from nexus_tui.widgets.fields import Field
from nexus_tui.widgets.line import Line
from node.encoding.address import Address
from node.encoding.amounts import AmountError, parse_amount

if TYPE_CHECKING:
    from wallet.keystore import Account

# A scanner wants dark on light whatever the theme; these two colours are the code's, not the app's.
_INK = Style(color="#000000", bgcolor="#ffffff")
_SWAP = str.maketrans("█▀▄ ", " ▄▀█")


class QrCode(Widget):
    """Draws a QR code of half blocks. Without colour the light modules are drawn, as the ground is dark then."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "QrCode { width: auto; height: auto; }"

    def __init__(self, lines: tuple[str, ...], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.lines = lines

    def show(self, lines: tuple[str, ...]) -> None:
        """Draw another code."""
        if lines != self.lines:
            self.lines = lines
            self.refresh(layout=True)

    def get_content_width(self, container: object, viewport: object) -> int:
        """Cells a line takes."""
        return len(self.lines[0]) if self.lines else 0

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        """Rows the code takes."""
        return len(self.lines)

    def render_line(self, y: int) -> Strip:
        """See `Widget.render_line`."""
        if y >= len(self.lines):
            return Strip.blank(self.size.width)
        line = self.lines[y]
        if self.app.no_color or self.app.native_ansi_color:
            theme_dark = self.app.current_theme.dark
            return Strip([Segment(line.translate(_SWAP) if theme_dark else line)], len(line))
        return Strip([Segment(line, _INK)], len(line))


class ReceiveDialog(Dialog[None]):
    """Closes without a result."""

    title_text = "Receive"
    AUTO_FOCUS = "#cancel"
    CSS = """
    ReceiveDialog #title { display: none; }
    ReceiveDialog.-narrow #dialog { padding: 0 1; }
    ReceiveDialog #card { layout: vertical; height: auto; }
    ReceiveDialog #code { height: auto; width: 1fr; align: center top; }
    ReceiveDialog #words { height: auto; width: 1fr; }
    ReceiveDialog #who { text-style: bold; color: $primary; }
    ReceiveDialog #address { margin: 1 0; }
    ReceiveDialog.-narrow #who, ReceiveDialog.-narrow #address { text-align: center; margin: 0; }
    ReceiveDialog.-short #code { display: none; }
    ReceiveDialog.-medium #card, ReceiveDialog.-wide #card { layout: horizontal; }
    ReceiveDialog.-medium #code, ReceiveDialog.-wide #code { width: auto; margin-right: 3; }
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
        with Container(id="card"):
            with Container(id="code"):
                yield QrCode((), id="qr")
            with Vertical(id="words"):
                yield Line(sanitize(self._account.label, 64), id="who")
                yield Line("", id="address")
                yield Line("Amount to ask for", classes="field-label")
                yield Field(placeholder="any", id="amount", limit=40)
                yield Line("", id="amount-note", classes="note")
                yield Line("", id="no-code", classes="muted hidden")

    def buttons(self) -> ComposeResult:
        """See `Dialog.buttons`."""
        yield Button("Close", id="cancel")
        if self._account is not None:
            yield Button("Copy", id="copy")
            if len(self.nexus.view.lines) > 1:
                yield Button("Next account", id="next")

    def on_mount(self) -> None:
        """Draw the first code."""
        self._draw()

    def on_resize(self) -> None:
        """Say so when a code does not fit."""
        self._draw()
        super().on_resize()

    @on(Input.Changed, "#amount")
    def _changed(self) -> None:
        self._draw()

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
        self._draw()

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

    def _draw(self) -> None:
        if self._account is None or not self.is_mounted:
            return
        from wallet.requests import qr

        uri, _ = self._request()
        blocks = not self.nexus.glyphs.ascii
        code = qr(uri, blocks=blocks)
        room_wide, room_high = self.size.width - 4, self.size.height - 6
        fits = len(code[0]) <= room_wide and len(code) <= room_high
        self.query_one("#qr", QrCode).show(code if fits else ())
        reason = self.query_one("#no-code", Line)
        reason.show(f"A QR code needs {len(code[0]) + 4} × {len(code) + 6} cells; this screen is smaller.")
        reason.set_class(fits, "hidden")
        self.query_one("#address", Line).show(groups(self._address()))
