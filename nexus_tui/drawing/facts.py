"""A block and its place in the DAG as named values, for the inspector and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus_tui.drawing.words import standing
from nexus_tui.format import address_text, exactly_when, short
from node.encoding.amounts import exact_amount

if TYPE_CHECKING:
    from node.api.records import AcceptedView, DagBlockSummary, DagBlockView, VoteView

MOST = 50
"""Entries of a list that are shown; how many more there are is said."""

BRIEF, BRIEF_DIGITS = 8, 12
"""Entries of a list and digits of a hash in a narrow pane."""

Facts = list[tuple[str, str]]


def verdict(block: DagBlockSummary) -> str:
    """What became of a block, in a sentence."""
    if block.disqualified:
        return "disqualified: its commitment to the state is wrong; it is never built upon by selection"
    if block.chain:
        return "on the selected chain, final" if block.final else "on the selected chain"
    if block.colour == "pending":
        return "new: the selected chain has not merged it yet"
    merged = f"{standing(block)}, merged by the selected chain"
    return f"{merged}, final" if block.final else merged


def block_facts(view: DagBlockView, prefix: str, *, brief: bool = False) -> Facts:
    """Header, wave signature, mergeset, votes, transactions and acceptance; what is read most often comes first.

    `brief` is for a narrow pane: the first digits of hashes, a few entries of each list.
    """
    block, wave = view.summary, view.wave

    def digits(raw: bytes) -> str:
        return f"{raw.hex()[:BRIEF_DIGITS]}…" if brief and len(raw) > BRIEF_DIGITS // 2 else raw.hex()

    def listed(name: str, names: str, values: list[str]) -> Facts:
        most = BRIEF if brief else MOST
        rows = [
            (name if len(values) == 1 else names if place == 0 else "", value) for place, value in enumerate(values)
        ]
        return [*rows[:most], ("", f"and {len(rows) - most:,} more")] if len(rows) > most else rows

    address = address_text(block.creator, prefix)
    rows: Facts = [
        ("Id", digits(block.id)),
        ("Place", verdict(block)),
        ("Height", "none (off the selected chain)" if block.height is None else f"{block.height:,}"),
        ("Region", block.region),
        ("Time", exactly_when(block.time_ms)),
        ("Slot", f"{block.slot}, seat {block.seat}, epoch {view.epoch}"),
        ("Creator", short(address) if brief else address),
    ]
    rows += listed("Parent", "Parents", [digits(each) for each in block.parents])
    merged = [("blue", each) for each in view.blues] + [("red", each) for each in view.reds]
    if len(merged) > 1:
        rows += listed("Merges", "Merges", [f"{colour} {digits(each)}" for colour, each in merged])
    if not block.chain:
        rows.append(("Merged by", "nobody yet" if view.merged_by is None else digits(view.merged_by)))
    if block.votes and not view.votes:
        rows.append(("Votes", f"{block.votes} (its body was pruned)"))
    rows += listed("Vote", "Votes", [_vote(each, prefix, brief) for each in view.votes])
    if block.transactions and not view.txids:
        rows.append(("Payments", f"{block.transactions} (its body was pruned)"))
    rows += listed("Carries", "Carries", [digits(each) for each in view.txids])
    rows += listed(
        "Accepts",
        "Accepts",
        [f"{digits(each.txid)} {each.status}" if brief else _accepted(each, block.id) for each in view.accepted],
    )
    rows += [
        ("Wave", f"{wave.wavelength_pm // 1000}.{wave.wavelength_pm % 1000:03} nm, amplitude {wave.amplitude}"),
        ("Phase", f"{degrees(wave.phase)}, polarisation {degrees(wave.polarisation)}"),
        ("Blue score", f"{block.blue_score:,} (work {view.blue_work:,})"),
        ("Wave digest", digits(wave.digest)),
        ("Reveal", digits(view.reveal)),
        ("Body root", digits(view.body_root)),
        ("State hash", digits(view.state_commitment)),
        ("Signature", digits(view.signature)),
        ("Version", str(view.version)),
    ]
    return rows


def degrees(turn: int) -> str:
    """An angle of 65,536 to a turn in degrees, one decimal, cut."""
    tenths = turn * 3_600 // 65_536
    return f"{tenths // 10}.{tenths % 10}°"


def lag_words(slots: int, slot_ms: int) -> str:
    """A distance in slots with what it is in time."""
    if not slots:
        return "nothing: all is final"
    named = counted(slots, "slot")
    tenths = slots * slot_ms // 100
    if tenths < 100:
        return f"{named} ({tenths // 10}.{tenths % 10} s)"
    return f"{named} ({tenths // 10:,} s)" if tenths < 6_000 else f"{named} ({tenths // 600:,} min)"


def counted(number: int, what: str) -> str:
    """A number with its thing in the singular or the plural."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def percent(part: int, whole: int) -> str:
    """A part in whole percent, cut: 100 % means all of it."""
    return f"{part * 100 // whole} %" if whole else "none"


def _vote(vote: VoteView, prefix: str, brief: bool) -> str:
    voter = address_text(vote.voter, prefix)
    if brief:
        return f"{vote.source}->{vote.target} {vote.region} {short(voter, 9, 4)}"
    return f"{vote.source} -> {vote.target} by {voter} ({vote.region})"


def _accepted(accepted: AcceptedView, own: bytes) -> str:
    carrier = "" if accepted.carrier == own else f", from {accepted.carrier.hex()[:8]}"
    return f"{accepted.txid.hex()} {accepted.status}, fee {exact_amount(accepted.fee)} NXT{carrier}"
