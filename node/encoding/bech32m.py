"""Bech32m (BIP-350): text with a checksum that finds up to four wrong characters.

The polynomial, alphabet and constant are those of BIP-173 and BIP-350.
"""

from __future__ import annotations

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES = {character: value for value, character in enumerate(ALPHABET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CONSTANT = 0x2BC830A3
MAX_TEXT = 90


class Bech32Error(ValueError):
    """Text that is no valid bech32m; the message says what is wrong."""


def _polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                checksum ^= generator
    return checksum


def _expand(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def encode_words(prefix: str, words: list[int]) -> str:
    """Text of 5-bit `words` under `prefix`, lower case."""
    checksum = _polymod(_expand(prefix) + words + [0] * 6) ^ _CONSTANT
    tail = [checksum >> 5 * (5 - i) & 31 for i in range(6)]
    return f"{prefix}1{''.join(ALPHABET[word] for word in words + tail)}"


def decode_words(text: str) -> tuple[str, list[int]]:
    """(prefix, 5-bit words without the checksum). Raises Bech32Error."""
    if len(text) > MAX_TEXT:
        raise Bech32Error(f"it is too long ({len(text)} characters; at most {MAX_TEXT})")
    if any(not 33 <= ord(c) <= 126 for c in text):
        raise Bech32Error("it contains a character that cannot be part of an address")
    if text != text.lower() and text != text.upper():
        raise Bech32Error("it mixes capital and small letters")
    text = text.lower()
    split = text.rfind("1")
    if split < 1 or split + 7 > len(text):
        raise Bech32Error("its prefix or its checksum is missing")
    prefix, data = text[:split], text[split + 1 :]
    for place, character in enumerate(data):
        if character not in _VALUES:
            raise Bech32Error(f"the character {character!r} at place {split + 2 + place} never occurs in one")
    words = [_VALUES[character] for character in data]
    if _polymod(_expand(prefix) + words) != _CONSTANT:
        raise Bech32Error("its checksum does not fit: a character is wrong, missing or swapped")
    return prefix, words[:-6]


def encode(prefix: str, payload: bytes) -> str:
    """Text of whole bytes, padded with zero bits."""
    number = int.from_bytes(payload)
    count = -(-len(payload) * 8 // 5)
    number <<= count * 5 - len(payload) * 8
    return encode_words(prefix, [number >> 5 * (count - 1 - i) & 31 for i in range(count)])


def decode(text: str) -> tuple[str, bytes]:
    """(prefix, payload bytes). Raises Bech32Error, also for padding that is too long or not zero."""
    prefix, words = decode_words(text)
    number = 0
    for word in words:
        number = number << 5 | word
    length, padding = divmod(len(words) * 5, 8)
    if padding > 4 or number & (1 << padding) - 1:
        raise Bech32Error("its padding is wrong")
    return prefix, (number >> padding).to_bytes(length)
