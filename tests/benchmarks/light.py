"""The check of a header's wave signature, against its hashes alone, the plain solver and one P-256 verification.

Run by hand: python tests/benchmarks/light.py. Bars: a check ≤ 0.6 of a P-256 verification, the
first check of a region, which makes its table, ≤ 6 runs of the solver.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from statistics import median

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from node.light import signature
from node.light.maxwell import CELLS, at_rest, mix
from node.light.spectrum import VISIBLE

ROUNDS = 9
HEADER = bytes(range(256)) + bytes(144)  # about what a header weighs


def microseconds(work: Callable[[], object], count: int) -> float:
    """Processor time of one call: the median over rounds of `count` calls."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(count):
            work()
        rounds.append((time.process_time() - start) / count * 1e6)
    return median(rounds)


def main() -> None:
    """Print the table."""
    private = ec.generate_private_key(ec.SECP256R1())
    public, algorithm = private.public_key(), ec.ECDSA(hashes.SHA256())
    signed = private.sign(HEADER, algorithm)
    verification = microseconds(lambda: public.verify(signed, HEADER, algorithm), 200)
    print(f"one P-256 verification {verification:8.1f} µs")
    words = bytes(32 + 8 * CELLS)
    start = at_rest([0, *range(1, CELLS - 1), 0])
    for region, band in enumerate(VISIBLE):

        def hashes_alone(region: int = region) -> None:
            hashlib.shake_128(HEADER).digest(32)
            signature.region_hash(region, words)

        solver = microseconds(lambda region=region: mix(start, region), 3)  # type: ignore[misc]
        signature._responses.cache_clear()
        began = time.process_time()
        signature.wave_signature(HEADER, region, 1, 1)
        first = (time.process_time() - began) * 1e6
        check = microseconds(lambda region=region: signature.wave_signature(HEADER, region, 1, 1), 500)  # type: ignore[misc]
        alone = microseconds(hashes_alone, 500)
        print(
            f"{band.name:7} check {check:6.1f} µs = {check / alone:4.1f} × its hashes alone ({alone:5.1f} µs), "
            f"solver / {solver / check:5.0f}, {check / verification:4.2f} of a P-256 verification; "
            f"first check {first / solver:4.1f} solver runs of {solver / 1e3:4.1f} ms"
        )


if __name__ == "__main__":
    main()
