"""The base install goes onto a phone: no dependency may drag a Rust build, or a long C build, into Termux.

Termux has Python 3.14 on `android_24_arm64_v8a`; the package index has next to no wheels for it. So everything of the
base must be a pure wheel but for what README tells a person to install with `pkg` or lets clang build in a minute.
pip itself resolves the whole base for the phone; those few stand in as empty wheels that keep the real ones'
requirements. (pip evaluates environment markers for the machine it runs on; `sys_platform` is the one that differs.)
Source: research/mesh-and-messengers.md, section 4.1; versions there are Termux's of 2026-08-22.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGED_BY_TERMUX = {"cryptography": "50.0.0", "msgpack": "1.2.1", "numpy": "2.4.4"}
BUILT_WITH_CLANG = ("cffi", "pynacl")
PURE_FROM_SOURCE = ("zeroconf",)
PHONE = [
    *("--platform", "android_24_arm64_v8a", "--python-version", "3.14", "--implementation", "cp"),
    *("--abi", "cp314", "--abi", "abi3", "--abi", "none"),
]


def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, stdin=subprocess.DEVNULL)


def pins(root: Path) -> dict[str, str]:
    lines = (root / ".ci" / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines if "==" in line}


def base(root: Path) -> list[str]:
    return list(tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"])


def stand_in(name: str, version: str, folder: Path) -> None:
    """Write an empty pure wheel of that name and version with the requirements of the installed distribution."""
    requirements = [line for line in importlib.metadata.requires(name) or [] if "extra ==" not in line]
    label = f"{re.sub('[-_.]+', '_', name)}-{version}"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Dist: {line}" for line in requirements]
    with zipfile.ZipFile(folder / f"{label}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{label}.dist-info/METADATA", "\n".join(metadata) + "\n")
        wheel.writestr(f"{label}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{label}.dist-info/RECORD", "")


def resolve(root: Path, requirements: list[str], folder: Path) -> str:
    """Let pip choose the phone's packages; what is wrong with them, or nothing."""
    chosen = pins(root)
    stand_ins = {name: chosen[name] for name in (*BUILT_WITH_CLANG, *PURE_FROM_SOURCE)} | PACKAGED_BY_TERMUX
    links = folder / "stand-ins"
    links.mkdir()
    for name, version in stand_ins.items():
        stand_in(name, version, links)
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in (chosen | stand_ins).items()))
    report = folder / "report.json"
    done = pip(
        *("install", "--dry-run", "--quiet", "--only-binary=:all:", "--target", str(folder / "target"), *PHONE),
        *("--find-links", str(links), "--constraint", str(constraints), "--report", str(report), *requirements),
    )
    if done.returncode:
        return done.stderr
    names = {canonicalize_name(item["metadata"]["name"]) for item in json.loads(report.read_text())["install"]}
    missing = {canonicalize_name(Requirement(line).name) for line in requirements} - names
    assert not missing, f"pip left out {sorted(missing)}: this test no longer looks at everything"
    # Without a pin pip falls back to a release of years ago that still had a pure wheel (aiohttp: 0.13).
    return "".join(f"{name} is not in .ci/constraints.txt\n" for name in sorted(names - chosen.keys()))


@pytest.fixture(scope="module")
def _index_answers(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip without a package index to ask; in CI there is one, and not asking it would prove nothing."""
    target = str(tmp_path_factory.mktemp("probe"))
    if not os.environ.get("CI") and pip("install", "--dry-run", "--no-deps", "--target", target, "mdurl").returncode:
        pytest.skip("no package index answers")


@pytest.mark.slow
@pytest.mark.usefixtures("_index_answers")
def test_the_base_resolves_on_a_phone(root: Path, tmp_path: Path) -> None:
    complaint = resolve(root, base(root), tmp_path)
    assert not complaint, f"the base no longer installs on Termux:\n{complaint}"


@pytest.mark.slow
@pytest.mark.usefixtures("_index_answers")
@pytest.mark.parametrize("intruder", ["pydantic>=2", "typer>=0.29", "orjson", "aiohttp"])
def test_a_dependency_that_must_be_compiled_is_caught(root: Path, tmp_path: Path, intruder: str) -> None:
    name = canonicalize_name(Requirement(intruder).name)
    kept = [line for line in base(root) if canonicalize_name(Requirement(line).name) != name]
    assert resolve(root, [*kept, intruder], tmp_path)


def test_the_base_takes_what_termux_packages(root: Path) -> None:
    for requirement in map(Requirement, base(root)):
        packaged = PACKAGED_BY_TERMUX.get(canonicalize_name(requirement.name))
        if packaged:
            assert requirement.specifier.contains(packaged), f"pip would compile {requirement.name} on the phone"
            upper = [item for item in requirement.specifier if item.operator in {"<", "<=", "==", "~="}]
            assert not upper, f"{requirement}: Termux's package moves on; an upper bound would make pip compile it"


def test_readme_installs_what_the_phone_needs(root: Path) -> None:
    text = (root / "README.md").read_text()
    for word in (*(f"python-{name}" for name in PACKAGED_BY_TERMUX), "clang", "libsodium", "SODIUM_INSTALL=system"):
        assert word in text, f"README's recipe for Termux lacks {word}"
    assert "SKIP_CYTHON=1" in text
    assert "--system-site-packages" in text


@pytest.mark.slow
@pytest.mark.usefixtures("_index_answers")
def test_zeroconf_builds_without_a_compiler(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKIP_CYTHON", "1")
    for compiler in ("CC", "CXX"):
        monkeypatch.setenv(compiler, "false")
    wanted = f"zeroconf=={pins(root)['zeroconf']}"
    done = pip("wheel", "--quiet", "--no-deps", "--no-binary", "zeroconf", "--wheel-dir", str(tmp_path), wanted)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("zeroconf-*.whl")
    compiled = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith((".so", ".pyd"))]
    assert not compiled
