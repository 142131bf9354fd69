from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

rasterio = pytest.importorskip("rasterio")

from rasterio.errors import RasterioError  # noqa: E402
from rasterio.io import MemoryFile  # noqa: E402
from rasterio.transform import from_origin  # noqa: E402

from cloudmask.errors import BandError, CubeError, PresetWarning  # noqa: E402
from cloudmask.local.readers import (  # noqa: E402
    Raster,
    band_labels,
    choose,
    gdal,
    opened,
    true_colour,
    warn_of_misfit,
)
from cloudmask.windows import Span  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

# rasterio itself multiplies transforms in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

BANDS = ("B02", "B03", "B04", "B08")


class Memory:
    """A raster in memory."""

    def __init__(
        self,
        numbers: NDArray[Any],
        bands: tuple[str | None, ...] | None = BANDS,
        mask: NDArray[np.bool_] | None = None,
        **profile: Any,
    ) -> None:
        count, height, width = numbers.shape
        some = {
            "driver": "GTiff", "height": height, "width": width, "count": count,
            "dtype": numbers.dtype, "crs": "EPSG:32633",
            "transform": from_origin(6e5, 5e6, 10, 10),
        }  # fmt: skip
        self.memory = MemoryFile()
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            self.memory.open(**{**some, **profile}) as dataset,
        ):
            dataset.write(numbers)
            if bands:
                dataset.descriptions = bands
            if mask is not None:
                dataset.write_mask(mask)
        self.dataset = self.memory.open()

    def close(self) -> None:
        """Give the memory back."""
        self.dataset.close()
        self.memory.close()


@pytest.fixture
def raster() -> Iterator[Callable[..., Any]]:
    made: list[Memory] = []

    def make(*arguments: Any, **options: Any) -> Any:
        made.append(Memory(*arguments, **options))
        return made[-1].dataset

    yield make
    for each in made:
        each.close()


def numbers(shape: tuple[int, int] = (30, 40), dtype: str = "uint16") -> NDArray[Any]:
    return np.random.default_rng(4).integers(1, 4000, (4, *shape)).astype(dtype)


def everything(raster: Raster) -> NDArray[np.generic]:
    return raster.read(Span(0, raster.shape[1]))


# -- opening and names ----------------------------------------------------------------------


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(CubeError, match=r"no\.tif: cannot be read as a raster"),
        opened(tmp_path / "no.tif"),
    ):
        pass


def test_a_file_that_is_no_raster_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(CubeError, match="GeoTIFF and VRT can"), opened(tmp_path / "a.txt"):
        pass


def test_bands_are_named_by_their_descriptions(raster: Callable[..., Any]) -> None:
    assert band_labels(raster(numbers()), None) == list(BANDS)


def test_given_names_go_before_descriptions(raster: Callable[..., Any]) -> None:
    assert band_labels(raster(numbers()), "abcd") == ["a", "b", "c", "d"]


@pytest.mark.parametrize("names", [("B02",), (*BANDS, "B11")])
def test_names_for_another_number_of_bands_are_refused(
    raster: Callable[..., Any], names: tuple[str, ...]
) -> None:
    with pytest.raises(BandError, match=f"{len(names)} names for 4 bands"):
        band_labels(raster(numbers()), names)


def test_bands_without_descriptions_are_refused_with_the_remedy(
    raster: Callable[..., Any],
) -> None:
    with pytest.raises(BandError, match=r"no descriptions.*--bands B02,B03,B04,B08"):
        band_labels(raster(numbers(), bands=None), None)


def test_bands_are_found_by_any_of_their_names_in_any_order(raster: Callable[..., Any]) -> None:
    dataset = raster(numbers(), bands=("nir", "B4", "B03_10m", "blue"))
    found, _ = choose(dataset, BANDS, "dn")
    assert found.indexes == (4, 3, 2, 1)
    np.testing.assert_array_equal(everything(found), numbers()[::-1])


def test_a_missing_band_is_named(raster: Callable[..., Any]) -> None:
    with pytest.raises(BandError, match="missing band B11"):
        choose(raster(numbers()), (*BANDS, "B11"), "dn")


def test_complex_numbers_are_refused(raster: Callable[..., Any]) -> None:
    with pytest.raises(CubeError, match="real numbers"):
        choose(raster(numbers(dtype="complex64")), BANDS, "dn")


def test_only_the_bands_that_are_needed_must_be_real(
    raster: Callable[..., Any], tmp_path: Path
) -> None:
    parts = {"a": numbers()[:1].astype("complex64"), "b": numbers()[:1]}
    for name, part in parts.items():
        with rasterio.open(
            tmp_path / f"{name}.tif", "w", driver="GTiff", height=30, width=40, count=1,
            dtype=part.dtype, crs="EPSG:32633", transform=from_origin(6e5, 5e6, 10, 10),
        ) as file:  # fmt: skip
            file.write(part)
    vrt = stacked(tmp_path, {"a": "CFloat32", "b": "UInt16"})
    with opened(vrt) as dataset:
        found, _ = choose(dataset, ("B03",), "dn", ("B02", "B03"))
        np.testing.assert_array_equal(everything(found), numbers()[:1])


