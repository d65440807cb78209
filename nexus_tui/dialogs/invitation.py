"""An invitation to this network: its short form as a QR code, and the whole of it to copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.widgets import Button

from nexus_tui.dialogs.code import CodeDialog
from nexus_tui.sanitize import sanitize
from nexus_tui.widgets.line import Line

if TYPE_CHECKING:
    from node.api.records import InvitationView

BOX_ROWS = 8  # of the box around what scrolls, its buttons included
BUTTON_ROWS = 4  # of the same on a phone, where there is no box
BARE_ROWS = 1  # of the same where buttons are one row high


class InvitationDialog(CodeDialog):
    """Closes without a result. Where a code just fits, everything around it makes room."""

    title_text = "Invitation"
    edge = (3, BARE_ROWS)
    CSS = """
    InvitationDialog.-medium #dialog, InvitationDialog.-wide #dialog { width: 78; padding: 1 2; }
    InvitationDialog.-bare #dialog { width: 100%; height: 100%; border: none; padding: 0 1; }
    InvitationDialog.-bare .buttons { margin: 0; }
    InvitationDialog.-bare Button { height: 1; padding: 0 2; border: none; }
    """

    def __init__(self, invitation: InvitationView) -> None:
        super().__init__()
        self._invitation = invitation

    def words(self) -> ComposeResult:
        """See `CodeDialog.words`."""
        network = self.nexus.view.network
        yield Line(f"Invitation to {sanitize(network.name, 64) if network else 'this network'}", id="who")
        yield Line("Whoever has it can join by this node; both must be online then.", classes="muted")
        yield Line(sanitize(self._invitation.uri, 2_000), id="uri", classes="gap")

    def buttons(self) -> ComposeResult:
        """See `Dialog.buttons`."""
        yield Button("Close", id="cancel")
        yield Button("Copy", id="copy")

    @on(Button.Pressed, "#copy")
    def _copy(self) -> None:
        self.nexus.copy_out(self._invitation.uri, "The invitation")

    def draw(self) -> None:
        """See `CodeDialog.draw`."""
        from wallet.requests import qr

        code = qr(self._invitation.compact, blocks=not self.nexus.glyphs.ascii, error="l")
        fits = self.show_code(code)
        around = BUTTON_ROWS if self.size.width < 60 else BOX_ROWS
        self.set_class(fits and len(code) + around > self.size.height, "-bare")
