"""Account keys from a seed: SLIP-0010 on nist256p1, path m/44'/7777'/account'/0'/index' (protocol section 2).

https://github.com/satoshilabs/slips/blob/master/slip-0010.md. On P-256 one hash in 2³² is no valid key, so the
standard says how to go on: the retry rules of `master` and `child` are those, never "take the next index".
"""

from __future__ import annotations

import hashlib
import hmac

from wallet.secret import Secret

HARDENED = 1 << 31
PURPOSE, COIN = 44, 7777
MAX_ACCOUNT = HARDENED - 1
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_MASTER_KEY = b"Nist256p1 seed"


class ExtendedKey:
    """A private key of P-256 and the chain code from which its children come. Shows neither."""

    __slots__ = ("chain_code", "private")

    def __init__(self, private: Secret, chain_code: Secret) -> None:
        self.private = private
        self.chain_code = chain_code

    def __repr__(self) -> str:
        return "ExtendedKey(hidden)"

    def public_key(self) -> bytes:
        """The compressed point, 33 bytes."""
        return public_key(self.private)

    def child(self, index: int) -> ExtendedKey:
        """The child at `index`, hardened from 2³¹ on."""
        if not 0 <= index < 1 << 32:
            raise ValueError("A child index is 0 to 2³²−1.")
        number = index.to_bytes(4)
        if index >= HARDENED:
            digest = self._mac(b"\x00" + self.private.reveal() + number)
        else:
            digest = self._mac(self.public_key() + number)
        while not (private := _child_key(digest, self.private)):
            digest = self._mac(b"\x01" + digest.reveal()[32:] + number)
        return ExtendedKey(private, Secret(digest.reveal()[32:]))

    def wipe(self) -> None:
        """Forget both parts."""
        self.private.wipe()
        self.chain_code.wipe()

    def _mac(self, data: bytes) -> Secret:
        return Secret(hmac.digest(self.chain_code.reveal(), data, hashlib.sha512))


def _child_key(digest: Secret, parent: Secret) -> Secret | None:
    """Left half plus parent key modulo the order; None where that is no valid key."""
    left = int.from_bytes(digest.reveal()[:32])
    key = (left + int.from_bytes(parent.reveal())) % ORDER
    return Secret(key.to_bytes(32)) if left < ORDER and key else None


def master(seed: Secret) -> ExtendedKey:
    """The root of a seed."""
    digest = Secret(hmac.digest(_MASTER_KEY, seed.reveal(), hashlib.sha512))
    while not 0 < int.from_bytes(digest.reveal()[:32]) < ORDER:
        digest = Secret(hmac.digest(_MASTER_KEY, digest.reveal(), hashlib.sha512))
    return ExtendedKey(Secret(digest.reveal()[:32]), Secret(digest.reveal()[32:]))


def account_path(account: int, index: int = 0) -> tuple[int, ...]:
    """m/44'/7777'/account'/0'/index' as child indices."""
    if not 0 <= account <= MAX_ACCOUNT or not 0 <= index <= MAX_ACCOUNT:
        raise ValueError("An account number is 0 to 2³¹−1.")
    return tuple(step | HARDENED for step in (PURPOSE, COIN, account, 0, index))


def derive(seed: Secret, path: tuple[int, ...]) -> ExtendedKey:
    """The key at `path` under the root of `seed`."""
    key = master(seed)
    for index in path:
        key = key.child(index)
    return key


def public_key(private: Secret) -> bytes:
    """The compressed point (33 bytes) of a private key of 32 bytes."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = ec.derive_private_key(int.from_bytes(private.reveal()), ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
