"""BIP-39 against every file of others' vectors: entropy, words and seed (passphrase TREZOR unless a file says).

A file is `{language: [[entropy, words, seed, …], …]}` or a list of objects with entropy, mnemonic, seed and passphrase.
The wallet makes and reads English words; a seed follows from words of any language.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.api.errors import Refused
from wallet import words
from wallet.secret import Secret

Vector = tuple[str, str, str, str, str]  # language, entropy, words, seed, passphrase


def read(path: Path) -> Iterator[Vector]:
    data = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(data, dict):
        for language, rows in data.items():
            for entropy, mnemonic, seed, *_ in rows:
                yield language, entropy, mnemonic, seed, "TREZOR"
    else:
        for row in data:
            language = row.get("language", "english" if row["mnemonic"].isascii() else "other")
            yield language, row["entropy"], row["mnemonic"], row["seed"], row.get("passphrase", "TREZOR")


@pytest.fixture(scope="module")
def cases(vectors: Path) -> list[Vector]:
    """Every vector of every file; an empty folder would be a test of nothing."""
    found = [vector for path in sorted((vectors / "bip39").glob("*.json")) for vector in read(path)]
    assert found, f"no BIP-39 vectors in {vectors / 'bip39'}"
    return found


def test_entropy_words_and_seed(cases: list[Vector]) -> None:
    for language, entropy, mnemonic, seed, passphrase in cases:
        given = Secret.of(mnemonic)
        assert words.seed_of(given, Secret.of(passphrase)).reveal().hex() == seed
        if language == "english":
            secret = Secret(bytes.fromhex(entropy))
            assert words.words_of(secret).text() == mnemonic
            assert words.entropy_of(given) == secret
        else:
            with pytest.raises(Refused):
                words.entropy_of(given)


def entropy_or_code(given: Secret) -> str:
    try:
        return words.entropy_of(given).reveal().hex()
    except Refused as refusal:
        return refusal.code


def test_a_changed_word_is_refused(cases: list[Vector]) -> None:
    """Swapping in any other word gives a bad checksum, or, by chance, other entropy; never the same."""
    english = [vector for vector in cases if vector[0] == "english"]
    for _, entropy, mnemonic, _, _ in english:
        parts = mnemonic.split()
        for place in range(len(parts)):
            other = "zoo" if parts[place] != "zoo" else "abandon"
            changed = Secret.of(" ".join([*parts[:place], other, *parts[place + 1 :]]))
            assert entropy_or_code(changed) != entropy
