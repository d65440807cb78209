"""Commands about the DAG: following it, finding a block, looking into one, and how far all is final."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus_tui.commands.base import DAG, HOME, Command, front

if TYPE_CHECKING:
    from nexus_tui.app import NexusApp


class _OnDag(Command):
    """Makes sense while the DAG is shown and there is something to show."""

    places = (DAG,)

    @classmethod
    def available(cls, app: NexusApp) -> bool:
        """See `Command.available`."""
        return getattr(front(app), "place", "") == DAG and bool(app.view.dag and app.view.dag.blocks)


class FollowDag(_OnDag):
    """Keep the newest block in sight as blocks arrive, or stay where you are."""

    id = "dag.follow"
    title = "Follow the tip"
    keys = "f"
    label = "Follow"
    order = 10

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.screens.dag import DagScreen

        if isinstance(app.screen, DagScreen):
            app.screen.toggle_follow()


class FindBlock(_OnDag):
    """Find a block by its id or the first digits of it."""

    id = "dag.find"
    title = "Find a block"
    keys = "/"
    label = "Find"
    order = 11

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.screens.dag import DagScreen

        if isinstance(app.screen, DagScreen):
            app.screen.open_search()


class InspectBlock(_OnDag):
    """Show the chosen block in full: header, wave signature, votes, transactions and acceptance."""

    id = "dag.inspect"
    title = "Inspect the block"
    keys = "i"
    label = "Inspect"
    order = 12

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.screens.dag import DagScreen

        if isinstance(app.screen, DagScreen):
            app.screen.inspect()


class ShowFinality(Command):
    """How far all is final: checkpoints, and who voted for them in which regions."""

    id = "dag.finality"
    title = "Finality and validators"
    keys = "v"
    label = "Finality"
    order = 13
    places = (HOME, DAG)

    @classmethod
    def available(cls, app: NexusApp) -> bool:
        """See `Command.available`."""
        return app.live is not None and app.live.api is not None

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.dialogs.finality import FinalityDialog

        network = app.view.network
        if network is not None:
            app.push_screen(FinalityDialog(await app.node_api().finality(), network))

    @classmethod
    def shown(cls, app: NexusApp) -> bool:
        """See `Command.shown`."""
        return getattr(front(app), "place", "") == DAG or warned(app, "finality", "long_silence")


class ShowOffences(ShowFinality):
    """Proofs of offences that this node holds; send one, and the offender loses stake."""

    id = "dag.evidence"
    title = "Offences and evidence"
    keys = "o"
    label = "Offences"
    order = 14

    @classmethod
    async def run(cls, app: NexusApp) -> None:
        """See `Command.run`."""
        from nexus_tui.flows import evidence

        evidence(app)

    @classmethod
    def shown(cls, app: NexusApp) -> bool:
        """See `Command.shown`."""
        return getattr(front(app), "place", "") == DAG or warned(app, "offence")


def warned(app: NexusApp, *codes: str) -> bool:
    """Whether an alert stands whose code begins so."""
    alerts = app.view.status.alerts if app.view.status is not None else ()
    return any(alert.code.startswith(codes) for alert in alerts)
