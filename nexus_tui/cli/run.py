"""Run one command line: parse, call, and turn whatever happens into a message and an exit status.

Exit statuses (experience.md): 0 done, 1 refused, 2 usage or configuration, 3 no node, 4 timed out, 5 locked,
6 damaged data or disk full, 70 internal fault, 130 interrupted. With `--json` a refusal is one document.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from types import TracebackType

import typer

from nexus_tui.cli.output import note, prepare_streams, write_json
from nexus_tui.cli.session import Session
from node.api.errors import NexusError

INTERRUPTED = 130
# Typer carries the parser's exceptions without a public name; BadParameter's parent is their root.
_ParseError: type[Exception] = typer.BadParameter.__mro__[1]


def run(argv: Sequence[str]) -> int:
    """Run `nexus` with these arguments and return the exit status. Never raises, prints no traceback."""
    prepare_streams()
    boundary = _Boundary(Session(json=_asks_for_json(argv)))
    with boundary:
        from nexus_tui.cli.root import command

        if "_NEXUS_COMPLETE" in os.environ:
            command().main(list(argv), prog_name="nexus", obj=boundary.session)
            return 0
        with command().make_context("nexus", list(argv), obj=boundary.session) as context:
            context.command.invoke(context)
        sys.stdout.flush()
    return boundary.status


def _asks_for_json(argv: Sequence[str]) -> bool:
    """Whether an error while parsing is to be a document; after `--` nothing is an option."""
    for argument in argv:
        if argument == "--":
            return False
        if argument == "--json":
            return True
    return False


class _Boundary:
    """Catches everything that a command raises, as the `with` statement around it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.status = 0

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            return True
        try:
            self.status = self._report(error, trace)
        except BrokenPipeError:
            self.status = _silence()
        return True

    def _report(self, error: BaseException, trace: TracebackType | None) -> int:
        if isinstance(error, typer.Exit):
            sys.stdout.flush()
            return error.exit_code
        if isinstance(error, SystemExit):
            sys.stdout.flush()
            return error.code if isinstance(error.code, int) else 0 if error.code is None else 70
        if isinstance(error, BrokenPipeError):
            return _silence()
        if isinstance(error, BaseExceptionGroup):
            return self._report(error.exceptions[0], trace)
        if isinstance(error, (KeyboardInterrupt, typer.Abort)):
            if not self.session.json and sys.stderr.isatty():
                note("")  # after the ^C that the terminal shows
            self._refuse("interrupted", "Interrupted.", "")
            return INTERRUPTED
        if isinstance(error, EOFError):
            self._refuse("input_closed", "The input ended while an answer was awaited. Nothing was changed.", "")
            return 2
        if isinstance(error, NexusError):
            self._refuse(error.code, error.message, error.hint)
            return error.exit_status
        if isinstance(error, _ParseError):
            return self._usage(error)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            from pathlib import Path

            from node.profile.paths import folder_error, home

            place = Path(os.fsdecode(error.filename)).parent if error.filename else home()
            return self._report(folder_error(error, place), trace)
        code = getattr(error, "code", None)
        if isinstance(error, ValueError) and isinstance(code, str):
            # The rooms below the node's interface have errors of their own, with a code and a text for people.
            self._refuse(code, str(error), getattr(error, "hint", ""))
            return 1
        return self._fault(error, trace)

    def _usage(self, error: Exception) -> int:
        from nexus_tui.cli.frame import Group, plain, unmarked

        message = plain(unmarked(str(getattr(error, "format_message", error.__str__)())))
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "nexus"
        hint = f"`{path} --help` shows what it takes."
        if context is not None and isinstance(context.command, Group):
            hint = f"Commands of `{path}`: {', '.join(context.command.list_commands(context))}."
        self._refuse("usage", message, hint)
        return 2

    def _refuse(self, code: str, message: str, hint: str) -> None:
        from nexus_tui.cli.output import foreign

        # Arguments of others (a pasted address) are quoted in messages.
        message, hint = foreign(message), foreign(hint)
        if self.session.json:
            write_json({"error": {"code": code, "message": message, "hint": hint}})
        else:
            note(f"nexus: {message}")
            if hint:
                note(f"       {hint}")

    def _fault(self, error: BaseException, trace: TracebackType | None) -> int:
        from nexus_tui.cli.faults import record_fault

        place = record_fault(error, trace)
        where = f"Details are in {place}." if place else "Details could not be written."
        self._refuse(
            "internal",
            f"This is a fault of the program ({type(error).__name__}), not of yours. {where}",
            "What was confirmed before is safe. Please report it with that file.",
        )
        return 70


def _silence() -> int:
    """Whoever read stdout is gone. Later writes (the interpreter's last flush too) go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
    return INTERRUPTED
