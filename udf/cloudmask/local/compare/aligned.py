"""Two masks on one grid: the second is read on the first one's."""

from __future__ import annotations

import itertools
import math
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.dtypes import in_dtype_range
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import CRSError, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from cloudmask.errors import CubeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

ROWS, COLUMNS = 512, 4096
"""Pixels read at once; the memory needed does not depend on the size of the rasters."""

SAME_PLACE = 1e-3
"""Share of a pixel by which two grids may differ and still be one."""


class NotPlacedWarning(UserWarning):
    """Two masks are compared pixel by pixel though nothing says that they show one place."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A band of class codes."""

    dataset: Any
    """Open rasterio dataset, or a view of one on another grid."""
    band: int
    """1-based."""
    place: str
    """Path, for messages."""

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Read codes (y, x) and where they are (y, x): True = valid.

        Raises:
            CubeError: The file is damaged.
        """
        try:
            codes = self.dataset.read(self.band, window=window)
            valid = self.dataset.read_masks(self.band, window=window) != 0
        except RasterioError as error:
            raise CubeError(
                f"{self.place}: cannot be read ({error}); the file is damaged or incomplete"
            ) from error
        return codes, valid


@dataclass(frozen=True, slots=True)
class Pair:
    """Two layers on one grid, and the part of it where both may have something."""

    a: Layer
    b: Layer
    overlap: Window
    """Whole pixels of the grid of `a`."""

    def windows(self) -> Iterator[Window]:
        """Cut the overlap into pieces, row by row."""
        top, left = self.overlap.row_off, self.overlap.col_off
        bottom, right = top + self.overlap.height, left + self.overlap.width
        for y, x in itertools.product(range(top, bottom, ROWS), range(left, right, COLUMNS)):
            yield Window(x, y, min(COLUMNS, right - x), min(ROWS, bottom - y))


@contextmanager
def aligned(a: Layer, b: Layer) -> Iterator[Pair]:
    """Give two layers on the grid of the first; the nearest pixel of the second is taken.

    Raises:
        CubeError: They show different places, or nothing says which.
    """
    if a.dataset.crs is None or b.dataset.crs is None:
        _check_pixel_by_pixel(a, b)
        yield Pair(a, b, _all_of(a.dataset))
    elif _one_grid(a.dataset, b.dataset):
        yield Pair(a, b, _all_of(a.dataset))
    else:
        overlap = _overlap(a, b)
        with _viewed(b, a.dataset) as view:
            yield Pair(a, Layer(view, b.band, b.place), overlap)


def _all_of(dataset: Any) -> Window:
    return Window(0, 0, dataset.width, dataset.height)


def _one_grid(a: Any, b: Any) -> bool:
    return a.crs == b.crs and a.shape == b.shape and _same_transform(a, b)


def _same_transform(a: Any, b: Any) -> bool:
    """Tell whether the outermost corners fall on each other."""
    size = math.sqrt(abs(a.transform.determinant))
    apart = np.subtract(_corners(a), _corners(b))
    return bool(np.abs(apart).max() <= SAME_PLACE * size)


def _corners(dataset: Any) -> list[tuple[float, float]]:
    """Give (x, y) of the four corners."""
    pixels = itertools.product((0, dataset.width), (0, dataset.height))
    return [_moved(dataset.transform, x, y) for x, y in pixels]


def _moved(transform: Any, x: float, y: float) -> tuple[float, float]:
    return (
        transform.a * x + transform.b * y + transform.c,
        transform.d * x + transform.e * y + transform.f,
    )


def _check_pixel_by_pixel(a: Layer, b: Layer) -> None:
    lost = a if a.dataset.crs is None else b
    if a.dataset.shape != b.dataset.shape:
        raise CubeError(
            f"{lost.place}: has no coordinate reference system, so that it cannot be laid over "
            f"the other, and has another size ({_size(a)} and {_size(b)} pixels); give it one, "
            "for example with gdal_edit"
        )
    if not _same_transform(a.dataset, b.dataset):
        warnings.warn(
            f"{lost.place}: has no coordinate reference system; compared pixel by pixel, as both "
            f"have {_size(a)} pixels",
            NotPlacedWarning,
            stacklevel=2,
        )


def _size(layer: Layer) -> str:
    return f"{layer.dataset.height} x {layer.dataset.width}"


def _overlap(a: Layer, b: Layer) -> Window:
    """Find the pixels of `a` that lie within the bounds of `b`.

    Raises:
        CubeError: There are none.
    """
    box = _bounds_in(b.dataset, a.dataset.crs)
    if box is not None:
        inverse = ~a.dataset.transform
        corners = itertools.product((box[0], box[2]), (box[1], box[3]))
        columns, rows = zip(*(_moved(inverse, x, y) for x, y in corners), strict=True)
        left, right = _within(columns, a.dataset.width)
        top, bottom = _within(rows, a.dataset.height)
        if left < right and top < bottom:
            return Window(left, top, right - left, bottom - top)
    raise CubeError(
        f"{a.place} and {b.place} show different places: {_extent(a)}, and {_extent(b)}"
    )


def _within(places: tuple[float, ...], size: int) -> tuple[int, int]:
    """Round outwards, but for what is rounding itself, and cut off."""
    low, high = min(places), max(places)
    return max(0, math.floor(low + SAME_PLACE)), min(size, math.ceil(high - SAME_PLACE))


def _bounds_in(dataset: Any, crs: Any) -> tuple[float, float, float, float] | None:
    """Give left, bottom, right, top in a CRS; None where that cannot show the place."""
    x, y = zip(*_corners(dataset), strict=True)
    try:
        box = transform_bounds(dataset.crs, crs, min(x), min(y), max(x), max(y))
    except (CRSError, RasterioError):
        return None
    return box if np.isfinite(box).all() else None


def _extent(layer: Layer) -> str:
    """Say where a layer is, in degrees, in which any two can be told apart."""
    box = _bounds_in(layer.dataset, "EPSG:4326")
    if box is None:
        return f"{layer.dataset.crs} {tuple(layer.dataset.bounds)}"
    west, south, east, north = box
    return f"{west:.4f} to {east:.4f} east, {south:.4f} to {north:.4f} north"


@contextmanager
def _viewed(layer: Layer, like: Any) -> Iterator[Any]:
    """View a layer's raster on another one's grid, the nearest pixel for each."""
    dataset = layer.dataset
    with WarpedVRT(
        dataset,
        crs=like.crs,
        transform=like.transform,
        width=like.width,
        height=like.height,
        resampling=Resampling.nearest,
        **_absent(layer),
    ) as view:
        yield view


def _absent(layer: Layer) -> dict[str, Any]:
    """Say how a view marks pixels that the raster does not have.

    Those outside must never be 0, clear: they get the file's own no-data value, or else an alpha
    band shows them.
    """
    dataset, place = layer.dataset, layer.band - 1
    own = dataset.nodatavals[place]
    if own is not None and in_dtype_range(own, dataset.dtypes[place]):
        return {"src_nodata": own, "nodata": own}
    return {} if ColorInterp.alpha in dataset.colorinterp else {"add_alpha": True}
