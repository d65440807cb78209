"""Commands that work on every screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus_tui.commands.base import NETWORK, Command, front

if TYPE_CHECKING:
    from nexus_tui.app import NexusApp


class GoHome(Command):
    """Balance, health of the node and what happened last."""

    id = "go.home"
    title = "Home"
    keys = "1"

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        await app.go("home")

    @classmethod
    def available(cls, app: NexusApp) -> bool:
        """See `Command.available`."""
        return app.household is not None


class GoWallet(GoHome):
    """Accounts, sending, receiving, history and contacts."""

    id = "go.wallet"
    title = "Wallet"
    keys = "3"

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        await app.go("wallet")


class GoDag(GoHome):
    """The live drawing of all blocks, and what is inside one."""

    id = "go.dag"
    title = "DAG"
    keys = "6"

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        await app.go("dag")


class GoNetwork(GoHome):
    """Links to other nodes, invitations, and whom this node keeps out."""

    id = "go.network"
    title = "Network"
    keys = "8"

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        await app.go("network")

    @classmethod
    def shown(cls, app: NexusApp) -> bool:
        """See `Command.shown`: where there can be links."""
        status = app.view.status
        return getattr(front(app), "place", "") == NETWORK or (status is not None and status.peers is not None)


class GoSettings(GoHome):
    """Profile, themes, keys, node and configuration."""

    id = "go.settings"
    title = "Settings"
    keys = "0"

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        await app.go("settings")


class RetryNode(Command):
    """Try once more to reach or to start the node."""

    id = "node.retry"
    title = "Try the node again"
    keys = "x"
    label = "Try again"
    order = 5

    @classmethod
    def available(cls, app: NexusApp) -> bool:
        """See `Command.available`."""
        return app.live is not None and app.live.view.fault is not None

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        if app.live is not None:
            app.live.retry()


class SetTheme(Command):
    """Choose the colours: dark, light, high contrast, the terminal's own, or yours."""

    id = "app.theme"
    title = "Change theme"
    keys = "t"
    label = "Theme"
    order = 61
    places = ("settings", "home")

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.dialogs.theme import ThemeDialog

        app.push_screen(ThemeDialog())


class ToggleMouse(Command):
    """Mouse and touch on or off: without them a tap raises the keyboard on a phone, and text can be selected."""

    id = "app.mouse"
    title = "Mouse on or off"
    keys = "m"
    label = "Mouse"
    order = 62
    places = ("settings",)

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.bindings import key_of

        wanted = not app.preferences.mouse
        app.use_mouse(wanted)
        key = key_of(cls.id, app.rebound)
        app.say("Mouse and touch are on." if wanted else f"Mouse and touch are off; {key} switches them on again.")


class ToggleAmounts(Command):
    """Hide all amounts behind dots, or show them again: for eyes beside yours."""

    id = "app.hide_amounts"
    title = "Hide or show amounts"
    keys = "z"
    label = "Hide"
    order = 60
    places = ("home", "wallet")

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        app.toggle_amounts()


class ShowHelp(Command):
    """Explain this screen and list its keys."""

    id = "app.help"
    title = "Help"
    keys = "?,f1"
    label = "Help"
    order = 90

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.screens.help import HelpScreen

        if not isinstance(app.screen, HelpScreen):
            app.push_screen(HelpScreen.for_screen(app.screen))


class ReadProtocol(Command):
    """The rules that every node agrees on, as this version follows them."""

    id = "app.protocol"
    title = "Read the protocol"
    keys = "p"

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.screens.help import HelpScreen

        if not isinstance(app.screen, HelpScreen):
            app.push_screen(HelpScreen("protocol"))


class ShowPalette(Command):
    """Find any command by typing a part of its name."""

    id = "app.palette"
    title = "All commands"
    keys = ":,ctrl+p"
    label = "More"
    order = 95

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        app.action_command_palette()


class Quit(Command):
    """Close the app. A node that runs inside it stops; nothing is lost."""

    id = "app.quit"
    title = "Quit"
    keys = "q"

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        await app.ask_quit()
