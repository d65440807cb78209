"""Recovery words (BIP-39, English list): https://github.com/bitcoin/bips/blob/master/bip-0039.mediawiki

New wallets have 12 or 24 words (protocol section 2); a restore takes every length of the standard, so that words
made elsewhere are good too. Messages name the place of a wrong word and what it may have been, never the words.
"""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from functools import cache

from node.api.errors import Refused
from wallet.secret import Secret

NEW_COUNTS = (12, 24)
COUNTS = (12, 15, 18, 21, 24)
_ENTROPY_SIZES = tuple(count * 4 // 3 for count in COUNTS)
_ROUNDS = 2048


@cache
def word_list() -> tuple[str, ...]:
    """The 2,048 English words in their order."""
    from mnemonic import Mnemonic

    return tuple(Mnemonic("english").wordlist)


def generate(count: int = 12) -> Secret:
    """Fresh entropy for `count` words (12 or 24) from the system's generator."""
    if count not in NEW_COUNTS:
        raise Refused("bad_word_count", f"A new wallet has 12 or 24 words, not {count}.", hint="Choose 12 or 24.")
    return Secret(secrets.token_bytes(count * 4 // 3))


def words_of(entropy: Secret) -> Secret:
    """The words of 16 to 32 bytes of entropy, separated by single spaces."""
    from mnemonic import Mnemonic

    if len(entropy) not in _ENTROPY_SIZES:
        raise Refused("bad_word_count", f"{len(entropy)} bytes of entropy have no words.")
    return Secret(Mnemonic("english").to_mnemonic(entropy.reveal()).encode())


def entropy_of(words: Secret) -> Secret:
    """The entropy behind `words`, however they are spaced and capitalised.

    Raises `Refused` with code bad_word_count, unknown_word (the hint has the nearest words of the list: for the
    owner's screen, not for a log) or bad_checksum.
    """
    from mnemonic import Mnemonic

    given = Secret.of(words.text().lower())
    count = len(given.text().split())
    if count not in COUNTS:
        raise Refused(
            "bad_word_count",
            f"These are {count} words; a wallet has 12 or 24 (15, 18 or 21 from elsewhere are read too).",
            hint="Type all of them in their order, with spaces between.",
        )
    wrong = _unknown_places(given)
    if wrong:
        suggestions = " or ".join(nearest(given.text().split()[wrong[0]])) or "no word of the list is near it"
        more = (
            ""
            if len(wrong) == 1
            else f" ({len(wrong)} words are unknown: number " + (", ".join(str(place + 1) for place in wrong) + ")")
        )
        raise Refused(
            "unknown_word",
            f"Word number {wrong[0] + 1} is not in the list of recovery words{more}.",
            hint=f"Did you mean: {suggestions}?",
        )
    if not Mnemonic("english").check(" ".join(given.text().split())):
        raise Refused(
            "bad_checksum",
            "Every word is in the list, but together they do not fit: a word is wrong or the order is.",
            hint="Compare them with your paper one by one; nothing was changed.",
        )
    return Secret(Mnemonic("english").to_entropy(given.text().split()))


def _unknown_places(words: Secret) -> list[int]:
    known = frozenset(word_list())
    return [place for place, word in enumerate(words.text().split()) if word not in known]


def seed_of(words: Secret, passphrase: Secret) -> Secret:
    """The 64-byte seed of words with a BIP-39 passphrase (empty for none): PBKDF2-HMAC-SHA512, 2,048 rounds.

    `words` are taken as they stand (NFKD), in any language; `entropy_of` is what checks them.
    """
    return Secret(
        hashlib.pbkdf2_hmac(
            "sha512",
            unicodedata.normalize("NFKD", words.text()).encode(),
            b"mnemonic" + passphrase.reveal(),
            _ROUNDS,
        )
    )


def nearest(word: str, limit: int = 3) -> tuple[str, ...]:
    """At most `limit` words of the list that someone may have meant by `word`, best first."""
    import difflib

    word = unicodedata.normalize("NFKD", word.strip().lower())[:32]
    # Four letters tell every word of the list apart: what begins the same is the best guess.
    same_start = [known for known in word_list() if len(word) >= 4 and known.startswith(word[:4])]
    similar = difflib.get_close_matches(word, word_list(), n=limit, cutoff=0.5)
    return tuple(dict.fromkeys(same_start + similar))[:limit]


def completions(prefix: str, limit: int = 8) -> tuple[str, ...]:
    """Words of the list that begin with `prefix`, for completion while typing."""
    prefix = prefix.strip().lower()
    return tuple(word for word in word_list() if prefix and word.startswith(prefix))[:limit]
