"""Slots, epochs and heartbeats (protocol section 4). Times are Unix milliseconds, slots count from the genesis."""

from __future__ import annotations

from dataclasses import dataclass

from node.ledger.parameters import Parameters


@dataclass(frozen=True, slots=True)
class SlotClock:
    """The arithmetic of slots of one network."""

    start_ms: int
    slot_ms: int
    epoch_slots: int
    heartbeat_slots: int

    @classmethod
    def of(cls, start_ms: int, parameters: Parameters) -> SlotClock:
        """The slots of a network that started at `start_ms`."""
        return cls(start_ms, parameters.slot_ms, parameters.epoch_slots, parameters.heartbeat_slots)

    def slot_at(self, now_ms: int) -> int:
        """The slot that runs at a time; 0, which holds no block, before and at the start."""
        return max(0, (now_ms - self.start_ms) // self.slot_ms)

    def begins_ms(self, slot: int) -> int:
        """When a slot begins."""
        return self.start_ms + slot * self.slot_ms

    def epoch_of(self, slot: int) -> int:
        """The epoch that a slot belongs to."""
        return slot // self.epoch_slots

    def is_heartbeat(self, slot: int) -> bool:
        """Whether this slot's leader makes a block though nothing waits."""
        return slot % self.heartbeat_slots == 0

    def next_heartbeat(self, slot: int) -> int:
        """The first heartbeat slot after `slot`."""
        return (slot // self.heartbeat_slots + 1) * self.heartbeat_slots
