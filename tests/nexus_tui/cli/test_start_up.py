"""Start-up time is a feature: what a command may load, seen in `sys.modules` of a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCREEN = ("textual", "rich")
SECRETS = ("cryptography", "nacl", "mnemonic", "segno")
OTHER = ("numpy", "zeroconf", "tomlkit", "platformdirs")
_SCRIPT = """
import sys
from nexus_tui.__main__ import main
sys.argv = ["nexus", *{arguments!r}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("LOADED", *sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


def loaded(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(arguments=arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_the_version_needs_next_to_nothing() -> None:
    modules = loaded("--version")
    assert not modules & {*SCREEN, *SECRETS, *OTHER, "typer", "asyncio", "sqlite3", "msgpack"}


@pytest.mark.parametrize("arguments", [("--help",), ("--spec",), ("wallet", "send", "--help"), ("config", "get")])
def test_help_and_settings_load_no_screen_and_no_secrets(arguments: tuple[str, ...]) -> None:
    modules = loaded(*arguments)
    assert not modules & {*SCREEN, *SECRETS, "numpy", "zeroconf", "sqlite3", "tomlkit"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("wallet", "balance", "--json"),
        ("wallet", "history"),
        ("wallet", "list"),
        ("wallet", "address"),
        ("block", "list"),
        ("status",),
    ],
)
def test_reading_loads_no_screen_and_no_signature_library(solo: Path, arguments: tuple[str, ...]) -> None:
    assert not loaded(*arguments) & {*SCREEN, *SECRETS, *OTHER}


def test_paying_loads_no_screen(solo: Path, savings: str) -> None:
    assert not loaded("wallet", "send", savings, "1", "--yes") & {*SCREEN, "zeroconf"}


def test_no_module_of_the_command_line_imports_click() -> None:
    folder = Path(__file__).resolve().parents[3] / "nexus_tui" / "cli"
    for path in folder.glob("*.py"):
        assert "import click" not in path.read_text()
        assert "_click" not in path.read_text()
