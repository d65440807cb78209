"""The five-dimensional wave signature of a block header (protocol section 3), made and checked by every node.

A header's 32 bytes w = SHAKE-128(header) are four words; they light a cavity of the creator's region (`maxwell`), and
the region's hash of w and of the 256 words that come out gives phase and polarisation. The hash carries the strength:
the mix is linear, and the five small numbers are for people.

The mix being linear, its result is Σ word_j · response_j, where response_j is what a single 1 in cell j gives. A
region's four responses are kept as big integers of 256 lanes of 128 bits: a 64-bit word times a 64-bit lane never
carries into the next lane, so four multiplications do the work of 64 steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from node.light.maxwell import CELLS, at_rest, mix
from node.light.spectrum import VISIBLE

REGION_HASHES = ("SHA3-256", "SHA3-512", "BLAKE2b-512", "BLAKE2s-256", "SHA-512", "SHA-256")
DIGEST_SIZES = (32, 64, 64, 32, 64, 32)
SOURCES = (32, 96, 160, 224)  # the cells that the four words of w light
_HASHES: tuple[Callable[[bytes], Any], ...] = (
    hashlib.sha3_256,
    hashlib.sha3_512,
    hashlib.blake2b,
    hashlib.blake2s,
    hashlib.sha512,
    hashlib.sha256,
)
_LANE = 16  # bytes
_LOW_WORDS = int.from_bytes((b"\xff" * 8 + bytes(8)) * CELLS, "little")


class WaveSignature(NamedTuple):
    """What a header says of its light."""

    wavelength: int  # pm, inside the creator's region
    amplitude: int  # bit length of the fees that the body offers
    phase: int  # 16 bits: a full turn is 2¹⁶
    polarisation: int  # 16 bits
    time: int  # slot
    digest: bytes  # the region's hash, whole: DIGEST_SIZES[region] bytes


def wave_signature(header: bytes, region: int, amplitude: int, slot: int) -> WaveSignature:
    """The signature that a header must carry; `header` is its canonical encoding without `wave` and `signature`.

    With w's first eight bytes as a little-endian number, the wavelength is the region's low edge plus that number
    modulo the region's width. ValueError for a region that is none of the six visible ones.
    """
    w = hashlib.shake_128(header).digest(32)
    digest = region_hash(region, w + mixed_words(w, region))
    band = VISIBLE[region]
    return WaveSignature(
        wavelength=band.low_pm + int.from_bytes(w[:8], "little") % (band.high_pm - band.low_pm),
        amplitude=amplitude,
        phase=int.from_bytes(digest[:2], "little"),
        polarisation=int.from_bytes(digest[2:4], "little"),
        time=slot,
        digest=digest,
    )


def region_hash(region: int, data: bytes) -> bytes:
    """The hash of a visible region, 0 Violet to 5 Red: REGION_HASHES names it, DIGEST_SIZES gives its bytes."""
    if not 0 <= region < len(_HASHES):
        raise ValueError(f"{region} is no visible region: they are 0 to 5.")
    digest: bytes = _HASHES[region](data).digest()
    return digest


def mixed_words(w: bytes, region: int) -> bytes:
    """The electric field that the four words of `w` (32 bytes) become: 256 words of eight bytes, little-endian."""
    one, two, three, four = _responses(region)
    total = (
        (int.from_bytes(w[:8], "little") * one & _LOW_WORDS)
        + (int.from_bytes(w[8:16], "little") * two & _LOW_WORDS)
        + (int.from_bytes(w[16:24], "little") * three & _LOW_WORDS)
        + (int.from_bytes(w[24:], "little") * four & _LOW_WORDS)
    )
    # The upper half of a lane holds carries of the sum: every second word is left out, whatever the machine's order.
    return memoryview(total.to_bytes(CELLS * _LANE, "little")).cast("Q")[::2].tobytes()


@cache
def _responses(region: int) -> tuple[int, ...]:
    """What a 1 in each of the four sources becomes, in lanes; computed when a region is first met (milliseconds)."""
    responses = []
    for source in SOURCES:
        electric, _ = mix(at_rest([int(cell == source) for cell in range(CELLS)]), region)
        responses.append(int.from_bytes(b"".join(word.to_bytes(_LANE, "little") for word in electric), "little"))
    return tuple(responses)
