"""Files that let a system start the node by itself: systemd (user unit) and termux-services. Text only; writes nothing.

Sources: systemd.service(5), systemd.exec(5); runit's runsv(8), which termux-services uses.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServiceFile:
    """A file to be put at `path` (`~` is the home folder) with `mode`."""

    path: str
    mode: int
    text: str


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """The files of one kind of service and the commands that switch it on."""

    kind: str
    files: tuple[ServiceFile, ...]
    commands: tuple[str, ...]


def systemd_unit(command: tuple[str, ...], home: Path, profile: str) -> ServicePlan:
    """A user unit that runs `command` (argv of the node) with NEXUS_HOME set to `home`."""
    environment = f"NEXUS_HOME={_escaped(str(home))}"
    start = " ".join(f'"{_escaped(part).replace("$", "$$")}"' for part in command)
    text = f"""\
[Unit]
Description=Nexus node ({profile})
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
Environment="{environment}"
ExecStart={start}
Restart=on-failure
RestartSec=5
# 2 is a wrong configuration, 6 damaged data: starting again would not help.
RestartPreventExitStatus=2 6
KillSignal=SIGTERM
TimeoutStopSec=30
NoNewPrivileges=true
UMask=0077

[Install]
WantedBy=default.target
"""
    name = f"nexus-{profile}.service"
    return ServicePlan(
        "systemd",
        (ServiceFile(f"~/.config/systemd/user/{name}", 0o600, text),),
        (
            "systemctl --user daemon-reload",
            f"systemctl --user enable --now {name}",
            "loginctl enable-linger  # to run without being logged in",
        ),
    )


def termux_service(command: tuple[str, ...], home: Path, profile: str) -> ServicePlan:
    """The run and log scripts of termux-services."""
    shell = "#!/data/data/com.termux/files/usr/bin/sh"
    run = f"{shell}\nexport NEXUS_HOME={shlex.quote(str(home))}\nexec {shlex.join(command)} 2>&1\n"
    # svlogger finds the name of its service in the folder it runs in.
    log = f'{shell}\nexec "$PREFIX/share/termux-services/svlogger"\n'
    folder = f"$PREFIX/var/service/nexus-{profile}"
    return ServicePlan(
        "termux",
        (ServiceFile(f"{folder}/run", 0o700, run), ServiceFile(f"{folder}/log/run", 0o700, log)),
        (
            "pkg install termux-services  # then restart Termux once",
            f"sv-enable nexus-{profile}",
            "termux-wake-lock  # else Android puts it to sleep",
        ),
    )


def plans(command: tuple[str, ...], home: Path, profile: str) -> Mapping[str, ServicePlan]:
    """Every kind of service by its name."""
    return {
        "systemd": systemd_unit(command, home, profile),
        "termux": termux_service(command, home, profile),
    }


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