def stacked(folder: Path, types: dict[str, str]) -> Path:
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{number}"><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{name}.tif</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for number, (name, kind) in enumerate(types.items(), 1)
    )
    path = folder / "stack.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="40" rasterYSize="30">'
        f"<GeoTransform>6e5, 10, 0, 5e6, 0, -10</GeoTransform>{bands}</VRTDataset>"
    )
    return path


# -- no data --------------------------------------------------------------------------------


def test_the_files_no_data_value_is_added_to_the_preset(raster: Callable[..., Any]) -> None:
    _, preset = choose(raster(numbers(), nodata=65535), BANDS, "dn")
    assert set(preset.nodata) == {0, 65535}


def test_nan_as_the_files_no_data_value_adds_nothing(raster: Callable[..., Any]) -> None:
    _, preset = choose(raster(numbers(dtype="float32"), nodata=np.nan), BANDS, "cdse")
    assert preset.nodata == ()


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_what_the_files_own_mask_hides_is_no_data(raster: Callable[..., Any], dtype: str) -> None:
    mask = np.random.default_rng(1).random((30, 40)) < 0.7
    found, preset = choose(raster(numbers(dtype=dtype), mask=mask), BANDS, "dn")
    np.testing.assert_array_equal(preset.valid(everything(found)), mask)
    np.testing.assert_array_equal(everything(found)[:, mask], numbers()[:, mask])


def test_what_an_alpha_band_hides_is_no_data(raster: Callable[..., Any]) -> None:
    alpha = np.where(np.random.default_rng(1).random((30, 40)) < 0.7, 255, 0).astype(np.uint8)
    image = np.concatenate([numbers(dtype="uint8")[:3] | 1, alpha[None]])
    dataset = raster(image, bands=(*BANDS[:3], None), photometric="RGB", alpha="YES")
    assert dataset.colorinterp[-1].name == "alpha"
    found, preset = choose(dataset, BANDS[:3], "dn")
    np.testing.assert_array_equal(preset.valid(everything(found)), alpha > 0)


@pytest.mark.parametrize("start", [0, 7, 29])
def test_a_mask_goes_with_its_rows(raster: Callable[..., Any], start: int) -> None:
    mask = np.random.default_rng(1).random((30, 40)) < 0.7
    found, preset = choose(raster(numbers(), mask=mask), BANDS, "dn")
    np.testing.assert_array_equal(preset.valid(found.read(Span(start, 30))), mask[start:])


def test_nan_is_no_data_in_a_raster_of_floats(raster: Callable[..., Any]) -> None:
    some = numbers(dtype="float32")
    some[2, 3, 4] = np.nan
    found, preset = choose(raster(some), BANDS, "cdse")
    expected = np.ones((30, 40), bool)
    expected[3, 4] = False
    np.testing.assert_array_equal(preset.valid(everything(found)), expected)


def test_a_mask_of_whole_numbers_beside_a_band_of_floats_is_respected(
    tmp_path: Path,
) -> None:
    """The first band of the file, which nobody asked for, must not choose the number."""
    kinds = {"a": "float32", "b": "uint16"}
    mask = np.random.default_rng(1).random((30, 40)) < 0.7
    for name, kind in kinds.items():
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(
            tmp_path / f"{name}.tif", "w", driver="GTiff", height=30, width=40, count=1,
            dtype=kind, crs="EPSG:32633", transform=from_origin(6e5, 5e6, 10, 10),
        ) as file:  # fmt: skip
            file.write(numbers(dtype=kind)[:1])
            file.write_mask(mask)
    vrt = stacked(tmp_path, {"a": "Float32", "b": "UInt16"})
    text = vrt.read_text()
    source = (
        '<MaskBand><VRTRasterBand dataType="Byte"><SimpleSource>'
        '<SourceFilename relativeToVRT="1">b.tif</SourceFilename>'
        "<SourceBand>mask,1</SourceBand></SimpleSource></VRTRasterBand></MaskBand>"
    )
    vrt.write_text(text.replace("</VRTDataset>", f"{source}</VRTDataset>"))
    with opened(vrt) as dataset:
        found, preset = choose(dataset, ("B03",), "dn", ("B02", "B03"))
        np.testing.assert_array_equal(preset.valid(everything(found)), mask)


# -- rows, thumbnails, samples --------------------------------------------------------------


@given(st.integers(0, 30), st.integers(0, 30))
def test_rows_read_are_rows_of_the_whole(first: int, second: int) -> None:
    start, stop = sorted((first, second))
    memory = Memory(numbers())
    try:
        rows = Raster(memory.dataset, (2, 4), None).read(Span(start, stop))
    finally:
        memory.close()
    np.testing.assert_array_equal(rows, numbers()[[1, 3], start:stop])
    assert rows.dtype == np.uint16


