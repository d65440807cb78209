"""What every test stands on: a machine that looks the same everywhere, and folders of its own.

The environment is settled before anything of the project (or Textual, which reads its switches once) is imported.
A test that starts processes passes `os.environ` on and so keeps the same world.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}

# What a person may have set for their own Nexus, terminal or pager must not reach a test.
_FOREIGN = {
    "COLORTERM",
    "COLUMNS",
    "FORCE_COLOR",
    "LINES",
    "NO_COLOR",
    "PAGER",
    "TMUX",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
}
_FOREIGN |= {"CLICOLOR", "CLICOLOR_FORCE", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY"}
_FOREIGN |= {"PYTHONBREAKPOINT", "PYTHONUNBUFFERED"}
for _name in list(os.environ):
    # The second is how the snapshot plugin tells its workers where to put their findings.
    if _name in ("NEXUS_VECTORS", "TEXTUAL_SNAPSHOT_TEMPDIR"):
        continue
    if _name in _FOREIGN or _name.startswith(("NEXUS_", "_NEXUS_", "TEXTUAL_")):
        del os.environ[_name]
os.environ.update(
    {
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        # A node that a test starts is reached from this machine alone, and tells nobody of itself.
        "NEXUS_MESH_DISCOVERY": "false",
        "NEXUS_MESH_LISTEN": "127.0.0.1",
        "TERM": "xterm-256color",
        "TEXTUAL_ANIMATIONS": "none",
        "TZ": "UTC",
    }
)
time.tzset()

# No deadline anywhere: a slow machine is no fault. In CI the examples are the same in every run.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, database=None, print_blob=True)
settings.register_profile("deep", settings.get_profile("default"), max_examples=5_000)
settings.load_profile("ci" if IN_CI else "default")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--count`, the number of random moments at which the crash scenarios kill a node, and `--away`."""
    parser.addoption("--count", type=int, default=40, metavar="N", help="kills a crash scenario makes (default: 40)")
    parser.addoption(
        "--away", type=float, default=4, metavar="S", help="seconds that a killed node is away (default: 4)"
    )


@pytest.fixture(scope="session")
def away(pytestconfig: pytest.Config) -> float:
    """See `--away`."""
    return float(pytestconfig.getoption("--away"))


@pytest.fixture
def count(pytestconfig: pytest.Config) -> int:
    """How many times a crash scenario kills its node (`--count`)."""
    value = pytestconfig.getoption("--count")
    assert isinstance(value, int)
    return value


@pytest.fixture(scope="session")
def runtime_folder() -> Iterator[Path]:
    """The folder of sockets whose own place has too long a path: a short name, private, gone after the run."""
    with tempfile.TemporaryDirectory(prefix="nexus-run-") as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test a home, a Nexus root and XDG folders below its own `tmp_path`; none exists before it is used."""
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path / "nexus"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / ".local/share"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / ".local/state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime_folder))


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root: where pyproject.toml is."""
    return ROOT


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of others' published test vectors: `NEXUS_VECTORS`, or `shared/vectors` beside the checkout.

    Skips without one; in CI that is a failure, since no conformance test would have run.
    """
    folder = Path(os.environ.get("NEXUS_VECTORS") or ROOT.parent / "shared" / "vectors")
    if not folder.is_dir():
        reason = f"no test vectors at {folder}; set NEXUS_VECTORS to their folder"
        if IN_CI:
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
