"""What tells a scene from itself once it was changed, and which files it is made of."""

from __future__ import annotations

import gc
import json
import os
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import xarray as xr

from cloudmask.errors import CubeError, OptionError
from cloudmask.local.cubes import write_cube
from cloudmask.local.filejob import FileJob
from cloudmask.local.inputs import scenes_of
from cloudmask.local.product import Wanted
from cloudmask.local.readers import cubes, find_scenes
from cloudmask.local.readers.safe import LARGEST_METADATA

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("pystac")
pytest.importorskip("netCDF4")


def geotiff(path: Path, number: int = 5) -> Path:
    place = {"crs": "EPSG:32631", "transform": rasterio.Affine(10, 0, 4e5, 0, -10, 4.6e6)}
    profile = {"count": 1, "height": 8, "width": 8, "dtype": "uint16", **place}
    with rasterio.open(path, "w", driver="GTiff", **profile) as file:
        file.write(np.full((1, 8, 8), number, np.uint16))
        file.descriptions = ("B02",)
    return path


def later(path: Path) -> None:
    """Let a file look changed."""
    os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns + 10**9))


@pytest.fixture
def item(tmp_path: Path, stac_item: Any, images: Any) -> Path:
    path = tmp_path / "item.json"
    path.write_text(json.dumps(stac_item(tmp_path, images, ".")), "utf-8")
    return path


def identity(path: Path) -> str:
    (scene,) = find_scenes(path)
    return scene.identity()


def changed(path: Path, change: Any) -> None:
    """Change the assets of an Item."""
    content = json.loads(path.read_text("utf-8"))
    for asset in content["assets"].values():
        change(asset["raster:bands"][0])
    path.write_text(json.dumps(content), "utf-8")


def test_an_item_is_another_once_a_file_of_it_was_written_anew(item: Path) -> None:
    before = identity(item)
    later(item.with_name("B02.tif"))
    assert identity(item) != before


def test_an_item_is_another_once_its_numbers_mean_something_else(item: Path) -> None:
    before = identity(item)
    changed(item, lambda band: band.update(offset=-0.1))
    assert identity(item) != before


def test_an_item_that_says_no_nodata_has_none_where_its_numbers_are_0(item: Path) -> None:
    changed(item, lambda band: band.pop("nodata"))
    with find_scenes(item)[0].opened(Wanted(bands=("B02",))) as product:
        assert product.preset.nodata == (0,)


def test_an_item_from_the_web_may_not_name_files_of_this_machine(
    web: Any, images: Any, stac_item: Any
) -> None:
    made = stac_item(web.folder, images, f"file://{web.folder}")
    (web.folder / "item.json").write_text(json.dumps(made), "utf-8")
    (scene,) = find_scenes(f"{web.url}/item.json")
    with (
        pytest.raises(CubeError, match="from the web names files of this machine"),
        scene.opened(Wanted(bands=("B02",))),
    ):
        pass


def results(folder: Path, key: str, *bands: str) -> None:
    asset = {"href": f"https://example.org/{key}", "bands": [{"name": band} for band in bands]}
    (folder / "job-results.json").write_text(json.dumps({"assets": {key: asset}}), "utf-8")


def test_results_are_others_once_their_bands_are_called_otherwise(tmp_path: Path) -> None:
    geotiff(tmp_path / "openEO.tif")
    results(tmp_path, "openEO.tif", "B02")
    before = identity(tmp_path)
    results(tmp_path, "openEO.tif", "B03")
    assert identity(tmp_path) != before


def test_results_reach_no_file_outside_their_folder(tmp_path: Path) -> None:
    geotiff(tmp_path / "outside.tif")
    (tmp_path / "job").mkdir()
    results(tmp_path / "job", "../outside.tif", "B02")
    with pytest.raises(CubeError, match="none of its assets"):
        find_scenes(tmp_path / "job")


def nested(folder: Path) -> Path:
    """Write a VRT of a VRT of a GeoTIFF."""
    source = geotiff(folder / "s.tif")
    for name in ("inner.vrt", "outer.vrt"):
        rasterio.shutil.copy(source, folder / name, driver="VRT")
        source = folder / name
    return source


