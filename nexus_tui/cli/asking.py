"""Questions to a person, and secrets: never from argv, never asked when standard input is no terminal.

A passphrase comes from `--passphrase-fd N`, `--passphrase-command COMMAND`, NEXUS_PASSPHRASE, or from the keyboard,
in that order. Prompts go to stderr, so that stdout carries the result alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from nexus_tui.cli.output import foreign, note
from node.api.errors import Locked, Refused, UsageError

if TYPE_CHECKING:
    from wallet.secret import Secret

_MAX_BYTES = 4096
_SOURCES = "Give it by --passphrase-fd N, --passphrase-command COMMAND or the environment variable NEXUS_PASSPHRASE."

PassphraseFd = Annotated[
    int | None,
    typer.Option("--passphrase-fd", metavar="N", help="Read the passphrase from this file descriptor.", min=0),
]
PassphraseCommand = Annotated[
    str | None,
    typer.Option("--passphrase-command", metavar="COMMAND", help="Run this; its first line is the passphrase."),
]


def seconds(text: str) -> float:
    """A waiting time out of an option: 0.1 to 86,400 seconds; `nan` and the like are none."""
    import math

    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.1 <= value <= 86_400:
        raise typer.BadParameter(f"{text[:40]!r} is no number of seconds from 0.1 to 86400.")
    return value


Timeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", parser=seconds, help="How long to wait for it.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def interactive() -> bool:
    """Whether somebody can answer: standard input is a terminal."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def read_line(prompt: str) -> str:
    """One line from a person. Raises EOFError when the input ends."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline(_MAX_BYTES)
    if not line:
        sys.stderr.write("\n")
        raise EOFError
    return line.rstrip("\n")


def confirm(lines: Iterable[str], yes: bool, what: str) -> bool:
    """Show `lines` and go on only if the person agrees; `--yes` agrees beforehand. Whether they were shown."""
    if yes:
        return False
    if not interactive():
        raise UsageError(
            "needs_yes",
            f"{what} needs a confirmation, and standard input is no terminal. Nothing was changed.",
            hint="Add --yes.",
        )
    for line in lines:
        note(line)
    if read_line("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Refused("declined", "Nothing was done.")
    return True


def unlocking(fd: int | None, command: str | None, prompt: str = "Passphrase: ") -> Secret:
    """The passphrase of an existing wallet. Raises Locked when there is no way to get it."""
    secret = _given(fd, command, "NEXUS_PASSPHRASE")
    if secret is not None:
        return secret
    if not interactive():
        raise Locked("no_passphrase", "The wallet is locked, and no passphrase was given.", hint=_SOURCES)
    return _ask_hidden(prompt)


def choosing(fd: int | None, command: str | None, variable: str = "NEXUS_PASSPHRASE") -> Secret:
    """A passphrase for a new wallet, asked twice. Raises UsageError when there is no way to get it."""
    secret = _given(fd, command, variable)
    if secret is not None:
        return secret
    if not interactive():
        hint = _SOURCES if variable == "NEXUS_PASSPHRASE" else f"Give it in the environment variable {variable}."
        raise UsageError(
            "no_passphrase", "A new passphrase is needed, and standard input is no terminal. Nothing was made.", hint
        )
    first = _ask_hidden("New passphrase: ")
    if first != _ask_hidden("The same again: "):
        raise Refused("passphrases_differ", "The two passphrases differ. Nothing was changed.")
    return first


def two_from(fd: int) -> tuple[Secret, Secret]:
    """The old and the new passphrase: two lines of a file descriptor."""
    lines = _read_fd(fd).split(b"\n")
    if len(lines) < 2:
        raise UsageError("bad_passphrase_fd", f"Descriptor {fd} must give two lines: the old passphrase, then the new.")
    return _secret(lines[0]), _secret(lines[1])


def words(prompt: str) -> Secret:
    """Recovery words: from the keyboard, or standard input as a whole when it is no terminal."""
    from wallet.secret import Secret

    if interactive():
        return _ask_hidden(prompt)
    if sys.stdin is None or sys.stdin.closed:
        raise EOFError
    text = sys.stdin.read(_MAX_BYTES)
    if not text.strip():
        raise EOFError
    return Secret.of(text)


def _given(fd: int | None, command: str | None, variable: str) -> Secret | None:
    if fd is not None:
        return _secret(_read_fd(fd).split(b"\n")[0])
    if command:
        return _secret(_output_of(command).split(b"\n")[0])
    text = os.environb.get(os.fsencode(variable))
    return _secret(text) if text else None


def _secret(raw: bytes) -> Secret:
    from wallet.secret import Secret

    return Secret.of(raw.rstrip(b"\r").decode("utf-8", "surrogateescape"))


def _read_fd(fd: int) -> bytes:
    data = b""
    try:
        while len(data) <= _MAX_BYTES and (more := os.read(fd, _MAX_BYTES)):
            data += more
    except OSError as error:
        raise UsageError(
            "bad_passphrase_fd",
            f"No passphrase can be read from descriptor {fd}: {error.strerror}.",
            hint="For example: nexus … --passphrase-fd 3 3< FILE",
        ) from None
    if not data or len(data) > _MAX_BYTES:
        what = "is empty" if not data else "is too long"
        raise UsageError("bad_passphrase_fd", f"What descriptor {fd} gives {what}.")
    return data


def _output_of(command: str) -> bytes:
    import shlex
    import subprocess

    try:
        argv = shlex.split(command)
        found = subprocess.run(argv, stdout=subprocess.PIPE, check=False, timeout=120)
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        raise UsageError("bad_passphrase_command", "The program of --passphrase-command could not be run.") from None
    if found.returncode or not found.stdout or len(found.stdout) > _MAX_BYTES:
        raise UsageError(
            "bad_passphrase_command",
            f"The program of --passphrase-command gave no passphrase (its exit status is {found.returncode}).",
        )
    return found.stdout


def _ask_hidden(prompt: str) -> Secret:
    from getpass import getpass

    from wallet.secret import Secret

    return Secret.of(getpass(foreign(prompt), stream=sys.stderr))
