"""Certificates: who is believed to be whom, and every way in which somebody else might try to be."""

from __future__ import annotations

import contextlib
import os
import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from node.mesh.certificate import (
    AUTHORITY,
    AUTHORITY_KEY,
    AUTHORITY_NAME,
    IDENTITY,
    TAG,
    VALID_FROM,
    VALID_UNTIL,
    CertificateError,
    identity_extension,
    judge,
    leaf_builder,
    make_context,
    make_credentials,
    tls_public_key,
)
from node.mesh.identity import NodeKey

ME = NodeKey(bytes(32))
PEER = NodeKey(b"\1" * 32)
OTHER = NodeKey(b"\2" * 32)
TLS = ec.derive_private_key(7, ec.SECP256R1())


def builder(**changes: object) -> x509.CertificateBuilder:
    """A leaf's builder without its extension; `changes` replace what it says."""
    said = {"key": TLS.public_key(), "start": VALID_FROM, "end": VALID_UNTIL} | changes
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(AUTHORITY_NAME)
        .public_key(said["key"])  # type: ignore[arg-type]
        .serial_number(5)
        .not_valid_before(said["start"])  # type: ignore[arg-type]
        .not_valid_after(said["end"])  # type: ignore[arg-type]
    )


def identity(value: bytes, critical: bool = False, **changes: object) -> bytes:
    """A certificate in DER with that value in its extension."""
    extension = x509.UnrecognizedExtension(IDENTITY, value)
    return signed(builder(**changes).add_extension(extension, critical=critical))


def signed(made: x509.CertificateBuilder) -> bytes:
    return made.sign(AUTHORITY_KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def good(node: NodeKey = PEER) -> bytes:
    return signed(leaf_builder(node, TLS.public_key()))


def vouched(node: NodeKey, key: bytes | None = None) -> bytes:
    return node.id + node.sign(TAG + (tls_public_key(TLS.public_key()) if key is None else key))


def code_of(*sent: bytes, own: bytes = ME.id, expected: bytes | None = None) -> str:
    with pytest.raises(CertificateError) as caught:
        judge(sent, own, expected)
    assert str(caught.value).endswith(".") or ":" in str(caught.value)
    return caught.value.code


def length(size: int) -> bytes:
    """A length in DER (X.690, 8.1.3)."""
    if size < 128:
        return bytes((size,))
    return (b"\x81" + bytes((size,))) if size < 256 else (b"\x82" + size.to_bytes(2))


def patched(der: bytes, old: bytes, new: bytes) -> bytes:
    """A certificate with some bytes of what is signed replaced by as many others, signed again by the authority."""
    body = x509.load_der_x509_certificate(der).tbs_certificate_bytes
    assert body.count(old) == 1
    assert len(old) == len(new)
    body = body.replace(old, new)
    signature = AUTHORITY_KEY.sign(body, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    bits = b"\x03" + length(len(signature) + 1) + b"\0" + signature
    whole = body + algorithm + bits
    return b"\x30" + length(len(whole)) + whole


def test_a_good_certificate_names_its_node() -> None:
    assert judge((good(),), ME.id, None) == PEER.id
    assert judge((good(),), ME.id, PEER.id) == PEER.id
    assert judge((good(), AUTHORITY), ME.id, None) == PEER.id
    assert judge((identity(vouched(PEER)),), ME.id, None) == PEER.id


def test_another_node_than_expected_is_refused() -> None:
    assert code_of(good(), expected=OTHER.id) == "wrong_id"


def test_a_node_does_not_link_to_itself() -> None:
    assert code_of(good(), own=PEER.id) == "self"
    assert code_of(good(), own=PEER.id, expected=PEER.id) == "self"


def test_exactly_one_certificate_is_taken() -> None:
    assert code_of() == "bad_chain"
    assert code_of(good(), good()) == "bad_chain"
    assert code_of(good(), AUTHORITY, AUTHORITY) == "bad_chain"
    assert code_of(good(), AUTHORITY, good()) == "bad_chain"
    assert code_of(AUTHORITY) == "no_identity"
    assert code_of(AUTHORITY, good()) == "bad_chain"


def test_a_certificate_without_identity_is_refused() -> None:
    assert code_of(signed(builder())) == "no_identity"


@pytest.mark.parametrize("size", [0, 32, 64, 95, 97, 192, 5000])
def test_an_identity_of_a_wrong_length_is_refused(size: int) -> None:
    assert code_of(identity((vouched(PEER) * 60)[:size])) == "bad_identity"


def test_an_identity_that_is_critical_is_refused() -> None:
    assert code_of(identity(vouched(PEER), critical=True)) == "bad_identity"


def test_two_identities_are_refused() -> None:
    twin = x509.ObjectIdentifier(IDENTITY.dotted_string[:-1] + "4")
    assert twin != IDENTITY
    both = signed(leaf_builder(PEER, TLS.public_key()).add_extension(x509.UnrecognizedExtension(twin, b"x"), False))
    first = x509.load_der_x509_certificate(both)
    assert len(first.extensions) == 2
    names = [encoded_oid(number) for number in (twin, IDENTITY)]
    twice = patched(both, *names)
    assert code_of(twice) == "bad_certificate"


def encoded_oid(oid: x509.ObjectIdentifier) -> bytes:
    """The contents of an object identifier (X.690, 8.19)."""
    first, second, *rest = map(int, oid.dotted_string.split("."))
    out = b""
    for number in (first * 40 + second, *rest):
        septets = [number & 127]
        while number := number >> 7:
            septets.append(number & 127 | 128)
        out += bytes(reversed(septets))
    return out


def test_a_signature_that_does_not_fit_is_refused() -> None:
    value = vouched(PEER)
    assert code_of(identity(value[:40] + bytes((value[40] ^ 1,)) + value[41:])) == "bad_signature"
    assert code_of(identity(PEER.id + vouched(OTHER)[32:])) == "bad_signature"
    untagged = PEER.id + PEER.sign(tls_public_key(TLS.public_key()))
    assert code_of(identity(untagged)) == "bad_signature"


def test_somebody_elses_extension_under_ones_own_key_is_refused() -> None:
    mine = ec.generate_private_key(ec.SECP256R1()).public_key()
    stolen = x509.load_der_x509_certificate(good()).extensions.get_extension_for_oid(IDENTITY).value
    assert isinstance(stolen, x509.UnrecognizedExtension)
    assert code_of(identity(stolen.value, key=mine)) == "bad_signature"


@pytest.mark.parametrize("y", [0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18])
def test_an_id_under_which_anybody_signs_is_refused(y: int) -> None:
    node = y.to_bytes(32, "little")
    assert code_of(identity(node + b"\1" + bytes(63))) == "bad_identity"


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(1990, 1, 1, tzinfo=UTC), VALID_UNTIL),
        (VALID_FROM, datetime(2049, 12, 31, tzinfo=UTC)),
        (VALID_FROM + timedelta(seconds=1), VALID_UNTIL),
        (datetime(2000, 1, 1, tzinfo=UTC), datetime(2001, 1, 1, tzinfo=UTC)),
        (datetime(9000, 1, 1, tzinfo=UTC), VALID_UNTIL),
    ],
)
def test_any_other_validity_is_refused(start: datetime, end: datetime) -> None:
    assert code_of(identity(vouched(PEER), start=start, end=end)) == "bad_validity"


