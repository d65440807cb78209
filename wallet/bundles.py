"""Key bundles of this wallet and of others: made, signed, and taken only if nothing speaks against it (section 9).

A bundle that was seen is never followed by an older one: who could bring back an old bundle could bring back keys
that leaked since. Two bundles of one version are shown, not chosen between.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from node.encoding.address import P256, Address
from node.encoding.bundle import Bundle, BundleError, SignedBundle
from wallet import suites
from wallet.secret import Secret
from wallet.signing import Signer, verify_p256

DAY = 86_400
WEEK = 7 * DAY
GOOD_FOR = 4 * WEEK
"""Seconds for which a fresh bundle is good: a phone that is off for some weeks can still be written to."""
LEEWAY = DAY
"""Clocks of others may be wrong by so much."""


class OwnBundle(NamedTuple):
    """A bundle with the secrets that belong to it: of the inbox key, and of each kind of KEM."""

    signed: SignedBundle
    inbox: Secret
    secrets: dict[int, Secret]


def make_bundle(
    signer: Signer, genesis: bytes, version: int, now: int, kinds: Iterable[int] | None = None
) -> OwnBundle:
    """A fresh bundle with fresh keys of all kinds that work here, signed by the account.

    `now` in Unix seconds. Raises what `Signer.sign` raises.
    """
    from nacl.signing import SigningKey

    inbox = Secret(os.urandom(32))
    pairs = {kind: suites.generate(kind) for kind in sorted(suites.available() if kinds is None else kinds)}
    bundle = Bundle(
        version,
        bytes(SigningKey(inbox.reveal()).verify_key),
        tuple((kind, public) for kind, (_, public) in pairs.items()),
        now,
        now + GOOD_FOR,
    )
    signed = SignedBundle(bundle, signer.scheme, signer.public_key, signer.sign(bundle.signing_hash(genesis)))
    return OwnBundle(signed, inbox, {kind: secret for kind, (secret, _) in pairs.items()})


def check_bundle(data: bytes, owner: Address, genesis: bytes, now: int) -> SignedBundle:
    """A bundle from outside: its form, whose it is, the signature, the time. Raises BundleError."""
    found = SignedBundle.decode(data)
    if found.address != owner:
        raise BundleError("other_owner", "The key bundle belongs to another address.")
    if found.scheme != P256:
        raise BundleError("unknown_scheme", "The key bundle is signed in a way that this program cannot check yet.")
    if not verify_p256(found.key, found.bundle.signing_hash(genesis), found.signature):
        raise BundleError("bad_signature", "The key bundle is not signed by the owner of its address.")
    for kind, public in found.bundle.keys:
        if kind in suites.available():
            try:
                suites.public_key(kind, public)
            except ValueError:
                raise BundleError("bad_key", "A key in the bundle is none.") from None
    if not found.bundle.not_before - LEEWAY <= now:
        raise BundleError("not_yet", "The key bundle is for a later time; is the clock of one of you wrong?")
    if found.bundle.not_after <= now:
        raise BundleError("too_old", "The key bundle is out of date. Ask its owner for a fresh card.")
    return found


def follow(known: SignedBundle | None, offered: SignedBundle) -> SignedBundle:
    """The bundle to go on with. Raises BundleError: rolled_back for an older version than one that was seen,
    two_of_one for another bundle of the same version."""
    if known is None or offered.bundle.version > known.bundle.version:
        return offered
    if offered.bundle.version < known.bundle.version:
        raise BundleError(
            "rolled_back",
            f"This is key bundle {offered.bundle.version}, and bundle {known.bundle.version} was seen already. "
            "The newer one was kept.",
        )
    if offered.hash != known.hash:
        raise BundleError(
            "two_of_one",
            f"There are two key bundles of version {known.bundle.version}. The first one was kept; compare safety "
            "numbers with its owner before you write.",
        )
    return known
