"""Commands about the links of this node: inviting, calling, and keeping out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus_tui.commands.base import NETWORK, Command, front

if TYPE_CHECKING:
    from nexus_tui.app import NexusApp
    from nexus_tui.screens.network import NetworkScreen


def _screen(app: NexusApp) -> NetworkScreen | None:
    """The network's screen while it is shown; an app that starts has no screen yet."""
    screen = front(app)
    if getattr(screen, "place", "") != NETWORK:
        return None
    from nexus_tui.screens.network import NetworkScreen

    return screen if isinstance(screen, NetworkScreen) else None


class Invite(Command):
    """Make an invitation to this network, as text and as a QR code: whoever has it can join by this node."""

    id = "mesh.invite"
    title = "Invite somebody"
    keys = "i"
    label = "Invite"
    order = 10
    places = (NETWORK,)

    @classmethod
    def available(cls, app: NexusApp) -> bool:
        """See `Command.available`."""
        return _screen(app) is not None and app.view.mesh is not None

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.dialogs.invitation import InvitationDialog

        app.push_screen(InvitationDialog(await app.node_api().invitation()))


class ShowMap(Command):
    """Show the map of the mesh as this node knows it, or the list of peers again; wide screens have room for both."""

    id = "mesh.map"
    title = "Map of the mesh"
    keys = "m"
    label = "Map"
    order = 9
    places = (NETWORK,)

    @classmethod
    def available(cls, app: NexusApp) -> bool:
        """See `Command.available`."""
        return _screen(app) is not None and app.view.mesh is not None

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        if (screen := _screen(app)) is not None:
            screen.toggle_map()


class ConnectNode(Invite):
    """Call a node by its id and address, or by an invitation to this network, and remember it."""

    id = "mesh.connect"
    title = "Connect to a node"
    keys = "c"
    label = "Connect"
    order = 11

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.flows import connect

        connect(app)


class BanPeer(Command):
    """Do not talk to the chosen peer for a day; the link to it ends."""

    id = "mesh.ban"
    title = "Ban the peer"
    keys = "b"
    label = "Ban"
    order = 12
    places = (NETWORK,)

    @classmethod
    def available(cls, app: NexusApp) -> bool:
        """See `Command.available`."""
        screen = _screen(app)
        return screen is not None and screen.chosen_peer() is not None

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.flows import ban

        screen = _screen(app)
        peer = screen.chosen_peer() if screen is not None else None
        if peer is not None:
            ban(app, peer.node)


class UnbanPeer(Command):
    """Let the chosen node in again before its time is over."""

    id = "mesh.unban"
    title = "Lift the ban"
    keys = "u"
    label = "Unban"
    order = 13
    places = (NETWORK,)

    @classmethod
    def available(cls, app: NexusApp) -> bool:
        """See `Command.available`."""
        screen = _screen(app)
        return screen is not None and screen.chosen_ban() is not None

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.flows import unban

        screen = _screen(app)
        banned = screen.chosen_ban() if screen is not None else None
        if banned is not None:
            unban(app, banned.node)


class WakeNode(Command):
    """Let a node that sleeps to spare data make its links and look at the network now."""

    id = "mesh.wake"
    title = "Look at the network now"
    keys = "a"
    label = "Awake"
    order = 15
    places = (NETWORK,)

    @classmethod
    def available(cls, app: NexusApp) -> bool:
        """See `Command.available`."""
        mesh = app.view.mesh
        return _screen(app) is not None and mesh is not None and mesh.sparing is not None and mesh.sparing.asleep

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        await app.node_api().wake()
        if app.live is not None:
            app.live.mark("status", "mesh")