@pytest.mark.parametrize("shape", [(30, 40), (1100, 7), (7, 1100), (513, 600), (1, 1)])
@pytest.mark.parametrize("longest", [1, 10, 64, 100, 5000])
def test_a_thumbnail_is_every_so_many_pixels_of_the_whole(
    raster: Callable[..., Any], shape: tuple[int, int], longest: int
) -> None:
    found = Raster(raster(numbers(shape)), (1, 2, 3), None).thumbnail(longest)
    step = max(1, max(shape) // longest)
    np.testing.assert_array_equal(found, numbers(shape)[:3, ::step, ::step])
    assert max(found.shape[1:]) < 2 * longest + 1 or step == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (63, 65), (64, 64), (500, 300)])
def test_a_sample_is_pixels_of_the_raster_with_their_bands_together(
    raster: Callable[..., Any], shape: tuple[int, int]
) -> None:
    some = numbers(shape)
    some[1] = some[0] + 1
    sample = Raster(raster(some), (2, 1), None).sample()
    np.testing.assert_array_equal(sample[0], sample[1] + 1)
    assert set(np.unique(sample[1])) <= set(np.unique(some[0]))
    assert sample.shape[1] >= min(64, shape[0]) * min(64, shape[1])


def test_a_wrong_preset_is_noticed_before_the_work_starts(raster: Callable[..., Any]) -> None:
    found, preset = choose(raster(numbers()), BANDS, "reflectance")
    with pytest.warns(PresetWarning, match="choose another preset"):
        warn_of_misfit(found, preset)


def test_the_right_preset_raises_no_doubt(raster: Callable[..., Any]) -> None:
    warn_of_misfit(*choose(raster(numbers()), BANDS, "dn"))


def test_what_the_mask_hides_raises_no_doubt(raster: Callable[..., Any]) -> None:
    mask = np.zeros((30, 40), bool)
    mask[:, :3] = True
    some = numbers()
    some[:, ~mask] = 65535
    warn_of_misfit(*choose(raster(some, mask=mask), BANDS, "dn"))


# -- pictures -------------------------------------------------------------------------------


def test_a_picture_is_red_green_blue_where_the_file_has_them(raster: Callable[..., Any]) -> None:
    assert true_colour(raster(numbers())) == (3, 2, 1)
    assert true_colour(raster(numbers(), bands=None), ("red", "B8", "blue", "green")) == (1, 4, 3)


def test_a_picture_of_other_bands_shows_the_first(raster: Callable[..., Any]) -> None:
    assert true_colour(raster(numbers(), bands=None)) == (1,)


# -- rasters that are programs, or lists of other files -------------------------------------

VRT = """<VRTDataset rasterXSize="8" rasterYSize="8">
<VRTRasterBand dataType="Float32" band="1" subClass="VRTDerivedRasterBand">
<PixelFunctionLanguage>Python</PixelFunctionLanguage><PixelFunctionType>run</PixelFunctionType>
<PixelFunctionCode><![CDATA[
def run(*given, **named):
    open({mark!r}, "w").close()
]]></PixelFunctionCode></VRTRasterBand></VRTDataset>"""


def test_a_program_inside_a_virtual_raster_is_not_run_even_where_gdal_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDAL_VRT_ENABLE_PYTHON", "YES")
    mark = tmp_path / "ran"
    (tmp_path / "a.vrt").write_text(VRT.format(mark=str(mark)))
    with gdal(), opened(tmp_path / "a.vrt") as dataset, pytest.raises(RasterioError):
        dataset.read(1)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["a.tif", "a.jp2", "a.img", "a.dat", "a"])
def test_only_what_is_called_vrt_may_name_other_files(tmp_path: Path, name: str) -> None:
    with rasterio.open(
        tmp_path / "private.tif", "w", driver="GTiff", width=8, height=8, count=1, dtype="uint8",
        crs="EPSG:32633", transform=from_origin(6e5, 5e6, 10, 10),
    ) as file:  # fmt: skip
        file.write(np.ones((1, 8, 8), np.uint8))
    text = (
        '<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Byte" band="1">'
        f"<SimpleSource><SourceFilename>{tmp_path / 'private.tif'}</SourceFilename>"
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    (tmp_path / name).write_text(text)
    (tmp_path / "a.vrt").write_text(text)
    with gdal():
        with opened(tmp_path / "a.vrt") as dataset:
            assert dataset.read(1).all()
        with pytest.raises(CubeError, match="cannot be read as a raster"), opened(tmp_path / name):
            pass


def test_a_description_of_a_server_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text(
        '<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/${z}/${x}/${y}</ServerUrl>'
        "</Service><DataWindow><SizeX>8</SizeX><SizeY>8</SizeY></DataWindow></GDAL_WMS>"
    )
    with pytest.raises(CubeError, match="cannot be read as a raster"), opened(tmp_path / "a.tif"):
        pass
