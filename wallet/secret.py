"""A holder for secrets, so that none is printed by accident.

A traceback with locals, a log line or a debugger calls `repr`; a `Secret` answers with its kind alone. Passphrases,
words, entropy, seeds and private keys travel through the wallet in one of these, and functions take the bytes out
only inside the call that needs them. Wiping is best effort: Python may have copied the bytes before.
"""

from __future__ import annotations

import hmac
import unicodedata
from typing import NoReturn

MAX_TEXT_BYTES = 1024


class Secret:
    """Bytes that do not show themselves. Equal in constant time, never hashed, pickled or copied."""

    __slots__ = ("_bytes",)

    def __init__(self, value: bytes | bytearray) -> None:
        self._bytes = bytearray(value)

    @classmethod
    def of(cls, text: str) -> Secret:
        """The secret of what a person typed: NFKD (as BIP-39 has it), so that every keyboard gives the same bytes.

        Bytes that are no UTF-8, as an environment variable may have them, stay as they were.
        """
        return cls(unicodedata.normalize("NFKD", text).encode("utf-8", "surrogateescape"))

    def reveal(self) -> bytes:
        """The bytes. Use them within the expression; keep no local name for them."""
        return bytes(self._bytes)

    def text(self) -> str:
        """The secret as text, for showing words to their owner."""
        return self._bytes.decode("utf-8", "surrogateescape")

    def wipe(self) -> None:
        """Overwrite the bytes; the secret is empty from now on."""
        self._bytes[:] = bytes(len(self._bytes))
        self._bytes.clear()

    def __len__(self) -> int:
        return len(self._bytes)

    def __bool__(self) -> bool:
        return bool(self._bytes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._bytes, other._bytes)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A secret is not pickled or copied.")
