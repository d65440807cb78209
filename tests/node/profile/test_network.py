"""The glance at a genesis: a prefix, or a refusal that names the file."""

from pathlib import Path

import pytest

from node.api.errors import Damaged
from node.encoding.canonical import encode
from node.profile.network import address_prefix
from node.profile.paths import ProfilePaths


def test_the_prefix_is_read(tmp_path: Path) -> None:
    paths = ProfilePaths("work", tmp_path)
    paths.genesis.write_bytes(encode((1, "solo", "solo", "tnxt", 0)))
    assert address_prefix(paths) == "tnxt"


@pytest.mark.parametrize("data", [b"", b"\xff" * 40, encode(()), encode((1, 2, 3, "btc")), encode((1, 2, 3, 4))])
def test_what_is_no_genesis_is_refused_by_its_name(tmp_path: Path, data: bytes) -> None:
    paths = ProfilePaths("work", tmp_path)
    with pytest.raises(Damaged, match="cannot be read"):
        address_prefix(paths)
    paths.genesis.write_bytes(data)
    with pytest.raises(Damaged, match=r"genesis\.nexus is no genesis file"):
        address_prefix(paths)
