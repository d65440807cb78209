"""Driving the app in tests, however slow the machine is.

Textual's own `Pilot` takes an app for idle when the processor does little for it, which is also so when other programs
have the processor. This one waits until all messages are handled and everything is laid out, clicks only what stands
still, and says so when a click would meet something else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from textual.message_pump import MessagePump
from textual.pilot import Pilot
from textual.widget import Widget

PATIENCE = 180.0
"""Seconds until a test gives up; none of them pass where the app does as it should."""
_ROUNDS = 4
"""So many rounds of the event loop nothing may happen in: what a worker has just been woken for comes between."""


class SteadyPilot(Pilot[Any]):
    """Waits for what the app has still to do after every step; reading files or the node is not part of that."""

    async def press(self, *keys: str) -> None:
        """Press one key after the other, each when the app has dealt with the one before."""
        for key in keys:
            await self.app._press_keys([key])
            await self._wait_for_screen()

    async def pause(self, delay: float | None = None) -> None:
        """Wait for the app, and before that for `delay` seconds."""
        if delay is not None:
            await asyncio.sleep(delay)
        await self._wait_for_screen()

    async def _wait_for_screen(self, timeout: float = PATIENCE) -> bool:  # noqa: ASYNC109 (as Pilot has it)
        deadline = time.monotonic() + timeout
        quiet = 0
        while quiet < _ROUNDS and not self._ends():
            waits_for = self._busy()
            quiet = 0 if waits_for else quiet + 1
            assert time.monotonic() < deadline, f"still at work: {waits_for}"
            if waits_for:
                self.app.screen._on_timer_update()  # else up to a sixtieth of a second later
            await asyncio.sleep(0.001 if waits_for else 0)
        return not self._ends()

    def _ends(self) -> bool:
        app = self.app
        return app._exit or app._closing or app._exception is not None or not app._screen_stack

    def _busy(self) -> str:
        """What is not dealt with yet; "" when that is nothing."""
        app = self.app
        screen = app.screen
        for pump in (app, *app._background_screens, *screen.walk_children(with_self=True)):
            if not pump._closed and not _at_rest(pump):
                return f"{pump!r} has messages"
        for name in ("_layout_required", "_scroll_required", "_repaint_required", "_recompose_required"):
            if getattr(screen, name):
                return f"{screen!r} is to be drawn ({name})"
        return "calls after drawing" if screen._callbacks or screen._dirty_widgets else ""

    async def _post_mouse_events(  # type: ignore[override]
        self, events: Any, widget: Any = None, offset: tuple[int, int] = (0, 0), button: int = 0, **options: Any
    ) -> bool:
        await self._wait_for_screen()
        target = self.app.screen if widget is None else widget
        if not isinstance(target, Widget):
            target = self.app.screen.query_one(target)
        await wait_until(self, lambda: not target.has_class("-active"))  # a button just pressed takes no second press
        met, _ = self.app.get_widget_at(*(target.region.offset + offset))
        assert target in met.ancestors_with_self, f"{met!r} lies where {target!r} is to be clicked"
        await super()._post_mouse_events(events, target, offset, button, **options)
        return True


def _at_rest(pump: MessagePump) -> bool:
    """Whether it waits for its next message; textual does not count the one it works on."""
    ready: Any = pump._message_queue.ready_event
    return not ready.is_set() and bool(ready._waiters)


async def wait_until(pilot: Any, so: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait, not longer than needed, until something is so; then until the app has dealt with what made it so."""
    deadline = time.monotonic() + seconds
    while not so():
        if pilot.app._exception is not None:
            raise pilot.app._exception
        assert time.monotonic() < deadline, "it did not come to be"
        await pilot.pause(0.005)
    await pilot.pause()
