"""Find the accounts that words had in use, after a restore: derive on until some in a row were never used."""

from __future__ import annotations

from node.api.interface import NodeApi
from wallet.keystore import MAX_ACCOUNTS, Account
from wallet.wallet import Wallet

GAP = 5


async def find_accounts(wallet: Wallet, api: NodeApi, gap: int = GAP) -> tuple[Account, ...]:
    """Add every used account that `gap` unused ones do not separate from the rest; returns those added.

    The wallet must be unlocked. Raises `Locked` and what the node raises; accounts added before that stay.
    """
    added: list[Account] = []
    while len(wallet.accounts) + gap <= MAX_ACCOUNTS:
        candidates = wallet.next_accounts(gap)
        used = [place for place, a in enumerate(candidates, 1) if (await api.account(a.address)).exists]
        if not used:
            break
        added += [wallet.add_account() for _ in range(used[-1])]
    return tuple(added)
