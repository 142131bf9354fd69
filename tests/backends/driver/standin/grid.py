"""The pixel grid of a cube: where its pixels lie, which a box holds, how they are resampled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyproj

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

SIDES = ("west", "south", "east", "north")
EPSILON = 1e-6
"""Parts of a pixel by which a box may miss the grid without gaining a pixel."""


class GridError(ValueError):
    """A box or a resolution that a grid cannot follow."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Square pixels, north up."""

    west: float
    """Left edge of the first column."""
    north: float
    """Upper edge of the first row."""
    step: float
    """Length of a pixel, in units of the CRS."""
    shape: tuple[int, int]
    """(y, x) in pixels."""
    epsg: int

    @property
    def x(self) -> NDArray[np.float64]:
        """Pixel centres, rising."""
        return self.west + self.step * (np.arange(self.shape[1], dtype=np.float64) + 0.5)

    @property
    def y(self) -> NDArray[np.float64]:
        """Pixel centres, falling."""
        return self.north - self.step * (np.arange(self.shape[0], dtype=np.float64) + 0.5)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        height, width = self.shape
        south, east = self.north - self.step * height, self.west + self.step * width
        return self.west, south, east, self.north

    def window(self, box: Mapping[str, float | str | None]) -> tuple[slice, slice]:
        """Find the rows and columns that `box` touches.

        Args:
            box: west, south, east, north and crs (EPSG:4326 if it has none).

        Raises:
            GridError: no pixel lies in the box.
        """
        west, south, east, north = self._own_crs(box)
        rows = _touched(self.north - north, self.north - south, self.step, self.shape[0])
        columns = _touched(west - self.west, east - self.west, self.step, self.shape[1])
        if rows.start >= rows.stop or columns.start >= columns.stop:
            raise GridError(f"{dict(box)} holds no pixel of a cube that covers {self.bounds}")
        return rows, columns

    def crop(self, rows: slice, columns: slice) -> Grid:
        """Keep some rows and columns."""
        return replace(
            self,
            west=self.west + self.step * columns.start,
            north=self.north - self.step * rows.start,
            shape=(rows.stop - rows.start, columns.stop - columns.start),
        )

    def resampled(self, step: float) -> Grid:
        """Lay pixels of another length from the same upper left corner, over the same area."""
        scale = self.step / step
        height, width = (int(np.ceil(length * scale - EPSILON)) for length in self.shape)
        return replace(self, step=step, shape=(height, width))

    def nearest(self, other: Grid) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Find the rows and columns of this grid that hold the pixel centres of `other`."""
        rows = np.floor((self.north - other.y) / self.step).astype(np.intp)
        columns = np.floor((other.x - self.west) / self.step).astype(np.intp)
        return rows.clip(0, self.shape[0] - 1), columns.clip(0, self.shape[1] - 1)

    def _own_crs(self, box: Mapping[str, float | str | None]) -> tuple[float, ...]:
        west, south, east, north = (float(box[side] or 0) for side in SIDES)
        crs = pyproj.CRS.from_user_input(box.get("crs") or "EPSG:4326")
        change = pyproj.Transformer.from_crs(crs, f"EPSG:{self.epsg}", always_xy=True)
        return change.transform_bounds(west, south, east, north)


def _touched(start: float, stop: float, step: float, length: int) -> slice:
    first, last = np.floor(start / step + EPSILON), np.ceil(stop / step - EPSILON)
    return slice(max(int(first), 0), min(int(last), length))


def average(values: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Average the valid pixels of blocks of `factor` x `factor`; (..., y, x), NaN = no data."""
    height, width = values.shape[-2:]
    pad = [(0, 0)] * (values.ndim - 2) + [(0, -height % factor), (0, -width % factor)]
    padded = np.pad(values, pad, constant_values=np.nan)
    rows, columns = padded.shape[-2] // factor, padded.shape[-1] // factor
    blocks = padded.reshape(*values.shape[:-2], rows, factor, columns, factor)
    valid = np.isfinite(blocks)
    count = valid.sum(axis=(-3, -1))
    total = np.where(valid, blocks, 0).sum(axis=(-3, -1))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
