"""Making and running the app: the one way for the command line and for tests.

`run` is what `nexus` does without a command. It returns the real exit status: 0 after a quit, a hang-up or SIGTERM,
70 after a fault of the program, 2 without a terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_tui.settings import Preferences
from nexus_tui.terminal import Terminal, detect, require_terminal

if TYPE_CHECKING:
    from nexus_tui.app import NexusApp
    from nexus_tui.household import Household
    from nexus_tui.screens.wizard import Onboarding


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def make_app(
    household: Household | None,
    *,
    home: Path,
    onboarding: Onboarding | None = None,
    preferences: Preferences | None = None,
    terminal: Terminal | None = None,
    now_ms: Callable[[], int] = _now_ms,
    notice: str = "",
) -> NexusApp:
    """An app on `household`, or on the wizard when there is none yet.

    `home` is the root of all data (themes and the log of faults are there); `notice` is said once Home is open.
    """
    from nexus_tui.app import NexusApp

    return NexusApp(
        household,
        now_ms=now_ms,
        onboarding=onboarding,
        preferences=preferences,
        terminal=terminal or detect(),
        home=home,
        notice=notice,
    )


def run(
    household: Household | None,
    *,
    home: Path,
    onboarding: Onboarding | None = None,
    preferences: Preferences | None = None,
    notice: str = "",
) -> int:
    """Open the app on this terminal and return the exit status. Raises UsageError (exit 2) without a terminal."""
    require_terminal()
    # Set before Textual is imported: it reads them then.
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    app = make_app(household, home=home, onboarding=onboarding, preferences=preferences, notice=notice)
    asyncio.run(_run(app, mouse=preferences.mouse if preferences is not None else True))
    return app.return_code or 0


async def _run(app: NexusApp, mouse: bool) -> None:
    try:
        with contextlib.suppress(OSError):  # the terminal is gone
            await app.run_async(mouse=mouse)
    finally:
        await app.close_node()
        _forget_what_nobody_took()


def _forget_what_nobody_took() -> None:
    """What a vanished terminal did not take would be tried again when Python ends, and make the exit status 120."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
