"""The words beside a block, and what the drawing's signs mean; the same on the screen and on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus_tui.drawing.marks import REGIONS, Marks, region_style
from nexus_tui.foreign import sanitize
from nexus_tui.format import address_text
from node.api.interface import MAX_FOUND
from node.encoding.amounts import exact_amount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nexus_tui.drawing.picture import Words
    from node.api.records import CheckpointView, DagBlockSummary, EvidenceView, ValidatorView

SHORT_ID = 4
_ROOMY = 48


def standing(block: DagBlockSummary) -> str:
    """What the network thinks of a block, in a word."""
    if block.disqualified:
        return "void"
    return "new" if block.colour == "pending" else sanitize(block.colour, 8)


def row_words(block: DagBlockSummary, room: int, time: str) -> Words:
    """Height on the selected chain, or what became of the block; id, region, transactions and time, in `room` cells."""
    name = f"{block.height:,}" if block.chain and block.height is not None else standing(block)
    style = "chain" if block.chain else "void" if block.disqualified else "red" if block.colour == "red" else "faint"
    region, tint = sanitize(block.region, 7), region_style(block.region)
    count = f"{block.transactions} tx" if block.transactions else ""
    if room >= _ROOMY:
        votes = f"{block.votes} vote{'s' if block.votes != 1 else ''}" if block.votes else ""
        return _fitting(
            room,
            (f" {name:>9}", style),
            (f"  {block.id.hex()[:8]}", "label"),
            (f"  {region:<7}", tint),
            (f"{count:>7}", "label"),
            (f"  {votes:<8}", "faint"),
            (f" {time}", "faint"),
        )
    return _fitting(
        room,
        (f" {name:>7}", style),
        (f" {block.id.hex()[:SHORT_ID]}", "label"),
        (f" {region:<7}", tint),
        (f"{count:>5}", "label"),
        (f" {time}", "faint"),
    )


def _fitting(room: int, *words: tuple[str, str]) -> Words:
    """The words without the time, which is last, where that does not fit."""
    return words if sum(len(text) for text, _ in words) <= room else words[:-1]


def ambiguous(prefix: str, found: Sequence[bytes], what: str = "blocks") -> str:
    """What is said of several whose ids begin alike: a few digits more than were given tell them apart."""
    digits = max(8, len(prefix) + 4)
    shown = ", ".join(each.hex()[:digits] for each in found[:4])
    many = f"{len(found)} {what} or more" if len(found) >= MAX_FOUND else f"{len(found)} {what}"
    return f"{many} begin with {prefix}: {shown}{' …' if len(found) > 4 else '.'}"


def final_words(final: CheckpointView | None) -> str:
    """What stands on the finality line."""
    return "final" if final is None or final.height is None else f"final {final.height:,}"


def rule_words(view: CheckpointView) -> str:
    """Who was asked for a checkpoint, short."""
    return "stake and regions" if view.rule == "regions" else "stake alone"


def status_words(view: CheckpointView, narrow: bool = False) -> str:
    """Where a checkpoint stands; and which later one made it final, where its own votes did not."""
    status = sanitize(view.status, 12)
    if view.final_by is None or view.final_by == view.number or votes_are_gone(view):
        return status
    return f"{status} by {view.final_by}" if narrow else f"{status}, by checkpoint {view.final_by:,}"


def vote_words(view: ValidatorView) -> str:
    """How a validator takes part in finality."""
    if view.tombstoned:
        return "excluded for good"
    vote = "no vote yet" if view.last_vote is None else f"voted for {view.last_vote:,}"
    return f"{vote}, does not count" if view.absent else vote


def votes_are_gone(view: CheckpointView) -> bool:
    """Whether the votes that made a checkpoint final are no longer kept; nothing is to be said of them then."""
    return view.status == "final" and not view.voters


def rule_reason(view: CheckpointView) -> str:
    """Why the regions were not asked for a checkpoint, and who was left out; "" where nothing is to be said."""
    reason = {
        "few_regions": "Stake alone counts here: regions are asked once four of them hold four validators each.",
        "pause": "Stake alone counts here: none of the three checkpoints before was justified in time.",
    }.get(view.rule, "")
    if view.absent:
        plural = "validator does" if view.absent == 1 else "validators do"
        reason += f" After a long silence {view.absent} {plural} not count."
    return reason.strip()


def evidence_standing(view: EvidenceView) -> str:
    """What may still come of a proof, in a word or two."""
    return {"open": "open", "punished": "punished", "too_old": "too old"}.get(view.status, sanitize(view.status, 12))


def accusation(view: EvidenceView, prefix: str) -> list[str]:
    """What a proof says, and who loses what when it is sent, a sentence each."""
    lines = [
        f"The validator {address_text(view.validator, prefix)} {sanitize(view.what)}.",
        f"It loses {exact_amount(view.loss)} NXT of its stake of {exact_amount(view.stake)} NXT to ECOSYSTEM_FUND, and "
        "is excluded from validating for good.",
    ]
    if view.own:
        lines.append("It is the validator of this very node: its stake would be cut.")
    return lines


def legend(marks: Marks, lines: bool = True) -> list[tuple[str, str]]:
    """The signs, each with its meaning; `lines`: those of lines too."""
    return [
        *((marks.node(region, "blue"), region) for region in REGIONS),
        (marks.hollow, "red block"),
        *(
            ((marks.line(0, 2, 0, 2) * 2, "selected parent"), (marks.line(0, 1, 0, 1) * 2, "other parent"))
            if lines
            else ()
        ),
        (marks.final_across * 2, "final"),
    ]
