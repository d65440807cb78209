"""The tree a person sees: what lies at the top, and nothing of one machine in it (architecture.md, "The house")."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

AT_THE_TOP = {"CHANGELOG.md", "LICENSE", "README.md", "nexus_tui", "node", "pyproject.toml", "tests", "wallet"}
LOCK_FILES = {"Cargo.lock", "Pipfile.lock", "package-lock.json", "pdm.lock", "poetry.lock", "pylock.toml", "uv.lock"}
EMPTY_NAMES = {"common", "helpers", "manager", "misc", "utils"}
PACKAGES = ("node", "wallet", "nexus_tui")

# Written in pieces, so that this file does not find itself.
MACHINE_PATHS = re.compile(rb"(?<![\w.~-])/(?:ro" + rb"ot|wo" + rb"rk|opt/(?:py|wh)\w+|tmp/(?:venv|plan))(?:/|\b)")
REGISTRY_HOSTS = re.compile(
    rb"(?:py"
    + rb"pi\.org|pythonhos"
    + rb"ted\.org|deb\.deb"
    + rb"ian\.org|registry\.np"
    + rb"mjs|(?:extra-)?index"
    + rb"-url|--trusted"
    + rb"-host)"
)


@pytest.fixture(scope="module")
def tracked(root: Path) -> list[Path]:
    """Files of the checkout that git knows, as paths from the root; those already removed are left out."""
    command = ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z"]
    if shutil.which("git") is None or (listing := subprocess.run(command, capture_output=True, check=False)).returncode:
        if os.environ.get("CI"):
            pytest.fail("git does not list this checkout")
        pytest.skip("no git, or not a git checkout")
    names = [Path(os.fsdecode(name)) for name in listing.stdout.split(b"\0") if name]
    return [name for name in names if (root / name).is_file()]


def test_the_top_holds_only_what_the_architecture_draws(tracked: list[Path]) -> None:
    top = {path.parts[0] for path in tracked}
    strangers = {name for name in top if not name.startswith(".")} - AT_THE_TOP
    assert not strangers, f"nothing else may be at the top level: {sorted(strangers)}"
    assert top >= AT_THE_TOP, f"missing at the top level: {sorted(AT_THE_TOP - top)}"


def test_there_is_no_lock_file(tracked: list[Path]) -> None:
    locks = [str(path) for path in tracked if path.name in LOCK_FILES or path.suffix == ".lock"]
    assert not locks, f"a lock file holds the hosts of registries; pins belong in .ci/constraints.txt: {locks}"


def test_no_file_names_a_machine_or_a_registry(root: Path, tracked: list[Path]) -> None:
    faults = []
    for path in tracked:
        for number, line in enumerate((root / path).read_bytes().splitlines(), 1):
            if found := MACHINE_PATHS.search(line) or REGISTRY_HOSTS.search(line):
                faults.append(f"{path}:{number}: {found[0].decode(errors='replace')}")
    assert not faults, "paths of one machine or hosts of registries:\n  " + "\n  ".join(faults)


@pytest.mark.parametrize("document", ["README.md", "CHANGELOG.md"])
def test_links_lead_somewhere(root: Path, document: str) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)\)", (root / document).read_text())
    broken = [target for target in targets if "://" not in target and not (root / target).exists()]
    assert not broken, f"{document} links to what is not there: {broken}"


def test_modules_are_named_after_what_they_hold(tracked: list[Path]) -> None:
    vague = [str(path) for path in tracked if path.suffix == ".py" and EMPTY_NAMES & {path.stem, *path.parts[:-1]}]
    assert not vague, f"names that say nothing: {vague}"


def test_modules_say_what_they_are_for(root: Path) -> None:
    silent = [
        str(path.relative_to(root))
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
        if (tree := ast.parse(path.read_bytes())).body and not ast.get_docstring(tree)
    ]
    assert not silent, f"modules without a docstring: {silent}"


def broad_handlers(tree: ast.Module) -> Iterator[int]:
    """Lines of handlers that catch everything and hide it.

    One that ends in `raise` only cleans up, and one that hands the error to `set_exception` passes it to who waits.
    """

    def is_broad(node: ast.expr | None) -> bool:
        if isinstance(node, ast.Tuple):
            return any(is_broad(item) for item in node.elts)
        return node is None or (isinstance(node, ast.Name) and node.id in {"Exception", "BaseException"})

    def passes_on(node: ast.AST, name: str | None) -> bool:
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "set_exception"
            and [ast.unparse(argument) for argument in node.args] == [name]
        )

    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and is_broad(node.type):
            last = node.body[-1]
            raised = isinstance(last, ast.Raise) and last.exc is None
            if not raised and not any(passes_on(call, node.name) for call in ast.walk(node)):
                yield node.lineno
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress") and any(map(is_broad, node.args)):
            yield node.lineno


def test_nothing_catches_everything(root: Path) -> None:
    faults = [
        f"{path.relative_to(root)}:{line}"
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
        for line in broad_handlers(ast.parse(path.read_bytes()))
    ]
    assert not faults, "catch the errors you can answer, by name:\n  " + "\n  ".join(faults)


@pytest.mark.parametrize(
    ("handler", "broad"),
    [
        ("except Exception: pass", True),
        ("except: pass", True),
        ("except (ValueError, BaseException) as e: print(e)", True),
        ("except BaseException:\n    undo()\n    raise", False),
        ("except BaseException as error: future.set_exception(error)", False),
        ("except BaseException as error: future.set_exception(OSError())", True),
        ("except OSError: pass", False),
    ],
)
def test_broad_handlers_are_seen(handler: str, broad: bool) -> None:
    assert bool(list(broad_handlers(ast.parse(f"try: pass\n{handler}")))) == broad
