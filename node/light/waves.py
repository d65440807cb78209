"""Waves of values and their superposition (protocol section 3): the lattice hash of the state.

A wave is 1,024 phases of 16 bits, 2,048 bytes little-endian, drawn by SHAKE-128 from a value's encoding. Waves
add phase by phase modulo a turn (2¹⁶), so a set's wave changes by one hash for each entry that comes or goes. This is
LtHash-16×1024 (Bellare and Micciancio 1997; Lewi, Kim, Maykov, Weis 2019): finding two sets of one sum is a lattice
problem. The sum counts multiplicity only modulo 2¹⁶: importers must refuse repeated keys.

Two ways to add, equal to the bit: big integers (no import, right for a few entries and for phones without NumPy) and
NumPy lanes of uint16 (the faster from some hundred entries on).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b, shake_128
from itertools import islice
from typing import Any

PHASES = 1024
WAVE_SIZE = 2 * PHASES
BUCKETS = 256
SILENCE = bytes(WAVE_SIZE)
_TAG = b"nexus/wave:"
_TOP = int.from_bytes(b"\x00\x80" * PHASES, "little")  # the top bit of every phase, and the others
_LOW = int.from_bytes(b"\xff\x7f" * PHASES, "little")
# Below this many waves the import of NumPy and its call overhead cost more than big integers do.
NUMPY_FROM = 384
RECENT_KEPT = 1024  # two megabytes
_BATCH = 4096  # entries drawn at a time: 8 MiB of waves each way

Entry = tuple[int, bytes]  # bucket 0…255 and the encoding of a state entry


def wave(element: bytes) -> bytes:
    """The wave of an encoded value: 2,048 bytes."""
    return shake_128(_TAG + element).digest(WAVE_SIZE)


def bucket_of(table: str, key: bytes) -> int:
    """The bucket, 0 to 255, of the entry `key` of a table: the first byte of BLAKE2b-256(table ‖ key)."""
    return blake2b(table.encode() + key, digest_size=32).digest()[0]


def superpose(base: bytes, added: Iterable[bytes], removed: Iterable[bytes] = ()) -> bytes:
    """`base` plus all `added` minus all `removed` waves, by big integers.

    All phases of two waves are added at once: their lower 15 bits, so that no phase carries into the next, and then
    the top bits without carry; subtraction borrows from a top bit set beforehand (Warren, Hacker's Delight, 2-18).
    """
    total = int.from_bytes(base, "little")
    for item in added:
        number = int.from_bytes(item, "little")
        total = ((total & _LOW) + (number & _LOW)) ^ ((total ^ number) & _TOP)
    for item in removed:
        number = int.from_bytes(item, "little")
        total = ((total | _TOP) - (number & _LOW)) ^ ((total ^ number ^ _TOP) & _TOP)
    return total.to_bytes(WAVE_SIZE, "little")


def superposition(elements: Iterable[bytes], *, numpy: bool = True) -> bytes:
    """The wave of a set of encoded values, counted at once: what a bucket of a snapshot must have."""
    waiting = iter(elements)
    total, lanes = SILENCE, None
    while batch := [wave(element) for element in islice(waiting, _BATCH // 8)]:
        if numpy and len(batch) >= NUMPY_FROM // 8 and lanes is None:
            lanes = _numpy_rows([SILENCE])
            numpy = lanes is not None
        if lanes is None:
            total = superpose(total, batch)
        else:
            import numpy as np

            lanes[0] += np.frombuffer(b"".join(batch), lanes[0].dtype).reshape(-1, PHASES).sum(0, lanes[0].dtype)
    return total if lanes is None else superpose(total, [lanes[0].tobytes()])


def bucket_hash(bucket: Any) -> bytes:
    """The hash of a bucket's wave, as bytes or as an array."""
    return blake2b(bucket, digest_size=32, person=b"nexus/bucket").digest()


def commitment_of(hashes: bytes) -> bytes:
    """The state commitment, from the hashes of the 256 bucket waves one after the other."""
    return blake2b(hashes, digest_size=32, person=b"nexus/state").digest()


class StateWaves:
    """The 256 bucket waves of a state, their hashes and the commitment over them.

    Small updates go by big integers; the first large one turns to NumPy, if it is installed and `numpy` allows it, and
    stays there: its import is paid for then.
    """

    def __init__(self, waves: Sequence[bytes] | None = None, *, numpy: bool = True) -> None:
        self._waves = list(waves) if waves is not None else [SILENCE] * BUCKETS
        if len(self._waves) != BUCKETS or any(len(item) != WAVE_SIZE for item in self._waves):
            raise ValueError(f"A state has {BUCKETS} bucket waves of {WAVE_SIZE} bytes.")
        self._hashes = [bucket_hash(item) for item in self._waves]
        self._numpy = numpy
        self._rows: list[Any] | None = None  # the waves as uint16 arrays, once NumPy is in use
        self._recent: dict[bytes, bytes] = {}  # waves of entries that came last: an active account's goes next
        self._commitment: bytes | None = None  # until a bucket changes

    def copy(self) -> StateWaves:
        """Others that are the same, for small updates."""
        return StateWaves([self[bucket] for bucket in range(BUCKETS)], numpy=False)

    def __getitem__(self, bucket: int) -> bytes:
        return self._waves[bucket] if self._rows is None else self._rows[bucket].tobytes()

    def update(self, added: Sequence[Entry], removed: Sequence[Entry]) -> set[int]:
        """Superpose the waves of entries that came, take away those that went; returns the buckets touched."""
        if self._numpy and self._rows is None and len(added) + len(removed) >= NUMPY_FROM:
            self._rows = _numpy_rows(self._waves)
            self._numpy = self._rows is not None
        changed = {bucket for bucket, _ in added}
        changed.update(bucket for bucket, _ in removed)
        if changed:
            self._commitment = None
        for start in range(0, max(len(added), len(removed)), _BATCH):
            come, gone = added[start : start + _BATCH], removed[start : start + _BATCH]
            if self._rows is None:
                self._by_integers(come, gone)
            else:
                self._by_numpy(self._rows, come, gone)
            for element in list(islice(self._recent, max(0, len(self._recent) - RECENT_KEPT))):
                del self._recent[element]
        for bucket in changed:
            self._hashes[bucket] = bucket_hash(self._waves[bucket] if self._rows is None else self._rows[bucket])
        return changed

    def _by_integers(self, added: Sequence[Entry], removed: Sequence[Entry]) -> None:
        gathered: dict[int, tuple[list[bytes], list[bytes]]] = {}
        for side, entries, wave_of in ((1, removed, self._forget), (0, added, self._remember)):
            for bucket, element in entries:
                if bucket not in gathered:
                    gathered[bucket] = ([], [])
                gathered[bucket][side].append(wave_of(element))
        for bucket, (plus, minus) in gathered.items():
            self._waves[bucket] = superpose(self._waves[bucket], plus, minus)

    def _by_numpy(self, rows: list[Any], added: Sequence[Entry], removed: Sequence[Entry]) -> None:
        """One wave at a time, straight into its row: the half megabyte of rows stays in the processor's cache."""
        import numpy

        view, lane, recent = numpy.frombuffer, rows[0].dtype, self._recent
        for bucket, element in removed:
            row = rows[bucket]
            gone = recent.pop(element) if element in recent else shake_128(_TAG + element).digest(WAVE_SIZE)
            numpy.subtract(row, view(gone, lane), row)
        for bucket, element in added:
            row = rows[bucket]
            made = recent[element] = shake_128(_TAG + element).digest(WAVE_SIZE)
            numpy.add(row, view(made, lane), row)

    def _remember(self, element: bytes) -> bytes:
        """The wave of an entry that comes."""
        made = self._recent[element] = shake_128(_TAG + element).digest(WAVE_SIZE)
        return made

    def _forget(self, element: bytes) -> bytes:
        """The wave of an entry that goes."""
        return self._recent.pop(element, None) or wave(element)

    @property
    def commitment(self) -> bytes:
        """BLAKE2b-256 over the hashes of the 256 bucket waves: what a header commits to."""
        if self._commitment is None:
            self._commitment = commitment_of(self.hashes)
        return self._commitment

    @property
    def hashes(self) -> bytes:
        """The hashes of the 256 bucket waves, one after the other."""
        return b"".join(self._hashes)

    @property
    def state_wave(self) -> bytes:
        """The superposition of all buckets: the wave that people see."""
        return superpose(SILENCE, [self[bucket] for bucket in range(BUCKETS)])


def _numpy_rows(waves: Sequence[bytes]) -> list[Any] | None:
    """The waves as rows of one uint16 array, None without NumPy."""
    try:
        import numpy
    except ImportError:
        return None
    return list(numpy.frombuffer(b"".join(waves), dtype="<u2").reshape(-1, PHASES).copy())
