"""Wycheproof's signatures against the node's own check.

The node is stricter than a library: an r‖s signature has 64 bytes and a low s, keys are compressed, ML-DSA has no
context. So accepted is what is valid and has that form; all else is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import mldsa

from node.encoding.address import ML_DSA_65, P256
from node.ledger.signatures import P256_ORDER, is_good_key, low_s, verify


def groups(vectors: Path, schema: str, algorithm: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file name, test group) of every file of a kind; there must be some."""
    found = False
    for path in sorted((vectors / "wycheproof").rglob("*.json")):
        content = json.loads(path.read_text())
        if content["schema"].startswith(schema) and content["algorithm"] == algorithm:
            found = True
            for group in content["testGroups"]:
                yield path.name, group
    assert found, f"no file of the kind {schema} in {vectors}"


def test_p256_signatures(vectors: Path) -> None:
    counts = {True: 0, False: 0}
    for name, group in groups(vectors, "ecdsa_p1363_verify_schema", "ECDSA"):
        public = group["publicKey"]
        if public["curve"] != "secp256r1" or group["sha"] != "SHA-256":
            continue
        uncompressed = bytes.fromhex(public["uncompressed"])
        key = bytes([2 + (uncompressed[-1] & 1)]) + uncompressed[1:33]
        assert is_good_key(P256, key)
        assert not is_good_key(P256, uncompressed)
        for case in group["tests"]:
            message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
            is_low = len(signature) == 64 and int.from_bytes(signature[32:]) <= P256_ORDER // 2
            expected = case["result"] == "valid" and is_low
            assert verify(P256, key, message, signature) == expected, (name, case["tcId"], case["comment"])
            assert not verify(P256, uncompressed, message, signature)
            counts[expected] += 1
            if case["result"] == "valid" and not is_low:
                assert verify(P256, key, message, low_s(signature)), (name, case["tcId"], "its low twin")
    assert all(counts.values()), counts


def test_ml_dsa_65_signatures(vectors: Path) -> None:
    counts = {True: 0, False: 0}
    for name, group in groups(vectors, "mldsa_verify_schema", "ML-DSA-65"):
        key = bytes.fromhex(group["publicKey"])
        for case in group["tests"]:
            message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
            context = bytes.fromhex(case.get("ctx", ""))
            valid = case["result"] == "valid"
            expected = valid and not context
            assert verify(ML_DSA_65, key, message, signature) == expected, (name, case["tcId"], case["comment"])
            counts[expected] += 1
            if valid and context:
                accepted_with(key, message, signature, context)
    assert all(counts.values()), counts


def accepted_with(key: bytes, message: bytes, signature: bytes, context: bytes) -> None:
    """The context is what the node refuses it for, and nothing else."""
    try:
        mldsa.MLDSA65PublicKey.from_public_bytes(key).verify(signature, message, context)
    except InvalidSignature:
        pytest.fail("a valid signature with a context is not valid with it")
