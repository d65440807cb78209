"""Bytes a second out of totals."""

from dataclasses import replace

from nexus_tui.traffic import Delays, Rates
from tests.nexus_tui.drawing.test_mesh_map import mesh, node, peer


def test_two_looks_make_a_rate_once_they_are_apart() -> None:
    rates = Rates()

    def look(linked_ms: int = 1_000, bytes_in: int = 0, bytes_out: int = 0) -> tuple[int, int] | None:
        seen = replace(peer(1), linked_ms=linked_ms, bytes_in=bytes_in, bytes_out=bytes_out)
        rates.learn(mesh((seen,), ()))
        return rates.of(node(1))

    assert look() is None
    assert look(linked_ms=2_000, bytes_in=9_000) is None, "too soon"
    assert look(linked_ms=6_000, bytes_in=50_000, bytes_out=400) == (10_000, 0), "a ping now and then is nothing"
    assert look(linked_ms=6_500, bytes_in=90_000, bytes_out=400) == (10_000, 0)
    assert look(linked_ms=11_000, bytes_in=50_000, bytes_out=10_400) == (0, 2_000)
    assert look(linked_ms=500, bytes_in=70_000, bytes_out=10_400) is None, "another link"
    rates.learn(mesh((), ()))
    assert rates.of(node(1)) is None


def test_a_delay_is_shown_until_it_is_clearly_another() -> None:
    delays = Delays()

    def look(delay_ms: int | None) -> int | None:
        return delays.steady(mesh((peer(1, delay_ms),), ())).peers[0].delay_ms

    assert [look(one) for one in (None, 12, 30, 1, 40, 200, 240, 251, 2, None)] == [
        None, 12, 12, 12, 40, 200, 200, 251, 2, None,
    ]  # fmt: skip
    assert delays.steady(mesh((), ())).peers == ()
    assert look(13) == 13, "another link"
