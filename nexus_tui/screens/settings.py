"""Settings: profile, look, keys, node, configuration. A list on a phone, list and content side by side elsewhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, OptionList
from textual.widgets.option_list import Option

from nexus_tui.bindings import all_keys, bindings_for
from nexus_tui.commands import COMMANDS
from nexus_tui.dialogs.confirm import NAME_WIDTH, Facts, Rows
from nexus_tui.format import exactly_when, size
from nexus_tui.sanitize import sanitize
from nexus_tui.screens.base import MainScreen
from nexus_tui.widgets.line import Line
from nexus_tui.widgets.masthead import health

if TYPE_CHECKING:
    from nexus_tui.live import View

SECTIONS = {
    "profile": ("Profile", "network, folder, wallet"),
    "look": ("Look", "theme, characters, mouse"),
    "keys": ("Keys", "every command"),
    "node": ("Node", "what the app uses"),
    "config": ("Configuration", "every setting"),
}
HINTS = {
    "profile": "Other profiles open with\nnexus --profile NAME",
    "look": "t changes the theme at once, m switches the mouse. Your own themes are TOML files in the folder “themes”.",
    "keys": 'In config.toml:\n\n[keys]\nwallet_send = "s"\n\nThe command\'s name, its dot an underscore.',
    "node": "nexus node start\nlets a node run without the app; the app then attaches to it.\n\n"
    "nexus config set node.mode full|archive|phone\nchooses what kind of node it is, from its next start on.",
    "config": "nexus config set NAME VALUE\nchanges one setting and keeps your comments.",
}


class SettingsScreen(MainScreen):
    """Screen 0."""

    place = "settings"
    AUTO_FOCUS = "#sections"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings_for("settings"),
        Binding("escape", "back", show=False, id="settings.back"),
    ]
    CSS = """
    SettingsScreen #panes { height: 1fr; }
    SettingsScreen #sections { width: 1fr; height: 1fr; }
    SettingsScreen #content-pane { display: none; width: 1fr; height: 1fr; }
    SettingsScreen.-open #sections { display: none; }
    SettingsScreen.-open #content-pane { display: block; }
    SettingsScreen #heading { margin-bottom: 1; color: $primary; }
    SettingsScreen #content-pane:focus > #heading { text-style: bold underline; }
    SettingsScreen #hint-pane { display: none; width: 30; margin-left: 3; color: $muted; }
    SettingsScreen.-medium #sections { display: block; width: 26; margin-right: 3; }
    SettingsScreen.-wide #sections { display: block; width: 34; margin-right: 3; }
    SettingsScreen.-medium #content-pane, SettingsScreen.-wide #content-pane { display: block; }
    SettingsScreen.-wide #hint-pane { display: block; }
    SettingsScreen #look-buttons, SettingsScreen #back-buttons { display: none; }
    SettingsScreen.-look #look-buttons { display: block; }
    SettingsScreen.-narrow.-open #back-buttons { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._section = "profile"

    def body(self) -> ComposeResult:
        """See `MainScreen.body`."""
        with Vertical(id="body"), Horizontal(id="panes"):
            yield OptionList(
                *(
                    Option(Content.assemble((title, "bold"), "\n", (about, "$muted")), id=key)
                    for key, (title, about) in SECTIONS.items()
                ),
                id="sections",
                markup=False,
            )
            with VerticalScroll(id="content-pane"):
                yield Line("", id="heading", classes="title")
                yield Facts([], id="facts")
                with Horizontal(id="look-buttons", classes="buttons"):
                    yield Button("Theme", id="theme")
                    yield Button("Mouse", id="mouse")
                with Horizontal(id="back-buttons", classes="buttons"):
                    yield Button("Back", id="back")
            yield Line("", id="hint-pane")

    def show(self, view: View) -> None:
        """See `MainScreen.show`."""
        title, _ = SECTIONS[self._section]
        self.query_one("#heading", Line).show(title.upper())
        rows = self._rows(view)
        keys = min(max(len(name) for name, _ in rows) + 1, 16)  # several keys may stand before a command
        self.query_one("#facts", Facts).set_rows(rows, keys if self._section == "keys" else NAME_WIDTH)
        self.query_one("#hint-pane", Line).show(HINTS[self._section])
        self.set_class(self._section == "look", "-look")

    def _rows(self, view: View) -> Rows:
        rows: dict[str, Rows] = {
            "profile": self._profile(view),
            "look": self._look(),
            "keys": self._keys(),
            "node": self._node(view),
            "config": self._config(),
        }
        return rows[self._section]

    def _profile(self, view: View) -> Rows:
        household, live = self.nexus.household, self.nexus.live
        rows: Rows = (
            [("Profile", sanitize(household.name, 40)), ("Folder", sanitize(str(household.folder)))]
            if (household)
            else []
        )
        if view.network is not None:
            rows += [
                ("Network", sanitize(view.network.name, 64)),
                ("Preset", sanitize(view.network.preset, 20)),
                ("Genesis", view.network.genesis.hex()),
                ("Addresses", f"begin with {view.network.hrp}1"),
            ]
        if live is not None and live.wallet is not None:
            count = len(live.wallet.accounts)
            rows += [
                ("Wallet", sanitize(live.wallet.name, 40)),
                ("", f"{count} account{'s' * (count != 1)}, {'unlocked' if live.unlocked else 'locked'}"),
            ]
        return rows

    def _look(self) -> Rows:
        preferences, terminal = self.nexus.preferences, self.nexus.terminal
        drawn = "ascii" if self.nexus.glyphs.ascii else "unicode"
        return [
            ("Theme", self.app.theme),
            ("Yours", ", ".join(self.nexus.own_themes) or "none yet"),
            ("Folder", sanitize(str(self.nexus.home / "themes"))),
            ("Characters", f"{drawn} (setting: {preferences.glyphs})"),
            ("Mouse", "on" if preferences.mouse else "off"),
            ("Colour", "yes" if terminal.color else "no, NO_COLOR is set"),
            ("Screen", f"{self.app.size.width} × {self.app.size.height} cells"),
        ]

    def _keys(self) -> Rows:
        return [
            (
                all_keys(command, self.nexus.rebound),
                Content.assemble(command.title, "  ", (command.id.replace(".", "_"), "$muted")),
            )
            for command in COMMANDS
        ]

    def _node(self, view: View) -> Rows:
        word, colour = health(view)
        rows: Rows = [("State", Content.styled(word, f"${colour}"))]
        if view.fault is not None:
            rows += [("", sanitize(view.fault.message)), ("", sanitize(view.fault.hint))]
        status = view.status
        if status is not None:
            inside = "inside this app" if status.pid == os.getpid() else f"process {status.pid}"
            rows += [
                ("Runs", inside),
                ("Since", exactly_when(status.started_ms)),
                ("Mode", f"{sanitize(status.kind, 20)}, {sanitize(status.mode, 20)}"),
                ("Height", f"{status.height:,}, final {status.final_height:,}"),
                ("Epoch", f"{status.epoch:,}"),
                ("Waiting", f"{status.mempool_transactions:,} ({size(status.mempool_bytes)})"),
                ("Accounts", f"{status.accounts:,}"),
                ("On disk", size(status.database_bytes)),
            ]
            if status.peers is not None:
                rows.append(("Peers", f"{status.peers:,}"))
            rows += [("Alert", f"{sanitize(a.message)} {sanitize(a.hint)}") for a in status.alerts]
        return rows

    def _config(self) -> Rows:
        return [
            (
                source,
                Content.assemble(
                    (name, "bold"),
                    " = ",
                    sanitize(str(value).lower() if isinstance(value, bool) else str(value), 80),
                ),
            )
            for name, value, source in self.nexus.preferences.shown
        ] or [("", "No configuration file is used here.")]

    @on(OptionList.OptionHighlighted, "#sections")
    def _look_at(self, event: OptionList.OptionHighlighted) -> None:
        self._section = event.option.id or "profile"
        self.show(self.nexus.view)

    @on(OptionList.OptionSelected, "#sections")
    def _open(self) -> None:
        if self.has_class("-narrow"):
            self.add_class("-open")
        pane = self.query_one("#content-pane")
        pane.scroll_home(animate=False)
        pane.focus()

    @on(Button.Pressed, "#back")
    def _close(self) -> None:
        self.action_back()

    def action_back(self) -> None:
        """To the list, on a phone."""
        self.remove_class("-open")
        self.query_one("#sections").focus()

    @on(Button.Pressed, "#theme")
    async def _theme(self) -> None:
        await self.nexus.action_command("app.theme")

    @on(Button.Pressed, "#mouse")
    async def _mouse(self) -> None:
        await self.nexus.action_command("app.mouse")
