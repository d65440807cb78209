"""A node that runs as a process of its own, asked over its socket."""

from __future__ import annotations

from node.api.client import RemoteNode
from node.api.errors import NoNode
from node.api.records import Status
from node.ledger.types import SignedTransaction
from node.profile.paths import ProfilePaths


class Resident:
    """The node of a profile."""

    def __init__(self, paths: ProfilePaths) -> None:
        self.paths = paths

    async def status(self) -> Status | None:
        try:
            async with await RemoteNode.connect(self.paths.socket) as node:
                return await node.status()
        except NoNode:
            return None

    async def submit(self, transaction: SignedTransaction) -> None:
        async with await RemoteNode.connect(self.paths.socket) as node:
            await node.submit(transaction.raw)

    async def has_done(self, transactions: list[SignedTransaction]) -> bool:
        async with await RemoteNode.connect(self.paths.socket) as node:
            views = [await node.transaction(item.txid) for item in transactions]
        return all(view is not None and view.status == "done" for view in views)
