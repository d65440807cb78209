"""`nexus node snapshot make | check | adopt`: the state at a final checkpoint as one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus_tui.cli.asking import Yes, confirm
from nexus_tui.cli.files import new_file
from nexus_tui.cli.output import amount, fields, foreign, note, nxt
from nexus_tui.cli.session import session_of
from node.api.errors import Damaged

if TYPE_CHECKING:
    from node.service.snapshots import SnapshotReport

_OLD = (
    "This checkpoint is older than half the unbonding period: whoever validated then may have taken the stake back "
    "since, and loses nothing by another history. Better ask somebody you trust for a fresh one."
)
_HALF = 16
"""Bytes of a checkpoint's hash that are enough, as in an invitation's code."""
_File = Annotated[Path, typer.Argument(metavar="FILE", help="What `nexus node snapshot make` wrote.")]


def make(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not exist.")],
) -> None:
    """Write the state at the newest final checkpoint into one file, while a node runs or not.

    Others can begin from it without the history before. It holds no key and no wallet.
    """
    from node.service.founding import read_genesis
    from node.service.snapshots import check_snapshot, make_snapshot

    session = session_of(context)
    paths = session.paths
    place = new_file(target)
    make_snapshot(paths.chain_db, read_genesis(paths), place)
    report = check_snapshot(place)
    session.done(
        _document(report),
        [
            f"The state after block {report.height} is in {foreign(str(target))}.",
            *fields(_facts(report)),
            "Whoever begins from it must get the checkpoint's hash from you by another way than the file.",
        ],
    )


def check(
    context: typer.Context,
    source: _File,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", metavar="HASH", help="The checkpoint that it must be of.")
    ] = None,
) -> None:
    """Check a snapshot in one pass: rows, waves, total, digest. Exit 6 if anything is wrong; needs no profile."""
    from nexus_tui.cli.ids import hash_of
    from node.service.snapshots import check_snapshot

    session = session_of(context)
    trusted = None if checkpoint is None else hash_of(checkpoint, "a checkpoint's hash", _HALF)
    report = check_snapshot(source.absolute())
    if trusted is not None and not report.checkpoint.is_meant_by(trusted):
        raise Damaged(
            "other_checkpoint",
            f"{foreign(source.name)} is whole, but of another checkpoint: {report.checkpoint.hash.hex()}.",
            "Ask again for both, the file and the hash.",
        )
    if report.is_old:
        note(_OLD)
    whose = (
        "It is of the checkpoint that you named." if trusted else "Compare the checkpoint's hash with one you trust."
    )
    session.done(
        {**_document(report), "trusted": trusted is not None},
        [*fields(_facts(report)), f"All is well: the waves are those of the checkpoint's state. {whose}"],
    )


def adopt(
    context: typer.Context,
    source: _File,
    checkpoint: Annotated[
        str, typer.Option("--checkpoint", metavar="HASH", help="The hash of its checkpoint, from somebody you trust.")
    ],
    yes: Yes = False,
) -> None:
    """Make a new profile (--profile NAME) that begins at a snapshot's checkpoint, after checking all of it.

    The history before the checkpoint is not in it; balances are.
    """
    from nexus_tui.cli.ids import hash_of
    from node.profile.paths import ProfileError, new_profile, profile_paths
    from node.service.snapshots import begin_from_snapshot, check_snapshot

    session = session_of(context)
    trusted, place, name = hash_of(checkpoint, "a checkpoint's hash", _HALF), source.absolute(), session.profile_name
    if profile_paths(name).exists:
        raise ProfileError(
            "profile_exists",
            f"The profile {name!r} exists already; nothing was changed.",
            hint="Begin a new one with --profile NAME.",
        )
    report = check_snapshot(place)
    if report.is_old:
        confirm((_OLD,), yes, "Beginning from an old checkpoint")
    with new_profile(name) as aside:
        begin_from_snapshot(aside, place, trusted)
    session.done(
        {**_document(report), "profile": name},
        [
            f"The profile {name!r} begins at block {report.height} of {foreign(report.genesis.name)}.",
            *fields(_facts(report)),
            "It has no wallet yet (nexus wallet restore) and no validator key.",
        ],
    )


def _document(report: SnapshotReport) -> dict[str, Any]:
    genesis, checkpoint = report.genesis, report.checkpoint
    return {
        "file": str(report.path),
        "bytes": report.bytes,
        "network": {"name": genesis.name, "preset": genesis.preset, "genesis": genesis.hash.hex()},
        "checkpoint": {
            "number": checkpoint.number,
            "hash": checkpoint.hash.hex(),
            "block": checkpoint.block.hex(),
            "slot": checkpoint.slot,
            "state": checkpoint.state.hex(),
            "time_ms": report.time_ms,
            "old": report.is_old,
        },
        "height": report.height,
        "blocks": report.blocks,
        "records": report.records,
        "total": amount(report.total_units),
    }


def _facts(report: SnapshotReport) -> list[tuple[str, str]]:
    from nexus_tui.format import exactly_when, size

    genesis, checkpoint = report.genesis, report.checkpoint
    return [
        ("Network", f"{foreign(genesis.name)} (preset {foreign(genesis.preset)}), genesis {genesis.hash.hex()[:16]}"),
        ("Checkpoint", f"{checkpoint.number}, block {report.height}, {exactly_when(report.time_ms)}"),
        ("Its hash", checkpoint.hash.hex()),
        ("Holds", f"{report.records} records, {nxt(report.total_units)} in all, {report.blocks} blocks"),
        ("Size", size(report.bytes)),
    ]
