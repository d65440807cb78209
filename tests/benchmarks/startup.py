"""What starting costs and what waiting costs: time to an answer, to the first live screen, memory, idle processor time.

Run by hand: python tests/benchmarks/startup.py [--idle SECONDS]. It makes a solo network in a temporary folder and
prints each figure beside its bar. Linux only: memory and processor time come from /proc (proc(5)).
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NEXUS = [sys.executable, "-m", "nexus_tui"]
TYPER = [sys.executable, "-c", "import typer"]
HEAVY = ("textual", "cryptography", "nacl", "numpy", "rich", "zeroconf", "asyncio", "sqlite3", "typer")
CONTROL = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P_^X][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
ROUNDS = 21
missed = 0


def row(what: str, value: float, bar: float, unit: str = "") -> None:
    """Print a figure beside its bar; smaller is better."""
    global missed
    missed += value > bar
    print(f"{what:<62} {value:8.2f} {unit:<3} bar {bar:g}{'' if value <= bar else '   MISSED'}", flush=True)


def seconds(command: list[str]) -> float:
    """Wall time of a command that must succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def ratio(command: list[str]) -> float:
    """Median time of a command in that of `import typer`; the two take turns, so that both meet the same machine."""
    times = [(seconds(command), seconds(TYPER)) for _ in range(ROUNDS)]
    return statistics.median(first for first, _ in times) / statistics.median(second for _, second in times)


def loaded(*arguments: str) -> list[str]:
    """Heavy modules that a command leaves loaded."""
    script = (
        "import sys\nfrom nexus_tui.__main__ import main\n"
        f"sys.argv = ['nexus', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.stderr.splitlines()[-1].split()


def status(process: int, field: str) -> float:
    """A size of /proc/PID/status in MB (10⁶ bytes)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit(f"process {process} has no {field}")


def processor_seconds(process: int) -> float:
    """Time on a processor so far of all threads of a process, in seconds (to the nanosecond, not the tick)."""
    threads = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def maps(process: int, what: str) -> bool:
    """Whether a process has a library of that name loaded."""
    return what in Path(f"/proc/{process}/maps").read_text()


@dataclass
class Screen:
    """The app on a terminal of its own; `text` is what it painted, without control sequences."""

    process: int
    terminal: int
    painted: bytes = b""

    @property
    def text(self) -> str:
        return CONTROL.sub(b"", self.painted).decode(errors="replace")

    def read(self, wait: float) -> int:
        """Read for that many seconds; how many bytes came."""
        end, before = time.monotonic() + wait, len(self.painted)
        while (left := end - time.monotonic()) > 0:
            if select.select([self.terminal], [], [], left)[0]:
                self.painted += os.read(self.terminal, 1 << 16)
        return len(self.painted) - before


@contextlib.contextmanager
def app(columns: int, rows: int) -> Iterator[Screen]:
    """Open the app as a person does; it is ended by SIGTERM."""
    process, terminal = pty.fork()
    if process == 0:
        os.execvpe(NEXUS[0], NEXUS, os.environ | {"TERM": "xterm-256color", "LANG": "C.UTF-8"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    try:
        yield Screen(process, terminal)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
        os.waitpid(process, 0)
        os.close(terminal)


def paint_seconds(balance: str) -> float:
    """From the command to a screen that shows the balance of the chain."""
    start = time.perf_counter()
    with app(120, 36) as screen:
        while balance not in screen.text:
            screen.read(0.01)
            if time.perf_counter() - start > 30:
                raise SystemExit(f"the app did not show {balance!r}:\n{screen.text[-2000:]}")
        return time.perf_counter() - start


@contextlib.contextmanager
def headless() -> Iterator[int]:
    """A node in the foreground of its own process; the process."""
    with subprocess.Popen([*NEXUS, "node", "run"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as node:
        try:
            yield node.pid
        finally:
            node.send_signal(signal.SIGTERM)


def found(home: Path) -> str:
    """Make a solo network with a wallet below `home`; the first account's balance as the app writes its whole part."""
    # An installed Nexus has its bytecode; the first command leaves it beside the source here.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.update({"NEXUS_HOME": str(home), "NEXUS_PASSPHRASE": "benchmark passphrase"})
    subprocess.run([*NEXUS, "init", "--network", "solo", "--yes"], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run([*NEXUS, "wallet", "balance", "--json"], check=True, capture_output=True, text=True)
    units = max(int(item) for item in re.findall(r'"(\d{9,})"', done.stdout))
    json.loads(done.stdout)
    return f"{units // 10**8:,}"


def main() -> None:
    """Measure everything, cheap things first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle", type=int, default=300, help="seconds to watch an idle node; 300: one heartbeat")
    idle = parser.parse_args().idle
    with tempfile.TemporaryDirectory(prefix="nexus-") as folder:
        balance = found(Path(folder) / "home")
        row("nexus --version ÷ import typer", ratio([*NEXUS, "--version"]), 1.5)
        row("nexus wallet balance --json ÷ import typer", ratio([*NEXUS, "wallet", "balance", "--json"]), 3)
        for arguments in (("--version",), ("wallet", "balance", "--json")):
            modules = loaded(*arguments)
            print(f"  loaded by nexus {' '.join(arguments)}: {', '.join(modules) or 'nothing heavy'}")
            row(f"  of them Textual or cryptography ({arguments[0]})", len({"textual", "cryptography"} & {*modules}), 0)
        row(
            "app: command to first live paint, median",
            statistics.median(paint_seconds(balance) for _ in range(5)),
            1.5,
            "s",
        )
        with app(120, 36) as screen:
            screen.read(10)
            row("app with node and wallet, memory after 10 s", status(screen.process, "VmRSS"), 90, "MB")
            row("app: bytes painted in 20 idle seconds", screen.read(20), 0, "B")
        with headless() as node:
            time.sleep(8)
            bar = 65 if maps(node, "numpy") else 50
            row(f"headless node, memory {'with' if bar == 65 else 'without'} NumPy", status(node, "VmRSS"), bar, "MB")
            before = processor_seconds(node)
            time.sleep(idle)
            spent = (processor_seconds(node) - before) * 3600 / idle
            row(f"idle solo node, processor seconds an hour (over {idle} s)", spent, 10, "s")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
