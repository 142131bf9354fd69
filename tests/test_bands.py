from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudmask.bands import (
    PRESETS,
    SENTINEL2,
    Preset,
    aliases_of,
    as_preset,
    canonical,
    check_dtype,
    find_preset,
    misfit,
    positions,
    warn_once,
)
from cloudmask.errors import BandError, CubeError, OptionError, PresetWarning

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

NAMES = ["B02", "B03", "B04", "B08"]

# -- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "label",
    ["B02", "b02", "B2", "b2", "blue", "Blue", "B02_10m", "B02_20m", "b2_60m", "B02_b1", " B02 "],
)
def test_every_spelling_of_a_band_names_it(label: str) -> None:
    assert canonical(label) == "B02"


@pytest.mark.parametrize("band", SENTINEL2)
def test_every_name_that_an_error_lists_is_understood(band: str) -> None:
    assert {canonical(name) for name in aliases_of(band)} == {band}


@pytest.mark.parametrize(
    ("label", "band"), [("b8a", "B8A"), ("B08A", "B8A"), ("B8", "B08"), ("nir08", "B8A"),
                        ("nir", "B08"), ("swir16", "B11"), ("swir22_20m", "B12")]
)  # fmt: skip
def test_similar_names_are_told_apart(label: str, band: str) -> None:
    assert canonical(label) == band


@pytest.mark.parametrize(
    "label", ["", "B13", "B00", "B2A", "B022", "XB02", "B02_15m", "SCL", "bluest", 2, None, 2.0]
)
def test_other_labels_name_no_band(label: object) -> None:
    assert canonical(label) is None


@given(st.permutations(range(13)))
def test_bands_are_found_in_any_order(order: list[int]) -> None:
    labels = [list(SENTINEL2)[number] for number in order]
    found = positions(labels, NAMES)
    assert [labels[number] for number in found] == NAMES


def test_a_missing_band_is_named_with_what_is_there_and_what_was_tried() -> None:
    with pytest.raises(BandError, match="missing band B03;") as caught:
        positions(["B02", "red", "B8A"], ["B02", "B03", "B04"])
    message = str(caught.value)
    assert "there are B02, red, B8A" in message
    assert "B03: B03, B3, green" in message


def test_all_missing_bands_are_named_at_once() -> None:
    with pytest.raises(BandError, match=r"missing bands B03, B08;.*B08, B8, nir"):
        positions(["B02", "B04"], NAMES)


def test_a_cube_without_bands_is_told_so() -> None:
    with pytest.raises(BandError, match="there are no named ones"):
        positions([], ["B02"])


def test_two_labels_of_one_band_are_refused() -> None:
    with pytest.raises(BandError, match="band B02 is named more than once: blue, B2"):
        positions(["blue", "B2"], ["B02"])


def test_an_exact_name_goes_before_other_spellings() -> None:
    assert positions(["B02_20m", "B02", "blue"], ["B02"]) == [1]


def test_the_same_exact_name_twice_is_refused() -> None:
    with pytest.raises(BandError, match="named more than once"):
        positions(["B02", "B02"], ["B02"])


def test_a_band_that_is_not_of_sentinel_2_is_found_by_its_exact_name() -> None:
    assert positions(["B02", "elevation"], ["elevation"]) == [1]


# -- presets --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "number"), [("cdse", 2500), ("dn", 2500), ("dn_n0400", 3500), ("reflectance", 0.25)]
)
def test_each_preset_turns_its_numbers_into_reflectance(preset: str, number: float) -> None:
    found = PRESETS[preset].reflectance(np.array([number], np.float32))
    np.testing.assert_allclose(found, [0.25], rtol=1e-6)
    assert found.dtype == np.float32


def test_numbers_of_baseline_0400_are_those_before_it_plus_1000() -> None:
    numbers = np.arange(1, 20000, 7, dtype=np.uint16)
    later = PRESETS["dn_n0400"].reflectance(numbers + np.uint16(1000))
    np.testing.assert_array_equal(later, PRESETS["dn"].reflectance(numbers))


def test_unsigned_numbers_below_the_offset_become_negative() -> None:
    (value,) = PRESETS["dn_n0400"].reflectance(np.array([400], np.uint16))
    assert value == pytest.approx(-0.06)


def test_numbers_are_not_changed_in_place() -> None:
    numbers = np.array([2500], np.float32)
    PRESETS["dn_n0400"].reflectance(numbers)
    assert numbers[0] == 2500


@pytest.mark.parametrize(("scale", "offset"), [(0, 0), (-1, 0), (np.nan, 0), (1, np.inf)])
def test_a_scaling_that_gives_no_reflectance_is_refused(scale: float, offset: float) -> None:
    with pytest.raises(OptionError, match="must be finite and the scale greater than 0"):
        Preset("mine", scale, offset)


