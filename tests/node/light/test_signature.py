"""Wave signatures: the fast way against the step-by-step solver, and every bit of a header in the digest."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.light.maxwell import CELLS, at_rest, mix, unmix
from node.light.signature import (
    DIGEST_SIZES,
    REGION_HASHES,
    SOURCES,
    WaveSignature,
    mixed_words,
    region_hash,
    wave_signature,
)
from node.light.spectrum import VISIBLE, region_at

regions = st.integers(0, 5)
HEADER = b"the fields of a header"


def lit_by(w: bytes) -> list[int]:
    """The cavity before the mix: four words of `w` in their cells."""
    electric = [0] * CELLS
    for number, cell in enumerate((32, 96, 160, 224)):
        electric[cell] = int.from_bytes(w[8 * number : 8 * number + 8], "little")
    return electric


def solved(w: bytes, region: int) -> bytes:
    """The mixed words by the plain solver."""
    return b"".join(word.to_bytes(8, "little") for word in mix(at_rest(lit_by(w)), region).electric)


@pytest.mark.parametrize("region", range(6))
@pytest.mark.parametrize("w", [bytes(32), b"\xff" * 32, bytes(31) + b"\x01", b"\x80" + bytes(31), bytes(range(32))])
def test_the_table_is_the_solver(w: bytes, region: int) -> None:
    assert mixed_words(w, region) == solved(w, region)


@given(st.binary(min_size=32, max_size=32), regions)
@settings(max_examples=60)
def test_the_table_is_the_solver_for_any_header(w: bytes, region: int) -> None:
    assert mixed_words(w, region) == solved(w, region)


@given(st.binary(max_size=600), regions)
@settings(max_examples=20)
def test_the_field_run_backwards_is_the_header_again(header: bytes, region: int) -> None:
    """What a validator shows who doubts the table: the end of the mix leads back to w, and to nothing else."""
    w = hashlib.shake_128(header).digest(32)
    end = mix(at_rest(lit_by(w)), region)
    assert mixed_words(w, region) == b"".join(word.to_bytes(8, "little") for word in end.electric)
    assert unmix(end, region) == at_rest(lit_by(w))
    assert SOURCES == (32, 96, 160, 224)


@given(st.binary(max_size=600), regions, st.integers(0, 64), st.integers(0, 1 << 40))
def test_the_five_dimensions(header: bytes, region: int, amplitude: int, slot: int) -> None:
    signature = wave_signature(header, region, amplitude, slot)
    assert region_at(signature.wavelength) is VISIBLE[region]
    assert (signature.amplitude, signature.time) == (amplitude, slot)
    assert int.from_bytes(signature.digest[:4], "little") == signature.phase | signature.polarisation << 16
    assert 0 <= signature.phase < 1 << 16
    assert 0 <= signature.polarisation < 1 << 16
    assert len(signature.digest) == DIGEST_SIZES[region]


@given(st.binary(min_size=1, max_size=400), regions, st.data())
def test_each_bit_of_the_header_changes_the_digest(header: bytes, region: int, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, 8 * len(header) - 1))
    other = (int.from_bytes(header) ^ 1 << bit).to_bytes(len(header))
    one, two = wave_signature(header, region, 3, 9), wave_signature(other, region, 3, 9)
    assert one.digest != two.digest


def test_all_bits_of_a_header_change_the_digest() -> None:
    number = int.from_bytes(HEADER)
    headers = [HEADER, *((number ^ 1 << bit).to_bytes(len(HEADER)) for bit in range(8 * len(HEADER)))]
    assert len({wave_signature(header, 2, 0, 0).digest for header in headers}) == len(headers)


def test_wavelengths_fill_the_region() -> None:
    band = VISIBLE[3]
    found = sorted(wave_signature(number.to_bytes(2), 3, 0, 0).wavelength for number in range(2_000))
    assert len(set(found)) > 1_800
    assert found[0] < band.low_pm + 200
    assert found[-1] >= band.high_pm - 200


def test_each_region_has_the_hash_of_the_protocol() -> None:
    data = b"light"
    expected = [
        hashlib.sha3_256(data).digest(),
        hashlib.sha3_512(data).digest(),
        hashlib.blake2b(data, digest_size=64).digest(),
        hashlib.blake2s(data, digest_size=32).digest(),
        hashlib.sha512(data).digest(),
        hashlib.sha256(data).digest(),
    ]
    assert [region_hash(region, data) for region in range(6)] == expected
    assert list(map(len, expected)) == list(DIGEST_SIZES)
    assert REGION_HASHES == ("SHA3-256", "SHA3-512", "BLAKE2b-512", "BLAKE2s-256", "SHA-512", "SHA-256")


@pytest.mark.parametrize("region", [-1, 6, 7])
def test_only_visible_regions_sign(region: int) -> None:
    with pytest.raises(ValueError, match="no visible region"):
        region_hash(region, b"")
    with pytest.raises(ValueError, match="no visible region"):
        wave_signature(HEADER, region, 0, 0)


GOLDEN = [
    (388_653, 7_732, 27_461, "341e456bf3b5217136fb1dfa9042a30c"),
    (453_653, 21_329, 35_905, "5153418c96250eaa7e85908b6bf500ad"),
    (513_653, 45_466, 26_486, "9ab1766751d01ce92cbc8dcf8aa7118e"),
    (588_653, 30_850, 16_418, "82782240a6451ef78989b4f535f1dc71"),
    (608_653, 9_417, 53_255, "c92407d098c2bb7540d8be3bc61b801d"),
    (688_653, 15_986, 61_678, "723eeef03aeaf65ce01c6184d8a1682c"),
]


@pytest.mark.parametrize(("region", "expected"), list(enumerate(GOLDEN)))
def test_golden_signatures(region: int, expected: tuple[int, int, int, str]) -> None:
    """Every node must find these: a change here is another network."""
    wavelength, phase, polarisation, digest = expected
    signature = wave_signature(HEADER, region, 17, 12_345)
    assert signature[:5] == (wavelength, 17, phase, polarisation, 12_345)
    assert signature.digest.hex().startswith(digest)
    w = hashlib.shake_128(HEADER).digest(32)
    assert signature == WaveSignature(*signature[:5], region_hash(region, w + solved(w, region)))


def test_a_check_needs_no_numpy() -> None:
    code = "import sys; from node.light import signature; signature.wave_signature(b'', 0, 0, 0); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "node.light.maxwell" in loaded
    assert "numpy" not in loaded
