"""Whether data costs here, as far as the system tells.

Android tells programs in Termux only through termux-api: on Wi-Fi data is taken to be free, elsewhere it is mobile
data. A Wi-Fi that is another phone's hotspot looks like any other; its user says so himself (`mesh.metered`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
from typing import Any

COMMAND = "termux-wifi-connectioninfo"
PATIENCE_S = 4.0
"""It asks another app, which may not be installed, and then never answers."""
_MAX_ANSWER = 64 << 10

_log = logging.getLogger("nexus.mesh")


async def asks_system(command: str = COMMAND, patience_s: float = PATIENCE_S) -> bool | None:
    """Whether data is metered; None where nothing tells. Runs one short command."""
    program = shutil.which(command)
    if program is None:
        return None
    try:
        process = await asyncio.create_subprocess_exec(
            program, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError as error:
        _log.info("%s cannot be run: %s", command, error)
        return None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(patience_s):
            answer = await process.stdout.read(_MAX_ANSWER)
            await process.wait()
    except TimeoutError:
        _log.info("%s did not answer: is the app Termux:API installed?", command)
        return None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return read_wifi(answer)


def read_wifi(answer: bytes) -> bool | None:
    """What the command's answer means; None for one that says nothing."""
    try:
        found: Any = json.loads(answer)
    except ValueError:
        return None
    if not isinstance(found, dict) or "supplicant_state" not in found:
        return None
    linked = found["supplicant_state"] == "COMPLETED" and found.get("ip") not in (None, "", "0.0.0.0")
    return not linked