def test_an_unknown_preset_lists_the_known() -> None:
    with pytest.raises(OptionError, match="preset='l2a': choose one of cdse, dn, dn_n0400"):
        find_preset("l2a")


@pytest.mark.parametrize("preset", [["dn"], None, 5])
def test_a_preset_of_another_type_is_refused(preset: object) -> None:
    with pytest.raises(OptionError, match="choose one of"):
        find_preset(preset)  # type: ignore[arg-type]


def test_a_files_own_no_data_is_added_to_the_presets() -> None:
    assert as_preset("dn", [-9999, np.nan, 0]).nodata == (0.0, -9999.0)


# -- validity -------------------------------------------------------------------------------


DTYPES = ["uint8", "int8", "uint16", "int16", "int32", "uint32", "int64", "uint64"]
DTYPES += ["float16", "float32", "float64", ">f4", ">u2"]


def stack(values: list[float], dtype: object) -> NDArray[np.generic]:
    return np.array(values).astype(dtype).reshape(1, 1, -1)  # type: ignore[call-overload]


def valid(preset: str | Preset, values: NDArray[np.generic]) -> list[bool]:
    flags: list[bool] = as_preset(preset).valid(values)[0].tolist()
    return flags


@pytest.mark.parametrize("dtype", DTYPES)
def test_zero_is_no_data_for_product_numbers_of_any_dtype(dtype: str) -> None:
    assert valid("dn", stack([0, 1, 100], dtype)) == [False, True, True]


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("preset", ["cdse", "reflectance"])
def test_zero_is_a_number_where_no_data_is_nan(preset: str, dtype: str) -> None:
    assert valid(preset, stack([0, 1], dtype)) == [True, True]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("dtype", ["float16", ">f2", "float32", "float64", "longdouble"])
def test_nan_and_infinities_are_no_data_in_every_preset(preset: str, dtype: str) -> None:
    numbers = stack([np.nan, np.inf, -np.inf, 1], dtype)
    assert valid(preset, numbers) == [False, False, False, True]


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_the_least_and_largest_integers_are_fill_values(dtype: str) -> None:
    limits = np.iinfo(dtype)
    numbers = np.array([limits.min, limits.max, 5], dtype).reshape(1, 1, -1)
    assert valid("dn", numbers) == [False, False, True]


@pytest.mark.parametrize("value", [-3.4028234663852886e38, 1e20, -1e10])
def test_huge_floats_are_fill_values(value: float) -> None:
    assert valid("reflectance", stack([value, 0.3], "float32")) == [False, True]


def test_booleans_are_numbers() -> None:
    numbers = np.array([True, False]).reshape(1, 1, 2)
    assert valid("reflectance", numbers) == [True, True]
    assert valid("dn", numbers) == [True, False]


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint16", -9999), ("uint8", 300), ("uint16", 0.5), ("float16", 65535), (">f2", 65535)],
)
def test_a_no_data_value_that_the_dtype_cannot_hold_is_never_met(
    dtype: str, nodata: float
) -> None:
    assert valid(Preset("mine", 1e-4, nodata=(nodata,)), stack([1, 2], dtype)) == [True, True]


def test_a_no_data_value_in_a_float_dtype_of_less_precision_is_met() -> None:
    assert valid(Preset("mine", 1, nodata=(0.1,)), stack([0.1, 0.2], "float32")) == [False, True]


def test_a_pixel_with_one_band_missing_is_missing() -> None:
    numbers = np.ones((3, 2, 2), np.uint16)
    numbers[1, 0, 1] = 0
    assert PRESETS["dn"].valid(numbers).tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize("value", [1e300, -1.7e308])
