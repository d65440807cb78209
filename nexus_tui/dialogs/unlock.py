"""The passphrase, asked for only when a signature is needed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.widgets import Button, Input

from nexus_tui.dialogs.base import Dialog
from nexus_tui.sanitize import sanitize, text
from nexus_tui.widgets.fields import SecretField
from nexus_tui.widgets.line import Line
from node.api.errors import NexusError

if TYPE_CHECKING:
    from wallet.wallet import Wallet


class UnlockDialog(Dialog[bool]):
    """Dismissed with True once the wallet is open. A wrong passphrase stays here and says how long to wait."""

    title_text = "Unlock the wallet"
    AUTO_FOCUS = "#passphrase"

    def __init__(self, wallet: Wallet, why: str) -> None:
        super().__init__()
        self._wallet, self._why = wallet, why
        self._busy = False

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        yield Line(text(f"{self._why} needs the passphrase of the wallet “{self._wallet.name}”."))
        yield SecretField("passphrase", id="passphrase")
        yield Line("", id="answer", classes="note")

    def buttons(self) -> ComposeResult:
        """See `Dialog.buttons`."""
        yield Button("Cancel", id="cancel")
        yield Button("Unlock", id="unlock")

    @on(Input.Submitted, "#passphrase")
    @on(Button.Pressed, "#unlock")
    def _try(self) -> None:
        field = self.query_one("#passphrase", SecretField)
        if self._busy or not field.value:
            return
        from wallet.secret import Secret

        self._busy = True
        self.query_one("#answer", Line).show("opening …")
        self.nexus.start(self._unlock(Secret.of(field.take())), "unlock")

    async def _unlock(self, passphrase: object) -> None:
        from wallet.secret import Secret

        assert isinstance(passphrase, Secret)
        answer = self.query_one("#answer", Line)
        try:
            await asyncio.to_thread(self._wallet.unlock, passphrase)
        except NexusError as error:
            answer.show(text(f"{sanitize(error.message)} {sanitize(error.hint)}".strip(), "$error"))
            self.query_one("#passphrase", SecretField).focus()
            return
        finally:
            passphrase.wipe()
            self._busy = False
        self.nexus.watch_lock()
        self.dismiss(True)
