"""Cubes on xarray behind the processes of `openeo_driver`."""

# mypy: disallow-subclassing-any=False
# (openeo_driver is not installed where types are checked)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from openeo_driver.datacube import DriverDataCube
from openeo_driver.errors import FeatureUnsupportedException, OpenEOApiException
from openeo_driver.ProcessGraphDeserializer import convert_node
from openeo_driver.util.pgparsing import SingleRunUDFProcessGraph

from standin import saving
from standin.callbacks import Callback
from standin.chunks import Chunking, one_date_at_a_time, parse
from standin.grid import Grid, GridError, average
from standin.masking import masked
from standin.udfs import Pixels, Udf

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from openeo_driver.utils import EvalEnv

    from standin.udfs import UdfRunner

TILES = Chunking((256, 256))
"""What `apply`, `apply_dimension` and `reduce_dimension` give to a UDF."""


def refused(message: str) -> OpenEOApiException:
    """Make an error that reaches the user as it is."""
    return OpenEOApiException(message, code="ProcessGraphInvalid", status_code=400)


class XarrayCube(DriverDataCube):
    """A cube whose bands are named by its metadata alone, as in the real back-end.

    Names and data can part company: a UDF may return another number of bands than it names.
    """

    def __init__(self, array: xr.DataArray, grid: Grid, metadata: Any) -> None:
        super().__init__(metadata)
        self.array = array
        """float32, NaN = no data; (t, bands, y, x), t and bands may be absent."""
        self.grid = grid

    @property
    def band_names(self) -> list[str]:
        """Names of the bands.

        Raises:
            OpenEOApiException: there are more or fewer bands than names.
        """
        names: list[str] = self.metadata.band_names
        if len(names) != self.array.sizes["bands"]:
            raise refused(
                f"the data has {self.array.sizes['bands']} bands, while the dimension 'bands' "
                f"has {len(names)} labels {names}; a UDF that changes them needs apply_metadata"
            )
        return names

    def _like(
        self, array: xr.DataArray, grid: Grid | None = None, metadata: Any = None
    ) -> XarrayCube:
        return XarrayCube(array, grid or self.grid, metadata or self.metadata)

    def filter_bands(self, bands: Sequence[str]) -> XarrayCube:
        """Keep bands, in the order asked for."""
        names = self.band_names
        missing = [band for band in bands if band not in names]
        if missing:
            raise refused(f"bands {missing} are not among {names}")
        array = self.array.isel(bands=[names.index(band) for band in bands])
        return self._like(array, metadata=self.metadata.filter_bands(bands))

    def filter_temporal(self, start: str | None, end: str | None) -> XarrayCube:
        """Keep dates from `start` to before `end`."""
        dates = self.array["t"].values
        keep = np.ones(len(dates), bool)
        if start:
            keep &= dates >= np.datetime64(start.removesuffix("Z"))
        if end:
            keep &= dates < np.datetime64(end.removesuffix("Z"))
        if not keep.any():
            raise refused(f"no date of {dates} lies in [{start}, {end})")
        return self._like(self.array.isel(t=keep))

    def filter_bbox(
        self,
        west: float,
        south: float,
        east: float,
        north: float,
        crs: str | None = None,
        **_: Any,
    ) -> XarrayCube:
        """Keep the pixels that a box touches."""
        box = {"west": west, "south": south, "east": east, "north": north, "crs": crs}
        try:
            rows, columns = self.grid.window(box)
        except GridError as error:
            raise refused(str(error)) from error
        return self._like(self.array.isel(y=rows, x=columns), self.grid.crop(rows, columns))

    def rename_labels(
        self, dimension: str, target: list[Any], source: list[Any] | None = None
    ) -> XarrayCube:
        """Rename bands."""
        if dimension != "bands":
            raise FeatureUnsupportedException(f"rename_labels along {dimension!r}")
        return self._like(
            self.array, metadata=self.metadata.rename_labels("bands", target, source)
        )

    def drop_dimension(self, name: str) -> XarrayCube:
        """Drop a dimension with a single label."""
        metadata = self.metadata.drop_dimension(name)
        return self._like(self.array.squeeze(name, drop=True), metadata=metadata)

    def resample_spatial(
        self,
        resolution: float | Sequence[float] = 0,
        projection: int | str | None = None,
        method: str = "near",
        align: str = "upper-left",
    ) -> XarrayCube:
        """Resample in the cube's own CRS, by nearest neighbour or average."""
        step = float(resolution if isinstance(resolution, int | float) else resolution[0])
        if projection is not None and str(projection).removeprefix("EPSG:") != str(self.grid.epsg):
            raise FeatureUnsupportedException(f"resample_spatial to projection {projection}")
        if step in {0, self.grid.step}:
            return self
        grid = self.grid.resampled(step)
        metadata = self.metadata.resample_spatial(resolution=step)
        if method == "near":
            return self._nearest(grid, metadata)
        factor = round(step / self.grid.step)
        if method != "average" or not np.isclose(factor * self.grid.step, step):
            raise FeatureUnsupportedException(f"resample_spatial by {method!r} to {step}")
        values = average(self.array.values, factor)
        array = xr.DataArray(values, _dates(self.array), self.array.dims)
        return self._like(array, grid, metadata)

    def resample_cube_spatial(self, target: XarrayCube, method: str = "near") -> XarrayCube:
        """Resample to the grid of another cube, by nearest neighbour."""
        if method != "near" or target.grid.epsg != self.grid.epsg:
            raise FeatureUnsupportedException(f"resample_cube_spatial by {method!r}")
        metadata = self.metadata.resample_cube_spatial(target.metadata)
        return self._nearest(target.grid, metadata)

    def _nearest(self, grid: Grid, metadata: Any) -> XarrayCube:
        rows, columns = self.grid.nearest(grid)
        return self._like(self.array.isel(y=rows, x=columns), grid, metadata)

    def mask(self, mask: XarrayCube, replacement: float | None = None) -> XarrayCube:
        """Replace pixels where the mask is not 0; its no data masks as well."""
        on_grid = mask if mask.grid == self.grid else mask.resample_cube_spatial(self)
        return self._like(masked(self.array, on_grid.array, replacement))

    def apply_neighborhood(
        self,
        process: dict[str, Any],
        *,
        size: list[dict[str, Any]],
        overlap: list[dict[str, Any]] | None = None,
        context: dict[str, Any] | None = None,
        env: EvalEnv,
    ) -> XarrayCube:
        """Run a UDF on overlapping chunks; no other callback is supported."""
        udf = _udf(process, context, env)
        if udf is None:
            raise refused("apply_neighborhood: only a callback of a single run_udf is supported")
        try:
            chunking = parse(size, overlap or [])
            all_dates = "t" in self.array.dims and not one_date_at_a_time(size, overlap or [])
        except ValueError as error:
            raise refused(f"apply_neighborhood: {error}") from error
        return self._run(udf, chunking, all_dates, env)

    def apply(
        self, process: dict[str, Any], *, context: dict[str, Any] | None = None, env: EvalEnv
    ) -> XarrayCube:
        """Change every value by itself, or run a UDF on tiles."""
        udf = _udf(process, context, env)
        if udf is not None:
            return self._run(udf, TILES, all_dates=False, env=env)
        values = Callback(process)({**env.collect_parameters(), "x": self.array.values})
        return self._like(self.array.copy(data=values))

    def apply_dimension(
        self,
        process: dict[str, Any],
        *,
        dimension: str,
        target_dimension: str | None = None,
        context: dict[str, Any] | None = None,
        env: EvalEnv,
    ) -> XarrayCube:
        """Run a UDF on tiles, of all dates along t, of one date along bands."""
        udf = _udf(process, context, env)
        if udf is None or target_dimension is not None:
            raise FeatureUnsupportedException("apply_dimension without a single run_udf")
        return self._run(udf, TILES, all_dates=dimension == "t", env=env)

    def reduce_dimension(
        self,
        reducer: dict[str, Any],
        *,
        dimension: str,
        context: dict[str, Any] | None = None,
        env: EvalEnv,
    ) -> XarrayCube:
        """Reduce t or bands by arithmetic, or by a UDF on tiles."""
        metadata = self.metadata.reduce_dimension(dimension)
        udf = _udf(reducer, context, env)
        if udf is not None:
            cube = self._run(udf, TILES, all_dates=dimension == "t", env=env)
            return self._like(cube.array.isel({dimension: 0}, drop=True), metadata=metadata)
        slices = [
            self.array.isel({dimension: i}).values for i in range(self.array.sizes[dimension])
        ]
        labels = tuple(self.band_names) if dimension == "bands" else ()
        values = Callback(reducer, labels)({**env.collect_parameters(), "data": slices})
        first = self.array.isel({dimension: 0}, drop=True)
        return self._like(first.copy(data=values), metadata=metadata)

    def _run(self, udf: Udf, chunking: Chunking, all_dates: bool, env: EvalEnv) -> XarrayCube:  # noqa: FBT001
        runner: UdfRunner = env["backend_implementation"].udf_runner(env)
        dated = "t" in self.array.dims
        dates = self.array["t"].values if dated else None
        pixels = Pixels(self.array.values, self.band_names, self.grid, dates)
        values, dates = runner.run(pixels, udf, chunking, all_dates=all_dates)
        coords = {} if dates is None else {"t": dates}
        array = xr.DataArray(values, coords, ("t", "bands", "y", "x")[-values.ndim :])
        metadata = runner.relabel(self.metadata, udf, all_dates=all_dates)
        return self._like(array, metadata=metadata)

    def save_result(
        self,
        filename: str,
        format: str,  # noqa: A002 - the driver's name
        format_options: Mapping[str, Any] | None = None,
    ) -> str:
        """Write one file, for a synchronous request."""
        try:
            return str(saving.write_one(self, filename, format))
        except saving.SavingError as error:
            raise refused(str(error)) from error

    def write_assets(
        self,
        filename: Path,
        format: str,  # noqa: A002 - the driver's name
        format_options: Mapping[str, Any] | None = None,
    ) -> dict[str, dict[str, Any]]:
        """Write the files of a batch job into a folder."""
        return saving.write_all(self, filename, format)


def _dates(array: xr.DataArray) -> dict[str, Any]:
    return {"t": array["t"].values} if "t" in array.dims else {}


def _udf(process: dict[str, Any], context: dict[str, Any] | None, env: EvalEnv) -> Udf | None:
    """Read a callback that is a single `run_udf`; parameters get their values."""
    node = SingleRunUDFProcessGraph.parse_or_none(process)
    if node is None:
        return None
    inside = env.push_parameters({"context": context})
    return Udf(convert_node(node.udf, env=inside), convert_node(node.context, env=inside) or {})
