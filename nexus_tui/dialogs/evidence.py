"""Proofs of offences that the node holds; one is chosen to be sent, and confirmed with who loses what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Button, OptionList

from nexus_tui.dialogs.base import Dialog
from nexus_tui.dialogs.confirm import Facts, Rows
from nexus_tui.drawing.words import accusation, evidence_standing
from nexus_tui.format import address_text, groups, short
from nexus_tui.sanitize import sanitize, text
from nexus_tui.widgets.line import Line
from nexus_tui.widgets.payments import CardList, full_amount
from node.encoding.amounts import format_amount

if TYPE_CHECKING:
    from node.api.records import EvidenceView
    from wallet.accusations import EvidencePlan
    from wallet.keystore import Account


class EvidenceDialog(Dialog[bytes]):
    """Gives the id of the proof that is to be sent."""

    title_text = "Offences"
    AUTO_FOCUS = ""
    CSS = "EvidenceDialog #proofs { height: auto; }"

    def __init__(self, proofs: tuple[EvidenceView, ...], prefix: str) -> None:
        super().__init__()
        self._proofs, self._prefix = proofs, prefix

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        if not self._proofs:
            yield Line("This node has seen no offence: nobody made two blocks for one slot, or voted against himself.")
            return
        yield Line(
            "Proofs that this node holds. Anyone may send one; the offender loses stake and never validates again.",
            classes="muted",
        )
        yield CardList(id="proofs", classes="gap")

    def buttons(self) -> ComposeResult:
        """See `Dialog.buttons`."""
        yield Button("Close", id="cancel")
        if any(proof.status == "open" for proof in self._proofs):
            yield Button("Send", id="send")

    def on_mount(self) -> None:
        """Fill the list, once it has a width."""
        self.query_one("#proofs" if self._proofs else "#cancel").focus()
        for proofs in self.query("#proofs").results(CardList):
            proofs.fill([(proof.id.hex(), proof) for proof in self._proofs], self._lines)

    def _lines(self, proof: EvidenceView, width: int) -> Content:
        who = short(address_text(proof.validator, self._prefix)) + (" (this node's own)" if proof.own else "")
        state = f"loses {format_amount(proof.loss)} NXT" if proof.status == "open" else evidence_standing(proof)
        about = Content.assemble((sanitize(proof.what, 200), "$muted")).wrap(max(width, 8))
        style = "$warning" if proof.status == "open" else "$muted"
        return Content("\n").join([Content.assemble((who, "bold")), *about, Content.assemble((state, style))])

    @on(OptionList.OptionSelected, "#proofs")
    @on(Button.Pressed, "#send")
    def _send(self) -> None:
        chosen = self.query_one("#proofs", CardList).chosen
        proof = next((proof for proof in self._proofs if proof.id.hex() == chosen), None)
        if proof is None:
            return
        if proof.status == "open":
            self.dismiss(proof.id)
        else:
            self.nexus.say(f"That proof costs nobody anything any more: {evidence_standing(proof)}.")


class ConfirmEvidence(Dialog[bool]):
    """What will be signed, and who loses what by it. Enter cancels."""

    title_text = "Send this proof?"
    AUTO_FOCUS = "#cancel"

    def __init__(self, plan: EvidencePlan, account: Account, prefix: str) -> None:
        super().__init__()
        self._plan, self._account, self._prefix = plan, account, prefix

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        plan, proof = self._plan, self._plan.evidence
        rows: Rows = [
            ("Offender", groups(address_text(proof.validator, self._prefix))),
            ("Offence", sanitize(proof.what)),
            ("It loses", Content.styled(full_amount(proof.loss), "bold")),
            ("Its stake", full_amount(proof.stake)),
            ("From", sanitize(self._account.label, 64)),
            ("Fee", f"{full_amount(plan.fee)}, given back if the proof counts"),
        ]
        yield Facts(rows)
        for sentence in accusation(proof, self._prefix)[2:]:
            yield Line(text(f"{self.nexus.glyphs.warning} {sentence}", "$warning"), classes="gap")
        yield Line(
            "What it loses goes to ECOSYSTEM_FUND, and it is excluded from validating for good. Nothing of that can be "
            "taken back. If somebody else's proof is in a block first, the fee is charged.",
            classes="muted gap",
        )

    def buttons(self) -> ComposeResult:
        """See `Dialog.buttons`."""
        yield Button("Cancel", id="cancel")
        yield Button("Send", id="yes")

    @on(Button.Pressed, "#yes")
    def _yes_pressed(self) -> None:
        self.dismiss(True)
