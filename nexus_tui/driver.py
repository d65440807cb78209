"""Textual's driver for a terminal that may vanish: after a hang-up nothing blocks and nothing spins.

Textual's writer thread ends when the terminal is gone, and its bounded queue then blocks whoever writes; its input
thread shows a traceback. Both would keep an embedded node from closing its database.
"""

from __future__ import annotations

from textual.drivers.linux_driver import LinuxDriver


class NexusDriver(LinuxDriver):
    """A `LinuxDriver` that drops what it cannot write and closes the app when reading ends."""

    def write(self, data: str) -> None:
        """Hand `data` to the writer thread while there is one."""
        writer = self._writer_thread
        if writer is not None and writer.is_alive():
            writer.write(data)

    def use_mouse(self, wanted: bool) -> None:
        """Ask the terminal for mouse and touch, or leave them to it."""
        self._disable_mouse_support()
        self._mouse = wanted
        self._enable_mouse_support()

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except OSError:
            self._app.call_later(self._app.exit)

    def close(self) -> None:
        """Stop the writer thread; one that died with the terminal is left alone."""
        writer = self._writer_thread
        if writer is not None and writer.is_alive():
            writer.stop()
