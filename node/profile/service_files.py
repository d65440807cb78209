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
    """A user unit that runs `command` (argv of the node) with NEXUS_HOME set to `home`.

    Its bounds are those that a user's own manager can set everywhere: they need no namespaces, which some systems
    forbid, and would then keep the node from starting.
    """
    environment = f"NEXUS_HOME={_escaped(str(home))}"
    start = " ".join(f'"{_escaped(part).replace("$", "$$")}"' for part in command)
    text = f"""\
[Unit]
Description=Nexus node ({profile})
# Five starts in ten minutes that fail: then it stays down, for somebody to look at it.
StartLimitIntervalSec=600
StartLimitBurst=5

[Service]
# The node says when it is ready, and gives a sign of life every minute: one that hangs is started again.
Type=notify
NotifyAccess=main
WatchdogSec=120
# A database that is checked after a crash takes its time.
TimeoutStartSec=15min
TimeoutStopSec=30
KillSignal=SIGTERM
Environment="{environment}"
ExecStart={start}
Restart=on-failure
RestartSec=5
# 2 is a wrong configuration, 6 damaged data: starting again would not help.
RestartPreventExitStatus=2 6
UMask=0077
LimitNOFILE=4096
LimitCORE=0
OOMPolicy=continue
NoNewPrivileges=true
LockPersonality=true
RestrictRealtime=true
RestrictSUIDSGID=true
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

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
            f"journalctl --user -u {name} -f  # or: nexus node logs -f",
        ),
    )


def termux_service(command: tuple[str, ...], home: Path, profile: str) -> ServicePlan:
    """The run, finish and log scripts of termux-services (runit), and one that starts them when the phone does."""
    shell = "#!/data/data/com.termux/files/usr/bin/sh"
    # 2>&1: the log script reads one stream. The wake-lock is taken once for all of Termux; without it Android halts it.
    run = f"""\
{shell}
exec 2>&1
command -v termux-wake-lock >/dev/null && termux-wake-lock
export NEXUS_HOME={shlex.quote(str(home))}
exec {shlex.join(command)}
"""
    finish = f"""\
{shell}
# $1 is the node's exit status. 2 is a wrong configuration, 6 damaged data: starting again would not help.
case "$1" in
2 | 6) sv down "$(basename "$PWD")" ;;
0) ;;
*) sleep 5 ;;
esac
"""
    # svlogger finds the name of its service in the folder it runs in.
    log = f'{shell}\nexec "$PREFIX/share/termux-services/svlogger"\n'
    boot = f"""\
{shell}
termux-wake-lock
. "$PREFIX/etc/profile.d/start-services.sh"
"""
    folder = f"$PREFIX/var/service/nexus-{profile}"
    return ServicePlan(
        "termux",
        (
            ServiceFile(f"{folder}/run", 0o700, run),
            ServiceFile(f"{folder}/finish", 0o700, finish),
            ServiceFile(f"{folder}/log/run", 0o700, log),
            ServiceFile("~/.termux/boot/start-services", 0o700, boot),
        ),
        (
            "pkg install termux-services termux-tools  # then restart Termux once",
            f"sv-enable nexus-{profile} && sv up nexus-{profile}",
            "Android's settings: no battery optimisation for Termux; the app Termux:Boot runs the last file",
            f"sv status nexus-{profile}; sv down nexus-{profile} stops it; nexus node logs -f shows its log",
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
