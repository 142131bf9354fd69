from __future__ import annotations

import json
import pickle
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

from cloudmask.errors import BandError, CubeError
from cloudmask.local.product import Wanted
from cloudmask.local.readers.find import find_scenes
from cloudmask.windows import Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    See = Callable[..., NDArray[np.float32]]

pytest.importorskip("rioxarray")
pytest.importorskip("netCDF4")
pytest.importorskip("zarr")
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

BANDS = ("B02", "B04", "B11", "B01")
DAYS = np.array(["2020-01-01T10:54:41", "2020-01-06T10:54:39"], "datetime64[ns]")


@pytest.fixture
def cube(expected: NDArray[Any]) -> xr.DataArray:
    """(bands, y, x) uint16 as stored, with a CRS as openEO writes it."""
    import pyproj

    place = {"y": 4_693_200 - 5 - 10.0 * np.arange(120), "x": 399_960 + 5 + 10.0 * np.arange(120)}
    made = xr.DataArray(
        expected, dims=("bands", "y", "x"), coords={"bands": list(BANDS), **place}, name="s2"
    )
    attrs = {"grid_mapping_name": "x", "crs_wkt": pyproj.CRS.from_epsg(32631).to_wkt()}
    made = made.assign_coords(crs=xr.DataArray(0, attrs=attrs))
    made.attrs["grid_mapping"] = "crs"
    return made


def stored(cube: xr.DataArray | xr.Dataset, path: Path, **encoding: Any) -> Path:
    """Write netCDF or Zarr by the suffix; `encoding` is of every variable."""
    dataset = cube.to_dataset() if isinstance(cube, xr.DataArray) else cube
    kept = ("grid_mapping",)
    each = {
        name: {k: v for k, v in variable.encoding.items() if k in kept} | encoding
        for name, variable in dataset.data_vars.items()
    }
    if path.suffix == ".zarr":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.to_zarr(path, encoding=each)
    else:
        dataset.to_netcdf(path, encoding=each)
    return path


KINDS = ("cube.nc", "cube.zarr")


