"""The contract with scripts (experience.md, "A script"): options anywhere, one document, exit codes, no surprises."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
EVERY_COMMAND = [
    *("init", "demo", "doctor", "guide", "status"),
    *("tx show", "tx build", "tx sign", "tx submit", "block show", "block list"),
    *("node run", "node start", "node stop", "node logs", "node verify", "node backup", "node restore"),
    *("node service", "node validator-key", "wallet create", "wallet restore", "wallet list", "wallet show"),
    *("wallet balance", "wallet address", "wallet send", "wallet history", "wallet export", "wallet sign"),
    *("wallet verify", "wallet lock", "wallet backup", "wallet passphrase", "wallet watch", "wallet faucet"),
    *("wallet account add", "wallet account label", "contact add", "contact list", "contact remove"),
    *("config get", "config set", "config path"),
    *("dag show", "dag block", "dag tips", "dag finality", "dag export", "lab network", "lab clause"),
    *("mesh peers", "mesh map", "mesh invite", "mesh join", "mesh connect", "mesh ban", "mesh unban"),
    *("mesh wake", "mesh doctor"),
    *("dag evidence list", "dag evidence send", "node snapshot make", "node snapshot check", "node snapshot adopt"),
]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json", "--profile", "default", "--set", "node.log_level=debug", "config", "get", "node.log_level"),
        ("config", "--json", "--profile", "default", "--set", "node.log_level=debug", "get", "node.log_level"),
        ("config", "get", "--json", "node.log_level", "--set", "node.log_level=debug", "--profile=default"),
        ("--set", "node.log_level=debug", "config", "--profile", "default", "get", "node.log_level", "--json"),
    ],
)
def test_global_options_stand_before_and_after_every_command(nexus: Run, arguments: tuple[str, ...]) -> None:
    result = nexus(*arguments)
    assert result.status == 0
    assert result.document == {"name": "node.log_level", "value": "debug", "source": "option"}
    assert result.err == ""


def test_every_command_takes_the_global_options(nexus: Run) -> None:
    for command in nexus("--spec").document["commands"]:
        result = nexus(*command["command"].split(), "--help", "--json")
        assert result.status == 0
        for option in ("--json", "--profile NAME", "--set SECTION.KEY=VALUE"):
            assert option in result.out, command["command"]


def test_what_looks_like_an_option_can_be_a_value(nexus: Run, solo: Path, savings: str) -> None:
    sent = nexus("wallet", "send", savings, "1", "--memo", "--json", "--yes", "--json").document
    assert sent["memo"] == "--json"
    assert nexus("contact", "add", "--json", "--", "--profile", savings).document["name"] == "--profile"


def test_the_specification_names_every_command_option_and_exit_code(nexus: Run) -> None:
    spec = nexus("--spec").document
    commands = {command["command"]: command for command in spec["commands"]}
    for name in EVERY_COMMAND:
        assert commands.pop(name)["help"]
    assert commands == {}
    assert set(spec["exit_codes"]) == {"0", "1", "2", "3", "4", "5", "6", "70", "130"}
    send = next(command for command in spec["commands"] if command["command"] == "wallet send")
    options = {name for option in send["options"] for name in option["names"]}
    assert {"--max", "--to-file", "--memo", "--no-wait", "--timeout", "--yes", "--passphrase-fd"} <= options
    types = {item["type"] for command in spec["commands"] for item in (*command["options"], *command["arguments"])}
    assert types == {"text", "integer", "number", "boolean", "path", "choice"}
    assert not any("passphrase" in argument["names"][0] for argument in send["arguments"])


def test_no_secret_is_an_option_value(nexus: Run) -> None:
    """Other users read argv (`ps`); a passphrase or words never stand there."""
    for command in nexus("--spec").document["commands"]:
        for option in command["options"]:
            assert "--passphrase" not in option["names"], command["command"]
            if "--bip39-passphrase" in option["names"] or "--words" in option["names"]:
                assert option["flag"] or option["type"] == "integer"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("walet",), "Did you mean 'wallet'"),
        (("wallet",), "Missing command"),
        (("wallet", "sned"), "Did you mean 'send'"),
        (("wallet", "send", "--nope"), "No such option"),
        (("wallet", "send", "a", "1", "2"), "unexpected extra argument"),
        (("wallet", "send", "--timeout", "soon", "a", "1"), "--timeout"),
        (("status", "--watch=yes"), "does not take a value"),
        (("wallet", "send", "a", "1", "--timeout", "nan"), "--timeout"),
        (("node", "start", "--timeout", "1e999"), "--timeout"),
        (("block", "list", "--limit", "-3"), "--limit"),
        (("config", "set", "node.produce"), "Missing argument"),
        (("--nope",), "No such option"),
        ((), "The app has no --json"),
    ],
)
def test_usage_errors_are_one_document_too(nexus: Run, arguments: tuple[str, ...], message: str) -> None:
    result = nexus(*arguments, "--json")
    assert result.status == 2
    assert result.error["code"] == "usage"
    assert message in result.error["message"]
    assert result.err == ""
    if arguments:
        plain = nexus(*arguments)
        assert plain.status == 2
        assert plain.out == ""
        assert message in plain.err
        assert "Traceback" not in plain.err


def test_after_two_dashes_json_is_a_word(nexus: Run) -> None:
    result = nexus("wallet", "send", "--nope", "--", "--json")
    assert result.status == 2
    assert result.out == ""


@pytest.mark.parametrize("where", [("--profile", "wrok", "status"), ("status", "--profile", "wrok")])
def test_an_unknown_profile_is_refused_and_never_made(nexus: Run, solo: Path, where: tuple[str, ...]) -> None:
    result = nexus(*where, "--json")
    assert result.status == 2
    assert result.error["code"] == "unknown_profile"
    assert sorted(path.name for path in (solo / "profiles").iterdir()) == ["default"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "Ünder"])
def test_an_impossible_profile_is_no_default(nexus: Run, solo: Path, name: str) -> None:
    result = nexus("status", "--profile", name, "--json")
    assert (result.status, result.error["code"]) == (2, "bad_profile_name")


def test_reading_commands_make_no_folder(nexus: Run, tmp_path: Path) -> None:
    for command in (("status",), ("wallet", "balance"), ("wallet", "list"), ("config", "get"), ("doctor",)):
        nexus(*command)
    assert not (tmp_path / "nexus").exists()


@pytest.mark.parametrize("setting", ["node.x=1", "node.produce=perhaps", "node.log_files", "nod.produce=true"])
def test_bad_settings_are_refused_by_name(nexus: Run, setting: str) -> None:
    result = nexus("config", "get", "--set", setting, "--json")
    assert result.status == 2
    assert result.error["code"] == "bad_config"


def test_help_and_version_are_documents_or_text(nexus: Run) -> None:
    assert nexus("--version").out.startswith("nexus ")
    assert nexus("--version", "--json").document["version"]
    assert nexus("wallet", "send", "-h").out.startswith("Usage: nexus wallet send")


def test_foreign_text_in_a_message_cannot_drive_the_terminal(nexus: Run, solo: Path) -> None:
    for result in (
        nexus("wallet", "send", "a\x1b]52;c;aGk=\x07\u202eb", "1", "--yes"),
        nexus("wallet\x1b[2J"),
        nexus("--profile", "\x9b2J", "status"),
        nexus("block", "show", "\x1b[31m"),
    ):
        assert result.status in (1, 2)
        assert not any(ord(character) < 32 and character != "\n" for character in result.err)
        assert "\x9b" not in result.err
        assert "\u202e" not in result.err


def test_a_fault_of_the_program_shows_no_secret(nexus: Run, solo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_arguments: object, **_options: object) -> None:
        words = "legal winner thank year wave sausage worth useful legal winner thank yellow"
        raise RuntimeError(f"lost {words}")

    monkeypatch.setattr("nexus_tui.cli.asking.choosing", crash)
    monkeypatch.setattr("nexus_tui.cli.keys.choosing", crash)
    result = nexus("wallet", "create", "other", "--json")
    assert result.status == 70
    assert result.error["code"] == "internal"
    (log,) = (solo / "logs").glob("fault-*.log")
    assert log.stat().st_mode & 0o777 == 0o600
    assert "RuntimeError" in log.read_text()
    for text in (result.out, result.err, log.read_text()):
        assert "sausage" not in text
        assert "Traceback" not in text


def test_a_reader_that_leaves_is_no_crash(process: Run) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _LATE_SPEC],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.close()
    child.stdin.close()
    assert child.wait(120) == 130
    assert child.stderr.read() == b""


_LATE_SPEC = """
import sys
from nexus_tui.cli.run import run
sys.stdin.read()  # until the reader has left
sys.exit(run(["--spec"]))
"""


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1"])
def test_a_locale_without_utf8_does_not_crash(process: Run, encoding: str) -> None:
    plain = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX"}
    result = process("init", "--network", "join", "--invite", "nexus:nothing", "--yes", env=plain)
    assert result.status == 1
    assert "nexus://join?genesis=...&node=NODE@HOST:PORT" in result.err
    result = process("init", "--network", "join", "--invite", "nexus:é\u202e…", "--yes", "--json", env=plain)
    assert result.error["code"] == "bad_invitation"


def test_closed_standard_streams_are_no_crash() -> None:
    nexus = f"{sys.executable} -m nexus_tui"
    for line, status in (("config get >&-", 0), ("wallet <&-", 2), ("status 2>&-", 2), ("config get <&- >&- 2>&-", 0)):
        done = subprocess.run(
            f"{nexus} {line}", shell=True, capture_output=True, text=True, env=os.environ, timeout=240, check=False
        )
        assert done.returncode == status, line
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("env", [{}, {"TERM": "dumb"}])
def test_the_app_says_why_it_cannot_open(process: Run, env: dict[str, str]) -> None:
    for arguments in ((), ("demo",)):
        result = process(*arguments, env=env)
        assert result.status == 2
        assert result.out == ""
        assert "The app cannot open" in result.err
        assert "nexus status" in result.err


def test_ctrl_c_ends_a_command_with_130(solo: Path) -> None:
    log = solo / "logs/node-default.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("a line\n")
    child = subprocess.Popen(
        [sys.executable, "-m", "nexus_tui", "node", "logs", "-f"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "a line\n", "it has begun"
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 130
    assert out == ""
    assert err == "nexus: Interrupted.\n"


def test_completion_knows_commands(process: Run) -> None:
    env = {"_NEXUS_COMPLETE": "complete_bash", "COMP_WORDS": "nexus wallet ba", "COMP_CWORD": "2"}
    assert set(process(env=env).out.split()) == {"balance", "backup"}
    # Without this, what it prints depends on the shell that the tests happen to run under.
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    assert "_NEXUS_COMPLETE" in process("--show-completion", "bash", env=named).out


def test_documents_are_ascii(nexus: Run, solo: Path) -> None:
    result = nexus("wallet", "account", "label", "Main", "Kürzel…", "--json")
    assert result.out.isascii()
    assert json.loads(result.out)["label"] == "Kürzel…"


def test_help_and_refusals_speak_of_no_types_of_python(nexus: Run) -> None:
    from nexus_tui.cli.tree import COMMANDS

    for path in COMMANDS:
        shown = nexus(*path, "--help").out
        assert shown.startswith("Usage: nexus"), path
        assert not re.search(r"<\w+( range)?>", shown), path
    assert "'x' is no whole number" in nexus("node", "logs", "-n", "x").err
