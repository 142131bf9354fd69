"""A clear atmosphere in single scattering: what it adds, what it takes away.

Reflectance at the top follows the usual decoupling (Tanre et al. 1979, as in 6S):
`path + gas * down * up * ground / (1 - sky * ground)`.
"""

from dataclasses import dataclass
from math import exp

import numpy as np
from scipy import special

from cloudmask.local.simulator.fields import Field
from cloudmask.local.simulator.geometry import Sun
from cloudmask.local.simulator.sensor import BANDS, Band

SCALE_HEIGHT_AIR = 8_000.0
"""Metres over which pressure falls by e (a round value)."""
SCALE_HEIGHT_MOIST = 2_000.0
"""Metres over which water vapour and aerosol fall by e (a round value)."""
ANGSTROM = 1.3
"""Exponent of the aerosol optical depth over wavelength (continental, a round value)."""
AEROSOL_ASYMMETRY = 0.65
AEROSOL_ALBEDO = 0.93
"""Henyey-Greenstein asymmetry and single-scattering albedo (continental, round values)."""
AEROSOL_BACKWARD = 0.15
"""Share of the light scattered by aerosol that goes back (a round value)."""

# Absorption exp(-strength * (vapour * air mass)**exponent) with vapour in cm, a one-term band
# model. The strengths are round values of this module: B09 loses about 85 % over 2 cm, B10
# everything; for B10 the exponent lets a cloud top at 2.5 km shine through with a few
# thousandths, as low clouds do in real Level-1C data.
VAPOUR = {
    "B04": (0.003, 0.5),
    "B05": (0.008, 0.5),
    "B06": (0.008, 0.5),
    "B07": (0.004, 0.5),
    "B08": (0.022, 0.5),
    "B8A": (0.001, 0.5),
    "B09": (0.85, 0.5),
    "B10": (4.2, 0.8),
    "B11": (0.006, 0.5),
    "B12": (0.018, 0.5),
}
NO_VAPOUR = (0.0, 0.5)
# Vertical optical depth of ozone (300 DU, Chappuis band) and of well-mixed gases: round values.
WELL_MIXED = {
    "B02": 0.006,
    "B03": 0.030,
    "B04": 0.015,
    "B05": 0.006,
    "B06": 0.003,
    "B11": 0.010,
    "B12": 0.020,
}


@dataclass(frozen=True, slots=True)
class Overhead:
    """Shares of the whole column that lie above some height."""

    air: Field
    moist: Field
    """Of water vapour and aerosol."""


def overhead(height: Field | float) -> Overhead:
    """Return what lies above `height` metres, a map (y, x) or one value."""
    above = np.asarray(height, dtype=np.float32)
    return Overhead(
        np.exp(-above / np.float32(SCALE_HEIGHT_AIR)),
        np.exp(-above / np.float32(SCALE_HEIGHT_MOIST)),
    )


def rayleigh_depth(wavelength: float) -> float:
    """Return the optical depth of the molecules at sea level (Hansen and Travis 1974).

    Args:
        wavelength: Micrometres.
    """
    square = wavelength**-2
    return 0.008569 * square**2 * (1.0 + 0.0113 * square + 0.00013 * square**2)


def aerosol_depth(wavelength: float, depth_550: float) -> float:
    """Return the aerosol optical depth by the law of Angstrom (1929)."""
    return float(depth_550 * (wavelength / 0.55) ** -ANGSTROM)


def rayleigh_phase(cosine: float) -> float:
    """Return the Rayleigh phase function, mean 1 over the sphere."""
    return 0.75 * (1.0 + cosine**2)


def henyey_greenstein(cosine: float, asymmetry: float) -> float:
    """Return the phase function of Henyey and Greenstein 1941, mean 1 over the sphere."""
    return float((1 - asymmetry**2) / (1 + asymmetry**2 - 2 * asymmetry * cosine) ** 1.5)


