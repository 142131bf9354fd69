"""The ground: fractal terrain and the land cover on it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cloudmask.local.simulator.farmland import TRACK, crop_tables, parcels
from cloudmask.local.simulator.fields import (
    Field,
    Spectrum,
    fractal,
    quantile_of,
    ramp,
)
from cloudmask.local.simulator.spectra import MATERIALS, REFLECTANCE

LAKES = 0.035
"""Share of the scene below the water table (a round value)."""
FOREST = 0.30
BARE = 0.02
TOWN = 0.035
"""Shares of the quantile range taken by each cover, before others overlay it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relief:
    """What the land looks like."""

    base: float = 100.0
    """Height of the lowest place, metres above sea level."""
    range: float = 120.0
    """Height of the highest place above the lowest, metres."""
    snow_line: float | None = None
    """Height above which snow lies, metres above sea level; `None` for no snow."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Terrain and what covers it."""

    height: Field
    """(y, x), metres above sea level."""
    share: Field
    """(material, y, x): share of each material of `spectra.MATERIALS`, sum 1."""
    brightness: Field
    """(y, x): factor of texture on the reflectance, about 1."""

    def reflectance(self, band: int) -> Field:
        """Return the reflectance (y, x) of the ground in band number `band`."""
        mixed = np.einsum("m,myx->yx", REFLECTANCE[:, band], self.share)
        return np.asarray(mixed * self.brightness, dtype=np.float32)


class Landscape:
    """A scene under construction: each cover is painted over those before it."""

    def __init__(
        self, rng: np.random.Generator, shape: tuple[int, int], pixel_size: float
    ) -> None:
        self.rng = rng
        self.shape = shape
        self.pixel_size = pixel_size
        self.share = np.zeros((len(MATERIALS), *shape), dtype=np.float32)
        self.texture = np.zeros(shape, dtype=np.float32)

    def noise(self, *, slope: float, outer: float, inner: float = 0.0) -> Field:
        """Draw a standard normal field (y, x); `outer` and `inner` in metres."""
        scale = 1.0 / self.pixel_size
        spectrum = Spectrum(slope=slope, outer=outer * scale, inner=inner * scale)
        return fractal(self.rng, self.shape, spectrum)

    def paint(self, where: Field, mixture: Mapping[str, Field | float], texture: float) -> None:
        """Cover the share `where` (y, x) of each pixel with a mixture of materials.

        Args:
            where: 0..1.
            mixture: Share of each material in the new cover, maps (y, x) or one value.
            texture: Standard deviation of the brightness within the new cover.
        """
        self.share *= 1.0 - where
        for material, part in mixture.items():
            self.share[MATERIALS.index(material)] += where * part
        self.texture += where * (np.float32(texture) - self.texture)

    def course(self, *, longest: float, sway: float, shortest: float) -> Field:
        """Return the distance (y, x) to a line that winds through the scene, metres.

        Args:
            longest: Longest wave of the windings, metres.
            sway: Standard deviation of the windings, metres.
            shortest: Shortest wave of the windings, metres.
        """
        turned = bool(self.rng.integers(2))
        across, along = self.shape if not turned else self.shape[::-1]
        scale = 1.0 / self.pixel_size
        spectrum = Spectrum(slope=2.5, outer=longest * scale, inner=shortest * scale)
        line = fractal(self.rng, (1, along), spectrum)[0] * np.float32(sway * scale)
        line += np.float32(self.rng.uniform(0.15, 0.85) * across)
        steepness = np.sqrt(1.0 + np.gradient(line) ** 2, dtype=np.float32)
        away = np.arange(across, dtype=np.float32)[:, None] - line
        distance = np.abs(away) / steepness * np.float32(self.pixel_size)
        return distance.T if turned else distance


def make_ground(
    rng: np.random.Generator, shape: tuple[int, int], pixel_size: float, relief: Relief
) -> Ground:
    """Draw terrain and land cover."""
    land = Landscape(rng, shape, pixel_size)
    rise = land.noise(slope=4.0, outer=6_000.0, inner=150.0)
    rise = (rise - rise.min()) / np.float32(max(float(np.ptp(rise)), 1e-6))
    river = land.course(longest=6_000.0, sway=600.0, shortest=500.0)
    rise *= 1.0 - np.float32(0.5) * np.exp(-river / np.float32(600.0))
    table = float(np.quantile(rise, LAKES))
    _paint_open_land(land)
    _paint_fields(land)
    _paint_forest(land, rise)
    _paint_bare(land)
    _paint_towns(land, rise)
    _paint_roads(land)
    _paint_water(land, rise, table, river)
    height = np.maximum(rise, np.float32(table)) * np.float32(relief.range)
    height += np.float32(relief.base)
    if relief.snow_line is not None:
        _paint_snow(land, height, relief.snow_line)
    brightness = np.exp(land.noise(slope=2.0, outer=120.0) * land.texture)
    return Ground(height, land.share, brightness)


