"""Any source as one lazy xarray cube."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.enums import MaskFlags

from cloudmask.bands import PRESETS, as_preset, positions
from cloudmask.cube import in_standard_order
from cloudmask.errors import CubeError
from cloudmask.local.netcdf import NETCDF
from cloudmask.local.product import Wanted
from cloudmask.local.readers.cubes import CubeScene, grid_of, open_dataset, time_of
from cloudmask.local.readers.files import RasterScene, product_of
from cloudmask.local.readers.find import find_scenes
from cloudmask.local.readers.folders import ResultScene
from cloudmask.local.readers.identity import naming
from cloudmask.local.readers.layers import Layers, layers, role
from cloudmask.local.readers.rasters import band_labels, gdal, opened
from cloudmask.local.readers.stac import HINT, REMOTE, StacScene
from cloudmask.local.readers.stack import Plan, stacked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    import xarray as xr

    from cloudmask.bands import Preset
    from cloudmask.local.product import Grid, Scene

NAMES = {"time": "t", "band": "bands", "y": "y", "x": "x"}
"""What the dimensions of a cube are called here."""


def open_cube(
    source: str | Path, bands: Sequence[str] | None = None, chunks: int = 1024
) -> xr.DataArray:
    """Open whatever `find_scenes` knows as one cube; nothing is read before it is computed.

    Args:
        source: See `find_scenes`.
        bands: Sentinel-2 bands wanted, in order; all that are there by default.
        chunks: Edge in pixels of dask's chunks, which hold all bands of one moment.

    Returns:
        (bands, y, x), or (t, bands, y, x) if the source has several moments; numbers as stored,
        on the grid of the finest band. `attrs["preset"]` says what they mean, for
        `mask_clouds(cube, preset=cube.attrs["preset"])`: where no named preset does, they are
        made reflectance (float32, NaN for no data).

    Raises:
        BandError: A band is missing.
        CubeError: It cannot be read, or its scenes lie on grids that cannot be brought together.
        OptionError: A search asks for what is not known.
    """
    scenes = find_scenes(source)
    first = scenes[0]
    if isinstance(first, CubeScene) and len({scene.place for scene in scenes}) == 1:
        return _dressed([_of_dataset(first.place, bands, chunks)])
    parts = [_of_scene(scene, bands, chunks) for scene in scenes]
    if len({_grid(part.cube) for part in parts}) > 1:
        parts = _on_one_grid(scenes, parts, chunks)
    return _dressed(parts)


@dataclass(frozen=True, slots=True)
class Part:
    """A moment of a cube, or all of one that is a cube already."""

    cube: xr.DataArray
    preset: Preset
    when: datetime | None = None


def _grid(cube: xr.DataArray) -> tuple[Any, ...]:
    grid = grid_of(cube)
    return grid.shape, str(grid.crs), grid.transform


def _of_scene(scene: Scene, bands: Sequence[str] | None, chunks: int) -> Part:
    """Open a scene that GDAL reads."""
    if isinstance(scene, CubeScene):
        raise CubeError(f"{scene.place}: lies among other files; open it alone")
    if isinstance(scene, (RasterScene, ResultScene)):
        return _of_raster(scene, bands, chunks)
    plan: Plan = scene.planned(bands)  # type: ignore[attr-defined]  # all others have it
    options = REMOTE if isinstance(scene, StacScene) else {}
    wanted = Wanted(bands=plan.bands)
    with gdal(**options), stacked(scene.place, plan.text) as dataset:
        product = product_of(dataset, wanted, scene.place, plan.facts, plan.preset)
        cube = _lazily(plan.text, product.raster, plan.bands, chunks)
    return Part(cube, product.preset, product.facts.when)


def _of_raster(scene: RasterScene | ResultScene, bands: Sequence[str] | None, chunks: int) -> Part:
    labels = scene.labels if isinstance(scene, ResultScene) else ()
    with gdal(), opened(scene.place) as dataset:
        names = band_labels(dataset, labels or None)
        wanted = Wanted(bands=tuple(bands or names), names=tuple(names))
        product = product_of(dataset, wanted, scene.place)
        cube = _lazily(scene.place, product.raster, wanted.bands, chunks)
    when = scene.when if isinstance(scene, ResultScene) else None
    return Part(cube, product.preset, product.facts.when or when)


def _lazily(opens: str, raster: Any, bands: Sequence[str], chunks: int) -> xr.DataArray:
    """Open a raster by dask.

    Args:
        opens: What GDAL opens.
        raster: The bands of it that are wanted.
        bands: Their names.
        chunks: Edge in pixels.
    """
    rioxarray = _rioxarray()
    at = [index - 1 for index in raster.indexes]
    # A mask of the file's own becomes NaN.
    masked = MaskFlags.per_dataset in raster.dataset.mask_flag_enums[at[0]]
    with warnings.catch_warnings():
        # rioxarray multiplies transforms in affine's old way.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        cube = rioxarray.open_rasterio(
            opens, chunks={"band": -1, "y": chunks, "x": chunks}, masked=masked
        )
    cube = cube.isel(band=at).rename(band="bands").assign_coords(bands=list(bands))
    return cube.drop_attrs(deep=False)


def _rioxarray() -> Any:
    try:
        import rioxarray
    except ImportError as error:
        raise CubeError(
            "rioxarray is not installed; pip install 'openeo-cloudmask[cubes]'"
        ) from error
    return rioxarray


def _of_dataset(place: str, bands: Sequence[str] | None, chunks: int) -> Part:
    """Open a netCDF or Zarr cube by dask, with all its moments."""
    with NETCDF:
        dataset = open_dataset(place, chunks={})
    time = time_of(dataset)
    found = layers(dataset if time is None else dataset.isel({time: 0}), place)
    wanted = Wanted(bands=tuple(bands or found.labels))
    with naming(place):
        rows, preset = found.chosen(wanted)
    cube = _all_moments(dataset, [str(part.name) for part in rows.parts], found, wanted.bands)
    crs = grid_of(found.first).crs
    names = {role(cube, each): name for each, name in NAMES.items() if role(cube, each)}
    cube = cube.rename(names).assign_coords(bands=list(wanted.bands)).drop_attrs(deep=False)
    cube = cube.rio.write_crs(crs) if crs else cube
    sizes = {"t": 1, "bands": -1, "y": chunks, "x": chunks}
    return Part(cube.chunk({dim: size for dim, size in sizes.items() if dim in cube.dims}), preset)


def _all_moments(
    dataset: xr.Dataset, names: Sequence[str], found: Layers, bands: Sequence[str]
) -> xr.DataArray:
    """Put the bands together in order, (time, band, y, x)."""
    first = dataset[names[0]]
    band = role(first, "band")
    if band:
        return in_standard_order(first).isel({band: positions(found.labels, bands)})
    return in_standard_order(dataset[list(names)].to_dataarray(dim="bands"))


def _on_one_grid(scenes: Sequence[Scene], parts: Sequence[Part], chunks: int) -> list[Part]:
    """Bring Items of a search to one grid that covers them all."""
    items = [scene for scene in scenes if isinstance(scene, StacScene)]
    if len(items) < len(scenes):
        raise CubeError(
            f"{scenes[0].place} and {len(scenes) - 1} more: lie on different grids; open them one "
            "at a time"
        )
    grid = _around([grid_of(part.cube) for part in parts])
    bands = [str(band) for band in parts[0].cube.bands.values]
    return [
        _loaded(scene, part, grid, bands, chunks) for scene, part in zip(items, parts, strict=True)
    ]


def _around(grids: Sequence[Grid]) -> Any:
    """Give odc-geo's box around grids, in the CRS and at the pixel size of the first."""
    from odc.geo.geobox import GeoBox
    from odc.geo.geom import bbox_union

    boxes = [GeoBox(each.shape, each.transform, each.crs) for each in grids]
    first: Any = boxes[0]
    bounds = bbox_union(box.extent.to_crs(first.crs).boundingbox for box in boxes)
    return GeoBox.from_bbox(bounds, crs=first.crs, resolution=first.resolution)


