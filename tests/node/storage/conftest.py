"""Small and read-only disks; makes the modules beside this file importable by name, here and in child processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def mount(*arguments: str) -> None:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root to mount")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def read_only_view(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """Shows a folder as a read-only disk would; not even root can write there."""
    views: list[Path] = []

    def view(real: Path) -> Path:
        place = tmp_path / f"view{len(views)}"
        place.mkdir()
        mount("--bind", str(real), str(place))
        views.append(place)
        mount("-o", "remount,ro,bind", str(place))
        return place

    yield view
    for place in views:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill_up(folder: Path) -> None:
    """Leave no byte free."""
    number = os.open(folder / "filler", os.O_CREAT | os.O_WRONLY)
    try:
        for size in (65_536, 4_096, 1):
            try:
                while os.write(number, b"x" * size):
                    pass
            except OSError:
                continue
    finally:
        os.close(number)


@pytest.fixture
def full_disk(small_disk: Path) -> Callable[[], Path]:
    """A small disk that fills up when called."""

    def fill() -> Path:
        fill_up(small_disk)
        return small_disk

    return fill
