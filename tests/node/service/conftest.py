"""A fresh profile for each test."""

from pathlib import Path

import pytest

from tests.node.service.service_world import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "profiles" / "here")
