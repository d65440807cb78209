"""`nexus doctor`: what is installed and missing, whether clock, disk, folders and terminal are fit, what to do."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from nexus_tui.cli.output import foreign
from nexus_tui.cli.session import session_of
from node.api.errors import NexusError

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session

OK, NOTE, PROBLEM = "ok", "note", "problem"
_NEEDED = (
    "textual",
    "rich",
    "typer",
    "cryptography",
    "pynacl",
    "aiosqlite",
    "zeroconf",
    "msgpack",
    "platformdirs",
    "mnemonic",
    "segno",
    "tomlkit",
    "python-socks",
)
_EXTRAS = {"scipy": "lab", "optuna": "lab", "dask": "lab", "textual-serve": "web", "aiohttp": "oracle"}
_FIRST_RELEASE_S = 1_767_225_600  # 2026-01-01: no clock can rightly be before
_LAST_SANE_S = 2_556_144_000  # 2051-01-01
_LEAST_DISK = 200 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `state` is "ok", "note" (works, could be better) or "problem"."""

    name: str
    state: str
    detail: str
    advice: str = ""


def doctor(context: typer.Context) -> None:
    """Check this machine: what is installed and missing, clock, disk, folders, terminal, node. Exit 1 on a problem."""
    session = session_of(context)
    found = [*_programs(), *_cryptography(), *_machine(), *_folders(session), *_terminal(), *_node(session)]
    problems = [item for item in found if item.state == PROBLEM]
    marks = {OK: "ok      ", NOTE: "note    ", PROBLEM: "PROBLEM "}
    lines = []
    for item in found:
        lines.append(f"{marks[item.state]}{item.name}: {foreign(item.detail)}")
        if item.advice:
            lines.append(f"        {foreign(item.advice)}")
    lines.append(
        "Nothing is wrong." if not problems else f"{len(problems)} problem{'s' * (len(problems) > 1)} to look at."
    )
    session.done(
        {
            "ok": not problems,
            "findings": [
                {"name": item.name, "state": item.state, "detail": item.detail, "advice": item.advice} for item in found
            ],
        },
        lines,
    )
    if problems:
        raise typer.Exit(1)


