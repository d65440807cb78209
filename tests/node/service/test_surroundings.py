"""Sleep and other networks show to who looks now and then."""

from __future__ import annotations

from node.mesh.protocol.limits import SILENCE_MS
from node.service.surroundings import LOOK_S, Surroundings


class Device:
    def __init__(self) -> None:
        self.boot = 0
        self.addresses = ["192.168.1.5"]
        self.told: list[object] = []
        self.around = Surroundings(self, lambda: self.addresses, lambda: self.boot)

    def slept(self, passed_ms: int) -> None:
        self.told.append(passed_ms)

    def moved(self, addresses: frozenset[str]) -> None:
        self.told.append(addresses)

    def look(self, after_ms: int = int(LOOK_S * 1000)) -> list[object]:
        self.boot += after_ms
        self.told.clear()
        self.around.look()
        return self.told


def test_nothing_is_told_while_nothing_happens() -> None:
    device = Device()
    assert all(device.look() == [] for _ in range(20))
    assert device.look(SILENCE_MS - 1) == []


def test_a_sleep_is_told_once() -> None:
    device = Device()
    assert device.look(3 * 3_600_000) == [3 * 3_600_000]
    assert device.look() == []


def test_leaving_a_network_and_coming_into_another() -> None:
    device = Device()
    device.addresses = []
    assert device.look() == [frozenset()]
    assert device.look() == []
    device.addresses = ["10.0.0.7", "2001:db8::7"]
    assert device.look() == [frozenset(("10.0.0.7", "2001:db8::7"))]
    device.addresses.reverse()
    assert device.look() == []
