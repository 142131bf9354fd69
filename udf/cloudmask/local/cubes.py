"""Masks as netCDF and Zarr with CF attributes, a block of rows at a time.

CF conventions 1.9 (the first with unsigned bytes): flags of section 3.5, packed data of 8.1, grid
mapping of 5.6.
"""

from __future__ import annotations

import tempfile
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.classes import CLASSES, NO_DATA, PROBABILITY_STEPS
from cloudmask.errors import CubeError, OptionError
from cloudmask.local.beside import beside, hidden
from cloudmask.local.netcdf import NETCDF
from cloudmask.local.product import Grid
from cloudmask.local.raw import BLOCK
from cloudmask.local.room import room

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import xarray as xr
    from numpy.typing import NDArray

CLASS, PROBABILITY, CATEGORY = "class", "probability", "category"
"""Names of the variables, and of the dimension of the classes' names."""

MAPPING = "spatial_ref"
"""Name of the variable that holds the coordinate reference system."""


@dataclass(frozen=True, slots=True)
class Layers:
    """GeoTIFFs that a cube is made of; one of them at least."""

    classes: Path | None = None
    """Class codes, one band."""
    probabilities: Path | None = None
    """Probabilities in steps of 1/250, a band a class."""

    def __post_init__(self) -> None:
        """Refuse nothing at all."""
        if not (self.classes or self.probabilities):
            raise OptionError("a cube needs classes or probabilities; neither is given")


def write_cube(
    path: Path, layers: Layers | Path, attributes: Mapping[str, str] | None = None
) -> None:
    """Write a netCDF file or a Zarr store, whole or not at all; a few rows are held at a time.

    Variables: `class` (y, x) uint8 with `flag_values` and `flag_meanings`; `probability`
    (category, y, x) uint8 with a scale factor; 255 is no data in both. The same layers and
    attributes give the same bytes.

    Args:
        path: Ends in .nc or .zarr. What stood there is replaced.
        layers: Where the values are, or the path of a mask.
        attributes: What else to say of all of it; default what the GeoTIFF's tags say.

    Raises:
        OptionError: Another ending, or the packages for it are not installed.
        CubeError: A layer cannot be read.
        OSError: It cannot be written; what stood there before still does.
    """
    write = {".nc": _write_netcdf, ".zarr": _write_zarr}.get(path.suffix.lower())
    if write is None:
        raise OptionError(f"{path}: a cube's name must end in .nc or .zarr")
    if isinstance(layers, Path):
        layers = Layers(layers)
    try:
        with _opened(layers) as dataset:
            told = dataset.attrs if attributes is None else attributes
            dataset.attrs = _ABOUT | _told(told)
            write(path, dataset)
    except (OSError, RuntimeError) as error:  # netCDF4 raises the latter
        raise OSError(f"{path}: cannot be written ({error}); {room(path, 0)}") from error
    except ImportError as error:
        raise OptionError(
            f"{path}: {path.suffix} needs {error.name}; pip install 'openeo-cloudmask[cubes]'"
        ) from error


_ABOUT = {"Conventions": "CF-1.9", "title": "Cloud and cloud-shadow mask"}


@contextmanager
def _opened(layers: Layers) -> Iterator[xr.Dataset]:
    """Open the layers as a lazy cube with CF attributes; its own are the last layer's tags."""
    import xarray as xr

    made: dict[str, xr.DataArray] = {}
    with ExitStack() as stack:
        for name, path in ((PROBABILITY, layers.probabilities), (CLASS, layers.classes)):
            if path is not None:
                dataset = stack.enter_context(_raster(path))
                made[name] = _DESCRIBE[name](_lazy(dataset))
        yield _placed(xr.Dataset(made, attrs=dataset.tags()), Grid.of(dataset))


@contextmanager
def _raster(path: Path) -> Iterator[Any]:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            dataset = rasterio.open(path)
        except RasterioIOError as error:
            raise CubeError(f"{path}: cannot be read ({error})") from error
    with dataset:
        yield dataset


@dataclass(frozen=True, slots=True)
class _Band:
    """A band of bytes that dask can take slices of, (y, x)."""

    dataset: Any
    number: int
    dtype = np.dtype(np.uint8)
    ndim = 2

    @property
    def shape(self) -> tuple[int, int]:
        return self.dataset.shape

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[np.uint8]:
        from rasterio.errors import RasterioIOError
        from rasterio.windows import Window

        height, width = self.shape
        window = Window.from_slices(*key, height=height, width=width)
        try:
            return self.dataset.read(self.number, window=window)
        except RasterioIOError as error:
            raise CubeError(f"{self.dataset.name}: is cut off or damaged ({error})") from error


def _lazy(dataset: Any) -> xr.DataArray:
    """Give (band, y, x), in blocks of rows that are read when they are written."""
    import dask.array as da
    import xarray as xr

    chunks = (BLOCK, dataset.width)
    bands = [da.from_array(_Band(dataset, each), chunks, name=False) for each in dataset.indexes]
    return xr.DataArray(da.stack(bands), dims=("band", "y", "x"))


