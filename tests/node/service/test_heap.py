"""Freed memory goes back where the C library can."""

from __future__ import annotations

import platform

import pytest

from node.service.heap import give_back


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has a way to give memory back")
def test_glibc_gives_memory_back() -> None:
    assert give_back()


def test_others_do_not_and_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert not give_back()
