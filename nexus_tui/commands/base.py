"""A command: one class, and the only source of its key, its palette entry, its help line and its footer button.

Ids are stable and dotted; the configuration rebinds them (`[keys]`). Nothing here imports Textual, because the
configuration's keys are made from this list; a command imports what it opens when it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from textual.screen import Screen

    from nexus_tui.app import NexusApp

EVERYWHERE = "everywhere"
HOME, WALLET, DAG, NETWORK, SETTINGS, WIZARD = "home", "wallet", "dag", "network", "settings", "wizard"


def front(app: NexusApp) -> Screen[object]:
    """The screen that commands are about: that which is shown, or that over which the palette is open."""
    screen = app.screen
    return app.screen_stack[-2] if screen.has_class("--textual-command-palette") else screen


class Command:
    """`keys`: comma-separated, the first one shown, at least one a plain letter, digit or sign.

    `label` is the footer's word, "" for no button; `order` sorts the buttons. `places` are the screens where the key
    works. The class's docstring is its help.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    keys: ClassVar[str]
    label: ClassVar[str] = ""
    order: ClassVar[int] = 50
    places: ClassVar[tuple[str, ...]] = (EVERYWHERE,)

    @classmethod
    def help(cls) -> str:
        """One sentence for help and palette."""
        return " ".join((cls.__doc__ or "").split())

    @classmethod
    def available(cls, app: NexusApp) -> bool:
        """Whether it makes sense now; what does not is neither shown nor run."""
        return True

    @classmethod
    def shown(cls, app: NexusApp) -> bool:
        """Whether footer or tab bar have room for it here; the key works all the same."""
        return True

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """Do it. May raise `NexusError`, which the app shows."""
        raise NotImplementedError
