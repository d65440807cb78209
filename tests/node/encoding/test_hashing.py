"""Tagged hashes: BLAKE2b with a personalisation, so that no two uses can meet."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from node.encoding.hashing import tagged_hash


def test_it_is_blake2b_with_the_tag_as_personalisation() -> None:
    expected = blake2b(b"onetwo", digest_size=32, person=b"nexus/test").digest()
    assert tagged_hash(b"nexus/test", b"one", b"two") == tagged_hash(b"nexus/test", b"onetwo") == expected


def test_another_tag_or_size_is_another_hash() -> None:
    assert tagged_hash(b"nexus/a", b"x") != tagged_hash(b"nexus/b", b"x")
    assert tagged_hash(b"nexus/a", b"x", size=20) != tagged_hash(b"nexus/a", b"x")[:20]


def test_a_tag_that_would_be_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="person"):
        tagged_hash(b"nexus/seventeen!!", b"x")
