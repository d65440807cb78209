"""The owner's secrets: words, keys, keystore, signing, contacts, payments and history. Never imported by node/.

Names are looked up when they are used, so that reading a balance loads no cryptography.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wallet.contacts import Contact, Contacts
    from wallet.keystore import Account
    from wallet.payments import PaymentPlan
    from wallet.secret import Secret
    from wallet.signing import Signer
    from wallet.store import WalletStore
    from wallet.wallet import Wallet

_HOMES = {
    "Account": "keystore",
    "Contact": "contacts",
    "Contacts": "contacts",
    "PaymentPlan": "payments",
    "Secret": "secret",
    "Signer": "signing",
    "Wallet": "wallet",
    "WalletStore": "store",
}

__all__ = [
    "Account",
    "Contact",
    "Contacts",
    "PaymentPlan",
    "Secret",
    "Signer",
    "Wallet",
    "WalletStore",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
