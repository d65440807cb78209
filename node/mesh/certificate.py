"""Certificates of links: who is at the other end of a TLS connection (protocol section 10).

Python's `ssl` cannot ask a client for a certificate that nobody signed. So one authority signs all of them; its key is
below for everyone to use and proves nothing. What proves something is an extension: the node's id, and its signature
over the certificate's own key, which is made anew at each start. `judge` looks at it before a byte of the peer is read.
(libp2p's construction: https://github.com/libp2p/specs/blob/master/tls/tls.md)
"""

from __future__ import annotations

import secrets
import ssl
from base64 import b64decode
from collections.abc import Sequence
from datetime import UTC, datetime
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from node.encoding.hashing import tagged_hash
from node.encoding.node_id import NODE_ID_SIZE, NodeIdError, check_node_id
from node.mesh.identity import SIGNATURE_SIZE, NodeKey, signed_by

IDENTITY = x509.ObjectIdentifier("2.25.240654411331407933452692219087237832565")
"""Names the extension: node id ‖ signature. An arc of UUIDs, which needs no registry (ITU-T X.667)."""
TAG = b"nexus/mesh/tls"
"""Goes before the SubjectPublicKeyInfo in what a node signs."""
# A device without a battery starts in 1970, and must be told by its peers that its clock is wrong.
VALID_FROM = datetime(1970, 1, 1, tzinfo=UTC)
VALID_UNTIL = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280, 4.1.2.5: no end
AUTHORITY_KEY = ec.derive_private_key(
    int.from_bytes(tagged_hash(b"nexus/mesh/ca", b"this key is public and proves nothing")), ec.SECP256R1()
)
AUTHORITY_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nexus mesh")])
AUTHORITY = b64decode(
    "MIIBMTCB16ADAgECAgEBMAoGCCqGSM49BAMCMBUxEzARBgNVBAMMCk5leHVzIG1lc2gwIBcNNzAwMTAxMDAwMDAwWhgPOTk5OTEy"
    "MzEyMzU5NTlaMBUxEzARBgNVBAMMCk5leHVzIG1lc2gwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARaHkklsunXKQZ9DBeSEaae"
    "JdrDhrvGGydk7Q/IcnDIqiBuRyMVmdLQVUbMO+8KWy5N5Wdf5sMZnvEtbPz9demzoxYwFDASBgNVHRMBAf8ECDAGAQH/AgEAMAoG"
    "CCqGSM49BAMCA0kAMEYCIQCjiDnHr9z2qMc34EQUbnODJB9GItnQ3GA4UQKELeySywIhAIRluZafumpGKnLYHSoNYhILc+q4ymoN"
    "NzyH5DHLoGXS"
)
"""The authority's certificate in DER: serial number 1, no more authorities below it."""
_DER = 2  # OpenSSL's X509_FILETYPE_ASN1
_LEAF_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])


class CertificateError(ValueError):
    """A certificate that does not show who the peer is; `code` names what is wrong with it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Credentials(NamedTuple):
    """What a node shows on its links until it stops."""

    node: bytes
    client: ssl.SSLContext
    server: ssl.SSLContext


def tls_public_key(key: ec.EllipticCurvePublicKey) -> bytes:
    """The SubjectPublicKeyInfo in DER, which the node signs."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def identity_extension(node: NodeKey, key: ec.EllipticCurvePublicKey) -> x509.UnrecognizedExtension:
    """The extension in which a node vouches for a TLS key."""
    return x509.UnrecognizedExtension(IDENTITY, node.id + node.sign(TAG + tls_public_key(key)))


def leaf_builder(node: NodeKey, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    """What the authority signs for a node and a TLS key."""
    return (
        x509.CertificateBuilder()
        .subject_name(_LEAF_NAME)
        .issuer_name(AUTHORITY_NAME)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_UNTIL)
        .add_extension(identity_extension(node, key), critical=False)
    )


