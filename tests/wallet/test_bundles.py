"""Key bundles: only the owner's, only in time, only forwards."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.encoding.address import Address
from node.encoding.bundle import MAX_SECONDS, Bundle, BundleError, SignedBundle
from node.encoding.canonical import encode
from node.encoding.message import P256, P384
from wallet import suites
from wallet.bundles import GOOD_FOR, check_bundle, follow, make_bundle
from wallet.sealing import To, seal, unseal
from wallet.secret import Secret
from wallet.signing import P256Signer

GENESIS, NOW = b"g" * 32, 1_800_000_000
OWNER, OTHER = (P256Signer(Secret(number.to_bytes(32))) for number in (11, 12))
MADE = make_bundle(OWNER, GENESIS, 3, NOW)


def code_of(data: bytes, owner: Address = OWNER.address, genesis: bytes = GENESIS, now: int = NOW) -> str:
    with pytest.raises(BundleError) as error:
        check_bundle(data, owner, genesis, now)
    return error.value.code


def test_a_bundle_offers_every_level_and_opens_what_was_sealed_with_it() -> None:
    signed = check_bundle(MADE.signed.encoded(), OWNER.address, GENESIS, NOW)
    assert signed == MADE.signed
    assert len(signed.encoded()) < 4_096
    kem = suites.best(kind for kind, _ in signed.bundle.keys)
    assert kem == suites.STRONGEST[0]
    public = signed.bundle.key(kem)
    assert public is not None
    to = To(bytes(16), kem, signed.bundle.version, public)
    names: dict[str, Any] = {"genesis": GENESIS, "sender": OTHER.address.raw}
    sealed = seal(b"hello", [to], orbit=0, wavelength=500_000, **names)
    assert unseal(*sealed[:2], 0, MADE.secrets[kem], commitment=sealed.commitment, **names).content == b"hello"


def test_keys_are_fresh_each_time() -> None:
    again = make_bundle(OWNER, GENESIS, 3, NOW)
    assert again.signed.bundle.inbox != MADE.signed.bundle.inbox
    assert not set(again.signed.bundle.keys) & set(MADE.signed.bundle.keys)


def test_whose_and_when() -> None:
    data = MADE.signed.encoded()
    assert code_of(data, owner=OTHER.address) == "other_owner"
    assert code_of(data, genesis=bytes(32)) == "bad_signature"
    assert code_of(data, now=NOW - 2 * 86_400) == "not_yet"
    assert code_of(data, now=NOW + GOOD_FOR) == "too_old"
    assert check_bundle(data, OWNER.address, GENESIS, NOW - 3_600) == MADE.signed  # a clock an hour behind
    forged = SignedBundle(MADE.signed.bundle, 0, OTHER.public_key, MADE.signed.signature)
    assert code_of(forged.encoded(), owner=OTHER.address) == "bad_signature"


@given(st.integers(0, len(MADE.signed.encoded()) - 1), st.integers(1, 255))
def test_no_byte_can_be_changed(place: int, change: int) -> None:
    data = bytearray(MADE.signed.encoded())
    data[place] ^= change
    assert code_of(bytes(data)) in ("bad_form", "bad_signature", "other_owner", "unknown_scheme")


@given(st.binary(max_size=200))
def test_junk_is_no_bundle(data: bytes) -> None:
    assert code_of(data) == "bad_form"


def test_a_key_that_is_no_point_is_refused_though_its_owner_signed_it() -> None:
    bundle = MADE.signed.bundle._replace(keys=((P256, b"\4" + bytes(64)),))
    signed = SignedBundle(bundle, 0, OWNER.public_key, OWNER.sign(bundle.signing_hash(GENESIS)))
    assert code_of(signed.encoded()) == "bad_key"


P256_KEY, P384_KEY = ((kind, bytes(size)) for kind, size in ((P256, 65), (P384, 97)))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"version": 1 << 40},
        {"inbox": b"short"},
        {"keys": ()},
        {"keys": (P384_KEY, P256_KEY)},
        {"keys": (P256_KEY, P256_KEY)},
        {"keys": ((99, bytes(65)),)},
        {"keys": ((P256, bytes(64)),)},
        {"keys": (P256,)},
        {"not_after": NOW},
        {"not_after": NOW + MAX_SECONDS + 1},
        {"not_before": 1 << 50, "not_after": (1 << 50) + 1},
    ],
)
def test_forms_that_cannot_be(change: dict[str, Any]) -> None:
    bundle = MADE.signed.bundle._replace(**change)
    data = encode((tuple(bundle), 0, OWNER.public_key, bytes(64)))
    assert code_of(data) == "bad_form"
    with pytest.raises(BundleError):
        Bundle.from_value(tuple(bundle))


def test_versions_only_rise() -> None:
    older, newer, twin = (make_bundle(OWNER, GENESIS, version, NOW, [P256]).signed for version in (2, 4, 3))
    assert follow(None, MADE.signed) == MADE.signed
    assert follow(MADE.signed, newer) == newer
    assert follow(MADE.signed, MADE.signed._replace(signature=bytes(64))) == MADE.signed  # of the same bundle
    for offered, code in ((older, "rolled_back"), (twin, "two_of_one")):
        with pytest.raises(BundleError) as error:
            follow(MADE.signed, offered)
        assert error.value.code == code