@pytest.mark.parametrize("kind", KINDS)
def test_bands_along_a_dimension_are_found_by_their_labels(
    tmp_path: Path, cube: xr.DataArray, seen: See, truth: Any, kind: str
) -> None:
    (scene,) = find_scenes(stored(cube, tmp_path / kind))
    assert scene.name == "cube"
    np.testing.assert_allclose(seen(scene), truth, atol=1e-7)
    order = [3, 1]
    found = seen(scene, bands=tuple(BANDS[number] for number in order))
    there = np.isfinite(truth[0])
    np.testing.assert_allclose(found[:, there], truth[order][:, there], atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", ["band", "spectral"])
def test_dimensions_come_in_any_order(
    tmp_path: Path, cube: xr.DataArray, seen: See, truth: Any, kind: str, dim: str
) -> None:
    turned = cube.rename(bands=dim).transpose("x", "y", dim)
    np.testing.assert_allclose(
        seen(*find_scenes(stored(turned, tmp_path / kind))), truth, atol=1e-7
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_variable_may_be_a_band(
    tmp_path: Path, cube: xr.DataArray, seen: See, truth: Any, kind: str
) -> None:
    dataset = cube.to_dataset(dim="bands")
    np.testing.assert_allclose(
        seen(*find_scenes(stored(dataset, tmp_path / kind))), truth, atol=1e-7
    )


def test_given_names_go_before_labels(
    tmp_path: Path, cube: xr.DataArray, seen: See, truth: Any
) -> None:
    unnamed = cube.drop_vars("bands")
    (scene,) = find_scenes(stored(unnamed, tmp_path / "cube.nc"))
    with pytest.raises(BandError, match=r"cube\.nc: .*have no names.*--bands"):
        seen(scene)
    np.testing.assert_allclose(seen(scene, names=BANDS), truth, atol=1e-7)
    with pytest.raises(BandError, match="2 names for 4 bands"):
        seen(scene, names=BANDS[:2])


# -- moments --------------------------------------------------------------------------------


@pytest.fixture
def series(cube: xr.DataArray) -> xr.DataArray:
    """(t, bands, y, x), two moments, the second one brighter."""
    later = xr.where(cube == 0, 0, cube + 500).astype(cube.dtype)
    made = xr.concat([cube, later], dim="t").assign_coords(t=DAYS)
    return made.transpose("t", "bands", "y", "x")


@pytest.mark.parametrize("kind", KINDS)
def test_every_moment_is_a_scene_named_by_its_date(
    tmp_path: Path, series: xr.DataArray, seen: See, truth: Any, kind: str
) -> None:
    first, second = find_scenes(stored(series, tmp_path / kind))
    assert (first.name, second.name) == ("cube_20200101", "cube_20200106")
    np.testing.assert_allclose(seen(first), truth, atol=1e-7)
    np.testing.assert_allclose(seen(second), truth + 0.05, atol=1e-6)
    assert first.identity() != second.identity()
    with second.opened(Wanted(bands=BANDS)) as product:
        assert product.facts.when == datetime(2020, 1, 6, 10, 54, 39, tzinfo=UTC)


def test_two_moments_of_a_day_are_named_by_their_times(
    tmp_path: Path, series: xr.DataArray
) -> None:
    close = series.assign_coords(t=DAYS[0] + np.array([0, 1], "timedelta64[h]"))
    names = [scene.name for scene in find_scenes(stored(close, tmp_path / "cube.nc"))]
    assert names == ["cube_20200101T105441", "cube_20200101T115441"]


def test_moments_without_dates_are_numbered(tmp_path: Path, series: xr.DataArray) -> None:
    dateless = series.drop_vars("t").rename(t="time")
    names = [scene.name for scene in find_scenes(stored(dateless, tmp_path / "cube.nc"))]
    assert names == ["cube_0000", "cube_0001"]


def test_a_moment_without_a_dimension_is_known(tmp_path: Path, series: xr.DataArray) -> None:
    (scene,) = find_scenes(stored(series.isel(t=1), tmp_path / "cube.nc"))
    with scene.opened(Wanted(bands=BANDS)) as product:
        assert product.facts.when == datetime(2020, 1, 6, 10, 54, 39, tzinfo=UTC)


# -- what the numbers mean ------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_scale_and_offset_are_applied_once(
    tmp_path: Path, cube: xr.DataArray, seen: See, truth: Any, kind: str
) -> None:
    """The packing of products from baseline 04.00 on, made by xarray."""
    packed = cube.copy(data=truth)
    path = stored(
        packed, tmp_path / kind, dtype="uint16", scale_factor=0.0001, add_offset=-0.1, _FillValue=0
    )
    (scene,) = find_scenes(path)
    np.testing.assert_allclose(seen(scene), truth, atol=1e-4)
    with scene.opened(Wanted(bands=BANDS)) as product:
        assert product.raster.itemsize == 2
        assert product.preset.name == "dn_n0400"


def test_fill_values_are_no_data(tmp_path: Path, cube: xr.DataArray, seen: See) -> None:
    filled = cube.copy()
    filled[2, 50, 60] = 9999
    filled.attrs["missing_value"] = np.uint16(9999)
    assert np.isnan(seen(*find_scenes(stored(filled, tmp_path / "cube.nc")))[:, 50, 60]).all()


def test_an_explicit_preset_goes_before_the_attributes(
    tmp_path: Path, cube: xr.DataArray, seen: See, truth: Any
) -> None:
    cube.attrs["scale_factor"] = 0.5
    (scene,) = find_scenes(stored(cube, tmp_path / "cube.nc"))
    np.testing.assert_allclose(seen(scene, preset="dn"), truth, atol=1e-7)


def test_variables_packed_in_different_ways_are_refused(
    tmp_path: Path, cube: xr.DataArray, seen: See
) -> None:
    dataset = cube.to_dataset(dim="bands")
    dataset.B11.attrs["scale_factor"] = 0.001
    with pytest.raises(CubeError, match=r"cube\.nc: band B02 has scale 1 .* B11 has 0\.001"):
        seen(*find_scenes(stored(dataset, tmp_path / "cube.nc")))


# -- where it lies --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_grid_is_read_by_the_grid_mapping(
    tmp_path: Path, cube: xr.DataArray, kind: str
) -> None:
    with find_scenes(stored(cube, tmp_path / kind))[0].opened(Wanted(bands=BANDS)) as product:
        grid = product.grid
    assert grid.shape == (120, 120)
    assert grid.crs.to_epsg() == 32631
    assert grid.transform.to_gdal() == (399_960, 10, 0, 4_693_200, 0, -10)