def test_a_fill_value_beyond_float32_converts_without_a_warning(value: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PRESETS["dn"].reflectance(np.array([value, 3000.0]))


@pytest.mark.parametrize("dtype", ["complex64", "datetime64[s]", "timedelta64[s]", "U3", "object"])
def test_what_is_no_real_number_is_refused(dtype: str) -> None:
    with pytest.raises(CubeError, match="the cube must hold real numbers"):
        check_dtype(np.dtype(dtype))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float64", ">i2"])
def test_every_real_dtype_is_taken(dtype: str) -> None:
    check_dtype(np.dtype(dtype))


# -- presets that do not fit ----------------------------------------------------------------


def scene(low: float, high: float) -> NDArray[np.float64]:
    """Reflectance of four bands, 1000 pixels."""
    return np.random.default_rng(11).uniform(low, high, (4, 1000))


SCENES = {
    "land": scene(0.02, 0.45),
    "all cloud": scene(0.6, 1.3),
    "dark water": np.array([0.07, 0.04, 0.02, 0.003])[:, None] * scene(0.9, 1.1),
    "dark water, atmosphere removed": np.array([0.004, 0.003, 0.002, 0.001])[:, None]
    * scene(0.9, 1),
    "shadowed water without haze": np.array([0.012, 0.008, 0.004, 0.001])[:, None] * scene(0.9, 1),
}
AS_STORED = {
    "cdse": lambda image: (image * 10000).astype(np.float32),
    "dn": lambda image: (image * 10000).round().astype(np.uint16),
    "dn_n0400": lambda image: (image * 10000 + 1000).round().astype(np.uint16),
    "reflectance": lambda image: image.astype(np.float32),
}


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("preset", PRESETS)
def test_the_right_preset_is_not_doubted(preset: str, name: str) -> None:
    assert misfit(AS_STORED[preset](SCENES[name]), PRESETS[preset]) is None


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("preset", ["cdse", "dn", "dn_n0400"])
def test_reflectance_is_not_taken_for_product_numbers(preset: str, name: str) -> None:
    sentence = misfit(AS_STORED["reflectance"](SCENES[name]), PRESETS[preset])
    assert sentence is not None
    assert f"preset {preset!r}" in sentence


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("stored", ["cdse", "dn", "dn_n0400"])
def test_product_numbers_are_not_taken_for_reflectance(stored: str, name: str) -> None:
    sentence = misfit(AS_STORED[stored](SCENES[name]), PRESETS["reflectance"])
    assert sentence is not None
    assert "choose another preset (cdse, dn, dn_n0400, reflectance)" in sentence


@pytest.mark.parametrize("name", ["land", "dark water"])
def test_numbers_before_baseline_0400_are_not_taken_for_later_ones(name: str) -> None:
    assert misfit(AS_STORED["dn"](SCENES[name]), PRESETS["dn_n0400"]) is not None


def test_the_sentence_tells_the_observed_range() -> None:
    sentence = misfit(np.full((4, 10), 2500, np.uint16), PRESETS["reflectance"])
    assert sentence is not None
    assert "reflectances from 2500 to 2500" in sentence
    assert "stored numbers from 2500 to 2500" in sentence


@pytest.mark.parametrize("preset", PRESETS)
def test_nothing_but_no_data_fits_every_preset(preset: str) -> None:
    assert misfit(np.full((4, 10), np.nan, np.float32), PRESETS[preset]) is None
    assert misfit(np.zeros((4, 0), np.uint16), PRESETS[preset]) is None


def test_no_data_among_the_numbers_does_not_count() -> None:
    numbers = AS_STORED["dn"](SCENES["land"])
    numbers[:, :900] = 0
    assert misfit(numbers, PRESETS["dn"]) is None


@pytest.mark.parametrize("fill", [-3.4028234663852886e38, 1e20, -1.7e308])
def test_a_fill_value_among_the_numbers_raises_no_doubt(fill: float) -> None:
    numbers = SCENES["land"].copy()
    numbers[:, :200] = fill
    assert misfit(numbers, PRESETS["reflectance"]) is None


def test_real_numbers_fit_their_preset_only(real_scene: xr.DataArray) -> None:
    sample = real_scene.sel(bands=NAMES).values[:, ::3, ::3]
    assert misfit(sample, PRESETS["dn"]) is None
    assert misfit(sample, PRESETS["reflectance"]) is not None


def test_a_call_warns_once() -> None:
    with pytest.warns(PresetWarning, match="a sentence"):
        warn_once("test_a_call_warns_once", "a sentence")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_once("test_a_call_warns_once", "a sentence")


def test_a_call_without_a_sentence_does_not_warn() -> None:
    warn_once("silent", None)


@pytest.mark.parametrize(
    ("label", "band"),
    [
        ("B4, central wavelength 665 nm", "B04"),
        ("B8A, central wavelength 865 nm", "B8A"),
        ("T31TCJ_20200101T105441_B04_10m", "B04"),
        ("T31TCJ_20200101T105441_B8A_20m", "B8A"),
        ("S2A_B12", "B12"),
        ("B02_b1", "B02"),
        ("blue_b1", "B02"),
    ],
)
def test_names_of_gdal_of_files_and_of_titiler_are_understood(label: str, band: str) -> None:
    assert canonical(label) == band


@pytest.mark.parametrize("label", ["B004", "B00", "B13", "B8B", "S2A_B1", "ABB04X", "", "b"])
def test_what_only_looks_like_a_band_is_none(label: str) -> None:
    assert canonical(label) is None
