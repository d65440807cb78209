"""Help: what this screen is for, from packaged Markdown, and its keys, from the commands themselves."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.widgets import Markdown

from nexus_tui.bindings import all_keys
from nexus_tui.commands import commands_at
from nexus_tui.dialogs.base import Dialog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.screen import Screen

PAGES = ("home", "wallet", "dag", "network", "settings", "wizard", "protocol")


@lru_cache
def page(place: str) -> str:
    """The packaged page of a screen, or of a subject."""
    name = place if place in PAGES else "home"
    return files("nexus_tui").joinpath("help", f"{name}.md").read_text(encoding="utf-8")


def keys_page(place: str, rebound: Mapping[str, str]) -> str:
    """The keys of a screen as Markdown."""
    lines = ["## Keys", ""]
    for command in commands_at(place):
        lines.append(f"- **{all_keys(command, rebound)}** · {command.title}. {command.help()}")
    lines += [
        "- **Tab, arrows** · Move; **Enter** chooses, **Esc** goes back.",
        "",
        "Every key can be changed in `config.toml`, section `[keys]`; Settings shows the names.",
    ]
    return "\n".join(lines)


class HelpScreen(Dialog[None]):
    """The whole screen on a phone."""

    title_text = "Help"
    AUTO_FOCUS = "#scroll"
    scrolls = True
    CSS = """
    HelpScreen.-medium #dialog, HelpScreen.-wide #dialog { width: 78; }
    HelpScreen #title { display: none; }
    """

    def __init__(self, place: str) -> None:
        super().__init__()
        self._place = place

    @classmethod
    def for_screen(cls, screen: Screen[Any]) -> HelpScreen:
        """The help of the screen that is shown."""
        return cls(getattr(screen, "place", "home"))

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        yield Markdown(page(self._place) + "\n" + keys_page(self._place, self.nexus.rebound), open_links=False)
