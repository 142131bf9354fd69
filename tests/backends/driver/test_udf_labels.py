from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from driver_client import neighborhood
from openeo.rest import OpenEoApiError

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from driver_client import Driver

TWO_BANDS = """
import xarray as xr
def apply_datacube(cube: xr.DataArray, context: dict) -> xr.DataArray:
    return cube.isel(bands=slice(2))
"""
NAMED = (
    TWO_BANDS
    + """
def apply_metadata(metadata, context):
    return metadata.rename_labels("bands", target=context["names"])
"""
)
NAMES = {"names": ["mask", "class"]}


@pytest.mark.parametrize("t", [None, "P1D"])
def test_apply_metadata_names_another_number_of_bands(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path, t: str | None
) -> None:
    cube = neighborhood(driver.load(pixels), NAMED, 16, t=t, context=NAMES)
    result = driver.sync(cube, tmp_path)
    assert list(result["bands"].values) == ["mask", "class"]


def test_bands_that_nothing_names_are_unknown(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    result = driver.sync(neighborhood(driver.load(pixels), TWO_BANDS, 16), tmp_path)
    assert list(result["bands"].values) == ["unknown_band_0", "unknown_band_1"]


def test_next_udf_refuses_bands_that_nothing_names(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    once = neighborhood(driver.load(pixels), TWO_BANDS, 16)
    with pytest.raises(OpenEoApiError, match="has 2 bands, while the dimension 'bands' has 3"):
        driver.sync(neighborhood(once, TWO_BANDS, 16), tmp_path)


def test_bands_can_be_filtered_by_their_new_names(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    cube = neighborhood(driver.load(pixels), NAMED, 16, context=NAMES)
    cube = cube.process("filter_bands", data=cube, bands=["class"])
    result = driver.sync(cube, tmp_path)
    assert (result.values[:, 0] == pixels.values[:, 1]).all()


def test_word_apply_metadata_in_a_comment_fails_date_by_date(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    code = TWO_BANDS + "# apply_metadata is missing\n"
    with pytest.raises(OpenEoApiError, match="speaks of 'apply_metadata' but defines no such"):
        driver.sync(neighborhood(driver.load(pixels), code, 16, t="P1D"), tmp_path)


def test_word_apply_metadata_in_a_comment_is_harmless_with_all_dates(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    code = TWO_BANDS + "# def apply_metadata( is missing\n"
    result = driver.sync(neighborhood(driver.load(pixels), code, 16), tmp_path)
    assert result.sizes["bands"] == 2


def test_imported_apply_metadata_is_not_seen_with_all_dates(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    code = NAMED.replace("def apply_metadata", "def renamed") + "\napply_metadata = renamed\n"
    cube = neighborhood(driver.load(pixels), code, 16, context=NAMES)
    result = driver.sync(cube, tmp_path)
    assert list(result["bands"].values) == ["unknown_band_0", "unknown_band_1"]


def test_apply_metadata_has_to_return_metadata(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    code = TWO_BANDS + "def apply_metadata(metadata, context):\n    return ['mask']\n"
    with pytest.raises(OpenEoApiError, match="apply_metadata returned <class 'list'>"):
        driver.sync(neighborhood(driver.load(pixels), code, 16), tmp_path)


def test_apply_metadata_must_not_drop_bands(
    driver: Driver, pixels: xr.DataArray, tmp_path: Path
) -> None:
    code = NAMED.replace(
        'rename_labels("bands", target=context["names"])', 'drop_dimension("bands")'
    )
    with pytest.raises(OpenEoApiError, match="dropped the dimension of bands"):
        driver.sync(neighborhood(driver.load(pixels), code, 16, context=NAMES), tmp_path)
