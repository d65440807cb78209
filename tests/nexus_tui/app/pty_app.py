"""Run the app on a fake node in the terminal that this process has: the child of the tests with a pty.

python pty_app.py FOLDER MODE; MODE is "plain", "words" (a crash with recovery words in a local) or "ignored"
(hang-ups were ignored before, as nohup does). Writes FOLDER/closed once the node was closed.
"""

from __future__ import annotations

import importlib.util
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

SECRET_WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"


def main(folder: Path, mode: str) -> int:
    spec = importlib.util.spec_from_file_location("world", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    conftest = importlib.util.module_from_spec(spec)
    sys.modules["world"] = conftest
    spec.loader.exec_module(conftest)
    from nexus_tui import factory
    from nexus_tui.household import Household

    world = conftest.World(folder).furnish()

    @asynccontextmanager
    async def open_node() -> AsyncIterator[Any]:
        async with world.node.opened() as node:
            try:
                yield node
            finally:
                (folder / "closed").write_text("closed")

    if mode == "ignored":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if mode == "words":

        def status() -> None:
            mnemonic = SECRET_WORDS
            raise ValueError(f"cannot use {mnemonic}")

        from nexus_tui.screens.settings import SettingsScreen

        SettingsScreen.show = lambda self, view: status()  # type: ignore[method-assign, assignment]
    household = Household(
        "default",
        folder,
        open_node,
        lambda prefix: world.store,
        lambda prefix: world.contacts,
    )
    return factory.run(household, home=folder / "home")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
