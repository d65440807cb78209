"""Home: the balance, whether the node is well, and what happened last."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Digits, OptionList

from nexus_tui.bindings import bindings_for, key_of
from nexus_tui.format import HIDDEN_AMOUNT, fetched, finality, when
from nexus_tui.sanitize import sanitize, text
from nexus_tui.screens.base import MainScreen
from nexus_tui.widgets.line import Line
from nexus_tui.widgets.payments import CardList, account_lines, payment_lines
from node.encoding.amounts import format_amount

if TYPE_CHECKING:
    from nexus_tui.live import View
    from node.api.records import Alert

RECENT = 30
_ANSWERS = {"offence": "dag.evidence", "finality": "dag.finality", "long_silence": "dag.finality"}
"""What in the app answers an alert, by the beginning of its code."""


class HomeScreen(MainScreen):
    """Screen 1."""

    place = "home"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings_for("home"),
        Binding("down,j", "screen.focus('#recent')", show=False, id="home.down"),
    ]
    CSS = """
    HomeScreen #panes { grid-size: 1; grid-rows: auto; height: auto; grid-gutter: 1 3; }
    HomeScreen #panes > Vertical { height: auto; }
    HomeScreen #recent-pane { min-height: 4; }
    HomeScreen #recent { height: auto; }
    HomeScreen #balance { width: 1fr; height: auto; text-style: bold; color: $foreground; margin-top: 1; }
    HomeScreen #balance-line { text-style: bold; display: none; }
    HomeScreen.-short #balance, HomeScreen.-short #balance-unit { display: none; }
    HomeScreen.-short #balance-line { display: block; }
    HomeScreen.-short #panes { grid-gutter: 0 3; }
    HomeScreen.-ascii #balance, HomeScreen.-ascii #balance-unit { display: none; }
    HomeScreen.-ascii #balance-line { display: block; }
    HomeScreen #accounts { height: auto; scrollbar-size-vertical: 0; }
    HomeScreen #accounts-pane { display: none; }
    HomeScreen #facts { height: auto; }
    HomeScreen.-medium #panes { grid-size: 2; grid-columns: 32 1fr; grid-rows: auto 1fr; height: 1fr; }
    HomeScreen.-medium #recent-pane { row-span: 2; height: 1fr; }
    HomeScreen.-medium #recent, HomeScreen.-wide #recent { height: 1fr; }
    HomeScreen.-wide #panes { grid-size: 3; grid-columns: 34 1fr 30; grid-rows: 1fr; height: 1fr; }
    HomeScreen.-wide #recent-pane { height: 1fr; }
    HomeScreen.-wide #accounts-pane { display: block; margin-top: 2; height: auto; }
    HomeScreen #alerts { height: auto; width: 1fr; margin-bottom: 1; padding: 0 1; border-left: thick $warning; }
    """

    def body(self) -> ComposeResult:
        """See `MainScreen.body`."""
        with VerticalScroll(id="body", can_focus=False):
            yield Line("", id="alerts", classes="hidden")
            with Grid(id="panes"):
                with Vertical(id="money-pane"):
                    yield Line("BALANCE", classes="title")
                    yield Digits("", id="balance")
                    yield Line("", id="balance-line")
                    yield Line("", id="balance-unit", classes="muted")
                    yield Line("", id="balance-note", classes="muted")
                    with Horizontal(classes="buttons"):
                        yield Button("Send", id="send", classes="action")
                        yield Button("Receive", id="receive", classes="action")
                    with Vertical(id="accounts-pane"):
                        yield Line("ACCOUNTS", classes="title")
                        yield CardList(id="accounts", classes="grow gap")
                with Vertical(id="recent-pane"):
                    yield Line("RECENT", classes="title")
                    yield Line("", id="nothing", classes="muted gap hidden")
                    yield CardList(id="recent", classes="gap")
                with Vertical(id="node-pane"):
                    yield Line("NODE", classes="title")
                    yield Line("starting …", id="facts", classes="gap")

    def on_mount(self) -> None:
        """Choose between large digits and plain ones, then follow the view."""
        self.set_class(self.nexus.glyphs.ascii, "-ascii")
        super().on_mount()

    def show(self, view: View) -> None:
        """See `MainScreen.show`."""
        self._show_balance(view)
        self._show_recent(view)
        self._show_node(view)
        self._show_alerts(view)
        hidden = self.nexus.amounts_hidden
        self.query_one("#accounts", CardList).fill(
            [(line.address, line) for line in view.lines], lambda line, width: account_lines(line, width, hidden)
        )
        for button in self.query(".action").results(Button):
            button.disabled = self.nexus.live is None or self.nexus.live.wallet is None

    def _show_balance(self, view: View) -> None:
        known = any(line.view is not None for line in view.lines)
        amount = "" if not known else HIDDEN_AMOUNT if self.nexus.amounts_hidden else format_amount(view.total)
        digits = self.query_one("#balance", Digits)
        shown = "" if not known else "----" if self.nexus.amounts_hidden else amount
        if digits.value != shown:
            digits.update(shown)
        count = len(view.counted)
        unit = "" if not known else "NXT" if count == 1 else f"NXT in {count} accounts"
        self.query_one("#balance-line", Line).show(f"{amount} {unit}".strip())
        self.query_one("#balance-unit", Line).show(unit)
        note = ""
        if view.wallet_fault is not None:
            note = f"{view.wallet_fault.message} {view.wallet_fault.hint}"
        elif not known:
            note = "reading …" if view.fault is None else "not known yet"
        elif view.pending and not self.nexus.amounts_hidden:
            note = f"{'+' if view.pending > 0 else '-'}{format_amount(abs(view.pending))} on the way"
        line = self.query_one("#balance-note", Line)
        line.show(sanitize(note))
        line.set_class(not note, "hidden")

    def _show_recent(self, view: View) -> None:
        rows = self.nexus.rows(view.history[:RECENT])
        limit = RECENT if not self.has_class("-narrow") else 6
        glyphs, hidden, now = self.nexus.glyphs, self.nexus.amounts_hidden, self.nexus.now_ms()
        self.query_one("#recent", CardList).fill(
            [(row.txid.hex(), row) for row in rows[:limit]],
            lambda row, width: payment_lines(row, width, glyphs, now, hidden),
        )
        nothing = self.query_one("#nothing", Line)
        nothing.set_class(bool(rows), "hidden")
        if not rows:
            receive, faucet = (key_of(name, self.nexus.rebound) for name in ("wallet.receive", "wallet.faucet"))
            play = f", or {faucet} for play money" if self.nexus.household and self.nexus.household.has_faucet else ""
            nothing.show(
                f"Nothing has moved yet. Press {receive} to show your address{play}." if view.read else "reading …"
            )

    def _show_node(self, view: View) -> None:
        facts = self.query_one("#facts", Line)
        if view.fault is not None and view.status is None:
            facts.show(Content.assemble(text(view.fault.message, "$error"), "\n", text(view.fault.hint, "$muted")))
            return
        status = view.status
        if status is None:
            facts.show(view.opening or "starting …")
            return
        word = {"producing": "makes blocks", "following": "follows", "read-only": "reads only"}.get(status.mode, "")
        rows = [
            ("state", word or sanitize(status.mode, 20)),
            ("height", f"{status.height:,}"),
            ("final", finality(status)),
            ("waiting", f"{status.mempool_transactions:,}"),
            ("since", when(status.started_ms, self.nexus.now_ms())),
        ]
        if view.region:
            rows.insert(3, ("last light", sanitize(view.region, 12)))
        if status.peers is not None:
            rows.insert(-1, ("peers", f"{status.peers:,}" if status.peers else "none yet"))
        if status.sync is not None:
            rows.insert(1, ("fetches", fetched(status.sync)))
        facts.show(Content("\n").join(Content.assemble((f"{name:<11}", "$muted"), value) for name, value in rows))

    def _show_alerts(self, view: View) -> None:
        box = self.query_one("#alerts", Line)
        parts: list[Content] = []
        if view.fault is not None and view.status is not None:
            if view.opening:
                parts.append(text(f"The node begins anew. {view.opening} What you see was true before.", "$warning"))
            else:
                parts.append(text(f"The node does not answer; this is what was known. {view.fault.message}", "$error"))
        alerts = view.status.alerts if view.status is not None else ()
        for place, alert in enumerate(sorted(alerts, key=lambda alert: alert.level != "error")):
            parts.append(self._alert(alert, whole=not place or not self.has_class("-narrow")))
        box.set_class(not parts, "hidden")
        box.show(Content("\n").join(parts))

    def _alert(self, alert: Alert, whole: bool) -> Content:
        """What an alert says, or its first sentence: on a phone the balance must stay in reach."""
        style = {"error": "$error bold", "warning": "$warning bold"}.get(alert.level, "bold")
        message, hint = alert.message, alert.hint
        if not whole and ". " in message:
            message, hint = message.split(". ")[0] + ".", ""
        if hint and hint[-1] not in ".!?":
            hint += "."
        command = next((found for code, found in _ANSWERS.items() if alert.code.startswith(code)), None)
        here = f"Here: {key_of(command, self.nexus.rebound)}." if command is not None else ""
        since = f"Since {when(alert.since_ms, self.nexus.now_ms())}."
        about = " ".join(part for part in (since, hint, here) if part)
        return Content.assemble(text(message, style), "\n", text(about, "$muted"))

    @on(Button.Pressed, "#send")
    async def _send(self) -> None:
        await self.nexus.action_command("wallet.send")

    @on(Button.Pressed, "#receive")
    async def _receive(self) -> None:
        await self.nexus.action_command("wallet.receive")

    @on(OptionList.OptionSelected, "#recent")
    def _open_payment(self, event: OptionList.OptionSelected) -> None:
        self.nexus.open_payment(event.option.id or "")

    @on(OptionList.OptionSelected, "#accounts")
    async def _open_account(self, event: OptionList.OptionSelected) -> None:
        self.nexus.choose_account(event.option.id or "")
        await self.nexus.action_command("wallet.receive")