def make_credentials(node: NodeKey) -> Credentials:
    """A TLS key of one start, and the contexts for links that this node opens and takes."""
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = leaf_builder(node, key.public_key()).sign(AUTHORITY_KEY, SHA256())
    # `ssl` takes keys from files alone; what this one leaves on the disk is of no use to anybody.
    password = secrets.token_hex(32).encode()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
    with NamedTemporaryFile(prefix="nexus-") as file:  # mode 0600
        file.write(pem + leaf.public_bytes(Encoding.PEM))
        file.flush()
        contexts = [make_context(server) for server in (False, True)]
        for context in contexts:
            context.load_cert_chain(file.name, password=password)
    return Credentials(node.id, *contexts)


def make_context(server: bool) -> ssl.SSLContext:
    """TLS 1.3 alone, both sides with certificates of the authority, nothing resumed.

    Not `create_default_context`, which adds rules of the web's authorities and writes keys where SSLKEYLOGFILE says.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # nodes are known by their ids
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=AUTHORITY)
    if server:
        context.num_tickets = 0
    return context


def sent_certificates(connection: ssl.SSLObject) -> tuple[bytes, ...]:
    """All that the peer sent in DER, its own certificate first."""
    if hasattr(connection, "get_unverified_chain"):
        return tuple(connection.get_unverified_chain())
    beneath: Any = connection._sslobj  # type: ignore[attr-defined]  # Python 3.13 makes public what 3.10 had here
    return tuple(item.public_bytes(_DER) for item in beneath.get_unverified_chain() or ())


def judge(sent: Sequence[bytes], own: bytes, expected: bytes | None) -> bytes:
    """The id of the node that showed these certificates in a TLS handshake that succeeded.

    Behind its own a peer may show the authority's, which OpenSSL adds unasked, and no other.
    `own` is this node's id, `expected` the peer's where it is known. Raises CertificateError. No clock is asked.
    """
    if not sent or any(item != AUTHORITY for item in sent[1:]) or len(sent) > 2:
        raise CertificateError("bad_chain", f"The peer sent {len(sent)} certificates where one belongs.")
    try:
        leaf = x509.load_der_x509_certificate(sent[0])
        key = leaf.public_key()
        validity = leaf.not_valid_before_utc, leaf.not_valid_after_utc
        found = leaf.extensions.get_extension_for_oid(IDENTITY)
    except x509.ExtensionNotFound:
        raise CertificateError("no_identity", "The peer's certificate does not say which node it is.") from None
    except x509.DuplicateExtension:
        raise CertificateError("bad_certificate", "The peer's certificate says something twice.") from None
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.UnsupportedGeneralNameType) as error:
        raise CertificateError("bad_certificate", f"The peer's certificate cannot be read: {error}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateError("bad_certificate", "The peer's certificate has a key of another kind than P-256.")
    if validity != (VALID_FROM, VALID_UNTIL):
        raise CertificateError("bad_validity", "The peer's certificate is not valid from 1970 to 9999.")
    if found.critical:
        raise CertificateError("bad_identity", "The peer's identity is marked as critical.")
    value = cast(x509.UnrecognizedExtension, found.value).value
    if len(value) != NODE_ID_SIZE + SIGNATURE_SIZE:
        raise CertificateError("bad_identity", "The peer's identity has a wrong length.")
    node, signature = value[:NODE_ID_SIZE], value[NODE_ID_SIZE:]
    try:
        check_node_id(node)
    except NodeIdError as error:
        raise CertificateError("bad_identity", str(error)) from None
    if node == own:
        raise CertificateError("self", "The node reached itself.")
    if expected is not None and node != expected:
        raise CertificateError("wrong_id", "Another node answers there than the one that was expected.")
    if not signed_by(node, TAG + tls_public_key(key), signature):
        raise CertificateError("bad_signature", "The peer's certificate is not vouched for by the node it names.")
    return node
