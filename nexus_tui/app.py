"""The app: screens, themes, commands, and what must hold on every screen (experience.md).

Built by `nexus_tui.factory`; screens and dialogs are imported when they are first opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from textual import work
from textual.binding import BindingType
from textual.screen import Screen
from textual.signal import Signal
from textual.worker import Worker, WorkerState

from nexus_tui import crash
from nexus_tui.bindings import bindings_for, keymap
from nexus_tui.commands import BY_ID
from nexus_tui.glyphs import choose
from nexus_tui.guard import GuardedApp
from nexus_tui.live import Live, View
from nexus_tui.sanitize import sanitize
from nexus_tui.settings import Preferences
from nexus_tui.terminal import Terminal
from nexus_tui.themes import BUILT_IN, DEFAULTS, load_themes
from node.api.errors import NexusError, NoNode

if TYPE_CHECKING:
    from textual.command import Provider

    from nexus_tui.household import Household
    from nexus_tui.screens.wallet import WalletScreen
    from nexus_tui.screens.wizard import Onboarding
    from node.api.interface import NodeApi
    from node.api.records import TransactionView
    from wallet.history import AddressNames, HistoryRow
    from wallet.keystore import Account


Severity = Literal["information", "warning", "error"]


def _home() -> Screen[Any]:
    from nexus_tui.screens.home import HomeScreen

    return HomeScreen()


def _wallet() -> Screen[Any]:
    from nexus_tui.screens.wallet import WalletScreen

    return WalletScreen()


def _dag() -> Screen[Any]:
    from nexus_tui.screens.dag import DagScreen

    return DagScreen()


def _network() -> Screen[Any]:
    from nexus_tui.screens.network import NetworkScreen

    return NetworkScreen()


def _settings() -> Screen[Any]:
    from nexus_tui.screens.settings import SettingsScreen

    return SettingsScreen()


def _wizard() -> Screen[Any]:
    from nexus_tui.screens.wizard import WizardScreen

    return WizardScreen()


def _palette() -> type[Provider]:
    from nexus_tui.palette import CommandProvider

    return CommandProvider


class NexusApp(GuardedApp):
    """`household` is None on an empty machine: then the wizard opens and `onboarding` makes one."""

    TITLE = "Nexus"
    CSS_PATH = "styles/base.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("everywhere")
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "home": _home,
        "wallet": _wallet,
        "dag": _dag,
        "network": _network,
        "settings": _settings,
        "wizard": _wizard,
    }
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_palette}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-medium"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (22, "-tall")]  # noqa: RUF012

    def __init__(
        self,
        household: Household | None,
        *,
        now_ms: Callable[[], int],
        onboarding: Onboarding | None = None,
        preferences: Preferences | None = None,
        terminal: Terminal | None = None,
        home: Path,
        notice: str = "",
    ) -> None:
        self.household = household
        self.onboarding = onboarding
        self.preferences = preferences or Preferences()
        self.terminal = terminal or Terminal()
        self.glyphs = choose(self.preferences.glyphs, self.terminal.unicode)
        self.now_ms = now_ms
        self.live: Live | None = None
        self.amounts_hidden = self.preferences.hide_amounts
        self.chosen: bytes | None = None
        self.home = home
        self._notice = notice
        self._node_pid = 0
        super().__init__(home / "logs" / "app-faults.log")
        self.animation_level = "none"
        self.view_changed: Signal[View] = Signal(self, "view")
        self.rebound, self._clashes = keymap(self.preferences.keymap)
        if self.terminal.termux:
            self.scroll_sensitivity_y = 1.0
        for name in list(self.available_themes):
            if name not in ("textual-dark", "textual-light"):
                self.unregister_theme(name)
        for theme in BUILT_IN:
            self.register_theme(theme)
        own, self._theme_faults = load_themes(home / "themes")
        for theme in own:
            self.register_theme(theme)
        self.own_themes = tuple(theme.name for theme in own)
        self.theme = self._theme_name()

    # Start and end

    async def on_mount(self) -> None:
        """Show the first screen at once; the node opens behind it."""
        self.set_keymap(self.rebound)
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            for number in (signal.SIGHUP, signal.SIGTERM):
                loop.add_signal_handler(number, self.exit)
        self.app_suspend_signal.subscribe(self, lambda _: self.hide_secrets())
        if self.household is None:
            await self.switch_mode("wizard")
        else:
            await self.enter(self.household)
        for fault in (*self._theme_faults, *self._clashes):
            self.say(fault, "warning")

    async def enter(self, household: Household) -> None:
        """Open the node of a household and show Home."""
        self.household = household
        self.live = Live(household, self._publish)
        await self.switch_mode("home")
        self.live.start()
        if self._notice:
            self.say(self._notice)

    def on_app_focus(self) -> None:
        """The terminal came to the front."""
        if self.live is not None:
            self.live.come_to_front()

    async def on_unmount(self) -> None:
        """Close the node in this process: whatever was accepted is on disk when this returns."""
        await self.close_node()

    async def close_node(self) -> None:
        """Close the node, once."""
        live, self.live = self.live, None
        if live is not None:
            await live.close()

    def hide_secrets(self) -> None:
        """Clear what must not stay on a suspended terminal."""
        for widget in self.screen.query(".secret"):
            getattr(widget, "clear", lambda: None)()

    async def ask_quit(self) -> None:
        """Quit, asking first when a node would stop with the app."""
        status = self.live.view.status if self.live is not None else None
        if status is None or status.pid != os.getpid():
            self.exit()
            return
        from nexus_tui.dialogs.confirm import Question

        def answered(yes: bool | None) -> None:
            if yes:
                self.exit()

        question = Question(
            "Quit Nexus?",
            "The node runs inside this app and stops with it. Nothing is lost; it goes on when you come back.",
            yes="Quit",
            no="Stay",
            focus_yes=True,
        )
        self.push_screen(question, answered)

    # Commands

    async def action_command(self, command_id: str) -> None:
        """Run a command by its id."""
        command = BY_ID[command_id]
        if not command.available(self):
            return
        try:
            await command.run(self)
        except NexusError as error:
            self.fail(error)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Commands that make no sense now are not offered."""
        if action == "command" and parameters:
            command = BY_ID.get(str(parameters[0]))
            return command is not None and command.available(self)
        return True

    def action_command_palette(self) -> None:
        """Open the palette over the screen."""
        from nexus_tui.palette import Palette

        if not self.screen.has_class("--textual-command-palette"):
            self.push_screen(Palette(id="--command-palette"))

    async def go(self, place: str) -> None:
        """Change to a screen."""
        if self.current_mode != place:
            await self.switch_mode(place)

    async def wallet_screen(self) -> WalletScreen:
        """The wallet's screen, changed to if another one was shown."""
        from nexus_tui.screens.wallet import WalletScreen

        await self.go("wallet")
        screen = self.screen
        assert isinstance(screen, WalletScreen)
        return screen

    def start(self, job: Coroutine[Any, Any, None], name: str = "") -> Worker[None]:
        """Run `job` beside the screens. Its `NexusError` is shown; any other fault is logged and told, not fatal."""

        async def guarded() -> None:
            try:
                await job
            except NexusError as error:
                self.fail(error)

        return self.run_worker(guarded(), name=name, exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A worker met a fault of the program."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            logged = crash.write_log(self.fault_log, event.worker.error)
            where = f" Details are in {self.fault_log}." if logged else ""
            self.say(f"That did not work: a fault of the program. Nothing was sent unless it said so.{where}", "error")

    # What is shown

    def say(self, message: str, severity: Severity = "information") -> None:
        """A toast. `message` may quote others: it is sanitized and never read as markup."""
        self.notify(sanitize(message, 400), severity=severity, markup=False, timeout=8 if severity == "error" else 5)

    def fail(self, error: NexusError) -> None:
        """Say what happened, what was kept and what to do."""
        self.say(f"{error.message} {error.hint}".strip(), "error")

    def _publish(self, view: View) -> None:
        if view.status is not None and view.status.pid != self._node_pid:
            if self._node_pid and view.status.pid == os.getpid():
                self.say("The node that ran beside the app has stopped; it goes on inside this app.", "warning")
            self._node_pid = view.status.pid
        if self._running:
            self.view_changed.publish(view)

    @property
    def view(self) -> View:
        """The newest view of node and wallet."""
        return self.live.view if self.live is not None else View()

    def node_api(self) -> NodeApi:
        """The node. Raises NoNode while none answers."""
        api = self.live.api if self.live is not None else None
        if api is None:
            raise NoNode("no_node", "The node does not answer. Nothing was sent.", "Wait, or see `nexus status`.")
        return api

    def selected_account(self) -> Account | None:
        """The account that was chosen last, else the first that can sign."""
        accounts = [line.account for line in self.view.lines]
        for account in accounts:
            if account.address == self.chosen:
                return account
        return next((account for account in accounts if account.can_sign), accounts[0] if accounts else None)

    def choose_account(self, address: str) -> None:
        """Remember the account with this address as the chosen one."""
        for line in self.view.lines:
            if line.address == address:
                self.chosen = line.account.address

    def names(self) -> AddressNames:
        """Names for addresses: own accounts and contacts. Contacts that cannot be read are left out."""
        from wallet.contacts import Contact
        from wallet.history import AddressNames

        contacts = self.live.contacts if self.live is not None else None
        known: tuple[Contact, ...] = ()
        if contacts is not None:
            with contextlib.suppress(NexusError):
                known = contacts.list()
        if self.live is not None and self.live.faucet:
            known = (Contact("Faucet", self.live.faucet), *known)
        return AddressNames.of([line.account for line in self.view.lines], known)

    def rows(self, transactions: Sequence[TransactionView]) -> tuple[HistoryRow, ...]:
        """Transactions as the owner sees them."""
        if self.view.network is None or not transactions:
            return ()
        from wallet.history import rows

        return rows(transactions, self.names(), self.view.network.hrp)

    def open_payment(self, txid: str) -> None:
        """Show one payment of the history in full."""
        from nexus_tui.dialogs.payment import PaymentDialog

        for row in self.rows(self.view.history):
            if row.txid.hex() == txid:
                self.push_screen(PaymentDialog(row))
                return

    def toggle_amounts(self) -> None:
        """Hide or show amounts."""
        self.amounts_hidden = not self.amounts_hidden
        self._publish(self.view)

    def use_mouse(self, wanted: bool) -> None:
        """Mouse and touch from now on, and at the next start."""
        self.preferences = self.preferences.changed(mouse=wanted)
        if (switch := getattr(self._driver, "use_mouse", None)) is not None:
            switch(wanted)
        self.keep("app.mouse", str(wanted).lower())
        self._publish(self.view)

    def copy_address(self, account: Account | None) -> None:
        """Send an address to the terminal's clipboard, and say honestly that it may not arrive."""
        if account is None or self.live is None or self.live.wallet is None:
            return
        self.copy_out(self.live.wallet.address_text(account), f"The address of {account.label}")

    def copy_out(self, value: str, what: str) -> None:
        """OSC 52; terminals need not listen, and tmux has to be told."""
        self.copy_to_clipboard(value)
        hint = " In tmux it needs: set -g set-clipboard on." if self.terminal.tmux else ""
        self.say(f"{what} was sent to the terminal's clipboard.{hint}")

    def lock_wallet(self) -> None:
        """Lock the wallet here and in every program that has it open."""
        if self.live is not None and self.live.wallet is not None:
            self.live.wallet.lock_everywhere()
            self.say("The wallet is locked. Balances stay visible; sending asks for the passphrase.")
            self.refresh_bindings()
            self._publish(self.view)

    @work(exclusive=True, group="auto-lock", exit_on_error=False)
    async def watch_lock(self) -> None:
        """After an unlock: wait until the wallet has locked itself, then show it. Nothing is drawn meanwhile."""
        wallet = self.live.wallet if self.live is not None else None
        while wallet is not None and (seconds := wallet.seconds_to_lock) is not None:  # noqa: ASYNC110 (use moves it)
            await asyncio.sleep(max(seconds, 0.2))
        self.refresh_bindings()
        self._publish(self.view)

    def _theme_name(self) -> str:
        wanted = self.preferences.theme
        if not self.terminal.color:
            dark = wanted not in ("light", "ansi-light") and not self.terminal.light
            return "ansi-dark" if dark else "ansi-light"
        if wanted == "auto":
            return self.terminal.auto_theme
        if wanted not in self.available_themes:
            self._theme_faults = [*self._theme_faults, f"There is no theme {wanted!r}; the default is used."]
            return self.terminal.auto_theme
        return wanted

    @property
    def theme_names(self) -> tuple[str, ...]:
        """Themes to choose from: the built-in ones, then the person's own."""
        return (*(theme.name for theme in BUILT_IN), *self.own_themes)

    def keep(self, name: str, value: str) -> None:
        """Write one setting; a configuration that cannot be written is told, the change stays for this run."""
        try:
            self.preferences.save(name, value)
        except NexusError as error:
            self.say(f"Not kept for the next start: {error.message} {error.hint}", "warning")
            return
        shown = ((n, value, "file") if n == name else (n, old, source) for n, old, source in self.preferences.shown)
        self.preferences = self.preferences.changed(shown=tuple(shown))

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Values for this app's own variables where a theme has none."""
        return dict(DEFAULTS)
