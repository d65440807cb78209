"""What the app is given: one profile, the way to its node, its wallets and its contacts. Tests give their own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.api.interface import NodeApi
    from wallet.contacts import Contacts
    from wallet.store import WalletStore

NodeFactory = Callable[[], "AbstractAsyncContextManager[NodeApi]"]


@dataclass(frozen=True, slots=True)
class Household:
    """`open_node` attaches to the node that runs on this profile, or starts one in this process.

    `opening` says how far a starting node is with fetching what it begins from, in a sentence or "". `wallets` and
    `contacts` take the network's address prefix. `faucet_key` exists on solo and demo networks only.
    """

    name: str
    folder: Path
    open_node: NodeFactory
    wallets: Callable[[str], WalletStore]
    contacts: Callable[[str], Contacts]
    faucet_key: Path | None = None
    export_folder: Path | None = None
    opening: Callable[[], str] = str

    @property
    def has_faucet(self) -> bool:
        """Whether this profile holds the key of its network's faucet."""
        return self.faucet_key is not None and self.faucet_key.is_file()
