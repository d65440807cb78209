"""What kind of terminal this is, and what follows from it (research: phones, SSH, no colour, no UTF-8).

Reads the environment once, at start; nothing here imports Textual, so that the command line can ask `why_not` first.
"""

from __future__ import annotations

import locale
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from node.api.errors import UsageError


@dataclass(frozen=True, slots=True)
class Terminal:
    """`unicode`: box drawing and QR codes can be shown. `color`: colour may be used at all."""

    unicode: bool = True
    color: bool = True
    termux: bool = False
    remote: bool = False
    tmux: bool = False
    light: bool = False

    @property
    def auto_theme(self) -> str:
        """The theme behind `theme = "auto"`: without colour, or over SSH, the terminal's own sixteen."""
        if not self.color:
            return "ansi-light" if self.light else "ansi-dark"
        return "light" if self.light else "dark"


def detect(environment: Mapping[str, str] | None = None, encoding: str | None = None) -> Terminal:
    """The terminal as the environment describes it."""
    environment = os.environ if environment is None else environment
    if encoding is None:
        encoding = getattr(sys.stderr, "encoding", None) or locale.getpreferredencoding(False)
    return Terminal(
        unicode=_is_utf8(encoding) and _is_utf8(_charset(environment)),
        color="NO_COLOR" not in environment,
        termux="TERMUX_VERSION" in environment,
        remote="SSH_TTY" in environment or "SSH_CONNECTION" in environment,
        tmux="TMUX" in environment,
        light=_is_light(environment.get("COLORFGBG", "")),
    )


def _charset(environment: Mapping[str, str]) -> str:
    """The locale's character set: Python itself writes UTF-8 in the C locale too, whose terminal shows it as noise.

    With no locale at all, as in many containers, the terminal is most likely as new as everything else.
    """
    locale_name = next((name for key in ("LC_ALL", "LC_CTYPE", "LANG") if (name := environment.get(key))), "UTF-8")
    return locale_name.rpartition(".")[2].partition("@")[0]


def _is_utf8(charset: str) -> bool:
    return charset.lower().replace("-", "") in ("utf8", "utf8sig")


def _is_light(colors: str) -> bool:
    """COLORFGBG is "foreground;background" in the sixteen colours; 7 and 15 are white."""
    return colors.rpartition(";")[2] in ("7", "15")


def require_terminal(environment: Mapping[str, str] | None = None) -> None:
    """Raises UsageError (exit 2) when the app cannot be shown here; the message names the command line instead."""
    environment = os.environ if environment is None else environment
    what = ""
    if environment.get("TERM", "") in ("dumb", "unknown"):
        what = f"this terminal (TERM={environment['TERM']}) cannot show it"
    elif not (sys.__stdin__ and sys.__stdin__.isatty()):
        what = "standard input is no terminal"
    elif not (sys.__stderr__ and sys.__stderr__.isatty()):
        what = "standard error, on which it draws, is no terminal"
    if what:
        raise UsageError(
            "no_terminal",
            f"The app cannot open: {what}.",
            "Everything works without it: try `nexus status`, `nexus wallet balance` or `nexus --help`.",
        )
