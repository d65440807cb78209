"""What a person can configure above the node: the sections `[wallet]`, `[app]` and `[keys]`.

Pure data, read by the command line too: nothing here imports Textual. A key is rebound by the id of its command with
the dot written as an underscore (`wallet_send = "s"`); several keys are separated by commas, an empty text leaves the
default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from nexus_tui.commands import COMMANDS
from node.profile.config import Config
from node.profile.settings import Section, Setting, SettingValue

APP = Section(
    "app",
    "The app on the screen.",
    (
        Setting("theme", "auto", "Name of a theme; auto follows the terminal (Settings lists them).", maximum=64),
        Setting("mouse", True, "Use mouse and touch. On Termux, off lets a tap raise the keyboard."),
        Setting(
            "glyphs",
            "auto",
            "Characters to draw with; auto takes ascii where the locale is not UTF-8.",
            choices=("auto", "unicode", "ascii"),
        ),
        Setting("hide_amounts", False, "Show dots instead of balances until asked (key z)."),
    ),
)

KEYS = Section(
    "keys",
    'Keys of the app\'s commands, for example wallet_send = "s,f2". Empty keeps the default.',
    tuple(
        Setting(command.id.replace(".", "_"), "", f"{command.title} (default {command.keys}).", maximum=64)
        for command in COMMANDS
    ),
)

WALLET = Section(
    "wallet",
    "Wallets.",
    (
        Setting(
            "auto_lock_seconds",
            300,
            "An unlocked wallet locks itself after this long without use; 0: never.",
            0,
            86_400,
        ),
    ),
)

SECTIONS = (WALLET, APP, KEYS)
"""What stands in the configuration above the node's part; `node.profile.config.load` takes it."""


def _keep_nothing(name: str, text: str) -> None:
    """Where no configuration file is behind the app (tests), a change lasts as long as the app."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """Checked values of `[app]` and `[keys]`, and the way to keep a change.

    `save(name, text)` writes one setting by its full name; it may raise `NexusError`.
    """

    theme: str = "auto"
    mouse: bool = True
    glyphs: str = "auto"
    hide_amounts: bool = False
    keymap: Mapping[str, str] = field(default_factory=dict)
    save: Callable[[str, str], object] = _keep_nothing
    shown: tuple[tuple[str, SettingValue, str], ...] = ()

    def changed(self, **values: object) -> Preferences:
        """These preferences with some values replaced, not yet saved."""
        return replace(self, **values)  # type: ignore[arg-type]


def read_preferences(config: Config, save: Callable[[str, str], object] = _keep_nothing) -> Preferences:
    """Preferences out of a loaded configuration that knows `SECTIONS`."""
    keymap = {command.id: keys for command in COMMANDS if (keys := config.text(f"keys.{command.id.replace('.', '_')}"))}
    return Preferences(
        theme=config.text("app.theme"),
        mouse=config.flag("app.mouse"),
        glyphs=config.text("app.glyphs"),
        hide_amounts=config.flag("app.hide_amounts"),
        keymap=keymap,
        save=save,
        shown=tuple(
            (name, value, config.sources[name]) for name, value in config.values.items() if not name.startswith("keys.")
        ),
    )
