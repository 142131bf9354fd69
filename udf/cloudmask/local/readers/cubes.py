"""netCDF and Zarr cubes: a scene for each moment.

They are opened without decoding (`mask_and_scale=False`): scale_factor, add_offset and fill values
become the preset, so that they are applied once, and numbers are read in the size they are stored.
"""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.errors import CubeError
from cloudmask.local.netcdf import NETCDF
from cloudmask.local.product import Facts, Grid, Product
from cloudmask.local.readers.identity import naming, stamped
from cloudmask.local.readers.layers import images, layers, role

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr

    from cloudmask.local.product import Wanted

SUFFIXES = (".nc", ".nc4", ".cdf", ".h5netcdf", ".zarr")
ZARR_FILES = ("zarr.json", ".zgroup", ".zmetadata", ".zattrs")


def is_zarr(path: Path) -> bool:
    """Tell whether a folder is a Zarr group."""
    return path.is_dir() and any((path / name).exists() for name in ZARR_FILES)


def is_cube(place: str) -> bool:
    """Tell whether a source is a netCDF or Zarr cube."""
    return PurePosixPath(place.rstrip("/")).suffix.lower() in SUFFIXES or is_zarr(Path(place))


def open_dataset(place: str, **options: Any) -> xr.Dataset:
    """Open a cube, its numbers as they are stored.

    Args:
        place: Path or address.
        options: For `xarray.open_dataset`.

    Raises:
        CubeError: It cannot be opened.
    """
    import xarray as xr

    zarr = is_zarr(Path(place)) or place.rstrip("/").endswith(".zarr")
    try:
        with warnings.catch_warnings():
            # Zarr warns of metadata that are not consolidated, which do no harm.
            warnings.simplefilter("ignore")
            return xr.open_dataset(
                place,
                engine="zarr" if zarr else None,
                mask_and_scale=False,
                decode_coords="all",
                cache=False,
                **options,
            )
    except Exception as error:
        # Each backend has errors of its own.
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CubeError(
            f"{place}: cannot be read as {'Zarr' if zarr else 'netCDF'} ({why}); it is damaged or "
            "incomplete, or the library for it is missing: pip install 'openeo-cloudmask[cubes]'"
        ) from error


@dataclass(frozen=True, slots=True)
class CubeScene:
    """One moment of a cube."""

    place: str
    name: str
    stamp: str
    """What its files looked like when it was found."""
    step: int | None = None
    """Which moment; None if the cube has no time."""
    when: datetime | None = None

    def identity(self) -> str:
        """See `Scene`."""
        return f"{self.stamp}\n{self.step} {self.when}"

    def sources(self) -> list[Path]:
        """See `Scene`."""
        return [Path(self.place)]

    @contextmanager
    def opened(self, wanted: Wanted) -> Iterator[Product]:
        """See `Scene`."""
        with _alone(self.place) as dataset:
            with NETCDF:
                product = self._product(dataset, wanted)
            yield product

    def _product(self, dataset: xr.Dataset, wanted: Wanted) -> Product:
        moment = dataset if self.step is None else dataset.isel({time_of(dataset): self.step})
        with naming(self.place):
            found = layers(moment, self.place, wanted.names)
            rows, preset = found.chosen(wanted)
        return Product(
            raster=rows,
            colours=found.colours(),
            grid=grid_of(found.first),
            preset=preset,
            facts=Facts(when=self.when, platform=str(dataset.attrs.get("platform", ""))),
        )


@contextmanager
def _alone(place: str) -> Iterator[xr.Dataset]:
    """Open a cube; no other thread opens, reads or closes one meanwhile."""
    with NETCDF:
        dataset = open_dataset(place)
    try:
        yield dataset
    finally:
        with NETCDF:
            dataset.close()


