"""DAG: the live drawing, and what is inside a block. The inspector is a pane where there is room, else a dialog."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input

from nexus_tui.bindings import bindings_for, key_of
from nexus_tui.dialogs.block import BlockDialog, inspector_rows
from nexus_tui.dialogs.confirm import Facts
from nexus_tui.drawing.marks import choose
from nexus_tui.drawing.words import ambiguous, legend
from nexus_tui.format import finality
from nexus_tui.live import DagWindow
from nexus_tui.sanitize import sanitize, text
from nexus_tui.screens.base import MainScreen
from nexus_tui.widgets.dag import DagCanvas
from nexus_tui.widgets.fields import Field
from nexus_tui.widgets.line import Line
from node.api.errors import NexusError, Refused

if TYPE_CHECKING:
    from nexus_tui.live import View
    from node.api.records import DagBlockSummary, DagBlockView, DagView

LIMIT = 80
"""Blocks in the picture; more are read as the cursor comes near an end."""
NEAR_END = 10
SEARCH_SLOTS = 20
"""So many slots after a block that was searched for are shown with it."""
INSPECT_SECONDS = 0.15
PANE_FROM = 78
"""From this width on there is room for the inspector beside the drawing."""


class DagScreen(MainScreen):
    """Screen 6. While `following`, the newest block of the selected chain is the chosen one."""

    place = "dag"
    AUTO_FOCUS = "#drawing"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings_for("dag"),
        Binding("escape", "leave_search", show=False, id="dag.leave_search"),
    ]
    CSS = """
    DagScreen #dag-facts { width: 1fr; height: auto; margin-bottom: 1; }
    DagScreen.-short #dag-facts { margin-bottom: 0; }
    DagScreen #dag-search { display: none; }
    DagScreen.-searching #dag-search { display: block; }
    DagScreen #dag-empty { color: $muted; width: 1fr; height: 1fr; }
    DagScreen #dag-empty.hidden { display: none; }
    DagScreen #dag-panes { height: 1fr; }
    DagScreen #inspector-pane { display: none; }
    DagScreen.-medium #inspector-pane { display: block; width: 32; margin-left: 2; height: 1fr; }
    DagScreen.-wide #inspector-pane { display: block; width: 44; margin-left: 3; height: 1fr; }
    DagScreen #legend { width: 1fr; height: auto; color: $muted; }
    DagScreen.-short #legend, DagScreen.-slim #legend, DagScreen.-slim #inspector-pane { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.following = True
        self.chosen: bytes | None = None
        self.inspected: DagBlockView | None = None
        self._slot = 0  # of the chosen block, for when it is pruned
        self._reach = 1
        self._asked: DagView | None = None
        self._timer: Timer | None = None

    def body(self) -> ComposeResult:
        """See `MainScreen.body`."""
        with Vertical(id="body"):
            yield Line("", id="dag-facts")
            yield Field(placeholder="first digits of a block's id", id="dag-search", limit=64)
            yield Line("reading …", id="dag-empty")
            with Horizontal(id="dag-panes"):
                yield DagCanvas(self.nexus.glyphs, move=self._choose, newest=self.follow, id="drawing")
                with VerticalScroll(id="inspector-pane", can_focus=False):
                    yield Facts([], id="inspector")
            yield Line("", id="legend")

    def on_mount(self) -> None:
        """Look at the newest blocks, and follow the view."""
        self._look(DagWindow(None, LIMIT))
        super().on_mount()

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        """Read again what is looked at, then catch up."""
        live = self.nexus.live
        if live is not None and live.dag_window is None:
            self._look(DagWindow(None, LIMIT) if self.following else self._window(self._newest_slot() + 1))
        super().on_screen_resume(event)

    def on_screen_suspend(self) -> None:
        """Nobody looks at the DAG: it is not read."""
        if self.nexus.live is not None:
            self.nexus.live.look_at_dag(None)

    # What is shown

    def show(self, view: View) -> None:
        """See `MainScreen.show`."""
        dag = view.dag
        blocks = dag.blocks if dag is not None else ()
        empty = self.query_one("#dag-empty", Line)
        empty.set_class(bool(blocks), "hidden")
        for place in ("#dag-panes", "#legend"):
            self.query_one(place).set_class(not blocks, "hidden")
        self._show_facts(view)
        self._show_legend()
        if dag is None or not blocks:
            empty.show(self._emptiness(view))
            return
        known = {block.id: block for block in blocks}
        if self.following or self.chosen is None:
            newest = max(blocks, key=lambda block: (block.slot, block.seat))
            self.chosen = dag.tip if dag.tip in known else newest.id
        elif self.chosen not in known and self._is_current(view):
            self.chosen = min(blocks, key=lambda block: abs(block.slot - self._slot)).id
        if self.chosen in known:
            self._slot = known[self.chosen].slot
        self.query_one("#drawing", DagCanvas).show(blocks, dag.final, self.chosen, following=self.following)
        self._read_on(dag)
        self._inspect_soon(known.get(self.chosen))

    def _is_current(self, view: View) -> bool:
        """Whether the view is of the part that is asked for, not of one before."""
        return self.nexus.live is not None and view.dag_window == self.nexus.live.dag_window

    def _emptiness(self, view: View) -> str | Content:
        if view.fault is not None and view.dag is None:
            return Content.assemble(text(view.fault.message, "$error"), "\n", text(view.fault.hint, "$muted"))
        if view.dag is None:
            return "reading …"
        wallet, send, faucet, here = (
            key_of(name, self.nexus.rebound) for name in ("go.wallet", "wallet.send", "wallet.faucet", "go.dag")
        )
        household = self.nexus.household
        play = f" or take play money ({faucet})" if household is not None and household.has_faucet else ""
        return (
            "There is no block yet. A quiet network is silent: a block is made as soon as there is something to "
            f"put into it. In the wallet ({wallet}), make a payment ({send}){play}, then come back ({here})."
        )

    def _show_facts(self, view: View) -> None:
        status, dag = view.status, view.dag
        facts = self.query_one("#dag-facts", Line)
        if status is None or dag is None:
            facts.show("")
            return
        behind = status.height > status.final_height
        final = f"final {finality(status)}" if behind else "all is final"
        narrow = self.has_class("-slim")
        # where room is short the key stands in the footer, and a second line would push the drawing down
        stopped = "stopped" if narrow else f"stopped ({key_of('dag.follow', self.nexus.rebound)} follows)"
        moving = "following" if self.following else stopped
        tips = "" if narrow else f"  {len(dag.tips)} tip{'s' if len(dag.tips) != 1 else ''}"
        facts.show(
            Content.assemble(
                (f"{status.height:,}", "bold"),
                ("  " + final, "$success" if not behind else ""),
                (tips, "$muted"),
                (f"  {moving}", "$muted"),
            )
        )

    def _show_legend(self) -> None:
        """What the signs mean; on a phone the words beside each block say it."""
        pieces: list[tuple[str, str]] = []
        for sign, words in legend(choose(self.nexus.glyphs.ascii), lines=self.has_class("-wide")):
            variable = f"spectrum-{words.lower()}"
            colour = f"${variable}" if variable in self.nexus.theme_variables else ""
            pieces += [(sign, "$success" if words == "final" else colour), (f" {words}  ", "$muted")]
        self.query_one("#legend", Line).show(Content.assemble(*pieces).rstrip())

    def on_resize(self) -> None:
        """Another width has room for other words, and for the inspector."""
        self.set_class(self.size.width < PANE_FROM, "-slim")
        if self.is_mounted:
            self.call_after_refresh(lambda: self._changed(self.nexus.view))

    def _inspect_soon(self, block: DagBlockSummary | None) -> None:
        """Read the chosen block for the pane beside the drawing, once the cursor rests."""
        if block is None or self.has_class("-slim"):
            return
        if self.inspected is not None and self.inspected.summary == block:
            return
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(INSPECT_SECONDS, lambda: self._read_inspector(block.id))

    @work(exclusive=True, group="inspector", exit_on_error=False)
    async def _read_inspector(self, block_id: bytes) -> None:
        live = self.nexus.live
        if live is None or live.api is None or live.view.network is None:
            return
        try:
            found = await live.api.dag_block(block_id)
        except NexusError as error:
            self.query_one("#inspector", Facts).set_rows([("", text(error.message, "$error"))])
            return
        if found is not None and block_id == self.chosen:
            self.inspected = found
            marks, colours = choose(self.nexus.glyphs.ascii), self.nexus.theme_variables
            key = key_of("dag.inspect", self.nexus.rebound)
            self.query_one("#inspector", Facts).set_rows(
                [
                    *inspector_rows(found, live.prefix, marks, colours, brief=True),
                    ("", text(f"{key} shows all of it", "$muted")),
                ]
            )

    # The part of the DAG that is read

    def _look(self, window: DagWindow) -> None:
        if self.nexus.live is not None:
            self.nexus.live.look_at_dag(window)

    def _window(self, before_slot: int) -> DagWindow:
        """A window below a slot; the newest blocks where that is not below the tip."""
        status = self.nexus.view.status
        at_tip = status is None or before_slot > max(status.tip_slot, status.current_slot)
        return DagWindow(None if at_tip else before_slot, LIMIT)

    def _newest_slot(self) -> int:
        dag = self.nexus.view.dag
        return max((block.slot for block in dag.blocks), default=0) if dag is not None else 0

    def _read_on(self, dag: DagView) -> None:
        """Move the window when the cursor comes near one of its ends and there is more."""
        live = self.nexus.live
        if live is None or live.dag_window is None or self.following or dag is self._asked:
            return
        ordered = sorted(dag.blocks, key=lambda block: (block.slot, block.seat, block.id))
        place = next((place for place, block in enumerate(ordered) if block.id == self.chosen), None)
        if place is None:
            return
        oldest, middle, newest = ordered[0].slot, ordered[len(ordered) // 2].slot, ordered[-1].slot
        if place < NEAR_END and oldest > dag.oldest_slot:
            self._asked = dag
            self._look(self._window(middle + 1))
        elif place >= len(ordered) - NEAR_END and live.dag_window.before_slot is not None:
            self._asked = dag
            # the network may have been silent for long: reach further until something comes
            self._look(self._window(newest + 1 + max(newest - middle, 1) * self._reach))
            self._reach = min(self._reach * 2, 1 << 40)
        else:
            self._reach = 1

    # What is done

    def toggle_follow(self) -> None:
        """Follow the tip, or stay."""
        if self.following:
            self.following = False
            self.show(self.nexus.view)
        else:
            self.follow()

    def follow(self) -> None:
        """Go to the tip and stay with it."""
        self.following = True
        self._look(DagWindow(None, LIMIT))
        self.show(self.nexus.view)

    def _choose(self, block_id: bytes, beyond: bool) -> None:
        """The cursor was moved to a block. `beyond`: further on than the newest one there is."""
        dag = self.nexus.view.dag
        if not beyond:
            self.following, self.chosen = False, block_id
            self.show(self.nexus.view)
        elif dag is not None and any(block.id == dag.tip for block in dag.blocks):
            self.follow()  # else newer blocks are being read

    @on(DagCanvas.Opened)
    def inspect(self) -> None:
        """The chosen block in full."""
        if self.chosen is not None:
            self.nexus.start(self._open(self.chosen), "inspect")

    async def _open(self, block_id: bytes) -> None:
        view = await self.nexus.node_api().dag_block(block_id)
        if view is None:
            raise Refused("unknown_block", "This node does not keep that block any more.")
        assert self.nexus.live is not None
        # beside the drawing the gist is in sight already; on a phone it is what one wants to see first
        dialog = BlockDialog(view, self.nexus.live.prefix, brief=self.has_class("-slim"))
        parent = await self.nexus.push_screen_wait(dialog)
        if parent is not None:
            await self._go_to(parent)

    def open_search(self) -> None:
        """Show the search field; put it away where it is shown, for those who have no Escape."""
        if self.has_class("-searching"):
            self.action_leave_search()
        else:
            self.add_class("-searching")
            self.query_one("#dag-search", Field).focus()

    def action_leave_search(self) -> None:
        """Put the search field away."""
        self.query_one("#dag-search", Field).value = ""
        self.remove_class("-searching")
        self.query_one("#drawing").focus()

    @on(Input.Submitted, "#dag-search")
    def _search(self, event: Input.Submitted) -> None:
        prefix = event.value.strip().lower()
        if prefix:
            self.nexus.start(self._find(prefix), "find-block")
        else:
            self.action_leave_search()

    async def _find(self, prefix: str) -> None:
        try:
            found = await self._block_of(prefix)
        except NexusError:
            self.query_one("#dag-search", Field).action_select_all()  # the next try is typed over this one
            raise
        self.action_leave_search()
        await self._go_to(found)

    async def _block_of(self, prefix: str) -> bytes:
        """The one block whose id begins so. Raises Refused."""
        found = await self.nexus.node_api().find_blocks(prefix)
        if not found:
            raise Refused(
                "unknown_block",
                f"This node keeps no block whose id begins with {sanitize(prefix, 64)}.",
                "What is long final was pruned.",
            )
        if len(found) > 1:
            raise Refused("ambiguous_id", ambiguous(prefix, found), "Type more digits.")
        return found[0]

    async def _go_to(self, block_id: bytes) -> None:
        """Choose a block, wherever in the DAG it is."""
        dag = self.nexus.view.dag
        if dag is None or all(block.id != block_id for block in dag.blocks):
            view = await self.nexus.node_api().dag_block(block_id)
            if view is None:
                raise Refused("unknown_block", "This node does not keep that block.")
            self._look(self._window(view.summary.slot + SEARCH_SLOTS))
        self.following, self.chosen = False, block_id
        self.show(self.nexus.view)
