"""An invitation to this network: its short form as a QR code, and the whole of it to copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.widgets import Button

from nexus_tui.dialogs.base import Dialog
from nexus_tui.dialogs.receive import QrCode
from nexus_tui.sanitize import sanitize
from nexus_tui.widgets.line import Line

if TYPE_CHECKING:
    from node.api.records import InvitationView

BOX_ROWS = 8  # of the box around what scrolls, its buttons included
BUTTON_ROWS = 4  # of the same on a phone, where there is no box
BARE_ROWS = 1  # of the same where buttons are one row high


class InvitationDialog(Dialog[None]):
    """Closes without a result. Where a code just fits, everything around it makes room: half a code is none."""

    title_text = "Invitation"
    AUTO_FOCUS = "#cancel"
    CSS = """
    InvitationDialog #title { display: none; }
    InvitationDialog.-narrow #dialog { padding: 0 1; }
    InvitationDialog #card { layout: vertical; height: auto; }
    InvitationDialog #code { height: auto; width: 1fr; align: center top; }
    InvitationDialog #words { height: auto; width: 1fr; }
    InvitationDialog #who { text-style: bold; color: $primary; }
    InvitationDialog.-medium #card, InvitationDialog.-wide #card { layout: horizontal; }
    InvitationDialog.-medium #code, InvitationDialog.-wide #code { width: auto; margin-right: 3; }
    InvitationDialog.-medium #dialog, InvitationDialog.-wide #dialog { width: 78; padding: 1 2; }
    InvitationDialog.-bare #dialog { width: 100%; height: 100%; border: none; padding: 0 1; }
    InvitationDialog.-bare .buttons { margin: 0; }
    InvitationDialog.-bare Button { height: 1; padding: 0 2; border: none; }
    """

    def __init__(self, invitation: InvitationView) -> None:
        super().__init__()
        self._invitation = invitation

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        network = self.nexus.view.network
        with Container(id="card"):
            with Container(id="code"):
                yield QrCode((), id="qr")
            with Vertical(id="words"):
                yield Line(f"Invitation to {sanitize(network.name, 64) if network else 'this network'}", id="who")
                yield Line("", id="no-code", classes="muted hidden")
                yield Line("Whoever has it can join by this node; both must be online then.", classes="muted")
                yield Line(sanitize(self._invitation.uri, 2_000), id="uri", classes="gap")

    def buttons(self) -> ComposeResult:
        """See `Dialog.buttons`."""
        yield Button("Close", id="cancel")
        yield Button("Copy", id="copy")

    def on_mount(self) -> None:
        """Draw the code."""
        self._draw()

    def on_resize(self) -> None:
        """Say so when the code does not fit."""
        self._draw()
        super().on_resize()

    @on(Button.Pressed, "#copy")
    def _copy(self) -> None:
        self.nexus.copy_out(self._invitation.uri, "The invitation")

    def _draw(self) -> None:
        from wallet.requests import qr

        code = qr(self._invitation.compact, blocks=not self.nexus.glyphs.ascii, error="l")
        wide, high = len(code[0]), len(code)
        fits = wide + 3 <= self.size.width and high + BARE_ROWS <= self.size.height
        around = BUTTON_ROWS if self.size.width < 60 else BOX_ROWS
        self.set_class(fits and high + around > self.size.height, "-bare")
        self.query_one("#qr", QrCode).show(code if fits else ())
        reason = self.query_one("#no-code", Line)
        reason.show(f"A QR code needs {wide + 3} × {high + BARE_ROWS} cells; this screen is smaller.")
        reason.set_class(fits, "hidden")