def test_a_cut_cube_lies_where_its_coordinates_say(tmp_path: Path, cube: xr.DataArray) -> None:
    """The transform that was written before is still that of the whole."""
    whole = cube.rio.write_crs("EPSG:32631").rio.write_transform()
    path = stored(whole.isel(y=slice(20, None), x=slice(30, None)), tmp_path / "cube.nc")
    with find_scenes(path)[0].opened(Wanted(bands=BANDS)) as product:
        assert product.grid.transform.to_gdal() == (400_260, 10, 0, 4_693_000, 0, -10)


def test_float32_coordinates_leave_the_written_transform(
    tmp_path: Path, cube: xr.DataArray
) -> None:
    exact = cube.assign_coords(x=cube.x + 0.123, y=cube.y + 0.321)
    exact = exact.rio.write_crs("EPSG:32631").rio.write_transform()
    rough = exact.assign_coords(x=exact.x.astype("f4"), y=exact.y.astype("f4"))
    with find_scenes(stored(rough, tmp_path / "cube.nc"))[0].opened(
        Wanted(bands=BANDS)
    ) as product:
        found = product.grid.transform.to_gdal()
    assert found == pytest.approx((399_960.123, 10, 0, 4_693_200.321, 0, -10), abs=1e-6)


def test_uneven_coordinates_have_no_place(tmp_path: Path, cube: xr.DataArray) -> None:
    uneven = cube.assign_coords(x=cube.x + np.where(np.arange(120) == 60, 6, 0))
    with find_scenes(stored(uneven, tmp_path / "cube.nc"))[0].opened(
        Wanted(bands=BANDS)
    ) as product:
        assert product.grid.transform is None


def test_latitude_and_longitude_are_geographic(tmp_path: Path, cube: xr.DataArray) -> None:
    plain = cube.drop_vars("crs").rename(y="latitude", x="longitude")
    del plain.attrs["grid_mapping"]
    plain = plain.assign_coords(
        latitude=42 - 0.001 * np.arange(120), longitude=2 + 0.001 * np.arange(120)
    )
    with find_scenes(stored(plain, tmp_path / "cube.nc"))[0].opened(
        Wanted(bands=BANDS)
    ) as product:
        assert product.grid.crs.to_epsg() == 4326


def test_a_cube_without_coordinates_has_no_place(
    tmp_path: Path, cube: xr.DataArray, seen: See, truth: Any
) -> None:
    bare = cube.drop_vars(["crs", "y", "x"])
    del bare.attrs["grid_mapping"]
    (scene,) = find_scenes(stored(bare, tmp_path / "cube.nc"))
    np.testing.assert_allclose(seen(scene), truth, atol=1e-7)
    with scene.opened(Wanted(bands=BANDS)) as product:
        assert (product.grid.crs, product.grid.transform) == (None, None)


# -- reading --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [Span(0, 0), Span(0, 1), Span(17, 83), Span(119, 120)])
def test_rows_are_those_of_the_whole(
    tmp_path: Path, cube: xr.DataArray, kind: str, rows: Span
) -> None:
    with find_scenes(stored(cube, tmp_path / kind))[0].opened(Wanted(bands=BANDS)) as product:
        np.testing.assert_array_equal(product.raster.read(rows), cube.values[:, rows.slice])


