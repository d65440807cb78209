"""One result everywhere: golden.py prints the same under any hash seed, locale, time zone, Python and processor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
# In .venv/pythons, where .ci/run puts them: version and processor, None for this machine's.
OTHER_PYTHONS: dict[str, tuple[tuple[int, int], str | None]] = {
    "venv-3.14/bin/python": ((3, 14), None),
    "aarch64-3.11/python": ((3, 11), "aarch64"),
    "aarch64-3.14/python": ((3, 14), "aarch64"),
}
LIVED_THROUGH = {"bad_reveal", "bad_signature", "bad_wave", "disqualified", "done", "failed", "final", "reds"}
LIVED_THROUGH |= {"skipped", "undone"}


def run(python: Path | str, *arguments: Path | str, **changed: str) -> str:
    """What a script prints; nothing is left behind in the source tree."""
    command = [str(python), *map(str, arguments)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **changed}
    done = subprocess.run(command, env=environment, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode()


def digests(python: Path | str, *history: Path, **changed: str) -> dict[str, Any]:
    """The document of golden.py."""
    document: dict[str, Any] = json.loads(run(python, HERE / "golden.py", *history, **changed))
    return document


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,000 mixed blocks with their votes."""
    file = tmp_path_factory.mktemp("history") / "history"
    run(sys.executable, HERE / "history.py", file)
    return file


@pytest.fixture(scope="module")
def here(history: Path) -> dict[str, Any]:
    """What this Python makes of the history."""
    return digests(sys.executable, history)


def test_the_rules_give_what_they_always_gave(here: dict[str, Any]) -> None:
    known = json.loads((HERE / "golden.json").read_text())
    assert here["rules"] == known["rules"], "another network; if that is meant, renew it as golden.py says"


def test_the_history_is_mixed(here: dict[str, Any]) -> None:
    events = here["states"]["events"]
    assert events["blocks"] >= 1_000
    assert events.keys() >= LIVED_THROUGH
    assert min(events.values()) > 0


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"PYTHONHASHSEED": "0"}, marks=pytest.mark.slow, id="seed-0"),
        pytest.param(
            {"PYTHONHASHSEED": "1", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "Pacific/Kiritimati"},
            marks=pytest.mark.slow,
            id="seed-1-turkish",
        ),
        pytest.param(
            {"PYTHONHASHSEED": "random", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "EST5EDT"},
            id="random-seed-ascii",
        ),
    ],
)
def test_hash_seed_locale_and_time_zone_change_nothing(
    history: Path, here: dict[str, Any], changed: dict[str, str]
) -> None:
    there = digests(sys.executable, history, **changed)
    assert there["where"]["hash seed"] == changed["PYTHONHASHSEED"]
    assert (there["rules"], there["states"]) == (here["rules"], here["states"])


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("name", OTHER_PYTHONS)
def test_another_python_and_processor_change_nothing(
    history: Path, here: dict[str, Any], name: str, root: Path
) -> None:
    python = root / ".venv" / "pythons" / name
    if not python.exists():
        reason = f"no Python at {python.relative_to(root)}; .ci/run puts it there"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    version, machine = OTHER_PYTHONS[name]
    there = digests(python, history)
    assert tuple(map(int, there["where"]["python"].split(".")[:2])) == version
    assert there["where"]["machine"] == (machine or here["where"]["machine"])
    assert (there["rules"], there["states"]) == (here["rules"], here["states"])
