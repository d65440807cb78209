"""Per-epoch reveals (protocol section 4): a hash chain of 2¹⁶ preimages, committed to beforehand.

c₀ is a secret seed, c_{j+1} = H(c_j), the commitment is c_65536. Preimage number n, which every block of the n-th epoch
since registration carries, is c_{65535−n}: hashed n + 1 times it gives the commitment.
"""

from __future__ import annotations

from node.encoding.hashing import tagged_hash

LENGTH = 1 << 16
_TAG = b"nexus/reveal"


def _advance(value: bytes, steps: int) -> bytes:
    for _ in range(steps):
        value = tagged_hash(_TAG, value)
    return value


class RevealChain:
    """The owner's side: commitment and preimages of a 32-byte secret seed. Building it hashes 65,536 times."""

    _STRIDE = 256

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 32:
            raise ValueError("A reveal seed has 32 bytes.")
        self._marks = [seed]
        for _ in range(LENGTH // self._STRIDE):
            self._marks.append(_advance(self._marks[-1], self._STRIDE))

    def __repr__(self) -> str:
        return "RevealChain(…)"

    @property
    def commitment(self) -> bytes:
        """What is registered before the first epoch."""
        return self._marks[-1]

    def preimage(self, number: int) -> bytes:
        """Preimage number 0…65,535; ValueError when the chain is used up."""
        if not 0 <= number < LENGTH:
            raise ValueError("The reveal chain of this validator key is used up; the key must be rotated.")
        mark, steps = divmod(LENGTH - 1 - number, self._STRIDE)
        return _advance(self._marks[mark], steps)


class RevealChecker:
    """Everybody's side. Remembers the newest good preimages of each commitment, so that a check costs few hashes."""

    _KEPT = 8  # side branches reach back a few epochs

    def __init__(self) -> None:
        self._known: dict[bytes, dict[int, bytes]] = {}

    def check(self, commitment: bytes, number: int, reveal: bytes) -> bool:
        """Whether `reveal` is preimage `number` of a chain that ends in `commitment`."""
        if not 0 <= number < LENGTH:
            return False
        known = self._known.setdefault(commitment, {})
        if number in known:
            return known[number] == reveal
        nearest = max((item for item in known if item < number), default=-1)
        later = min((item for item in known if item > number), default=LENGTH << 1)
        if later - number < number - nearest:
            good = _advance(known[later], later - number) == reveal
        else:
            good = _advance(reveal, number - nearest) == (commitment if nearest < 0 else known[nearest])
        if not good:
            return False
        known[number] = reveal
        if len(known) > self._KEPT:
            del known[min(known)]
        return True
