"""Service files: what they run, and quoting of strange paths."""

import shlex
from pathlib import Path

from node.profile.service_files import plans

COMMAND = ("/opt/my env/bin/nexus", "node", "run", "--profile", "work")


def test_systemd_runs_the_command_with_the_home() -> None:
    plan = plans(COMMAND, Path('/home/a b/100% "x"'), "work")["systemd"]
    text = plan.files[0].text
    assert 'ExecStart="/opt/my env/bin/nexus" "node" "run" "--profile" "work"' in text
    assert 'Environment="NEXUS_HOME=/home/a b/100%% \\"x\\""' in text
    assert plan.files[0].path.endswith("nexus-work.service")


def test_termux_runs_the_command_with_the_home() -> None:
    plan = plans(COMMAND, Path("/data/it's"), "work")["termux"]
    run = next(file for file in plan.files if file.path.endswith("work/run"))
    assert run.mode == 0o700
    assert run.text.startswith("#!/data/data/com.termux/")
    assert shlex.split(run.text.splitlines()[1]) == ["export", "NEXUS_HOME=/data/it's"]
    assert shlex.split(run.text.splitlines()[2]) == ["exec", *COMMAND, "2>&1"]
