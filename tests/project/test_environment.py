"""The test environment is what .ci/constraints.txt says, and the code starts where a phone would start it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def pins(root: Path) -> dict[str, str]:
    lines = (root / ".ci" / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def needed(lines: list[str], extra: str, seen: set[str]) -> set[str]:
    """Names of all that these requirements need here, however indirectly."""
    for requirement in map(Requirement, lines):
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        if name not in seen:
            seen.add(name)
            for wanted in ("", *requirement.extras):
                needed(importlib.metadata.requires(name) or [], wanted, seen)
    return seen


def test_constraints_hold_names_and_versions_only(root: Path) -> None:
    for line in (root / ".ci" / "constraints.txt").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.+!]*", line), line
    names = [canonicalize_name(name) for name in pins(root)]
    assert len(names) == len(set(names))


def test_everything_installed_for_tests_is_pinned(root: Path) -> None:
    pinned = {canonicalize_name(name): version for name, version in pins(root).items()}
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    used = needed([*project["dependencies"], *project["optional-dependencies"]["test"]], "", set())
    assert used == pinned.keys(), "renew .ci/constraints.txt as README's section on tests says"
    if os.environ.get("CI"):
        installed = {name: importlib.metadata.version(name) for name in used}
        assert installed == pinned


ON_A_PHONE = """
import sys
sys.platform = "android"
import importlib, pkgutil
import nexus_tui, node, wallet
for package in (node, wallet, nexus_tui):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
print(*sys.modules)
"""

# No `sem_open` for the first on Android, no builds of the others.
MISSING_ON_A_PHONE = {"multiprocessing", "psutil", "pydantic"}


def test_every_module_imports_where_the_platform_is_android() -> None:
    command = [sys.executable, "-W", "error::SyntaxWarning", "-c", ON_A_PHONE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "node.encoding.canonical" in loaded
    assert not loaded & MISSING_ON_A_PHONE