def test_a_vrt_of_a_vrt_is_another_once_the_pixels_were_written_anew(tmp_path: Path) -> None:
    outer = nested(tmp_path)
    before = identity(outer)
    later(tmp_path / "s.tif")
    assert identity(outer) != before


def test_no_mask_is_written_over_what_a_vrt_is_made_of(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"s\.tif: is a file of the input too"):
        FileJob(scene=nested(tmp_path), output=tmp_path / "s.tif")


def test_no_mask_is_written_over_a_band_of_an_item(item: Path) -> None:
    with pytest.raises(OptionError, match=r"B03\.tif: is a file of the input too"):
        FileJob(scene=item, output=item.with_name("B03.tif"))


def test_a_picture_of_a_mask_that_is_a_cube_is_refused_before_the_work(tmp_path: Path) -> None:
    source = geotiff(tmp_path / "s.tif")
    with pytest.raises(OptionError, match=r"q\.png: a picture is drawn of a GeoTIFF mask"):
        FileJob(scene=source, output=tmp_path / "m.nc", quicklook=tmp_path / "q.png")


def test_a_strange_source_is_listed_and_the_others_are_found(tmp_path: Path) -> None:
    source = geotiff(tmp_path / "s.tif")
    asset = {"assets": {"openEO.tif": "not an object"}}
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "job-results.json").write_text(json.dumps(asset), "utf-8")
    scenes, failures = scenes_of([str(tmp_path / "job"), str(source)])
    assert [scene.name for scene in scenes] == ["s"]
    assert [failure.place for failure in failures] == [str(tmp_path / "job")]


def test_metadata_of_a_size_that_no_product_has_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "S2A_MSIL1C_20200101T105441_N0208_R051_T31TCJ_20200101T112014.SAFE.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        folder = path.name.removesuffix(".zip")
        archive.writestr(f"{folder}/MTD_MSIL1C.xml", b" " * (LARGEST_METADATA + 1))
    (scene,) = find_scenes(path)
    with (
        pytest.raises(CubeError, match="bytes; no product's has"),
        scene.opened(Wanted(bands=("B02",))),
    ):
        pass


def series(path: Path, dates: int) -> Path:
    times = np.datetime64("2020-01-01", "ns") + np.arange(dates) * np.timedelta64(1, "D")
    made = xr.DataArray(
        np.ones((dates, 1, 6, 6), np.int16),
        dims=("t", "bands", "y", "x"),
        coords={"t": times, "bands": ["B02"]},
        name="s2",
    )
    made.to_netcdf(path, engine="netcdf4")
    return path


def test_a_series_without_a_date_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CubeError, match="has no date along t; there is nothing to mask"):
        find_scenes(series(tmp_path / "none.nc", 0))


def test_no_two_threads_open_a_cube_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes = find_scenes(series(tmp_path / "s.nc", 6))
    # What other tests left open would be closed by any thread at any moment, outside the lock.
    gc.collect()
    real, inside, met = cubes.open_dataset, threading.Semaphore(1), []

    def slow(place: str, **options: Any) -> xr.Dataset:
        alone = inside.acquire(blocking=False)
        met.append(alone)
        time.sleep(0.02)
        if alone:
            inside.release()
        return real(place, **options)

    def look(scene: Any) -> None:
        with scene.opened(Wanted(bands=("B02",))):
            pass

    monkeypatch.setattr(cubes, "open_dataset", slow)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(look, scenes))
    assert met == [True] * 6


def test_no_cube_is_read_while_another_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scene,) = find_scenes(series(tmp_path / "s.nc", 1))
    real, writing, released = xr.Dataset.to_netcdf, threading.Event(), threading.Event()
    order: list[str] = []

    def slow(self: xr.Dataset, *words: Any, **options: Any) -> Any:
        writing.set()
        assert not released.wait(0.2), "a cube was opened meanwhile"
        order.append("written")
        return real(self, *words, **options)

    def look() -> None:
        assert writing.wait(60)
        with scene.opened(Wanted(bands=("B02",))):
            released.set()
        order.append("read")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", slow)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(look)
        write_cube(tmp_path / "mask.nc", geotiff(tmp_path / "mask.tif"))
        reading.result()
    assert order == ["written", "read"]
