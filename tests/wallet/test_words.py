"""Recovery words: making, reading, and what is said about words that are wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.api.errors import Refused
from wallet import words
from wallet.secret import Secret

GOOD = "legal winner thank year wave sausage worth useful legal winner thank yellow"


@pytest.mark.parametrize("count", [12, 24])
def test_new_words(count: int) -> None:
    entropy = words.generate(count)
    made = words.words_of(entropy)
    assert len(made.text().split()) == count
    assert words.entropy_of(made) == entropy
    assert words.generate(count) != entropy


@pytest.mark.parametrize("count", [0, 11, 15, 18, 21, 25])
def test_new_wallets_have_12_or_24_words(count: int) -> None:
    with pytest.raises(Refused, match="12 or 24") as refusal:
        words.generate(count)
    assert refusal.value.code == "bad_word_count"


@given(st.sampled_from([16, 20, 24, 28, 32]).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
def test_words_and_back(entropy: bytes) -> None:
    assert words.entropy_of(words.words_of(Secret(entropy))).reveal() == entropy


def test_spacing_and_capitals_do_not_matter() -> None:
    assert words.entropy_of(Secret.of(f"  {GOOD.upper()}\n".replace(" ", "\t \n"))).reveal() == b"\x7f" * 16


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("abandn", "abandon"), ("wnner", "winner"), ("yelow", "yellow"), ("sausagge", "sausage"), ("zooo", "zoo")],
)
def test_an_unknown_word_suggests_the_nearest(typed: str, meant: str) -> None:
    assert words.nearest(typed)[0] == meant
    given = GOOD.split()
    given[4] = typed
    with pytest.raises(Refused) as refusal:
        words.entropy_of(Secret.of(" ".join(given)))
    assert refusal.value.code == "unknown_word"
    assert "Word number 5" in refusal.value.message
    assert meant in refusal.value.hint
    assert typed not in refusal.value.message  # nothing of the words goes where a log may pick it up


def test_all_unknown_words_are_numbered() -> None:
    given = GOOD.split()
    given[1] = given[7] = "§§§"
    with pytest.raises(Refused, match=r"2 words are unknown: number 2, 8") as refusal:
        words.entropy_of(Secret.of(" ".join(given)))
    assert "no word of the list is near" in refusal.value.hint


def test_a_bad_checksum_has_its_own_message() -> None:
    swapped = GOOD.split()
    swapped[0], swapped[1] = swapped[1], swapped[0]
    with pytest.raises(Refused, match="together they do not fit") as refusal:
        words.entropy_of(Secret.of(" ".join(swapped)))
    assert refusal.value.code == "bad_checksum"


@pytest.mark.parametrize("given", ["", "abandon", GOOD + " zoo", "zoo " * 1000])
def test_a_wrong_number_of_words(given: str) -> None:
    with pytest.raises(Refused) as refusal:
        words.entropy_of(Secret.of(given))
    assert refusal.value.code == "bad_word_count"


def test_a_passphrase_gives_another_seed_and_is_normalised() -> None:
    given = Secret.of(GOOD)
    plain = words.seed_of(given, Secret.of(""))
    composed = words.seed_of(given, Secret.of("caf\u00e9"))
    decomposed = words.seed_of(given, Secret.of("cafe\u0301"))
    assert plain != composed == decomposed


def test_completion() -> None:
    assert words.completions("aban") == ("abandon",)
    assert words.completions("") == ()
    assert len(words.completions("a")) == 8
