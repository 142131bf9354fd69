"""A cube's dimensions, and the order and names in which back-ends hand chunks to a UDF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from cloudmask.cube import DIMENSIONS
from cloudmask.errors import CubeError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

ROLES = {"time": "t", "band": "bands", "y": "y", "x": "x"}
"""What a dimension is for -> its name in a chunk, in the order of a chunk."""


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What a cube calls its dimensions; None for one that it lacks."""

    time: Hashable | None
    band: Hashable | None
    y: Hashable
    x: Hashable

    @classmethod
    def of(cls, cube: xr.DataArray) -> Dimensions:
        """Recognise them by name.

        Raises:
            CubeError: It is no cube, y or x is missing, one is unknown, or one is empty.
        """
        if not isinstance(cube, xr.DataArray):
            raise CubeError(
                f"{type(cube).__name__}: a raster cube (xarray.DataArray) is needed; stack the "
                "variables of a Dataset with .to_dataarray(dim='bands')"
            )
        found = {role: _named(cube, role) for role in ROLES}
        strange = [str(name) for name in cube.dims if name not in found.values()]
        if strange or found["y"] is None or found["x"] is None:
            raise CubeError(
                f"dimensions {', '.join(map(str, cube.dims))}: y and x are needed, t and bands "
                f"possible; rename or reduce {', '.join(strange) or 'the others'}"
            )
        empty = [str(name) for name, length in cube.sizes.items() if length == 0]
        if empty:
            raise CubeError(f"dimension {empty[0]} has length 0: the cube holds no data")
        return cls(**found)

    @property
    def names(self) -> list[Hashable]:
        """Those that exist, in the order time, band, y, x."""
        every = (self.time, self.band, self.y, self.x)
        return [name for name in every if name is not None]

    def role(self, name: str) -> str | None:
        """Tell what a dimension is for, called as the cube or as openEO calls it."""
        for role, usual in ROLES.items():
            own = getattr(self, role)
            if own is not None and name in {own, usual}:
                return role
        # A chunk has all bands and all dates there are, so naming what the cube lacks is right.
        return next((role for role in ("time", "band") if name in DIMENSIONS[role]), None)

    def stacked(self, cube: xr.DataArray) -> Any:
        """Give the numbers, numpy or dask, as (time, band, y, x); absent ones have length 1."""
        axes = [axis for axis, role in enumerate(ROLES) if getattr(self, role) is None]
        numbers = cube.transpose(*self.names).data
        return numbers[tuple(None if axis in axes else slice(None) for axis in range(4))]

    def dressed(
        self, answer: Any, bands: Sequence[Any] | None, cube: xr.DataArray
    ) -> xr.DataArray:
        """Give (time, band, y, x) the dimensions, order, coordinates and attributes of the cube.

        Args:
            answer: The numbers.
            bands: Labels of its bands; None if they have none.
            cube: Where the rest comes from. If it lacks bands and the answer has one without a
                label, the answer lacks them, too.
        """
        bare = self.band is None and bands is None and answer.shape[1] == 1
        band = "bands" if self.band is None else self.band
        if bare:
            answer = answer[:, 0]
        if self.time is None:
            answer = answer[0]
        dims = [*([] if self.time is None else [self.time]), *([] if bare else [band])]
        coords = {
            name: coord
            for name, coord in cube.coords.items()
            if name != band and self.band not in coord.dims
        }
        if bands is not None:
            coords[band] = xr.Variable((band,), np.asarray(bands))
        made = xr.DataArray(answer, coords, [*dims, self.y, self.x], attrs=cube.attrs)
        made.name = cube.name  # else it were that of the dask array
        if "grid_mapping" in cube.encoding:
            made.encoding["grid_mapping"] = cube.encoding["grid_mapping"]
        return made.transpose(*cube.dims) if bare or self.band is not None else made


def _named(cube: xr.DataArray, role: str) -> Hashable | None:
    present = [name for name in DIMENSIONS[role] if name in cube.dims]
    if len(present) > 1:
        raise CubeError(f"dimensions {' and '.join(present)} both mean {role}; drop one of them")
    return present[0] if present else None


@dataclass(frozen=True, slots=True)
class Labels:
    """What chunks of a cube are told about where they lie."""

    time: NDArray[Any] | None
    """Of each date; None if the cube has no labels there."""
    bands: NDArray[Any] | None
    y: Spacing | None
    x: Spacing | None

    @classmethod
    def of(cls, cube: xr.DataArray, dimensions: Dimensions) -> Labels:
        """Read the coordinates of a cube."""
        return cls(
            _values(cube, dimensions.time),
            _values(cube, dimensions.band),
            Spacing.of(_values(cube, dimensions.y)),
            Spacing.of(_values(cube, dimensions.x)),
        )


@dataclass(frozen=True, slots=True)
class Spacing:
    """Pixel centres along an axis, also where the cube has ended."""

    first: float
    step: float

    @classmethod
    def of(cls, centres: NDArray[Any] | None) -> Spacing | None:
        """Take first and mean distance; None if they cannot be told."""
        if centres is None or len(centres) < 2 or centres.dtype.kind not in "iuf":  # noqa: PLR2004
            return None
        first, last = float(centres[0]), float(centres[-1])
        return cls(first, (last - first) / (len(centres) - 1))

    def centres(self, pixels: range) -> NDArray[np.float32]:
        """Give some pixels; float32 and thus inexact, as from back-ends."""
        return (self.first + self.step * np.asarray(pixels)).astype(np.float32)


def _values(cube: xr.DataArray, name: Hashable | None) -> NDArray[Any] | None:
    return np.asarray(cube[name].values) if name is not None and name in cube.coords else None
