from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("rasterio")
pytest.importorskip("odc.geo")
pytest.importorskip("netCDF4")
pytest.importorskip("zarr")

import rasterio
import xarray as xr

from cloudmask.classes import CLASSES
from cloudmask.errors import CubeError, OptionError
from cloudmask.local.cubes import Layers, write_cube
from cloudmask.local.product import Grid
from cloudmask.local.writers import writer_for
from cloudmask.windows import Span

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SHAPE = (700, 600)
UTM33 = rasterio.CRS.from_epsg(32633)
GRID = Grid(*SHAPE, UTM33, rasterio.Affine(10, 0, 6e5, 0, -10, 5e6))
TAGS = {"TIFFTAG_SOFTWARE": "openeo-cloudmask 9.9", "SOURCE": "a.tif", "MODEL": "brightest"}
both = pytest.mark.parametrize("suffix", [".nc", ".zarr"])


def codes() -> NDArray[np.uint8]:
    """(y, x): every class, no data, in patches."""
    random = np.random.default_rng(3)
    patches = random.choice(np.array([0, 1, 2, 3, 255], np.uint8), (70, 60))
    return np.kron(patches, np.ones((10, 10), np.uint8))


def chances(classes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(4, y, x): 0.7 for the class, 0.1 for the others, NaN for no data."""
    spread = np.full((4, *classes.shape), 0.1, np.float32)
    for code in range(4):
        spread[code, classes == code] = 0.7
    spread[:, classes == 255] = np.nan
    return spread


def write(path: Path, probabilities: Path | None = None, grid: Grid = GRID) -> Path:
    classes = codes()[: grid.height, : grid.width]
    spread = chances(classes)
    with writer_for(path, grid, probabilities) as writer:
        for start in range(0, grid.height, 300):
            rows = Span(start, min(start + 300, grid.height))
            writer.write(rows, classes[rows.slice], spread[:, rows.slice])
        writer.finish(TAGS, {"PERCENT_CLEAR": "20.000"})
    return path


def opened(path: Path, **how: Any) -> Any:
    return xr.open_dataset(path, engine="zarr" if path.suffix == ".zarr" else "netcdf4", **how)


@pytest.fixture(scope="module", params=[".nc", ".zarr"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube of classes and probabilities."""
    path = tmp_path_factory.mktemp("made") / f"mask{request.param}"
    return write(path, path)


# -- read by xarray -------------------------------------------------------------------------


def test_the_codes_are_those_written(made: Path) -> None:
    with opened(made, mask_and_scale=False) as cube:
        assert cube["class"].dtype == np.uint8
        assert cube["class"].dims == ("y", "x")
        np.testing.assert_array_equal(cube["class"], codes())


def test_no_data_is_decoded_as_such(made: Path) -> None:
    with opened(made) as cube:
        np.testing.assert_array_equal(cube["class"].isnull(), codes() == 255)


def test_probabilities_are_decoded_to_those_written_by_the_name_of_the_class(made: Path) -> None:
    expected = chances(codes())
    with opened(made) as cube:
        for each in CLASSES:
            found = cube.probability.sel(category=each.name)
            np.testing.assert_allclose(found, expected[each.code], atol=0.5 / 250 + 1e-6)


def test_cf_xarray_decodes_the_flags(made: Path) -> None:
    pytest.importorskip("cf_xarray")
    with opened(made, mask_and_scale=False) as cube:
        for each in CLASSES:
            told = cube["class"].cf == each.name
            np.testing.assert_array_equal(told, codes() == each.code)


def test_flag_values_are_of_the_variables_own_type(made: Path) -> None:
    """CF 3.5 asks for it."""
    with opened(made, mask_and_scale=False) as cube:
        values = np.asarray(cube["class"].attrs["flag_values"])
        assert values.tolist() == [0, 1, 2, 3]
        if made.suffix == ".nc":  # JSON, in which Zarr keeps attributes, has one kind of number
            assert values.dtype == np.uint8


def test_the_axes_are_pixel_centres_with_standard_names(made: Path) -> None:
    with opened(made) as cube:
        np.testing.assert_allclose(cube.x, 6e5 + 10 * np.arange(600) + 5)
        np.testing.assert_allclose(cube.y, 5e6 - 10 * np.arange(700) - 5)
        assert cube.x.attrs["standard_name"] == "projection_x_coordinate"
        assert cube.y.attrs["standard_name"] == "projection_y_coordinate"
        assert (cube.x.attrs["units"], cube.y.attrs["units"]) == ("m", "m")


def test_pyproj_reads_the_grid_mapping_by_cf(made: Path) -> None:
    pyproj = pytest.importorskip("pyproj")
    with opened(made, decode_coords="all") as cube:
        for name in ("class", "probability"):
            assert cube[name].encoding["grid_mapping"] == "spatial_ref"
        mapping = dict(cube.spatial_ref.attrs)
    assert mapping["grid_mapping_name"] == "transverse_mercator"
    without_text = {k: v for k, v in mapping.items() if k not in ("crs_wkt", "spatial_ref")}
    assert pyproj.CRS.from_cf(mapping) == pyproj.CRS(32633)
    found = pyproj.CRS.from_cf(without_text).coordinate_operation.to_json_dict()["parameters"]
    expected = pyproj.CRS(32633).coordinate_operation.to_json_dict()["parameters"]
    assert sorted((p["name"], p["value"]) for p in found) == sorted(
        (p["name"], p["value"]) for p in expected
    )


def test_the_cube_says_what_made_it(made: Path) -> None:
    with opened(made) as cube:
        assert cube.attrs == {
            "Conventions": "CF-1.9",
            "title": "Cloud and cloud-shadow mask",
            "source": "openeo-cloudmask 9.9",
            "scene": "a.tif",
            "model": "brightest",
            "percent_clear": "20.000",
        }


# -- read by GDAL ---------------------------------------------------------------------------


def test_gdal_reads_netcdf_where_it_lies(tmp_path: Path) -> None:
    if shutil.which("gdalinfo") is None:
        pytest.skip("gdalinfo is not installed (Debian: gdal-bin)")
    path = write(tmp_path / "mask.nc")
    done = subprocess.run(
        ["gdalinfo", f"NETCDF:{path}:class"], check=False, capture_output=True, text=True
    )
    assert "Origin = (600000.000000000000000,5000000.000000000000000)" in done.stdout, done.stderr
    assert "Pixel Size = (10.000000000000000,-10.000000000000000)" in done.stdout
    assert 'ID["EPSG",32633]' in done.stdout
    assert "NoData Value=255" in done.stdout


# -- other grids ----------------------------------------------------------------------------


@both
def test_degrees_are_latitude_and_longitude(tmp_path: Path, suffix: str) -> None:
    crs = rasterio.CRS.from_epsg(4326)
    grid = Grid(20, 30, crs, rasterio.Affine(0.01, 0, 5, 0, -0.01, 50))
    with opened(write(tmp_path / f"a{suffix}", grid=grid)) as cube:
        assert (cube.x.attrs["units"], cube.y.attrs["units"]) == ("degrees_east", "degrees_north")
        assert cube.x.values[0] == pytest.approx(5.005)


@both
def test_a_grid_that_lies_nowhere_has_neither_axes_nor_mapping(
    tmp_path: Path, suffix: str
) -> None:
    with opened(write(tmp_path / f"a{suffix}", grid=Grid(20, 30))) as cube:
        assert not cube.coords
        assert "grid_mapping" not in {**cube["class"].attrs, **cube["class"].encoding}


@both
def test_a_turned_grid_has_a_transform_and_no_axes(tmp_path: Path, suffix: str) -> None:
    grid = Grid(20, 30, UTM33, rasterio.Affine(6, 3, 6e5, 3, -6, 5e6))
    with opened(write(tmp_path / f"a{suffix}", grid=grid), decode_coords="all") as cube:
        assert list(cube.coords) == ["spatial_ref"]
        assert [float(each) for each in cube.spatial_ref.attrs["GeoTransform"].split()] == [
            600000, 6, 3, 5000000, 3, -6,
        ]  # fmt: skip


# -- files ----------------------------------------------------------------------------------


def listed(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return {str(each.relative_to(path)): each.read_bytes() for each in files}


def test_the_same_rows_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    again = write(tmp_path / made.name, tmp_path / made.name)
    assert listed(again) == listed(made)


def test_nothing_is_left_but_the_cube(made: Path) -> None:
    assert list(made.parent.iterdir()) == [made]


@both
def test_a_cube_takes_the_place_of_the_one_before(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write(path, path)
    write(path)
    with opened(path) as cube:
        assert list(cube.data_vars) == ["class"]
    assert list(tmp_path.iterdir()) == [path]


@both
def test_a_cube_has_the_permissions_of_any_new_file_or_folder(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}")
    plain = tmp_path / "plain"
    plain.mkdir() if path.is_dir() else plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


@both
def test_probabilities_may_have_a_cube_or_a_geotiff_of_their_own(
    tmp_path: Path, suffix: str
) -> None:
    write(tmp_path / f"a{suffix}", tmp_path / "b.tif")
    write(tmp_path / "c.tif", tmp_path / f"d{suffix}")
    with opened(tmp_path / f"a{suffix}") as cube:
        assert list(cube.data_vars) == ["class"]
    with opened(tmp_path / f"d{suffix}") as cube:
        assert list(cube.data_vars) == ["probability"]
    with rasterio.open(tmp_path / "b.tif") as dataset:
        assert dataset.count == 4


@both
def test_a_finished_geotiff_becomes_a_cube_with_its_tags(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / "a.tif")
    write_cube(tmp_path / f"a{suffix}", tmp_path / "a.tif")
    with opened(tmp_path / f"a{suffix}", mask_and_scale=False) as cube:
        np.testing.assert_array_equal(cube["class"], codes())
        assert (cube.attrs["scene"], cube.attrs["model"]) == ("a.tif", "brightest")
        assert "flag_meanings" in cube["class"].attrs


# -- what cannot be -------------------------------------------------------------------------


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"a\.h5: a cube's name must end in \.nc or \.zarr"):
        write_cube(tmp_path / "a.h5", tmp_path / "a.tif")


def test_a_cube_of_nothing_is_refused() -> None:
    with pytest.raises(OptionError, match="needs classes or probabilities"):
        Layers()


@both
def test_what_is_no_raster_is_named_and_nothing_is_left(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "a.tif").write_text("text")
    with pytest.raises(CubeError, match=r"a\.tif: cannot be read"):
        write_cube(tmp_path / f"a{suffix}", tmp_path / "a.tif")
    assert [each.name for each in tmp_path.iterdir()] == ["a.tif"]


@both
def test_a_mask_that_is_cut_off_is_named_and_nothing_is_left(tmp_path: Path, suffix: str) -> None:
    mask = write(tmp_path / "a.tif")
    mask.write_bytes(mask.read_bytes()[: mask.stat().st_size // 2])
    with pytest.raises(CubeError, match=r"a\.tif: is cut off or damaged"):
        write_cube(tmp_path / f"b{suffix}", mask)
    names = {each.name for each in tmp_path.iterdir()}
    assert names == {"a.tif", "a.qml", "a.tif.aux.xml"}


@pytest.mark.parametrize(("suffix", "package"), [(".nc", "netCDF4"), (".zarr", "zarr")])
def test_without_the_package_the_extra_is_named(tmp_path: Path, suffix: str, package: str) -> None:
    write(tmp_path / "a.tif")
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from pathlib import Path\n"
        "from cloudmask.errors import OptionError\n"
        "from cloudmask.local.cubes import write_cube\n"
        "try: write_cube(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except OptionError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / f"a{suffix}", tmp_path / "a.tif"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert "pip install 'openeo-cloudmask[cubes]'" in done.stdout, done.stderr
    assert not (tmp_path / f"a{suffix}").exists()


FULL = """
import resource, signal, sys
from pathlib import Path
from cloudmask.local.cubes import write_cube
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000,) * 2)
try:
    write_cube(Path(sys.argv[1]), Path(sys.argv[2]))
except OSError as error:
    print(error)
"""


@both
@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files there")
def test_a_disk_that_fills_up_leaves_the_old_cube_and_is_named(
    tmp_path: Path, suffix: str
) -> None:
    """A limit on the size of files stands for the disk."""
    mask, cube = tmp_path / "a.tif", tmp_path / f"b{suffix}"
    noise = np.random.default_rng(0).integers(0, 4, (1, 600, 600)).astype(np.uint8)
    with rasterio.open(
        mask, "w", driver="GTiff", height=600, width=600, count=1, dtype="uint8", crs=UTM33,
        transform=GRID.transform,
    ) as dataset:  # fmt: skip
        dataset.write(noise)
    write(cube)
    before = listed(cube)
    done = subprocess.run(
        [sys.executable, "-c", FULL, cube, mask], check=False, capture_output=True, text=True
    )
    assert done.stdout.startswith(f"{cube}: cannot be written ("), done.stderr
    assert listed(cube) == before
    assert {each.name for each in tmp_path.iterdir()} == {mask.name, cube.name}


# -- memory ---------------------------------------------------------------------------------

PEAK = """
import resource, sys
from pathlib import Path
from cloudmask.local.cubes import write_cube
write_cube(Path(sys.argv[2]), Path(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_cube(Path(sys.argv[4]), Path(sys.argv[3]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@both
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_a_large_mask_is_written_by_rows(tmp_path: Path, suffix: str) -> None:
    """The cube has 144 million pixels; holding them all would take 141 000 KiB."""
    paths = [tmp_path / name for name in ("a.tif", f"a{suffix}", "b.tif", f"b{suffix}")]
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "tiled": True, "sparse_ok": True}
    for path, size in ((paths[0], 1000), (paths[2], 12000)):
        place = {"crs": UTM33, "transform": GRID.transform}
        with rasterio.open(path, "w", height=size, width=size, **profile, **place):
            pass
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *paths], check=True, capture_output=True, text=True,
        env={**os.environ, "GDAL_CACHEMAX": "16"},
    )  # fmt: skip
    assert int(done.stdout) < 100_000
