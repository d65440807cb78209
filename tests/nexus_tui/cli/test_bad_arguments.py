"""Whatever stands in argv, the answer is a result or a refusal: never a fault of the program, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nexus_tui.cli.tree import COMMANDS

Run = Callable[..., Any]
# A lone surrogate is what Python makes of a byte in argv that is no UTF-8.
NASTY = ["", " ", "-", "-1", "0", "9" * 400, "a" * 5000, "../../x", "/proc/self/mem", "a\nb", "\udcff", "\U0001f4a5"]
NASTY += ["[b]%s{0}", "\x1b[2J", "nexus:?amount=1", "tnxt1"]
NOT_HERE = {
    ("node", "run"): "runs until it is stopped",
    ("demo",): "takes no argument; its story is told elsewhere",
    ("lab", "network"): "simulates for a minute when nothing is wrong; its own tests give it bad options",
}


@pytest.mark.parametrize("path", [path for path in COMMANDS if path not in NOT_HERE], ids=" ".join)
def test_nasty_arguments_are_refused_not_crashed_on(
    nexus: Run, solo: Path, path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEXUS_NEW_PASSPHRASE", "another")
    for value in NASTY:
        for count in (1, 2, 3):
            result = nexus(*path, "--json", "--set", "node.produce=false", "--", *[value] * count)
            assert result.status in (0, 1, 2, 3, 4, 5, 6), (value, result)
            if result.status:
                assert result.error["message"]
    for option in ("--account", "--wallet", "--memo", "--timeout", "--limit", "--out", "--kind", "--profile", "--set"):
        for value in ("", "\udcff", "a" * 5000, "-1", "1e999", "nan"):
            result = nexus(*path, "--json", option, value)
            assert result.status in (0, 1, 2, 3, 4, 5, 6), (option, value, result)
            assert result.status or path != ("node", "start"), (option, value)
