"""Orbits: what an event costs, by the Rydberg formula (protocol section 3). Exact rationals and integers only.

An event of the network is a jump of hydrogen's electron from orbit n_u down to n_l. Its price is to a text message's as
the two energies are to each other: (1/n_l² − 1/n_u²) to that of 3→2. A message also chooses its wavelength: E = hf, so
a shorter one costs more. Prices are integers of units; each is one division of integers, rounded up.

Below the prices stand the wavelengths that hydrogen really shines at, for people to see: no price depends on them.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import NamedTuple

from node.light.spectrum import region_at

TEXT_PRICE = 5_700  # units, of one quantum at the reference wavelength
REFERENCE_PM = 656_279  # Hα, as measured in air
QUANTUM = 256  # bytes of padded content
UNDISCOUNTED_QUANTA = 16

# CODATA 2022.
RYDBERG = Fraction(10_973_731_568_157, 10**6)  # R∞, 1/m
PROTON_MASS = Fraction(1_836_152_673_426, 10**9)  # in electron masses


class Orbit(NamedTuple):
    """An event and its jump from the orbit `upper` to `lower`."""

    event: str
    upper: int
    lower: int

    @property
    def ratio(self) -> Fraction:
        """Its energy in energies of 3→2, exactly."""
        return _ratio(self.upper, self.lower)


def energy(upper: int, lower: int) -> Fraction:
    """1/n_l² − 1/n_u²: a jump's energy in units of hc·R. ValueError unless upper > lower ≥ 1."""
    if not upper > lower >= 1:
        raise ValueError(f"No light comes from a jump from orbit {upper} to {lower}.")
    return Fraction(1, lower * lower) - Fraction(1, upper * upper)


@cache
def _ratio(upper: int, lower: int) -> Fraction:
    return Fraction(energy(upper, lower), energy(3, 2))


TEXT = Orbit("text", 3, 2)
LINK = Orbit("link", 4, 2)
IMAGE = Orbit("image", 5, 3)
VIDEO = Orbit("video", 5, 2)  # or any other file
SETTLEMENT = Orbit("settlement", 6, 3)  # release of an escrow
TRADE = Orbit("trade", 6, 4)
STAKING = Orbit("staking", 7, 4)
VOTE = Orbit("vote", 4, 3)  # of governance
MESSAGES = (TEXT, LINK, IMAGE, VIDEO)
ORBITS = (*MESSAGES, SETTLEMENT, TRADE, STAKING, VOTE)


def orbit_price(orbit: Orbit, text_price: int = TEXT_PRICE) -> int:
    """The price of an event at the reference wavelength, in units."""
    ratio = orbit.ratio
    return -(-text_price * ratio.numerator // ratio.denominator)


def message_price(orbit: Orbit, wavelength_pm: int, quanta: int, text_price: int = TEXT_PRICE) -> int:
    """The price of a message in units: its class by `orbit`, its wavelength in pm, its quanta (256 bytes each).

    At least what a text of up to 16 quanta costs: the class is sealed inside and nobody can check it, so what images
    cost less begins at 4 KiB. ValueError for an event that is no message, a wavelength outside the spectrum, no quanta.
    """
    if orbit not in MESSAGES:
        raise ValueError(f"{orbit.event} is no class of messages.")
    if quanta < 1:
        raise ValueError("A message has at least one quantum.")
    region_at(wavelength_pm)
    ratio = orbit.ratio
    price = -(-text_price * ratio.numerator * quanta * REFERENCE_PM // (ratio.denominator * wavelength_pm))
    least = -(-text_price * min(quanta, UNDISCOUNTED_QUANTA) * REFERENCE_PM // wavelength_pm)
    return max(price, least)


def vacuum_line(upper: int, lower: int) -> Fraction:
    """The wavelength in pm at which hydrogen shines in vacuum: 1/λ = R_H·(1/n_l² − 1/n_u²).

    R_H is R∞ with the electron's reduced mass. Bohr's orbits only: fine structure and the rest of quantum
    electrodynamics move the measured lines by about a hundred-thousandth.
    """
    hydrogen = RYDBERG * Fraction(PROTON_MASS, PROTON_MASS + 1)
    return Fraction(10**12, hydrogen * energy(upper, lower))


def air_line(upper: int, lower: int) -> Fraction:
    """The same in standard air (15 °C, 101,325 Pa), in pm, by Edlén's formula (Metrologia 2, 71, 1966).

    For lines of 200 to 2,000 nm; outside, wavelengths are given in vacuum.
    """
    vacuum = vacuum_line(upper, lower)
    square = Fraction(10**6, vacuum) ** 2  # of the wave number in 1/µm
    refraction = Fraction(834_213, 100)  # (n − 1)·10⁸
    refraction += Fraction(2_406_030, 130 - square) + Fraction(15_997, Fraction(389, 10) - square)
    return Fraction(vacuum * 10**8, 10**8 + refraction)