def _programs() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    from nexus_tui.cli.version import version as own

    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("nexus", OK, own())
    fits = sys.version_info >= (3, 11)
    yield Finding("python", OK if fits else PROBLEM, f"{python} on {sys.platform}", "" if fits else "3.11 or newer")

    def installed(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    missing = [name for name in _NEEDED if installed(name) is None]
    if missing:
        yield Finding("packages", PROBLEM, f"missing: {', '.join(missing)}", "pip install " + " ".join(missing))
    else:
        yield Finding("packages", OK, ", ".join(f"{name} {installed(name)}" for name in _NEEDED))
    numpy = installed("numpy")
    yield (
        Finding("numpy", OK, numpy)
        if numpy
        else Finding("numpy", NOTE, "not installed; everything works, the node is somewhat slower", "pip install numpy")
    )
    absent = sorted({extra for name, extra in _EXTRAS.items() if installed(name) is None})
    if absent:
        yield Finding("extras", NOTE, f"not installed: {', '.join(absent)} (nothing here needs them)")


def _cryptography() -> Iterator[Finding]:
    """What the library can really do, by doing it."""
    upgrade = "Install cryptography 48 or newer (on Termux: pkg upgrade python-cryptography openssl)."
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.backends.openssl import backend
    except ImportError as error:
        yield Finding("signatures", PROBLEM, f"cryptography cannot be loaded: {error}", upgrade)
        return
    from node.service.ahead import measured, words

    yield Finding("signatures", OK, words(measured()))
    library = backend.openssl_version_text()
    try:
        from cryptography.hazmat.primitives.asymmetric import mldsa

        key = mldsa.MLDSA65PrivateKey.generate()
        key.public_key().verify(key.sign(b"probe"), b"probe")
        yield Finding("ML-DSA-65", OK, f"works ({library})")
    except (ImportError, UnsupportedAlgorithm, AttributeError):
        yield Finding("ML-DSA-65", PROBLEM, f"not in {library}: this node could not validate", upgrade)
    try:
        from cryptography.hazmat.primitives import hpke  # noqa: F401

        yield Finding("HPKE", OK, "works")
    except ImportError:
        yield Finding("HPKE", PROBLEM, "not there: messages could not be sealed", upgrade)
    try:
        from nacl.bindings import crypto_pwhash_alg

        crypto_pwhash_alg(16, b"probe", bytes(16), 1, 8192, 2)
        yield Finding("Argon2id", OK, "works")
    except (ImportError, RuntimeError) as error:
        yield Finding(
            "Argon2id", PROBLEM, f"does not work: {error}", "Reinstall pynacl (Termux: SODIUM_INSTALL=system)."
        )


def _machine() -> Iterator[Finding]:
    import shutil

    from node.profile.paths import home

    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    sane = _FIRST_RELEASE_S < now < _LAST_SANE_S
    yield Finding("clock", OK if sane else PROBLEM, shown, "" if sane else "Set this device's date and time.")
    place = home()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        yield Finding("disk", PROBLEM, f"{place} cannot be looked at: {error.strerror}")
        return
    enough = free >= _LEAST_DISK
    yield Finding("disk", OK if enough else PROBLEM, f"{free >> 20} MiB free", "" if enough else "Free some space.")


def _folders(session: Session) -> Iterator[Finding]:
    from node.profile.paths import config_file, home, list_profiles

    root = home()
    if not root.exists():
        yield Finding("folder", NOTE, f"{root} does not exist yet", "nexus init makes it.")
        return
    yield _folder(root)
    try:
        origin = "read" if config_file().exists() else "defaults, no file yet"
        yield Finding("configuration", OK, f"{config_file()} ({origin}), profile {session.profile_name}")
        profiles = list_profiles()
    except NexusError as error:
        yield Finding("configuration", PROBLEM, error.message, error.hint)
        return
    yield Finding(
        "profiles", OK if profiles else NOTE, ", ".join(profiles) or "none yet", "" if profiles else "nexus init"
    )
    for name in profiles:
        folder = root / "profiles" / name
        finding = _folder(folder)
        if finding.state != OK:
            yield finding
        for secret in (folder / "validator.key", folder / "faucet.key", *sorted((folder / "wallets").glob("*.wallet"))):
            if secret.exists() and secret.stat().st_mode & 0o077:
                yield Finding("permissions", PROBLEM, f"{secret} can be read by others", f"chmod 600 {secret}")


def _folder(folder: os.PathLike[str]) -> Finding:
    try:
        found = os.stat(folder)
    except OSError as error:
        return Finding("folder", PROBLEM, f"{folder} cannot be looked at: {error.strerror}")
    if found.st_uid != os.getuid():
        return Finding(
            "folder", PROBLEM, f"{folder} belongs to another user", "Set NEXUS_HOME to a folder of your own."
        )
    if found.st_mode & 0o077:
        return Finding("folder", PROBLEM, f"{folder} is open to others", f"chmod 700 {folder}")
    if not os.access(folder, os.W_OK):
        return Finding("folder", PROBLEM, f"{folder} cannot be written", "Make it writable, or set NEXUS_HOME.")
    return Finding("folder", OK, str(folder))


def _terminal() -> Iterator[Finding]:
    import shutil

    from nexus_tui.terminal import detect

    terminal = detect()
    name = os.environ.get("TERM", "not set")
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        yield Finding("terminal", NOTE, f"none here (TERM {name}): commands work, the app does not")
    elif name in ("dumb", "unknown", "not set"):
        yield Finding(
            "terminal", NOTE, f"TERM is {name}: commands work, the app does not", "export TERM=xterm-256color"
        )
    else:
        size = shutil.get_terminal_size()
        colors = os.environ.get("COLORTERM") or ("256" if "256" in name else "16")
        yield Finding(
            "terminal", OK, f"{size.columns}x{size.lines}, TERM {name}, colours {colors if terminal.color else 'off'}"
        )
    if not terminal.unicode:
        yield Finding("characters", NOTE, "the locale is not UTF-8; plain characters are used", "export LANG=C.UTF-8")
    if terminal.termux:
        yield Finding(
            "termux", OK, f"version {os.environ.get('TERMUX_VERSION', '?')}; keep nodes awake: termux-wake-lock"
        )


def _node(session: Session) -> Iterator[Finding]:
    import asyncio

    from node.profile.paths import profile_paths

    try:
        paths = profile_paths(session.profile_name)
        if not paths.exists:
            return

        async def look() -> Finding:
            from nexus_tui.cli.connection import attach

            found = await attach(paths)
            if found is None:
                return Finding(
                    "node", NOTE, f"not running on {paths.name!r}", f"nexus node start --profile {paths.name}"
                )
            async with found as api:
                status = await api.status()
            bad = [alert for alert in status.alerts if alert.level == "error"]
            text = f"runs on {paths.name!r} (process {status.pid}, block {status.height})"
            if bad:
                return Finding("node", PROBLEM, f"{text}: {bad[0].message}", bad[0].hint)
            return Finding("node", OK, text)

        yield asyncio.run(look())
    except NexusError as error:
        yield Finding("node", PROBLEM, error.message, error.hint)