def test_looks_are_at_pixels_of_the_whole(tmp_path: Path, cube: xr.DataArray) -> None:
    with find_scenes(stored(cube, tmp_path / "cube.nc"))[0].opened(Wanted(bands=BANDS)) as product:
        np.testing.assert_array_equal(product.raster.thumbnail(40), cube.values[:, ::3, ::3])
        columns = {tuple(column) for column in product.raster.sample().T}
    assert columns <= {tuple(column) for column in cube.values.reshape(4, -1).T}


# -- what is refused ------------------------------------------------------------------------


def chunk_of(path: Path, number: int) -> Path:
    chunks = [each for each in path.rglob("*") if each.is_file() and each.name[0].isdigit()]
    return sorted(chunks)[number]


@pytest.mark.parametrize("form", [2, 3])
def test_a_corrupt_chunk_is_named_with_its_variable(
    tmp_path: Path, cube: xr.DataArray, seen: See, form: int
) -> None:
    path = tmp_path / "cube.zarr"
    dataset = cube.to_dataset(dim="bands").drop_vars(["x", "y", "crs"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.chunk(y=40, x=40).to_zarr(path, zarr_format=form)
    (scene,) = find_scenes(path)
    seen(scene)
    damaged = chunk_of(path / "B11", 3)
    damaged.write_bytes(damaged.read_bytes()[:20])
    with pytest.raises(CubeError, match=r"cube\.zarr: variable B11 cannot be read .* chunk"):
        seen(scene)


def test_a_damaged_netcdf_is_refused(tmp_path: Path, cube: xr.DataArray) -> None:
    path = stored(cube, tmp_path / "cube.nc")
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(CubeError, match=r"cube\.nc: cannot be read as netCDF"):
        find_scenes(path)


def test_a_cube_without_images_says_what_it_has(tmp_path: Path, seen: See) -> None:
    path = stored(xr.Dataset({"a": ("n", [1, 2])}), tmp_path / "cube.nc")
    with pytest.raises(CubeError, match=r"cube\.nc: no variable has rows and columns.* a"):
        seen(*find_scenes(path))


def test_a_missing_band_is_named_with_the_file(
    tmp_path: Path, cube: xr.DataArray, seen: See
) -> None:
    with pytest.raises(BandError, match=r"cube\.nc: missing band B12"):
        seen(*find_scenes(stored(cube, tmp_path / "cube.nc")), bands=("B02", "B12"))


def test_identity_changes_with_the_file(tmp_path: Path, cube: xr.DataArray) -> None:
    for kind in KINDS:
        path = stored(cube, tmp_path / kind)
        before = find_scenes(path)[0].identity()
        assert find_scenes(path)[0].identity() == before
        some = path if path.is_file() else chunk_of(path, 0)
        data = some.read_bytes()
        some.unlink()
        some.write_bytes(data)
        assert find_scenes(path)[0].identity() != before


class Touch:
    """Makes a file where it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.path),)


@pytest.mark.parametrize("place", ["compressor", "filters"])
def test_a_zarr_whose_numbers_are_pickles_runs_nothing(tmp_path: Path, place: str) -> None:
    folder, mark = tmp_path / "a.zarr", tmp_path / "ran"
    array = {
        "zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "|u1", "fill_value": 0,
        "order": "C", "compressor": None, "filters": None,
    }  # fmt: skip
    codec = {"id": "pickle", "protocol": 5}
    array[place] = [codec] if place == "filters" else codec
    (folder / "x").mkdir(parents=True)
    (folder / "x" / ".zarray").write_text(json.dumps(array))
    (folder / "x" / ".zattrs").write_text('{"_ARRAY_DIMENSIONS": ["x"]}')
    (folder / "x" / "0").write_bytes(pickle.dumps(Touch(str(mark))))
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    with pytest.raises(CubeError, match="cannot be read as Zarr"):
        find_scenes(folder)
    assert not mark.exists()
