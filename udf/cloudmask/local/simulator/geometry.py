"""Where the sun stands, and how slopes take its light.

Row 0 is north and columns run east; azimuths are counted clockwise from north, as in the
metadata of a Sentinel-2 granule.
"""

from dataclasses import dataclass
from math import cos, radians, sin, tan

import numpy as np

from cloudmask.local.simulator.fields import Field, gradient


@dataclass(frozen=True, slots=True)
class Sun:
    """Direction to the sun; the sensor looks straight down."""

    zenith: float
    """Degrees from the vertical."""
    azimuth: float
    """Degrees clockwise from north."""

    @property
    def height(self) -> float:
        """Cosine of the zenith angle."""
        return cos(radians(self.zenith))

    @property
    def air_mass(self) -> float:
        """Length of the way down and up again, 1 for one vertical passage."""
        return 1.0 / self.height + 1.0

    @property
    def run(self) -> tuple[float, float]:
        """Metres north and east that lie under one metre of climb towards the sun."""
        slant = tan(radians(self.zenith))
        return slant * cos(radians(self.azimuth)), slant * sin(radians(self.azimuth))


def climb_to_sun(height: Field, pixel_size: float, sun: Sun) -> Field:
    """Return the slope towards the sun times tan(zenith): > 0 faces away from the sun."""
    north, east = gradient(height)
    run_north, run_east = sun.run
    climb = north * np.float32(run_north) + east * np.float32(run_east)
    return np.asarray(climb / pixel_size, dtype=np.float32)


def sunlit(height: Field, pixel_size: float, sun: Sun) -> Field:
    """Return the direct light on each slope, relative to level ground: cos(i) / cos(zenith).

    Slopes turned away from the sun get 0; shadows cast by other slopes are left out.
    """
    north, east = gradient(height)
    steepness = np.sqrt(np.float32(1.0) + (north**2 + east**2) / np.float32(pixel_size**2))
    lit = (1.0 - climb_to_sun(height, pixel_size, sun)) / steepness
    return np.asarray(np.maximum(lit, 0.0), dtype=np.float32)
