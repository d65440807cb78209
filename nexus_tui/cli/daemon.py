"""`nexus node run | start | stop | logs`: the node as a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus_tui.cli.asking import Timeout
from nexus_tui.cli.output import foreign, note, write_json, write_text
from nexus_tui.cli.session import session_of
from node.api.errors import ERROR_KINDS, Internal, NexusError, Refused, TimedOut

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from node.profile.paths import ProfilePaths

_MAX_ANSWER = 65_536
_LOOK_S = 2.0


def run(context: typer.Context) -> None:
    """Run the node in the foreground until SIGTERM, Ctrl-C or `nexus node stop`.

    With --json, one document is printed when the node is ready.
    """
    from nexus_tui.cli.logs import start_logging
    from nexus_tui.cli.running import run_node

    session = session_of(context)
    paths = session.paths
    start_logging(paths.log, session.config, also_stderr=not session.json)
    if asyncio.run(run_node(session, paths)):
        raise typer.Exit(130)


def start(context: typer.Context, timeout: Timeout = 60.0) -> None:
    """Start the node in the background and wait until it is ready."""
    from nexus_tui.cli.connection import attach

    session = session_of(context)
    paths = session.paths

    async def running_pid() -> int | None:
        found = await attach(paths)
        if found is None:
            return None
        async with found as api:
            return (await api.status()).pid

    if (pid := asyncio.run(running_pid())) is not None:
        raise Refused("node_running", f"A node runs on the profile {paths.name!r} already (process {pid}).")
    answer = _spawn(session, paths, timeout)
    session.done(
        {**answer, "log": str(paths.log)},
        [
            *(foreign(str(line)) for line in answer.get("report", [])),
            f"The node of {paths.name!r} runs in the background (process {answer['pid']}, {answer['mode']}).",
            f"Log: {paths.log}",
        ],
    )


def _spawn(session: Session, paths: ProfilePaths, timeout: float) -> dict[str, Any]:
    """Start `nexus node run` in a session of its own and return the document it prints when ready."""
    import select
    import subprocess

    from node.profile.paths import make_home

    root = make_home()
    errors = paths.log.with_suffix(".stderr")
    argv = [sys.executable, "-m", "nexus_tui", "--json", "--profile", paths.name]
    argv += [part for item in session.sets for part in ("--set", item)]
    environment = {name: value for name, value in os.environ.items() if not _is_of_this_process(name)}
    environment["NEXUS_HOME"] = str(root)  # a relative one would mean another folder over there
    with os.fdopen(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stderr:
        child = subprocess.Popen(
            [*argv, "node", "run"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            cwd=_folder_of_program(),
            start_new_session=True,
        )
    assert child.stdout is not None
    descriptor = child.stdout.fileno()
    deadline = time.monotonic() + timeout
    text, said = b"", ""
    while b"\n" not in text and len(text) < _MAX_ANSWER:
        left = max(0.0, deadline - time.monotonic())
        if not select.select([descriptor], [], [], min(left, _LOOK_S))[0]:
            # What is fetched from others takes its time: as long as it goes on, that is told and waited for.
            now = _beginning(paths)
            if now and now != said:
                note(now)
                said, deadline = now, time.monotonic() + timeout
            if now or left > _LOOK_S:
                continue
            raise TimedOut(
                "node_starting",
                f"The node (process {child.pid}) is not ready after {timeout:g} seconds; it goes on starting.",
                hint=f"nexus node logs --profile {paths.name}",
            )
        more = os.read(descriptor, 65_536)
        if not more:
            break
        text += more
    return _answer(text, child, errors)


def _beginning(paths: ProfilePaths) -> str:
    """How far a starting node is with fetching what it begins from; empty where it fetches nothing."""
    from node.service.fetch_progress import in_words, read_progress

    view = read_progress(paths)
    return "" if view is None else in_words(view)


def _is_of_this_process(name: str) -> bool:
    """Variables that a daemon must not take over: secrets, and what a supervisor told the process that starts it."""
    return "PASSPHRASE" in name or name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM")


def _folder_of_program() -> str:
    """Where `-m nexus_tui` is found even if the package is not installed."""
    return str(Path(__file__).resolve().parent.parent.parent)


def _answer(text: bytes, child: Any, errors: Path) -> dict[str, Any]:
    import json

    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, dict) and "pid" in document:
        errors.unlink(missing_ok=True)
        return document
    status = child.wait(10)
    if isinstance(document, dict) and isinstance(document.get("error"), dict):
        error = document["error"]
        errors.unlink(missing_ok=True)
        kinds = {kind.exit_status: kind for kind in ERROR_KINDS.values()}
        kind: type[NexusError] = kinds.get(status, Internal)
        raise kind(str(error.get("code")), str(error.get("message")), str(error.get("hint")))
    raise Internal("node_died", f"The node ended while starting (exit status {status}). See {errors}.")


def stop(context: typer.Context, timeout: Timeout = 30.0) -> None:
    """Stop the running node and wait until it has ended; everything it accepted is kept."""
    from nexus_tui.cli.connection import attach, no_node
    from node.service.ending import has_ended

    session = session_of(context)
    paths = session.paths

    async def ask() -> int:
        found = await attach(paths)
        if found is None:
            raise no_node(paths)
        async with found as api:
            pid = (await api.status()).pid
            await api.stop()
            return pid

    pid = asyncio.run(ask())
    deadline = time.monotonic() + timeout
    while not has_ended(paths, pid):
        if time.monotonic() > deadline:
            raise TimedOut(
                "node_stopping",
                f"The node (process {pid}) was asked to stop and has not ended after {timeout:g} seconds.",
                hint=f"nexus node logs --profile {paths.name}",
            )
        time.sleep(0.05)
    session.done({"stopped": True, "pid": pid, "profile": paths.name}, f"The node (process {pid}) has stopped.")


def logs(
    context: typer.Context,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=100_000, help="How many lines.")] = 40,
    following: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new lines (with --json, a document a line).")
    ] = False,
) -> None:
    """Show the node's log."""
    from nexus_tui.cli.logs import follow, last_lines

    session = session_of(context)
    path = session.paths.log
    found = [foreign(line) for line in last_lines(path, lines)]
    if not following:
        session.done({"path": str(path), "lines": found}, found or f"No log yet in {path}")
        return
    from itertools import chain

    for line in chain(found, map(foreign, follow(path))):
        if session.json:
            write_json({"line": line})
        else:
            write_text(line)
