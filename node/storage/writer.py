"""One writer: the chain database on a thread of its own, a whole function at a time (never an await a row)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from node.storage.chain import ChainDatabase
from node.storage.records import Batch, OpenReport

P = ParamSpec("P")
T = TypeVar("T")


class ChainWriter:
    """The writing side of `chain.db` for asyncio code.

    `database` is the same chain for synchronous code (start-up, tests); its own lock keeps transactions apart.
    """

    def __init__(self, chain: ChainDatabase) -> None:
        self.database = chain
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="chain-writer")

    @classmethod
    async def open(cls, path: Path, *, check: str = "auto") -> ChainWriter:
        """Open or create the database off the event loop; errors as in `ChainDatabase.open`."""
        return cls(await asyncio.to_thread(ChainDatabase.open, path, check=check))

    @property
    def report(self) -> OpenReport:
        """What opening found and did."""
        return self.database.report

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in the writer's thread, after everything sent before.

        Once begun it runs to its end even if the awaiting task is cancelled.
        """
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._thread, lambda: function(*args, **kwargs)))

    async def advance(self, batch: Batch) -> None:
        """`ChainDatabase.advance` in the writer's thread."""
        await self.run(self.database.advance, batch)

    async def close(self) -> None:
        """Finish what was sent, mark the database as cleanly closed and close it."""
        try:
            await self.run(self.database.close)
        finally:
            self._thread.shutdown(wait=False)
