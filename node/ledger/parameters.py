"""The numbers of a network: presets, and every time derived from its slot length (protocol section 0).

Numbers that the protocol marks ⚙ are genesis parameters: they stand here as fields. What is fixed for all networks
stands as a constant in the module that uses it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from node.encoding.amounts import SUPPLY
from node.encoding.canonical import Value

DAY_MS = 86_400_000


class ParameterError(ValueError):
    """A genesis whose parameters lie outside their bounds."""

    code = "bad_parameters"


@dataclass(frozen=True, slots=True)
class Parameters:
    """One network's numbers. Slots unless the name says otherwise; fees in units."""

    slot_ms: int = 2_000
    seats: int = 2
    epoch_slots: int = 1_800
    heartbeat_slots: int = 150
    checkpoint_score: int = 20
    vote_depth: int = 10
    merge_depth_slots: int = 1_800
    unbonding_slots: int = 14 * DAY_MS // 2_000
    silence_slots: int = 7 * DAY_MS // 2_000
    ghostdag_k: int = 18
    max_body_bytes: int = 128 * 1024
    base_fee: int = 1_000
    record_fee: int = 50_000
    byte_fee: int = 20
    treasury: int = SUPPLY // 2
    validator_pool: int = SUPPLY * 3 // 10
    ecosystem_fund: int = SUPPLY // 5

    def values(self) -> tuple[int, ...]:
        """The fields in their order, for encoding."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @classmethod
    def from_value(cls, value: Value) -> Parameters:
        """Parameters from a decoded genesis. Raises ParameterError outside the bounds of `BOUNDS`."""
        names = [field.name for field in fields(cls)]
        if type(value) is not tuple or len(value) != len(names):
            raise ParameterError(f"A genesis has {len(names)} parameters; is it of another version?")
        for name, number in zip(names, value, strict=True):
            low, high = BOUNDS[name]
            if type(number) is not int or not low <= number <= high:
                raise ParameterError(f"The genesis parameter {name} must be {low} to {high}, not {number!r}.")
        parameters = cls(**dict(zip(names, value, strict=True)))  # type: ignore[arg-type]
        if parameters.treasury + parameters.validator_pool + parameters.ecosystem_fund != SUPPLY:
            raise ParameterError("The three reserves of a genesis must make 1,000,000 NXT in all.")
        return parameters


BOUNDS: dict[str, tuple[int, int]] = {
    "slot_ms": (100, 60_000),
    "seats": (1, 2),
    "epoch_slots": (20, 100_000),
    "heartbeat_slots": (1, 100_000),
    "checkpoint_score": (1, 1_000),
    "vote_depth": (0, 1_000),
    "merge_depth_slots": (20, 100_000),
    "unbonding_slots": (20, 100_000_000),
    "silence_slots": (20, 100_000_000),
    "ghostdag_k": (1, 128),
    "max_body_bytes": (1 << 16, 1 << 20),  # any transaction (32 KiB) must fit an empty body
    "base_fee": (1, 10**8),
    "record_fee": (0, 10**9),
    "byte_fee": (0, 10**5),
    "treasury": (0, SUPPLY),
    "validator_pool": (0, SUPPLY),
    "ecosystem_fund": (0, SUPPLY),
}


def _times(slot_ms: int, unbonding_days: int, silence_days: int) -> dict[str, int]:
    return {
        "slot_ms": slot_ms,
        "unbonding_slots": unbonding_days * DAY_MS // slot_ms,
        "silence_slots": silence_days * DAY_MS // slot_ms,
    }


PRESETS: dict[str, Parameters] = {
    "main": Parameters(),
    "create": Parameters(**_times(2_000, unbonding_days=2, silence_days=1)),
    "solo": Parameters(
        **_times(200, unbonding_days=2, silence_days=1),
        heartbeat_slots=1_500,
        checkpoint_score=1,
        vote_depth=0,
    ),
    "minimal": Parameters(
        slot_ms=500,
        epoch_slots=20,
        heartbeat_slots=10,
        checkpoint_score=4,
        vote_depth=2,
        merge_depth_slots=200,
        unbonding_slots=200,
        silence_slots=100,
    ),
}
