"""KappaSet: netCDF files as cm-vsm writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask_export.evaluation.datasets import check, open_dataset
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PRODUCT = "S2A_MSIL1C_20200529T094041_N0209_R036_T35VLF_20200529T120441"
NONE: Any = None
"""In place of a variable: leave it out."""

CODES = np.arange(64).reshape(8, 8) % 6


def write(path: Path, files: Any, *, product: str = PRODUCT, **other: Any) -> Path:
    """Write what cm-vsm does: numbers / 65535, the last row first."""
    netcdf = pytest.importorskip("netCDF4")
    path.parent.mkdir(parents=True, exist_ok=True)
    image = files.numbers().astype(np.float64)
    image[0, 2, 3] = 0
    variables: dict[str, Any] = {
        **{band: image[place] / 65_535 for place, band in enumerate(files.bands)},
        "Label": CODES,
        **other,
    }
    with netcdf.Dataset(path, "w") as file:
        if product:
            file.product_name = product
        for name, values in variables.items():
            if values is None:
                continue
            for axis, size in zip("xy", values.shape, strict=False):
                if axis not in file.dimensions:
                    file.createDimension(axis, size)
            kind = "u1" if values.dtype.kind in "iu" else "f4"
            file.createVariable(name, kind, ("x", "y"))[:] = values[::-1]
    return path


def test_values_are_numbers_by_65535_and_north_comes_first(tmp_path: Path, files: Any) -> None:
    write(tmp_path / "a.nc", files)
    image = open_dataset(tmp_path).samples[0].image()
    assert (image.bands, image.level, image.pixel_size) == (files.bands, "L1C", 10.0)
    assert image.reflectance[8, 1, 2] == pytest.approx(0.9012)
    assert np.argwhere(np.isnan(image.reflectance)).tolist() == [[0, 2, 3]]


def test_the_offset_of_baseline_0400_is_taken_off(tmp_path: Path, files: Any) -> None:
    write(tmp_path / "a.nc", files, product=PRODUCT.replace("N0209", "N0400"))
    image = open_dataset(tmp_path).samples[0].image()
    assert image.reflectance[8, 1, 2] == pytest.approx(0.8012)


def test_labels_are_those_of_kappamask_north_first(tmp_path: Path, files: Any) -> None:
    write(tmp_path / "a.nc", files)
    dataset = open_dataset(tmp_path)
    assert (dataset.name, dataset.human) == ("kappaset", True)
    np.testing.assert_array_equal(dataset.samples[0].truth().codes, CODES)
    assert dataset.scheme.codes == {0: (), 1: (0,), 2: (3,), 3: (2,), 4: (1,), 5: ()}
    check(dataset)


def test_sub_tiles_of_one_tile_are_a_group(tmp_path: Path, files: Any) -> None:
    write(tmp_path / "one" / "tile_2_3.nc", files)
    write(tmp_path / "two" / "T36VLF_tile_1_1.nc", files)
    samples = open_dataset(tmp_path).samples
    assert [(each.name, each.group) for each in samples] == [
        ("one/tile_2_3", "35VLF"), ("two/T36VLF_tile_1_1", "36VLF")
    ]  # fmt: skip


def test_nothing_is_read_before_it_is_asked_for(
    tmp_path: Path, spoil: Callable[[Path], Path]
) -> None:
    pytest.importorskip("netCDF4")
    sample = open_dataset(spoil(tmp_path / "T35VLF_a.nc").parent).samples[0]
    assert sample.group == "35VLF"
    with pytest.raises(EvaluationError, match=r"T35VLF_a\.nc: cannot be read as netCDF"):
        sample.image()


@pytest.mark.parametrize("name", ["T35VLF_20200529T094041_tile_2_3.nc", "T35VLF_20220124.nc"])
def test_a_date_before_the_offset_is_enough(tmp_path: Path, files: Any, name: str) -> None:
    write(tmp_path / name, files, product="")
    image = open_dataset(tmp_path).samples[0].image()
    assert image.reflectance[8, 1, 2] == pytest.approx(0.9012)


@pytest.mark.parametrize("name", ["T35VLF_20220125T094041.nc", "T35VLF.nc"])
def test_an_offset_is_never_guessed(tmp_path: Path, files: Any, name: str) -> None:
    write(tmp_path / name, files, product="")
    with pytest.raises(EvaluationError, match=rf"{name}: neither product_name .* offset of 1000"):
        open_dataset(tmp_path).samples[0].image()


@pytest.mark.parametrize(
    ("other", "match"),
    [
        ({"Label": None}, "has no variable Label; only labelled sub-tiles"),
        ({"Label": CODES + 4}, "the labels have the codes 6, 7, 8, 9, but"),
    ],
)
def test_labels_that_are_not_as_they_should_be_are_refused(
    tmp_path: Path, files: Any, other: dict[str, Any], match: str
) -> None:
    write(tmp_path / "a.nc", files, **other)
    with pytest.raises(EvaluationError, match=match):
        check(open_dataset(tmp_path))


def test_bands_that_are_no_shares_of_65535_are_refused(tmp_path: Path, files: Any) -> None:
    write(tmp_path / "a.nc", files, B04=files.numbers()[3].astype(np.float64))
    with pytest.raises(
        EvaluationError, match=r"bands are float32 up to 4077\.0; floats from 0 to 1"
    ):
        open_dataset(tmp_path).samples[0].image()


def test_a_file_without_bands_is_refused(tmp_path: Path, files: Any) -> None:
    write(tmp_path / "a.nc", files, **dict.fromkeys(files.bands, NONE))
    with pytest.raises(EvaluationError, match="has the variables Label, but no bands"):
        check(open_dataset(tmp_path))
