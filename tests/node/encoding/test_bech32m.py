"""Bech32m against BIP-350's published figures, and addresses against every slip of the pen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.encoding import bech32m
from node.encoding.address import DIGEST_SIZES, ML_DSA_65, MULTISIG, P256, Address, AddressError

# BIP-350, "Test vectors for Bech32m".
VALID = [
    "A1LQFN3A",
    "a1lqfn3a",
    "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
    "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
    "11" + "l" * 83 + "udsr8",
    "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
    "?1v759aa",
]
INVALID = {
    "\x201xj0phk": "cannot be part",  # prefix character out of range
    "\x7f1g6xzxy": "cannot be part",
    "\x801vctc34": "cannot be part",
    "an84characterslonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11d6pts4": "too long",
    "qyrz8wqd2c9m": "missing",  # no separator
    "1qyrz8wqd2c9m": "missing",  # empty prefix
    "y1b0jsk6g": "never occurs",
    "lt1igcx5c0": "never occurs",
    "in1muywd": "missing",  # checksum too short
    "mm1crxm3i": "never occurs",
    "au1s5cgom": "never occurs",
    "M1VUXWEZ": "checksum",  # calculated with the prefix in capitals
    "16plkw9": "missing",
    "1p2gdwpf": "missing",
}
# Of BIP-350's addresses: bech32 instead of bech32m, mixed case, and both faults of padding. The first 5-bit word is
# a Bitcoin witness version, so whole bytes are read from the second.
WRONG_SUM = [
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
    "tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf",
    "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL",
]
PROGRAM = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"


@pytest.mark.parametrize("text", VALID)
def test_valid_strings_of_bip_350(text: str) -> None:
    prefix, words = bech32m.decode_words(text)
    assert bech32m.encode_words(prefix, words) == text.lower()
    wrong = text[:-1] + ("q" if text[-1] != "q" else "p")
    with pytest.raises(bech32m.Bech32Error):
        bech32m.decode_words(wrong)


@pytest.mark.parametrize(("text", "why"), INVALID.items())
def test_invalid_strings_of_bip_350(text: str, why: str) -> None:
    with pytest.raises(bech32m.Bech32Error, match=why):
        bech32m.decode_words(text)


@pytest.mark.parametrize("text", WRONG_SUM)
def test_the_older_bech32_is_refused(text: str) -> None:
    with pytest.raises(bech32m.Bech32Error, match="checksum"):
        bech32m.decode_words(text)


def test_words_are_those_of_a_published_address() -> None:
    prefix, words = bech32m.decode_words(PROGRAM)
    payload = bytes.fromhex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
    text = bech32m.encode(prefix, payload)
    assert (prefix, words[0]) == ("bc", 1)
    assert bech32m.decode_words(text)[1] == words[1:]
    assert bech32m.decode(text) == ("bc", payload)


def test_padding_is_checked() -> None:
    assert bech32m.decode(bech32m.encode_words("t", [0] * 8)) == ("t", bytes(5))
    for words in ([0] * 9, [0] * 3, [0] * 6, [31, 1]):  # 5, 7 and 6 spare bits; a spare bit that is set
        with pytest.raises(bech32m.Bech32Error, match="padding"):
            bech32m.decode(bech32m.encode_words("t", words))


@given(st.binary(max_size=40))
def test_bytes_survive(payload: bytes) -> None:
    assert bech32m.decode(bech32m.encode("tnxt", payload)) == ("tnxt", payload)


@st.composite
def addresses(draw: st.DrawFn) -> Address:
    version = draw(st.sampled_from(sorted(DIGEST_SIZES)))
    size = DIGEST_SIZES[version]
    return Address(version, draw(st.binary(min_size=size, max_size=size)))


@given(addresses(), st.sampled_from(["nxt", "tnxt"]))
def test_addresses_survive_in_both_cases(address: Address, prefix: str) -> None:
    text = address.text(prefix)
    assert Address.parse(text, prefix) == Address.parse(f" {text.upper()}\n", prefix) == address
    assert Address.from_raw(address.raw) == address
    assert len(text) == len(prefix) + (41 if address.version == P256 else 60)


@given(addresses(), st.data())
def test_one_slip_is_always_found(address: Address, data: st.DataObject) -> None:
    text = address.text("tnxt")
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(bech32m.ALPHABET + "b1iO-"))
    kind = data.draw(st.sampled_from(["substitute", "swap", "delete", "insert", "capital"]))
    if kind == "substitute":
        slip = text[:at] + other + text[at + 1 :]
    elif kind == "swap":
        slip = text[:at] + text[at + 1 : at + 2] + text[at] + text[at + 2 :]
    elif kind == "delete":
        slip = text[:at] + text[at + 1 :]
    elif kind == "insert":
        slip = text[:at] + other + text[at:]
    else:
        slip = text[:at] + text[at].upper() + text[at + 1 :]
    if slip != text:
        with pytest.raises(AddressError):
            Address.parse(slip, "tnxt")


def test_golden_addresses() -> None:
    """The digests are the protocol's: a change here is another network."""
    keys = {P256: b"\x02" + bytes(32), ML_DSA_65: bytes(1952), MULTISIG: b"policy"}
    assert {version: Address.from_key(version, key).text("tnxt") for version, key in keys.items()} == {
        P256: "tnxt1qqyzqryrhkwp0yqgczx8qlcq3mvrnyzvqvf4ahey",
        ML_DSA_65: "tnxt1qxkh2qrznjx0svm507yz6w9s2va9044q35uawpp65ud7azpy4ekkwp5q95e",
        MULTISIG: "tnxt1qg0tvlfp4ml8wp8w6hk6j76rpuwvsmhz2v4t64p3dtd7ztjxj2pscha2jjk",
    }


def text_of(payload: bytes, prefix: str = "tnxt") -> str:
    return bech32m.encode(prefix, payload)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "missing"),
        ("hello", "missing"),
        ("x" * 10_000, "too long"),
        (text_of(bytes(21), "nxt"), "main network"),
        (text_of(bytes(21), "bc"), "another system"),
        (text_of(b"\x03" + bytes(32)), "version 3"),
        (text_of(b"\xff" + bytes(20)), "version 255"),
        (text_of(bytes(20)), "20 bytes, not 19"),
        (text_of(bytes(22)), "20 bytes, not 21"),
        (text_of(bytes(33)), "20 bytes, not 32"),
        (text_of(b"\x01" + bytes(20)), "32 bytes, not 20"),
        (text_of(b"\x02" + bytes(31)), "32 bytes, not 31"),
        (text_of(b""), "empty"),
        (text_of(bytes(21)).replace("tnxt", "Tnxt"), "mixes"),
        ("tnxt1" + "\u0430" + "q" * 38, "cannot be part"),
    ],
)
def test_what_is_no_address_here_says_why(text: str, why: str) -> None:
    with pytest.raises(AddressError, match=why) as caught:
        Address.parse(text, "tnxt")
    assert len(str(caught.value)) < 250


def test_a_test_address_is_refused_on_the_main_network() -> None:
    with pytest.raises(AddressError, match="test or private"):
        Address.parse(text_of(bytes(21)), "nxt")


def test_empty_bytes_are_no_address() -> None:
    with pytest.raises(AddressError):
        Address.from_raw(b"")