def _of_classes(array: xr.DataArray) -> xr.DataArray:
    codes = np.array([each.code for each in CLASSES], np.uint8)
    attributes = {
        "long_name": "cloud and cloud-shadow class",
        "flag_values": codes,
        "flag_meanings": " ".join(each.name for each in CLASSES),
        "flag_colors": " ".join("#" + bytes(each.colour).hex() for each in CLASSES),
    }
    return _packed(array.isel(band=0, drop=True), attributes)


def _of_probabilities(array: xr.DataArray) -> xr.DataArray:
    named = array.rename(band=CATEGORY).assign_coords({CATEGORY: [each.name for each in CLASSES]})
    named[CATEGORY].attrs = {"long_name": "class"}
    attributes = {"long_name": "probability of the class", "units": "1"}
    return _packed(named, attributes | {"scale_factor": np.float32(1 / PROBABILITY_STEPS)})


_DESCRIBE = {CLASS: _of_classes, PROBABILITY: _of_probabilities}


def _packed(array: xr.DataArray, attributes: Mapping[str, Any]) -> xr.DataArray:
    """Say what stored bytes mean; xarray writes them as they are, as they are never decoded."""
    array.attrs = {"_FillValue": np.uint8(NO_DATA), **attributes}
    return array


def _placed(cube: xr.Dataset, grid: Grid) -> xr.Dataset:
    """Add the grid mapping, and the axes where the grid is not turned."""
    from odc.geo.geobox import GeoBox
    from odc.geo.xr import xr_coords

    if grid.crs is None:
        return cube
    box = GeoBox(grid.shape, grid.transform, grid.crs)
    coordinates = xr_coords(box, always_yx=True)
    for name, axis in _axes(grid.crs).items():
        coordinates[name].attrs = axis
    wanted = [MAPPING, *(("y", "x") if box.axis_aligned else ())]
    for variable in cube.data_vars.values():
        variable.attrs["grid_mapping"] = MAPPING
    return cube.assign_coords({name: coordinates[name].variable for name in wanted})


def _axes(crs: Any) -> dict[str, dict[str, str]]:
    """Say what y and x are (CF 4.1, 4.2, 5.6)."""
    if crs.is_geographic:
        return {
            "y": {"axis": "Y", "standard_name": "latitude", "units": "degrees_north"},
            "x": {"axis": "X", "standard_name": "longitude", "units": "degrees_east"},
        }
    factor = crs.linear_units_factor[1]
    unit = "m" if factor == 1 else f"{factor:.12g} m"
    return {
        name: {
            "axis": name.upper(),
            "standard_name": f"projection_{name}_coordinate",
            "units": unit,
        }
        for name in ("y", "x")
    }


def _told(tags: Mapping[str, Any]) -> dict[str, Any]:
    """Choose of a GeoTIFF's tags those that tell how the mask was made."""
    renamed = {"TIFFTAG_SOFTWARE": "source", "SOURCE": "scene"}
    left_out = ("AREA_OR_POINT", *(f"CLASS_{each.code}" for each in CLASSES))
    return {
        renamed.get(key, key.lower()): value
        for key, value in tags.items()
        if key.isupper() and key not in left_out
    }


def _chunks(array: xr.DataArray) -> tuple[int, ...]:
    """Choose the edges of the blocks in the file."""
    return (1,) * (array.ndim - 2) + tuple(min(BLOCK, size) for size in array.shape[-2:])


def _write_netcdf(path: Path, cube: xr.Dataset) -> None:
    import dask

    encoding = {
        name: {"zlib": True, "complevel": 4, "chunksizes": _chunks(array)}
        for name, array in cube.data_vars.items()
    }
    # One thread, so that the blocks lie in the file in one order.
    with beside(path) as partial, NETCDF, dask.config.set(scheduler="synchronous"):
        cube.to_netcdf(partial, engine="netcdf4", encoding=encoding)


def _write_zarr(path: Path, cube: xr.Dataset) -> None:
    """Write format 2, which GDAL before 3.8 and older Zarr libraries read, too."""
    import dask

    encoding = {name: {"chunks": _chunks(array)} for name, array in cube.data_vars.items()}
    aligned = cube.chunk({"x": BLOCK})
    with _folder_beside(path) as partial, dask.config.set(scheduler="synchronous"):
        aligned.to_zarr(partial, zarr_format=2, consolidated=True, encoding=encoding)


@contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """Give a place for a folder; it becomes `path` if all goes well, in place of what was there.

    For a moment between two renames nothing is at `path`, as no folder takes another's place.
    """
    with tempfile.TemporaryDirectory(prefix=hidden(path), dir=path.parent) as place:
        new, old = Path(place) / "new.zarr", Path(place) / "old"
        yield new
        if path.exists():
            path.rename(old)
        try:
            new.rename(path)
        except BaseException:
            if old.exists():
                old.rename(path)
            raise