def cube_scenes(place: str) -> list[CubeScene]:
    """Find the moments of a cube.

    Raises:
        CubeError: It cannot be opened, or has no images.
    """
    stem = PurePosixPath(place.rstrip("/")).stem
    stamp = _stamp(Path(place))
    with NETCDF, open_dataset(place) as dataset:
        dim = time_of(dataset)
        if dim is None:
            times = [dataset[name] for name in ("t", "time") if name in dataset.coords]
            when = _moment(times[0].to_numpy()) if times and not times[0].ndim else None
            return [CubeScene(place, stem, stamp, None, when)]
        values = dataset[dim].to_numpy() if dim in dataset.coords else [None] * dataset.sizes[dim]
    moments = [_moment(value) for value in values]
    if not moments:
        raise CubeError(f"{place}: has no date along {dim}; there is nothing to mask")
    return [
        CubeScene(place, f"{stem}_{word}", stamp, step, when)
        for step, (word, when) in enumerate(zip(_words(moments), moments, strict=True))
    ]


def time_of(dataset: xr.Dataset) -> Any:
    """Name the time dimension of a cube's images; None if they have none."""
    return next((dim for each in images(dataset) if (dim := role(each, "time"))), None)


def _moment(value: Any) -> datetime | None:
    """Turn a coordinate into a time; None if it is none."""
    array = np.asarray(value)
    if array.dtype.kind != "M" or np.isnat(array):
        return None
    when: datetime = array.astype("datetime64[us]").item()
    return when.replace(tzinfo=UTC)


def _words(moments: list[datetime | None]) -> list[str]:
    """Name moments: by their dates, by their times if two share a date, else by numbers."""
    for form in ("%Y%m%d", "%Y%m%dT%H%M%S"):
        words = [when.strftime(form) if when else "" for when in moments]
        if all(words) and len(set(words)) == len(words):
            return words
    return [f"{number:04d}" for number in range(len(moments))]


def _stamp(path: Path) -> str:
    """Stamp a file, or all files of a folder as one."""
    if not path.is_dir():
        return stamped([path])
    stats = [
        os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 - many thousand files
        for folder, _, names in os.walk(path)
        for name in names
    ]
    size = sum(each.st_size for each in stats)
    latest = max((each.st_mtime_ns for each in stats), default=0)
    return f"{path.name} {len(stats)} {size} {latest}"


def grid_of(array: xr.DataArray) -> Grid:
    """Read where pixels lie, by CF's grid mapping and the coordinates."""
    import rioxarray  # noqa: F401 - adds .rio

    y, x = role(array, "y"), role(array, "x")
    height, width = array.sizes[y], array.sizes[x]
    placed = array.rio.set_spatial_dims(x_dim=x, y_dim=y)
    crs = placed.rio.crs
    if crs is None and (y, x) != ("y", "x"):
        crs = placed.rio.write_crs("EPSG:4326").rio.crs  # CF: latitude and longitude
    return Grid(height, width, crs, _transform(placed, str(y), str(x)))


def _transform(placed: Any, y: str, x: str) -> Any:
    """Find the affine of a grid; None if it has none.

    The one that is written down is exact where coordinates are float32, but wrong after a cube was
    cut; so it must agree with the coordinates.
    """
    from rasterio.transform import Affine

    down, across = _axis(placed, y), _axis(placed, x)
    if down is None or across is None:
        return None
    fresh = Affine(across[1], 0.0, across[0], 0.0, down[1], down[0])
    mapping = placed.coords.get(placed.rio.grid_mapping)
    text = "" if mapping is None else str(mapping.attrs.get("GeoTransform", ""))
    try:
        written = Affine.from_gdal(*map(float, text.split()))
    except (TypeError, ValueError):
        return fresh
    near = (
        abs(written.c - fresh.c) < abs(fresh.a) / 2 and abs(written.f - fresh.f) < abs(fresh.e) / 2
    )
    alike = np.allclose((written.a, written.e), (fresh.a, fresh.e), rtol=0.01)
    return written if near and alike else fresh


def _axis(placed: Any, dim: str) -> tuple[float, float] | None:
    """Give where an axis begins, at its first pixel's outer edge, and its step; None if uneven."""
    if dim not in placed.coords or placed.sizes[dim] < 2:  # noqa: PLR2004
        return None
    centres = placed[dim].to_numpy().astype(np.float64)
    step = (centres[-1] - centres[0]) / (len(centres) - 1)
    even = centres[0] + step * np.arange(len(centres))
    if not step or np.abs(centres - even).max() > abs(step) / 2:
        return None
    return float(centres[0] - step / 2), float(step)
