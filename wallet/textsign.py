"""Sign a text to show who wrote it, and check such a signature.

What is signed is H("nexus/text/sign" ‖ genesis hash ‖ text) (protocol section 2): a transaction is hashed under
another tag, so no text, whatever it says, can be turned into a payment, and it counts on its own network alone.
"""

from __future__ import annotations

import base64
import binascii

from node.api.errors import Refused
from node.encoding.address import P256, Address
from node.encoding.hashing import tagged_hash
from wallet.signing import SIGNATURE_SIZE, Signer, verify_p256

MAX_TEXT_BYTES = 64 * 1024
_TAG = b"nexus/text/sign"
_KEY_SIZE = 33
_MAX_SIGNATURE = 200


def sign_text(signer: Signer, genesis: bytes, text: str) -> str:
    """The signature of exactly this text, in base64: scheme, public key and signature. Raises `Locked`, `Refused`."""
    signature = signer.sign(_hash(genesis, text))
    return base64.b64encode(bytes((signer.scheme,)) + signer.public_key + signature).decode()


def verify_text(address: Address, genesis: bytes, text: str, signature: str) -> bool:
    """Whether `signature` is the owner of `address`'s for exactly this text on this network.

    Raises `Refused` (bad_signature) for what has no signature's form, (unknown_scheme) for one of another scheme.
    """
    try:
        if len(signature) > _MAX_SIGNATURE:
            raise ValueError
        data = base64.b64decode("".join(signature.split()), validate=True)
    except (ValueError, binascii.Error):
        raise _malformed() from None
    if data and data[0] != P256:
        raise Refused("unknown_scheme", "This signature is of a kind that this program cannot check yet.")
    if len(data) != 1 + _KEY_SIZE + SIGNATURE_SIZE:
        raise _malformed()
    key, value = data[1 : 1 + _KEY_SIZE], data[1 + _KEY_SIZE :]
    return Address.from_key(P256, key) == address and verify_p256(key, _hash(genesis, text), value)


def _hash(genesis: bytes, text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise Refused("bad_text", "The text is no valid text.") from None
    if len(data) > MAX_TEXT_BYTES:
        raise Refused("bad_text", f"A text to sign has at most {MAX_TEXT_BYTES} bytes; this one has {len(data)}.")
    return tagged_hash(_TAG, genesis, data)


def _malformed() -> Refused:
    return Refused("bad_signature", "This is no text signature of Nexus.", hint="Copy all of it.")
