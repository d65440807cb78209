"""Network: this node's links, how they do, whom it keeps out, and a map. Read only while it is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import OptionList

from nexus_tui.bindings import bindings_for, key_of
from nexus_tui.dialogs.confirm import Facts, Rows
from nexus_tui.drawing.mesh_map import legend
from nexus_tui.format import progress, short, size, sparing_words, volume
from nexus_tui.sanitize import sanitize, text
from nexus_tui.screens.base import MainScreen
from nexus_tui.traffic import Delays, Rates
from nexus_tui.widgets.line import Line
from nexus_tui.widgets.mesh_map import MeshCanvas
from nexus_tui.widgets.payments import CardList
from nexus_tui.widgets.peers import ban_line, header, map_lines, peer_card, peer_row
from node.api.records import PeerView
from node.encoding.node_id import node_text

if TYPE_CHECKING:
    from nexus_tui.live import View
    from node.api.records import BanView, MeshView, SparingView

TABLE_FROM = 60
"""Columns from which on peers are a table."""
BOTH_FROM = 132
"""Columns from which on the map stands beside the list."""
_SCROLL_BAR = 1


class PeersHead(Line):
    """The names of the columns, for the width there is; its padding is that of the list's entries."""

    def on_resize(self) -> None:
        """Other columns have room."""
        self.show(header(self.content_size.width - _SCROLL_BAR))


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
    NetworkScreen #mesh-panes { height: 1fr; }
    NetworkScreen #list-pane { width: 3fr; height: 1fr; }
    NetworkScreen #map-pane { display: none; width: 2fr; height: 1fr; }
    NetworkScreen.-map #map-pane { display: block; }
    NetworkScreen.-map #list-pane, NetworkScreen.-map #about { display: none; }
    NetworkScreen.-map.-both #list-pane, NetworkScreen.-map.-both #about { display: block; }
    NetworkScreen.-map.-both #map-pane { margin-left: 3; }
    NetworkScreen #about { height: auto; width: 1fr; }
    NetworkScreen #map-title, NetworkScreen #map-chosen, NetworkScreen #map-legend { width: 1fr; height: auto; }
    NetworkScreen #map-chosen { text-wrap: nowrap; text-overflow: ellipsis; }
    NetworkScreen #map-legend { color: $muted; }
    NetworkScreen.-short #map-legend, NetworkScreen.-short #map-title { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._rates, self._delays = Rates(), Delays()
        self._mesh: MeshView | None = None  # as it is shown
        self._map_wanted: bool | None = None  # None: where there is room for both

    def body(self) -> ComposeResult:
        """See `MainScreen.body`."""
        with Vertical(id="body"):
            with Vertical(id="about"):
                yield Line("THIS NODE", classes="title")
                yield Facts([], id="mesh-facts")
            yield Line("reading …", id="mesh-note", classes="muted")
            with Horizontal(id="mesh-panes"):
                with Vertical(id="list-pane"):
                    yield Line("", id="peers-title", classes="title gap")
                    yield PeersHead(id="peers-head")
                    yield CardList(id="peers")
                with Vertical(id="map-pane"):
                    yield Line("", id="map-title", classes="title gap")
                    yield MeshCanvas(self.nexus.glyphs, id="map")
                    yield Line("", id="map-chosen")
                    yield Line("", id="map-legend")

    def on_mount(self) -> None:
        """Look at the links, and follow the view."""
        self._place_panes()
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
        """Another width has other columns, and room for other panes."""
        if self.is_mounted:
            self._place_panes()
            self.call_after_refresh(self._changed, self.nexus.view)

    def _look(self, watched: bool) -> None:
        if self.nexus.live is not None:
            self.nexus.live.look_at_mesh(watched)

    # List and map

    def toggle_map(self) -> None:
        """Show the map, or the list alone; where there is room for both, the map stands beside the list."""
        self._map_wanted = not self.has_class("-map")
        self._place_panes()
        self._changed(self.nexus.view)
        self.query_one("#map" if self._map_wanted else "#peers").focus()

    def _place_panes(self) -> None:
        both = self.size.width >= BOTH_FROM
        self.set_class(both, "-both")
        self.set_class(both if self._map_wanted is None else self._map_wanted, "-map")

    # What is shown

    def show(self, view: View) -> None:
        """See `MainScreen.show`."""
        mesh = self._mesh = None if view.mesh is None else self._delays.steady(view.mesh)
        note = self._note(view)
        line = self.query_one("#mesh-note", Line)
        line.show(note)
        line.set_class(not note.plain, "hidden")
        listed = mesh is not None and bool(mesh.peers or mesh.bans)
        self.query_one("#mesh-panes").set_class(mesh is None, "hidden")
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
        self._rates.learn(mesh)
        self._show_map(mesh)
        peers = self.query_one("#peers", CardList)
        now, glyphs = self.nexus.now_ms(), self.nexus.glyphs

        def lines(entry: PeerView | BanView, width: int) -> Content:
            if not isinstance(entry, PeerView):
                return ban_line(entry, width, glyphs, now)
            return (peer_row if table else peer_card)(entry, width, now, self._rates.of(entry.node))

        entries: list[tuple[str, PeerView | BanView]] = [(f"peer-{peer.node.hex()}", peer) for peer in mesh.peers]
        peers.fill([*entries, *((f"ban-{ban.node.hex()}", ban) for ban in mesh.bans)], lines)

    def _show_map(self, mesh: MeshView) -> None:
        if not self.has_class("-map"):
            return
        self.query_one("#map", MeshCanvas).show(mesh)
        self._show_chosen()

    @on(MeshCanvas.Chosen)
    def _show_chosen(self) -> None:
        mesh, canvas = self._mesh, self.query_one("#map", MeshCanvas)
        if mesh is None:
            return
        left = f", {canvas.map.left_out:,} more" if canvas.map.left_out else ""
        self.query_one("#map-title", Line).show(f"WHAT THIS NODE KNOWS{left}")
        self.query_one("#map-legend", Line).show(self._legend(mesh))
        self.query_one("#map-chosen", Line).show("\n".join(map_lines(mesh, canvas.chosen, self.nexus.now_ms())))
        if canvas.has_focus:
            self.query_one("#peers", CardList).choose(f"peer-{(canvas.chosen or b'').hex()}")
        self.refresh_bindings()

    def _legend(self, mesh: MeshView) -> str:
        ascii_only = self.nexus.glyphs.ascii
        signs = "  ".join(f"{mark} {words}" for mark, words in legend(mesh, ascii_only))
        lines = "-- link  .. told of" if ascii_only else "── link  ┈┈ told of"
        about = "Farther out: a longer delay. Links between others are not known, only who told of whom."
        return f"{signs}  {lines}\n{about}"

    def _facts(self, mesh: MeshView) -> Rows:
        hosts = " ".join(sanitize(host, 80) for host in mesh.hosts)
        listens = f"port {mesh.port} at {hosts or 'no address'}" if mesh.port else "nowhere: it only calls"
        return [
            ("Node", short(node_text(mesh.node), 12, 6)),
            ("Listens", listens),
            *_reached(mesh),
            ("Knows", f"{mesh.known:,} address{'es' if mesh.known != 1 else ''}"),
            ("Blocks", Content.styled(progress(mesh), "$warning") if mesh.syncing else progress(mesh)),
            *([("Data", _sparing(mesh.sparing))] if mesh.sparing is not None else []),
            ("Traffic", f"in {volume(mesh.bytes_in)}, out {volume(mesh.bytes_out)}"),
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
        if view.mesh.sparing is not None and view.mesh.sparing.asleep:
            wake = key_of("mesh.wake", self.nexus.rebound)
            return Content(f"The node sleeps to spare data. It makes links when you pay, and when you ask it ({wake}).")
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
        """The entry under the cursor: that of the map while only the map is shown, or has the focus."""
        found = self.query("#peers").results(CardList)
        for canvas in self.query("#map").results(MeshCanvas):
            if canvas.has_focus or (self.has_class("-map") and not self.has_class("-both")):
                node = (canvas.chosen or b"").hex()
                mesh = self.nexus.view.mesh
                linked = mesh is not None and any(peer.node == canvas.chosen for peer in mesh.peers)
                return f"peer-{node}" if linked else f"ban-{node}"
        return next((peers.chosen for peers in found), None)

    @on(OptionList.OptionHighlighted, "#peers")
    def _moved(self) -> None:
        chosen = self.chosen_peer() or self.chosen_ban()
        if chosen is not None and self.query_one("#peers").has_focus:
            self.query_one("#map", MeshCanvas).choose(chosen.node)
        self.refresh_bindings()

    @on(OptionList.OptionSelected, "#peers")
    @on(MeshCanvas.Opened)
    def _open(self) -> None:
        from nexus_tui.dialogs.peer import KnownDialog, PeerDialog

        peer, canvas, mesh = self.chosen_peer(), self.query_one("#map", MeshCanvas), self.nexus.view.mesh
        if peer is not None:
            self.nexus.push_screen(PeerDialog(peer, self._rates.of(peer.node)))
        elif canvas.has_focus and mesh is not None:
            known = next((one for one in mesh.others if one.node == canvas.chosen), None)
            if known is not None:
                self.nexus.push_screen(KnownDialog(known, self.nexus.now_ms()))


def _sparing(sparing: SparingView) -> Content:
    return Content.styled(sparing_words(sparing), "$warning" if sparing.asleep or sparing.state != "plenty" else "")


def _reached(mesh: MeshView) -> Rows:
    """How others reach a node that nobody can call, and what this one carries for such nodes."""
    rows: Rows = []
    if mesh.unreachable:
        through = "  ".join(short(node_text(relay), 7, 4) for relay in mesh.relays)
        rows.append(("Reached", f"through {through}" if through else "by nobody: no relay is linked"))
    if mesh.circuits:
        rows.append(("Relays", f"{mesh.circuits:,} circuits for others, {size(mesh.relayed)} since the start"))
    return rows
