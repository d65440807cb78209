"""Domain-separated hashing (protocol section 2: every hash is separated by a tag).

BLAKE2b has a field for exactly this, the personalisation of RFC 7693 section 2.5, so a tag costs no input bytes
and two tags can never collide by concatenation.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b


def tagged_hash(tag: bytes, *parts: bytes, size: int = 32) -> bytes:
    """BLAKE2b of the parts' concatenation, personalised by `tag` (at most 16 bytes).

    `size` is the digest's length in bytes, 1 to 64. The parts are not delimited: every caller's layout has
    fixed-length parts before at most one of variable length.
    """
    digest = _begun(tag, size).copy()
    for part in parts:
        digest.update(part)
    return digest.digest()


@cache  # copying a begun hash costs half of beginning it
def _begun(tag: bytes, size: int) -> blake2b:
    return blake2b(digest_size=size, person=tag)
