"""Network: this node's links, how they do, and whom it keeps out. Read only while it is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList

from nexus_tui.bindings import bindings_for, key_of
from nexus_tui.dialogs.confirm import Facts, Rows
from nexus_tui.format import short
from nexus_tui.sanitize import sanitize, text
from nexus_tui.screens.base import MainScreen
from nexus_tui.widgets.line import Line
from nexus_tui.widgets.payments import CardList
from nexus_tui.widgets.peers import ban_line, header, peer_card, peer_row
from node.api.records import PeerView
from node.encoding.node_id import node_text

if TYPE_CHECKING:
    from nexus_tui.live import View
    from node.api.records import BanView, MeshView

TABLE_FROM = 60
"""Columns from which on peers are a table."""
_LIST_EDGE = 3  # what a list keeps for itself: its entries' padding, and its scroll bar


class NetworkScreen(MainScreen):
    """Screen 8."""

    place = "network"
    AUTO_FOCUS = "#peers"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_for("network")]
    CSS = """
    NetworkScreen #mesh-facts { width: 1fr; height: auto; }
    NetworkScreen #mesh-note { width: 1fr; height: auto; margin-top: 1; }
    NetworkScreen.-short #mesh-note { margin-top: 0; }
    NetworkScreen #peers-title, NetworkScreen #peers-head { width: 1fr; height: auto; }
    NetworkScreen #peers-head { color: $muted; padding: 0 1; }
    NetworkScreen #peers { height: 1fr; scrollbar-gutter: stable; }
    """

    def body(self) -> ComposeResult:
        """See `MainScreen.body`."""
        with Vertical(id="body"):
            yield Line("THIS NODE", classes="title")
            yield Facts([], id="mesh-facts")
            yield Line("reading …", id="mesh-note", classes="muted")
            yield Line("", id="peers-title", classes="title gap")
            yield Line("", id="peers-head")
            yield CardList(id="peers")

    def on_mount(self) -> None:
        """Look at the links, and follow the view."""
        self._look(True)
        super().on_mount()

    def on_screen_resume(self, event: object) -> None:
        """Read again, then catch up."""
        self._look(True)
        if self.is_mounted:
            self._changed(self.nexus.view)

    def on_screen_suspend(self) -> None:
        """Nobody looks at the links: they are not read."""
        self._look(False)

    def on_resize(self) -> None:
        """Another width has other columns, and facts of another height."""
        if self.is_mounted:
            self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        self._changed(self.nexus.view)
        self.query_one("#mesh-facts", Facts).refresh(layout=True)

    def _look(self, watched: bool) -> None:
        if self.nexus.live is not None:
            self.nexus.live.look_at_mesh(watched)

    # What is shown

    def show(self, view: View) -> None:
        """See `MainScreen.show`."""
        mesh = view.mesh
        note = self._note(view)
        line = self.query_one("#mesh-note", Line)
        line.show(note)
        line.set_class(not note.plain, "hidden")
        listed = mesh is not None and bool(mesh.peers or mesh.bans)
        for selector in ("#peers-title", "#peers"):
            self.query_one(selector).set_class(not listed, "hidden")
        table = self.size.width >= TABLE_FROM
        head = self.query_one("#peers-head", Line)
        head.set_class(not (table and mesh is not None and mesh.peers), "hidden")
        self.query_one("#mesh-facts", Facts).set_rows(self._facts(mesh) if mesh is not None else [])
        if mesh is None:
            return
        linked = f"{len(mesh.peers)} PEER{'S' if len(mesh.peers) != 1 else ''}"
        self.query_one("#peers-title", Line).show(f"{linked}, {len(mesh.bans)} BANNED" if mesh.bans else linked)
        peers = self.query_one("#peers", CardList)
        head.show(header(self.query_one("#body").content_size.width - _LIST_EDGE))
        now, glyphs = self.nexus.now_ms(), self.nexus.glyphs

        def lines(entry: PeerView | BanView, width: int) -> Content:
            if not isinstance(entry, PeerView):
                return ban_line(entry, width, glyphs, now)
            return peer_row(entry, width) if table else peer_card(entry, width)

        entries: list[tuple[str, PeerView | BanView]] = [(f"peer-{peer.node.hex()}", peer) for peer in mesh.peers]
        peers.fill([*entries, *((f"ban-{ban.node.hex()}", ban) for ban in mesh.bans)], lines)

    def _facts(self, mesh: MeshView) -> Rows:
        hosts = " ".join(sanitize(host, 80) for host in mesh.hosts)
        listens = f"port {mesh.port} at {hosts or 'no address'}" if mesh.port else "nowhere: it only calls"
        state = "fetches what it missed" if mesh.syncing else "misses nothing it knows of"
        return [
            ("Node", short(node_text(mesh.node), 12, 6)),
            ("Listens", listens),
            ("Knows", f"{mesh.known:,} address{'es' if mesh.known != 1 else ''}"),
            ("Blocks", Content.styled(state, "$warning") if mesh.syncing else state),
        ]

    def _note(self, view: View) -> Content:
        """Why there is nothing to see, or what to do next; empty where all is there."""
        fault = view.fault or view.mesh_fault
        if fault is not None:
            kept = "What is shown was true until then. " if view.mesh is not None else ""
            return Content.assemble(
                text(fault.message, "$error" if view.fault else ""), "\n", text(f"{kept}{fault.hint}", "$muted")
            )
        if view.mesh is None:
            return Content("reading …")
        if view.mesh.peers:
            return Content("")
        invite, connect = (key_of(name, self.nexus.rebound) for name in ("mesh.invite", "mesh.connect"))
        return Content(
            f"No peer is linked. Invite somebody ({invite}), or connect to a node whose address or invitation you have "
            f"({connect}). Nodes in one local network find each other by themselves, if mesh.discovery is on."
        )

    # What is chosen

    def chosen_peer(self) -> PeerView | None:
        """The peer under the cursor."""
        mesh, chosen = self.nexus.view.mesh, self._chosen()
        return next((peer for peer in mesh.peers if f"peer-{peer.node.hex()}" == chosen), None) if mesh else None

    def chosen_ban(self) -> BanView | None:
        """The banned node under the cursor."""
        mesh, chosen = self.nexus.view.mesh, self._chosen()
        return next((ban for ban in mesh.bans if f"ban-{ban.node.hex()}" == chosen), None) if mesh else None

    def _chosen(self) -> str | None:
        found = self.query("#peers").results(CardList)
        return next((peers.chosen for peers in found), None)

    @on(OptionList.OptionHighlighted, "#peers")
    def _moved(self) -> None:
        self.refresh_bindings()

    @on(OptionList.OptionSelected, "#peers")
    def _open(self) -> None:
        peer = self.chosen_peer()
        if peer is not None:
            from nexus_tui.dialogs.peer import PeerDialog

            self.nexus.push_screen(PeerDialog(peer))
