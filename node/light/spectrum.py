"""The spectrum: regions of light by wavelength (protocol section 3). Wavelengths are integers in picometres."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Region:
    """A half-open band of wavelengths. `index` is 0…5 for the six visible ones, in which validators live."""

    name: str
    low_pm: int
    high_pm: int
    index: int | None


UV = Region("UV", 100_000, 380_000, None)
IR = Region("IR", 750_000, 1_100_000, None)
VISIBLE = (
    Region("Violet", 380_000, 450_000, 0),
    Region("Blue", 450_000, 495_000, 1),
    Region("Green", 495_000, 570_000, 2),
    Region("Yellow", 570_000, 590_000, 3),
    Region("Orange", 590_000, 620_000, 4),
    Region("Red", 620_000, 750_000, 5),
)
REGIONS = (UV, *VISIBLE, IR)


def region_at(wavelength_pm: int) -> Region:
    """The region that holds a wavelength of 100,000 to 1,099,999 pm; ValueError outside."""
    for region in REGIONS:
        if region.low_pm <= wavelength_pm < region.high_pm:
            return region
    raise ValueError(f"{wavelength_pm} pm lies outside the spectrum of 100 to 1,100 nm.")