def test_a_tls_key_of_another_kind_is_refused() -> None:
    for key in (ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()):
        assert code_of(identity(vouched(PEER), key=key.public_key())) == "bad_certificate"


@given(st.binary(max_size=600))
def test_garbage_is_refused(data: bytes) -> None:
    assert code_of(data) == "bad_certificate"


GOOD = good()


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_never_gives_another_node(place: int, change: int) -> None:
    der = bytearray(GOOD)
    der[place] ^= change
    with contextlib.suppress(CertificateError):
        assert judge((bytes(der),), ME.id, None) == PEER.id  # TLS looks at the authority's signature, not `judge`


def test_the_authority_is_the_published_one() -> None:
    authority = x509.load_der_x509_certificate(AUTHORITY)
    authority.verify_directly_issued_by(authority)
    assert authority.public_key() == AUTHORITY_KEY.public_key()
    limits = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (limits.ca, limits.path_length) == (True, 0)
    assert (authority.not_valid_before_utc, authority.not_valid_after_utc) == (VALID_FROM, VALID_UNTIL)


@pytest.mark.parametrize("year", [1970, 1989, 2038, 2106, 9999])
def test_no_clock_makes_a_certificate_invalid(tmp_path: Path, year: int) -> None:
    """OpenSSL's own check, which TLS makes, under clocks as wrong as can be; beside it one that they do refuse."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl program")
    (tmp_path / "ca").write_bytes(x509.load_der_x509_certificate(AUTHORITY).public_bytes(Encoding.PEM))
    short = identity(vouched(PEER), start=datetime(2020, 1, 1, tzinfo=UTC), end=datetime(2021, 1, 1, tzinfo=UTC))
    moment = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    for der, valid in ((good(), True), (short, False)):
        (tmp_path / "leaf").write_bytes(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))
        done = subprocess.run(
            [openssl, "verify", "-attime", str(moment), "-CAfile", tmp_path / "ca", tmp_path / "leaf"],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        assert (done.returncode == 0) == valid, done.stdout + done.stderr


def test_contexts_speak_tls_1_3_alone_and_resume_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    for server in (False, True):
        context = make_context(server)
        assert context.minimum_version == ssl.TLSVersion.TLSv1_3
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert len(context.get_ca_certs()) == 1
        assert context.keylog_filename is None
    assert make_context(True).num_tickets == 0


def test_each_start_has_a_tls_key_of_its_own_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    key = NodeKey(os.urandom(32))
    shown = set()
    for _ in range(2):
        made = make_credentials(key)
        assert made.node == key.id
        shown.add(handshake(made.client, made.server))
    assert len(shown) == 2
    assert not list(tmp_path.iterdir())


def handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> bytes:
    """Connect both in memory; what the server showed."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True))
    for _ in range(6):
        for side in sides:
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    found = sides[0].getpeercert(True)
    assert found is not None
    assert sides[1].getpeercert(True) is not None
    return found


def test_the_extension_signs_the_whole_key() -> None:
    value = identity_extension(PEER, TLS.public_key()).value
    assert value == vouched(PEER)
    assert len(tls_public_key(TLS.public_key())) == 91
