"""What a made-up cube is made of, in a value that is short to read and makes it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from cloudmask.bands import PRESETS, Preset
from cloudmask.cube import DIMENSIONS
from cloudmask.strategies.coordinates import ODDITIES, roles_of, usual
from cloudmask.strategies.pixels import MEMORY, PATTERNS, in_chunks, put, reflectances, stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

ROLES = ("time", "band", "y", "x")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A cube, to be made by `cube()`; the same recipe makes the same cube.

    Its repr is Python: what a failing test prints can be pasted.
    """

    dims: tuple[str, ...]
    """Names of the dimensions in their order, of those in `cloudmask.cube.DIMENSIONS`."""
    shape: tuple[int, ...]
    labels: tuple[str, ...]
    """Names of the bands; of a cube without a band dimension the scalar coordinate, or none."""
    preset: Preset = field(default_factory=lambda: PRESETS["dn"])
    """What the numbers mean."""
    dtype: str = "float32"
    gaps: str = "none"
    """Where there is no data: a key of `cloudmask.strategies.pixels.PATTERNS`."""
    filler: str = ""
    """The number that stands there, "nan" if it is none; empty where a dtype has no number for
    no data, so that there are no gaps."""
    one_band: bool = False
    """Whether the gaps are in one band only, not in all."""
    odd: tuple[str, ...] = ()
    """What is odd about the coordinates: keys of `cloudmask.strategies.coordinates.ODDITIES`."""
    long_name: bool = False
    """Whether bands are numbered, and their names stand in an attribute, as rioxarray does it."""
    memory: str = "plain"
    """How the numbers lie in memory: a key of `cloudmask.strategies.pixels.MEMORY`."""
    chunks: tuple[tuple[int, ...], ...] | None = None
    """Chunk lengths along each dimension, with dask; None without."""
    seed: int = 0
    """Draws the numbers and the places of the gaps."""

    @property
    def roles(self) -> Mapping[str, str]:
        """Role ("time", "band", "y", "x") -> dimension, for those that are there."""
        return roles_of(self.dims)

    def cube(self) -> xr.DataArray:
        """Make the cube."""
        numbers = self._ordered(self._numbers())
        data: Any = MEMORY[self.memory](numbers)
        if self.chunks is not None:
            data = in_chunks(data, self.chunks)
        made = usual(xr.DataArray(data, dims=self.dims), self.roles)
        for name in self.odd:
            made = ODDITIES[name](made, self.roles)
        return self._named(made)

    @property
    def scalar(self) -> str:
        """What names the band of a cube without a band dimension."""
        names = DIMENSIONS["band"]
        return names[self.seed % len(names)]

    def _numbers(self) -> NDArray[Any]:
        """Draw (time, band, y, x)."""
        random = np.random.default_rng(self.seed)
        sizes = dict(zip(self.roles_in_order, self.shape, strict=True))
        times, bands, height, width = (sizes.get(role, 1) for role in ROLES)
        values = reflectances(random, (times, bands, height, width))
        numbers = stored(values, self.preset, self.dtype)
        if self.filler and bands and height and width:
            pattern = PATTERNS[self.gaps]
            gone = [pattern(random, (height, width)) for _ in range(times)]
            gaps = np.array(gone, bool).reshape(times, 1, height, width)
            if self.one_band:
                gaps = gaps & (np.arange(bands) == random.integers(bands))[:, None, None]
            put(gaps, numbers, float(self.filler))
        return numbers

    @property
    def roles_in_order(self) -> list[str]:
        """Roles in the order of the dimensions."""
        role_of = {dim: role for role, dim in self.roles.items()}
        return [role_of[dim] for dim in self.dims]

    def _ordered(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """Bring (time, band, y, x) to the dimensions' order; those that are not there go."""
        there = [role for role in ROLES if role in self.roles]
        lacking = tuple(ROLES.index(role) for role in ROLES if role not in self.roles)
        return numbers.squeeze(lacking).transpose([there.index(r) for r in self.roles_in_order])

    def _named(self, cube: xr.DataArray) -> xr.DataArray:
        """Name the bands."""
        dim = self.roles.get("band")
        if dim is None:
            return cube.assign_coords({self.scalar: self.labels[0]}) if self.labels else cube
        if not self.long_name:
            return cube.assign_coords({dim: list(self.labels)})
        return cube.assign_coords({dim: np.arange(1, len(self.labels) + 1)}).assign_attrs(
            long_name=self.labels
        )