def _paint_open_land(land: Landscape) -> None:
    dry = quantile_of(land.noise(slope=2.8, outer=1_500.0)) * np.float32(0.5)
    land.paint(np.ones(land.shape, np.float32), {"grass": 1.0 - dry, "straw": dry}, 0.05)


def _paint_fields(land: Landscape) -> None:
    plots = parcels(land.rng, land.shape, land.pixel_size)
    tables = crop_tables(land.rng)
    # Soil and water vary within a field, and machines leave streaks across it.
    uneven = land.noise(slope=3.0, outer=500.0) * np.float32(0.10)
    uneven += np.sin(plots.along * np.float32(2 * np.pi / 36.0)) * np.float32(0.04)
    mixture = {name: table[plots.number] for name, table in tables.items()}
    moved = np.minimum(mixture["crop"], np.maximum(uneven, -mixture["dark soil"]))
    mixture["crop"] = mixture["crop"] - moved
    mixture["dark soil"] = mixture["dark soil"] + moved
    valley = quantile_of(land.noise(slope=3.2, outer=7_000.0, inner=300.0))
    farmed = ramp(valley, 0.22, 0.24)
    land.paint(farmed, mixture, 0.035)
    hedge = farmed * (plots.border < TRACK) * ramp(land.noise(slope=2.5, outer=900.0), -0.5, 0.5)
    land.paint(hedge * np.float32(0.7), {"broadleaf": 0.5, "grass": 0.5}, 0.08)


def _paint_forest(land: Landscape, rise: Field) -> None:
    wooded = land.noise(slope=3.0, outer=2_500.0, inner=30.0) + (rise - 0.5) * np.float32(2.5)
    edge = float(np.quantile(wooded, 1.0 - FOREST))
    conifer = ramp(land.noise(slope=2.8, outer=1_200.0), 0.2, 0.9)
    stand = {"broadleaf": 1.0 - conifer, "conifer": conifer}
    land.paint(ramp(wooded, edge - 0.02, edge + 0.02), stand, 0.08)


def _paint_bare(land: Landscape) -> None:
    open_ground = quantile_of(land.noise(slope=3.6, outer=1_500.0))
    land.paint(
        ramp(open_ground, 1.0 - BARE, 1.0 - 0.6 * BARE), {"sand": 0.75, "light soil": 0.25}, 0.07
    )


def _paint_towns(land: Landscape, rise: Field) -> None:
    dense = land.noise(slope=3.0, outer=2_500.0, inner=80.0) - rise
    edge = float(np.quantile(dense, 1.0 - TOWN))
    town = ramp(dense, edge, edge + 0.15)
    house = quantile_of(land.noise(slope=1.0, outer=40.0))
    roof = ramp(house, 0.55, 0.75) * np.float32(0.7)
    garden = (1.0 - roof) * ramp(house, 0.6, 0.1) * np.float32(0.6)
    built = {"roof": roof, "grass": garden, "asphalt": 1.0 - roof - garden}
    land.paint(town * np.float32(0.9), built, 0.12)


def _paint_roads(land: Landscape) -> None:
    for width in (6.0, 4.0, 4.0, 4.0):
        near = land.course(longest=9_000.0, sway=500.0, shortest=1_200.0)
        land.paint(ramp(near, width + 5.0, width) * np.float32(0.9), {"asphalt": 1.0}, 0.03)


def _paint_water(land: Landscape, rise: Field, table: float, river: Field) -> None:
    bank = ramp(river, 75.0, 40.0) * np.float32(0.6)
    land.paint(bank, {"broadleaf": 0.6, "grass": 0.4}, 0.08)
    muddy = quantile_of(land.noise(slope=3.0, outer=4_000.0, inner=300.0))
    lake = ramp(rise, table + 0.002, table)
    water: dict[str, Field | float] = {"muddy water": muddy, "clear water": 1.0 - muddy}
    land.paint(np.maximum(ramp(river, 27.0, 17.0), lake), water, 0.01)


def _paint_snow(land: Landscape, height: Field, line: float) -> None:
    patchy = land.noise(slope=2.8, outer=800.0) * np.float32(25.0)
    land.paint(ramp(height + patchy, line - 10.0, line + 30.0), {"snow": 1.0}, 0.03)
