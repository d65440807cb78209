"""`nexus node verify | backup | restore | service | validator-key`: looking after a node's data."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nexus_tui.cli.asking import Yes, confirm
from nexus_tui.cli.output import amount, fields, foreign, note, nxt
from nexus_tui.cli.session import session_of
from node.api.errors import Damaged, NexusError, Refused, UsageError

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from node.api.records import VerifyReport
    from node.service.backups import BackupReport


def verify(context: typer.Context) -> None:
    """Recount everything from what is stored: database, blocks, signatures, total, state. Exit 6 if it is damaged."""
    session = session_of(context)
    report = asyncio.run(_verify(session))
    lines = [f"{'ok    ' if check.ok else 'WRONG '} {check.name}: {foreign(check.detail)}" for check in report.checks]
    if not report.ok:
        for line in lines:
            note(line)
        wrong = "; ".join(f"{check.name}: {check.detail}" for check in report.checks if not check.ok)
        raise Damaged(
            "verification_failed",
            f"The stored chain is damaged ({wrong}). Nothing was changed.",
            hint="Restore a backup: nexus node restore FILE",
        )
    session.done(
        {
            "ok": report.ok,
            "height": report.height,
            "total": amount(report.total_units),
            "state_commitment": report.state_commitment.hex(),
            "checks": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in report.checks],
        },
        [*lines, f"All is well at block {report.height}: {nxt(report.total_units)} in all."],
    )


async def _verify(session: Session) -> VerifyReport:
    from nexus_tui.cli.connection import connect

    async with connect(session.paths, session.config, "read") as api:
        return await api.verify()


def backup(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not exist.")],
    with_key: Annotated[
        bool, typer.Option("--with-key", help="Put the validator key in too: whoever has it can lose your stake.")
    ] = False,
) -> None:
    """Copy the node's data (genesis, chain, waiting payments) into one file, while a node runs or not.

    Wallets are not in it: nexus wallet backup copies those.
    """
    from node.service.backups import make_backup

    session = session_of(context)
    report = make_backup(session.paths, target.absolute(), with_key)
    session.done(
        _backup_document(report),
        [
            f"Block {report.height} and all before it are in {foreign(str(target))}"
            + (", with the validator key." if report.with_key else "."),
            "Wallets are not in it; copy them with nexus wallet backup.",
        ],
    )


def _backup_document(report: BackupReport) -> dict[str, object]:
    return {
        "file": str(report.path),
        "made_ms": report.made_ms,
        "height": report.height,
        "with_key": report.with_key,
        "files": [{"name": name, "bytes": size} for name, size in report.files],
    }


def restore(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="FILE", help="What `nexus node backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of this profile's chain; the old files are kept aside.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Make a new profile (--profile NAME) out of a backup, or replace a damaged chain with --replace."""
    from node.profile.paths import ProfileError, new_profile, profile_paths
    from node.service.backups import replace_data, restore_backup

    session = session_of(context)
    place = source.absolute()
    if replace:
        paths = session.paths
        confirm(
            (f"The chain of {paths.name!r} is moved aside and that of {foreign(str(source))} takes its place.",),
            yes,
            "Replacing a chain",
        )
        done = replace_data(paths, place)
        session.done(
            {**_backup_document(done.report), "profile": paths.name, "kept": str(done.kept)},
            [f"{paths.name!r} is at block {done.report.height} again.", f"The old files are kept in {done.kept}"],
        )
        return
    name = session.profile_name
    if profile_paths(name).exists:
        raise ProfileError(
            "profile_exists",
            f"The profile {name!r} exists already; nothing was changed.",
            hint="Restore into a new one with --profile NAME, or over this one with --replace.",
        )
    with new_profile(name) as aside:
        report = restore_backup(aside, place)
    if report.with_key:
        note("Run this validator key in one place only: two nodes that sign with it lose its stake.")
    session.done(
        {**_backup_document(report), "profile": name, "kept": None},
        [
            f"The profile {name!r} is at block {report.height}.",
            "It has no wallet yet: nexus wallet restore" + ("" if report.with_key else ", and no validator key") + ".",
        ],
    )


def service(
    context: typer.Context,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="systemd|termux", help="Else the one of this system.")
    ] = None,
) -> None:
    """Print the files that let the system start the node by itself; nothing is installed."""
    import os
    import shutil

    from node.profile.paths import home
    from node.profile.service_files import plans

    session = session_of(context)
    paths = session.paths
    program = shutil.which("nexus")
    command = (program,) if program else (sys.executable, "-m", "nexus_tui")
    found = plans((*command, "node", "run", "--profile", paths.name), home(), paths.name)
    kind = kind or ("termux" if "TERMUX_VERSION" in os.environ else "systemd")
    if kind not in found:
        raise UsageError("usage", f"There is no service of kind {kind[:40]!r}: {', '.join(found)}.")
    plan = found[kind]
    lines: list[str] = []
    for file in plan.files:
        lines += [f"# {file.path} (mode {file.mode:04o})", file.text]
    lines += ["# then:", *(f"#   {line}" for line in plan.commands)]
    session.done(
        {
            "kind": plan.kind,
            "files": [{"path": file.path, "mode": f"{file.mode:04o}", "text": file.text} for file in plan.files],
            "commands": list(plan.commands),
        },
        lines,
    )


def validator_key(context: typer.Context) -> None:
    """Show the profile's validator key: its public part, whether the network knows it, what it last signed."""
    from nexus_tui.cli.paying import address_text
    from node.service.founding import read_genesis
    from node.service.validator_key import last_signed, load_validator_key

    session = session_of(context)
    paths = session.paths
    key = load_validator_key(paths.validator_key)
    if key is None:
        raise Refused("no_validator_key", f"The profile {paths.name!r} has no validator key; it makes no blocks.")
    problem, slot, voted = "", None, None
    try:
        slot, voted = last_signed(paths.signing_record, key)
    except NexusError as error:
        problem = error.message
    genesis = read_genesis(paths)
    mine = next((item for item in genesis.validators if item.consensus_key == key.public_key), None)
    account = None if mine is None else address_text(mine.account, genesis.prefix)
    document = {
        "public_key": key.public_key.hex(),
        "reveal_commitment": key.reveals.commitment.hex(),
        "file": str(paths.validator_key),
        "account": account,
        "stake": None if mine is None else amount(mine.stake),
        "last_block_slot": slot,
        "last_vote": voted,
        "problem": problem,
    }
    pairs = [("Public key", key.public_key.hex()), ("Reveals", key.reveals.commitment.hex())]
    pairs.append(("File", str(paths.validator_key)))
    if mine is not None and account is not None:
        pairs += [("Account", account), ("Stake", nxt(mine.stake))]
    else:
        pairs.append(("Account", "none: the genesis of this network does not name this key"))
    pairs.append(("Signed", problem or ("no block yet" if slot is None else f"a block of slot {slot:,}")))
    if voted is not None:
        pairs.append(("", f"a vote for checkpoint {voted:,}"))
    session.done(document, fields(pairs))
