"""The app in a real pseudo-terminal: hang-up, termination, faults, idle, colours, no terminal at all."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import stat
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("pty_app.py")
WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"


class Terminal:
    """A child with a pty for its controlling terminal."""

    def __init__(self, folder: Path, mode: str, columns: int, rows: int, environment: dict[str, str]) -> None:
        self.output = b""
        self.folder = folder
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            clean = {name: value for name, value in os.environ.items() if not name.startswith(("NEXUS", "TEXTUAL"))}
            clean |= {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environment}
            os.execve(sys.executable, [sys.executable, str(CHILD), str(folder), mode], clean)

    def read(self, seconds: float) -> bytes:
        """What arrives within `seconds`."""
        found = b""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and select.select([self.master], [], [], left)[0]:
            try:
                part = os.read(self.master, 65536)
            except OSError:
                break
            if not part:
                break
            found += part
        self.output += found
        return found

    def wait_for(self, text: bytes, seconds: float = 60.0) -> None:
        """Read until `text` was shown."""
        deadline = time.monotonic() + seconds
        while text not in self.output:
            assert time.monotonic() < deadline, self.output[-2000:]
            self.read(0.1)

    def wait_for_more(self, than: int) -> None:
        """Read until more was shown than `than` bytes."""
        deadline = time.monotonic() + 60
        while len(self.output) <= than:
            assert time.monotonic() < deadline, "nothing more was shown"
            self.read(0.1)

    def settle(self) -> None:
        """Read until nothing comes for a while in which the app waits: one that others keep from running does not."""
        quiet = 0
        while quiet < 7:
            quiet = 0 if self.read(0.1) or self._runs() else quiet + 1

    def _runs(self) -> bool:
        """Whether a thread of the app is at work, or would be if the processor were free."""
        states = [
            path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{self.pid}/task").glob("*/stat")
        ]
        return any(state not in "SZ" for state in states)

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def exit_status(self) -> int:
        """Its status once it has ended; negative for a signal."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            if self.master >= 0:
                self.read(0.02)
            else:
                time.sleep(0.02)
        raise AssertionError("the app did not end")

    def hang_up(self) -> None:
        os.close(self.master)
        self.master = -1

    def end(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self.master >= 0:
            os.close(self.master)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Start the app in a pty; whatever is left is ended afterwards."""
    started: list[Terminal] = []

    def start(mode: str = "plain", columns: int = 80, rows: int = 24, **environment: str) -> Terminal:
        started.append(Terminal(tmp_path, mode, columns, rows, environment))
        return started[-1]

    yield start
    for one in started:
        one.end()


def test_idle_sends_nothing(terminal: Callable[..., Terminal]) -> None:
    app = terminal()
    app.wait_for(b"healthy")
    app.settle()
    assert app.read(2.0) == b""
    app.press(b"3")
    app.wait_for(b"Savings")
    app.settle()
    shown = len(app.output)
    app.press(b"/")
    app.wait_for_more(shown)
    app.settle()
    assert app.read(1.5) == b"", "a focused field must not blink"
    shown = len(app.output)
    app.press(b"\x1b")
    app.wait_for_more(shown)
    app.settle()
    app.press(b"6")
    app.wait_for(b"following")
    app.settle()
    assert app.read(2.0) == b"", "a drawing that does not change is not sent again"
    app.hang_up()
    assert app.exit_status() == 0


def test_a_hang_up_ends_it_clean(terminal: Callable[..., Terminal]) -> None:
    app = terminal()
    app.wait_for(b"healthy")
    app.settle()
    app.hang_up()
    assert app.exit_status() == 0
    assert (app.folder / "closed").exists()


@pytest.mark.parametrize("mode", ["plain", "ignored"])
def test_signals_end_it_clean(terminal: Callable[..., Terminal], mode: str) -> None:
    app = terminal(mode)
    app.wait_for(b"healthy")
    app.settle()
    os.kill(app.pid, signal.SIGTERM if mode == "plain" else signal.SIGHUP)
    assert app.exit_status() == 0
    assert (app.folder / "closed").exists()


def test_a_fault_shows_no_secret_and_is_no_success(terminal: Callable[..., Terminal]) -> None:
    app = terminal("words")
    app.wait_for(b"healthy")
    app.press(b"0")
    status = app.exit_status()
    while app.read(0.3):
        pass
    assert status == 70
    assert (app.folder / "closed").exists()
    log = app.folder / "home" / "logs" / "app-faults.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    for word in WORDS.split():
        assert word.encode() not in app.output.split(b"\x1b[?1049l")[-1]
        assert word not in log.read_text()
    assert b"fault of its own (ValueError)" in app.output
    assert "builtins.ValueError" in log.read_text()


def test_no_color_sends_no_colour(terminal: Callable[..., Terminal]) -> None:
    app = terminal(NO_COLOR="1")
    app.wait_for(b"healthy")
    app.settle()
    colours = re.findall(rb"\x1b\[[0-9;]*m", app.output)
    coloured = [code for code in colours if re.search(rb"\[(?:.*;)?(?:3[0-7]|4[0-7]|9[0-7]|10[0-7]|[34]8;)", code)]
    assert not coloured


def test_a_very_small_terminal_without_utf8(terminal: Callable[..., Terminal]) -> None:
    app = terminal(columns=20, rows=5, LC_ALL="POSIX", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    app.wait_for(b"13,250.50")
    for key in (b"3", b"0", b"1", b"s", b"\x1b", b"?"):
        shown = len(app.output)
        app.press(key)
        app.wait_for_more(shown)
    app.settle()
    assert max(app.output) < 0x80
    os.kill(app.pid, signal.SIGTERM)
    assert app.exit_status() == 0


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_no_terminal_is_said(tmp_path: Path, term: str) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from nexus_tui.factory import run\n"
        "from node.api.errors import NexusError\n"
        "try: run(None, home=Path(sys.argv[1]))\n"
        "except NexusError as error: print(error.message, error.hint); sys.exit(error.exit_status)\n"
        "finally: print('textual' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "TERM": term},
        check=False,
    )
    assert done.returncode == 2
    assert "nexus status" in done.stdout
    assert done.stdout.endswith("False\n")
