"""How far the chain is final, and who makes it so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.content import Content

from nexus_tui.dialogs.base import Dialog
from nexus_tui.dialogs.confirm import Facts, Rows
from nexus_tui.drawing.facts import lag_words, percent
from nexus_tui.drawing.marks import choose
from nexus_tui.drawing.words import rule_reason, status_words, vote_words, votes_are_gone
from nexus_tui.format import address_text, short
from nexus_tui.sanitize import sanitize
from nexus_tui.widgets.line import Line
from node.encoding.amounts import format_amount

if TYPE_CHECKING:
    from node.api.records import CheckpointView, FinalityView, NetworkInfo, RegionShare

BAR = 12
MOST_CHECKPOINTS, MOST_VALIDATORS = 8, 100


class FinalityDialog(Dialog[None]):
    """A look at one moment; it does not change while it is open."""

    title_text = "Finality"
    AUTO_FOCUS = "#scroll"
    scrolls = True

    def __init__(self, view: FinalityView, network: NetworkInfo) -> None:
        super().__init__()
        self._view, self._network = view, network

    def body(self) -> ComposeResult:
        """See `Dialog.body`."""
        view = self._view
        rows: Rows = [
            ("Final", _position(view.final)),
            ("Its hash", "none yet" if view.final is None else view.final.hash.hex()),
            ("Justified", _position(view.justified)),
            ("Behind", lag_words(view.lag_slots, self._network.slot_ms)),
        ]
        yield Facts(rows)
        if view.final is None:
            yield Line("Nothing is final yet. The first checkpoint comes after some blocks.", classes="muted gap")
        if view.checkpoints:
            yield Line("CHECKPOINTS", classes="title gap")
            yield Facts([(f"{each.number:,}", _checkpoint(each)) for each in view.checkpoints[:MOST_CHECKPOINTS]])
            newest = view.checkpoints[0]
            regions = [share for share in newest.spectral if share.stake]
            if regions:
                yield Line(f"VOTES FOR {newest.number:,} BY REGION", classes="title gap")
                yield Facts([(sanitize(share.region, 8), self._bar(share)) for share in regions])
            if reason := rule_reason(newest):
                yield Line(reason, classes="muted gap")
        if view.validators:
            yield Line("VALIDATORS", classes="title gap")
            yield Facts(
                [
                    (
                        sanitize(each.region, 8),
                        f"{sanitize(each.name, 40) or short(address_text(each.id, self._network.hrp))}  "
                        f"{format_amount(each.stake)} NXT  " + vote_words(each),
                    )
                    for each in view.validators[:MOST_VALIDATORS]
                ]
            )

    def _bar(self, share: RegionShare) -> Content:
        marks = choose(self.nexus.glyphs.ascii)
        full = min(share.voted * BAR // share.stake, BAR)
        region = sanitize(share.region, 8).lower()
        known = f"spectrum-{region}" in self.nexus.theme_variables
        return Content.assemble(
            (marks.line(0, 2, 0, 2) * full, f"$spectrum-{region}" if known else ""),
            (marks.line(0, 1, 0, 1) * (BAR - full), "$muted"),
            f" {percent(share.voted, share.stake)}",
        )


def _position(view: CheckpointView | None) -> str:
    if view is None:
        return "nothing yet"
    height = "a block off the selected chain" if view.height is None else f"block {view.height:,}"
    return f"{height} (checkpoint {view.number:,})"


def _checkpoint(view: CheckpointView) -> str:
    if not view.number:
        return "final: the genesis, which everybody trusts"
    height = "" if view.height is None else f"block {view.height:,}, "
    how = ", by stake alone" if view.rule != "regions" else ""
    voted = f"{percent(view.stake_voted, view.stake_total)} of stake"
    return f"{status_words(view)}: {height}{'its votes are not kept' if votes_are_gone(view) else voted}{how}"
