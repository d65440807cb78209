"""Names and labels: what they may contain, and which of them look alike.

Text from others can carry control characters, changes of writing direction and invisible characters. Names are
refused when they do; text that is already on the chain is cleaned before it goes into an export.
The look-alike table is a small choice from Unicode TS 39 (confusables): the letters with which names are forged.
"""

from __future__ import annotations

import unicodedata

from node.api.errors import Refused

MAX_NAME = 64
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
# Blank or combining characters that are visible to nobody though their category is no control.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u034f\u2800\u17b4\u17b5")
_LOOK = str.maketrans(
    "0158|!$аеорсухкмтвнԁіјѕһԛԝαβεικνορτυχγωıɩ",
    "olsbllsaeopcyxkmtbhdijshqwabeikvoptuxywil",
)
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))


def is_hidden(character: str) -> bool:
    """Whether a character is a control, a direction mark, or invisible."""
    return unicodedata.category(character) in _HIDDEN or character in _BLANK


def checked_name(text: str, what: str) -> str:
    """`text` without outer spaces, in NFC. Raises `Refused` (bad_name) when empty, over 64 characters or hidden
    characters are in it. `what` begins the message: "A label"."""
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise Refused("bad_name", f"{what} cannot be empty.")
    if len(name) > MAX_NAME:
        raise Refused("bad_name", f"{what} has at most {MAX_NAME} characters; this one has {len(name)}.")
    hidden = next((character for character in name if is_hidden(character)), None)
    if hidden is not None:
        raise Refused(
            "bad_name",
            f"{what} cannot contain invisible or control characters (here U+{ord(hidden):04X}).",
        )
    return name


def cleaned(text: str) -> str:
    """Foreign text on one line: line breaks become spaces, hidden characters the replacement character."""
    spaced = " ".join(text.splitlines()).replace("\t", " ")
    return "".join("\ufffd" if is_hidden(character) else character for character in spaced)


def skeleton(name: str) -> str:
    """What a name looks like at a glance: equal skeletons can be taken for each other."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    letters = "".join(c for c in plain.translate(_LOOK) if c.isalnum())
    for pair, single in _PAIRS:
        letters = letters.replace(pair, single)
    return letters.translate(str.maketrans("i", "l"))