def _odc_names(scene: StacScene, bands: Sequence[str]) -> list[str]:
    """Name bands as odc-stac does: by asset, and number if it is not the first."""
    found = scene.layers()
    files = [(found[band].key, found[band].file.number) for band in bands]
    return [key if number == 1 else f"{key}.{number}" for key, number in files]


def _loaded(scene: StacScene, part: Part, grid: Any, bands: Sequence[str], chunks: int) -> Part:
    """Open an Item by odc-stac."""
    try:
        from odc.stac import load
    except ImportError as error:
        raise CubeError(f"odc-stac is not installed; {HINT}") from error

    # What lies outside the Item must be no data.
    preset = part.preset if part.preset.nodata else as_preset(part.preset, (0,))
    names = _odc_names(scene, bands)
    dataset = load(
        [scene.item],
        bands=names,
        geobox=grid,
        chunks={"y": chunks, "x": chunks},
        resampling="nearest",
        nodata=preset.nodata[0],
        dtype=str(part.cube.dtype),
    )
    cube = dataset[names].to_dataarray(dim="bands").isel(time=0, drop=True)
    cube = cube.assign_coords(bands=list(bands)).chunk(bands=-1)
    return Part(cube.drop_attrs(deep=False), preset, part.when)


def _dressed(parts: Sequence[Part]) -> xr.DataArray:
    """Join moments, and say what the numbers mean."""
    name = _named(parts)
    cubes = [part.cube if name else reflected(part.cube, part.preset) for part in parts]
    cube = _joined(cubes, [part.when for part in parts])
    cube.attrs = {"preset": name or "reflectance"}
    cube.name = "reflectance"
    return cube


def _named(parts: Sequence[Part]) -> str | None:
    """Name the preset of all, if it is a known one."""
    first = parts[0].preset
    known = PRESETS.get(first.name) == first
    return first.name if known and all(part.preset == first for part in parts) else None


def reflected(cube: xr.DataArray, preset: Preset) -> xr.DataArray:
    """Make reflectance of stored numbers, NaN for no data, one operation a chunk."""
    result = (cube.astype(np.float32) + np.float32(preset.offset)) * np.float32(preset.scale)
    for value in preset.nodata:
        result = result.where(cube != value)
    return result


def _joined(cubes: Sequence[xr.DataArray], times: Sequence[datetime | None]) -> xr.DataArray:
    """Put moments one after the other; the only one keeps its time as a label."""
    import xarray as xr

    known = [np.datetime64(when.replace(tzinfo=None), "ns") for when in times if when]
    if len(cubes) == 1:
        return cubes[0].assign_coords(t=known[0]) if known else cubes[0]
    labels = known if len(known) == len(cubes) else list(range(len(cubes)))
    return xr.concat(
        [cube.expand_dims(t=[label]) for cube, label in zip(cubes, labels, strict=True)],
        dim="t",
        join="override",
        coords="minimal",
        compat="override",
    )
