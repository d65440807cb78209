"""The node in the foreground: signals, the supervisor, and the first and the last word.

A signal that was ignored when the process began stays ignored: `nohup` and shells that start things in the background
ask for that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

from nexus_tui.cli.output import note

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from node.profile.paths import ProfilePaths
    from node.service.fetch_progress import FetchView
    from node.service.opening import Service
    from node.service.supervisor import Supervisor

_TELL_S = 5.0

_log = logging.getLogger("nexus.run")


class _Stop:
    """Asked for by a signal: of a node that starts, by giving that up; of one that runs, by ending it in order."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.ready = False
        self.interrupted = False
        self._work: asyncio.Task[None] | None = None

    def listen(self, work: asyncio.Task[None]) -> None:
        """Take signals from now on; `work` is what runs the node."""
        self._work = work
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: int) -> None:
        if number == signal.SIGINT and self.interrupted:
            _log.warning("interrupted twice: the process ends at once; the next start finds all that was accepted")
            os._exit(130)
        self.interrupted = self.interrupted or number == signal.SIGINT
        if self._work is not None and not self.asked.is_set() and not self.ready:
            self._work.cancel()
        self.asked.set()


class _Told:
    """Tells people how far the beginning is: each stage at once, and how it goes now and then."""

    def __init__(self, session: Session) -> None:
        self._quiet = session.json
        self._stage, self._next_s = "", 0.0

    def tell(self, view: FetchView) -> None:
        """See `node.service.opening`."""
        from node.service.fetch_progress import in_words

        now = time.monotonic()
        if view.stage == self._stage and now < self._next_s:
            return
        self._stage, self._next_s = view.stage, now + _TELL_S
        _log.info("%s", in_words(view))
        if not self._quiet:
            note(in_words(view))


async def run_node(session: Session, paths: ProfilePaths) -> bool:
    """Run until asked to stop; True when it was Ctrl-C."""
    from node.service.supervisor import Supervisor

    stop = _Stop()
    task = asyncio.create_task(_serve(session, paths, Supervisor(), stop), name="node")
    stop.listen(task)
    try:
        await asyncio.wait((task,))
    finally:
        task.cancel()
    if task.cancelled():
        _log.info("stopped while starting; nothing is lost")
        if not session.json:
            note("The node was stopped while it started; nothing is lost.")
    else:
        task.result()
        if not session.json:
            note("The node has stopped; everything is written.")
    return stop.interrupted


async def _serve(session: Session, paths: ProfilePaths, supervisor: Supervisor, stop: _Stop) -> None:
    from nexus_tui.cli.connection import service_settings
    from node.service.fetch_progress import in_words
    from node.service.opening import open_service

    def tell(view: FetchView) -> None:
        supervisor.tell(f"STATUS={in_words(view)}", "EXTEND_TIMEOUT_USEC=60000000")
        told.tell(view)

    told = _Told(session)
    supervisor.tell("STATUS=starting")
    greeted, again = False, True
    while again:
        async with open_service(paths, service_settings(session.config), tell=tell) as service:
            stop.ready = True
            if not greeted:  # else it was opened again
                await _greet(session, paths, service, supervisor)
            greeted = True
            events = (stop.asked, service.node.stop_requested, service.node.again_requested)
            waits = [asyncio.create_task(event.wait()) for event in events]
            alive = asyncio.create_task(supervisor.live(partial(_state, service)))
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (*waits, alive):
                    task.cancel()
            again = service.node.again_requested.is_set() and not (
                stop.asked.is_set() or service.node.stop_requested.is_set()
            )
            if not again:
                supervisor.tell("STOPPING=1", "STATUS=stopping")
            _log.info("opening anew" if again else "stopping")
            stop.ready = not again
    _log.info("stopped; everything is written")


async def _greet(session: Session, paths: ProfilePaths, service: Service, supervisor: Supervisor) -> None:
    """Say that the node is ready, and what already is not well: to the log, to the supervisor, to who started it."""
    from nexus_tui.cli.watching import alert_text

    status = await service.node.status()
    report = [*service.report, *(alert_text(alert) for alert in status.alerts if alert.level != "info")]
    _log.info("ready: %s, block %d, process %d", status.mode, status.height, os.getpid())
    session.done(
        {
            "running": True,
            "profile": paths.name,
            "pid": os.getpid(),
            "socket": str(paths.socket),
            "mode": status.mode,
            "height": status.height,
            "report": report,
        },
        [
            *report,
            f"The node of {paths.name!r} runs ({status.mode}, block {status.height}); Ctrl-C stops it.",
        ],
    )
    supervisor.tell("READY=1", f"STATUS={_state(service)}")


def _state(service: Service) -> str:
    """One line on the node, as `systemctl status` shows it."""
    node = service.node
    peers = f", {len(node.links.peers)} peers" if node.links is not None else ""
    return f"block {node.engine.tip.height}, final {node.retention.final_height}{peers}"