@dataclass(frozen=True, slots=True)
class Atmosphere:
    """A clear, horizontally uniform atmosphere under a given sun."""

    sun: Sun
    water_vapour: float = 2.0
    """Column above sea level, cm of precipitable water."""
    aerosol: float = 0.12
    """Optical depth at 550 nm above sea level."""


@dataclass(frozen=True, slots=True)
class BandAtmosphere:
    """The optics of a clear atmosphere in one band."""

    atmosphere: Atmosphere
    band: Band

    @property
    def air(self) -> float:
        """Rayleigh optical depth above sea level."""
        return rayleigh_depth(self.band.centre)

    @property
    def haze(self) -> float:
        """Aerosol optical depth above sea level."""
        return aerosol_depth(self.band.centre, self.atmosphere.aerosol)

    def path(self, above: Overhead) -> Field:
        """Return the reflectance of the air above, without any ground.

        Single scattering linear in optical depth: what it overshoots for B01 and B02 stands
        in for the multiple scattering it lacks. Molecules scatter mostly above the vapour, so
        only what the aerosol scatters is dimmed by it.
        """
        height = self.atmosphere.sun.height
        # The sun behind the sensor: scattering angle 180 degrees less the zenith angle.
        air = self.air * rayleigh_phase(-height)
        haze = self.haze * AEROSOL_ALBEDO * henyey_greenstein(-height, AEROSOL_ASYMMETRY)
        haze *= exp(-self._vapour_depth * 0.5**self._vapour_exponent)
        return above.air * np.float32(air / (4 * height)) + above.moist * np.float32(
            haze / (4 * height)
        )

    def both_ways(self, above: Overhead) -> Field:
        """Return the share of sunlight that scattering lets down and up again.

        Light from the sky counts: half of what molecules scatter goes on downwards, of what
        aerosol scatters most.
        """
        depth = above.air * np.float32(0.5 * self.air)
        depth += above.moist * np.float32(self._lost * self.haze)
        return np.exp(depth * np.float32(-self.atmosphere.sun.air_mass))

    def direct_share(self, above: Overhead) -> Field:
        """Return how much of the light that arrives below comes straight from the sun."""
        depth = above.air * np.float32(0.5 * self.air)
        depth += above.moist * np.float32((1.0 - self._lost) * self.haze)
        return np.exp(depth * np.float32(-1.0 / self.atmosphere.sun.height))

    def sky_albedo(self) -> float:
        """Return the share of light from the ground that the sky sends back.

        For molecules as in 6S (Vermote et al. 1997), with the exponential integral E3.
        """
        depth = self.air
        integral = float(special.expn(3, depth)) * (4.0 + 2.0 * depth)
        air = (3.0 * depth - integral + 2.0 * exp(-depth)) / (4.0 + 3.0 * depth)
        return air + AEROSOL_BACKWARD * self.haze

    def gas(self, above: Overhead) -> Field:
        """Return the two-way transmittance of the absorbing gases above."""
        mixed = exp(-self.atmosphere.sun.air_mass * WELL_MIXED.get(self.band.name, 0.0))
        exponent = np.float32(self._vapour_exponent)
        vapour = np.exp(above.moist**exponent * np.float32(-self._vapour_depth))
        return vapour * np.float32(mixed)

    @property
    def _vapour_depth(self) -> float:
        """Two-way absorption depth of the whole column."""
        mass = self.atmosphere.water_vapour * self.atmosphere.sun.air_mass
        strength, exponent = VAPOUR.get(self.band.name, NO_VAPOUR)
        return float(strength * mass**exponent)

    @property
    def _vapour_exponent(self) -> float:
        return VAPOUR.get(self.band.name, NO_VAPOUR)[1]

    @property
    def _lost(self) -> float:
        """Share of the aerosol's extinction that is absorbed or scattered back."""
        return 1.0 - AEROSOL_ALBEDO * (1.0 - AEROSOL_BACKWARD)


def in_bands(atmosphere: Atmosphere) -> tuple[BandAtmosphere, ...]:
    """Return the optics of all 13 bands."""
    return tuple(BandAtmosphere(atmosphere, band) for band in BANDS)
