"""Payers and operators of validators: real keys, drawn from the seed, whose signatures are the same in every run."""

from __future__ import annotations

from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.consensus.reveals import LENGTH
from node.encoding.address import P256, raw_address
from node.encoding.hashing import tagged_hash
from node.ledger.signatures import P256_ORDER, low_s
from node.ledger.types import EVIDENCE, TRANSFER, SignedTransaction, Transaction, transfer_payload

NEVER = 1 << 40
"""An expiry that no simulation reaches."""
# A block's id covers its signature, so signatures must not hold a drawn number (RFC 6979).
_PLAIN = ec.ECDSA(SHA256(), deterministic_signing=True)
_DIGEST = ec.ECDSA(Prehashed(SHA256()), deterministic_signing=True)


class Person:
    """A P-256 key and its account."""

    def __init__(self, name: str) -> None:
        secret = int.from_bytes(sha256(f"nexus lab {name}".encode()).digest())
        self._private = ec.derive_private_key(secret % (P256_ORDER - 1) + 1, ec.SECP256R1())
        self.key = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self.address = raw_address(P256, self.key)

    def sign(self, message: bytes) -> bytes:
        """64 bytes r‖s, low-s, over a signing hash."""
        return self._sign(message, _PLAIN)

    def sign_digest(self, digest: bytes) -> bytes:
        """The same over 32 bytes as they are, as votes want it."""
        return self._sign(digest, _DIGEST)

    def _sign(self, data: bytes, algorithm: ec.ECDSA) -> bytes:
        r, s = decode_dss_signature(self._private.sign(data, algorithm))
        return low_s(r.to_bytes(32) + s.to_bytes(32))

    def pay(self, genesis: bytes, nonce: int, recipient: bytes, units: int) -> SignedTransaction:
        """A signed payment."""
        return self._signed(Transaction(genesis, TRANSFER, P256, self.key, nonce, NEVER, 0, _to(recipient, units)))

    def accuse(self, genesis: bytes, nonce: int, offence: int, proof: tuple[bytes, ...]) -> SignedTransaction:
        """Signed evidence of an offence."""
        return self._signed(Transaction(genesis, EVIDENCE, P256, self.key, nonce, NEVER, 0, (offence, proof)))

    def _signed(self, body: Transaction) -> SignedTransaction:
        return body.signed(self.sign(body.signing_hash()))


def _to(recipient: bytes, units: int) -> tuple[bytes | int | str, ...]:
    return transfer_payload(recipient, units)  # type: ignore[return-value]


class Reveals:
    """The end of a reveal chain. Only its last `KEPT` links are made: of 65,536 no simulation uses more."""

    KEPT = 256

    def __init__(self, name: str) -> None:
        value = sha256(f"nexus lab reveal {name}".encode()).digest()
        self._chain = [value]
        for _ in range(self.KEPT):
            self._chain.append(value := tagged_hash(b"nexus/reveal", value))

    @property
    def commitment(self) -> bytes:
        """What the genesis lists."""
        return self._chain[-1]

    def preimage(self, number: int) -> bytes:
        """Preimage number 0 … KEPT − 1 of a chain of full length."""
        if not 0 <= number < self.KEPT:
            raise ValueError(f"The simulation is longer than {self.KEPT} of {LENGTH} epochs.")
        return self._chain[self.KEPT - 1 - number]


class Operator:
    """Who runs a validator: the owner of its account, its consensus key and its reveals."""

    def __init__(self, name: str) -> None:
        self.owner = Person(f"{name} owner")
        self.consensus = Person(f"{name} consensus")
        self.reveals = Reveals(name)
