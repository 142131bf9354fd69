from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

rasterio = pytest.importorskip("rasterio")

from rasterio.enums import ColorInterp  # noqa: E402

from cloudmask.errors import BandError, OptionError  # noqa: E402
from cloudmask.local.compare.recognise import SchemeWarning, band_for, scheme_for  # noqa: E402
from cloudmask.local.compare.schemes import SCHEMES  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CODES = np.zeros((2, 3), np.uint8)
OURS = {"TIFFTAG_SOFTWARE": "openeo-cloudmask 0.1.0", "PERCENT_THICK_CLOUD": "1.000"}


def recognised(path: Path) -> str:
    with rasterio.open(path) as dataset:
        return scheme_for(dataset, None, "--a").name


@pytest.mark.parametrize(
    ("name", "kwargs", "expected"),
    [
        ("m.tif", {"descriptions": ["class"], "tags": OURS}, "cloudmask-one-cloud"),
        (
            "m.tif",
            {"descriptions": ["class"], "tags": {**OURS, "PERCENT_THIN_CLOUD": "0.000"}},
            "cloudmask",
        ),
        (
            "m.tif",
            {"descriptions": ["class"], "tags": {"TIFFTAG_SOFTWARE": "openeo-cloudmask 9"}},
            "cloudmask",
        ),
        ("m.tif", {"descriptions": ["OCM class: 0=Clear,1=Thick Cloud"]}, "omnicloudmask"),
        ("m.tif", {"descriptions": ["SCL"]}, "scl"),
        ("m.tif", {"descriptions": ["QA60"]}, "qa60"),
        ("T31TCJ_20200101T105441_SCL_20m.tif", {}, "scl"),
        ("scl.tif", {}, "scl"),
        ("S2A-QA60.tif", {}, "qa60"),
    ],
)
def test_a_file_that_says_it_is_known(
    raster: Callable[..., Path], name: str, kwargs: Any, expected: str
) -> None:
    assert recognised(raster(name, CODES, **kwargs)) == expected


def test_the_mask_that_openeo_gives_is_known_by_its_bands(raster: Callable[..., Path]) -> None:
    path = raster("m.tif", np.stack([CODES, CODES]), descriptions=["mask", "class"])
    assert recognised(path) == "cloudmask"
    with rasterio.open(path) as dataset:
        assert band_for(dataset, SCHEMES["cloudmask"]) == 2


@pytest.mark.parametrize("name", ["mask.tif", "muscle.tif", "myscl.tif", "cloudmask_of_mine.tif"])
def test_a_file_that_does_not_say_it_is_not_guessed_at(
    raster: Callable[..., Path], name: str
) -> None:
    with pytest.raises(OptionError, match=rf"{name}: does not say .* --a: cloudmask, .*majamask"):
        recognised(raster(name, CODES))


def test_a_stack_is_not_known_by_its_files_name(raster: Callable[..., Path]) -> None:
    with pytest.raises(OptionError, match="does not say what its codes mean"):
        recognised(raster("bands_and_SCL.tif", np.stack([CODES] * 3)))


def test_our_probabilities_are_no_mask(raster: Callable[..., Path]) -> None:
    names = ["clear", "thick_cloud", "thin_cloud", "cloud_shadow"]
    kinds = [ColorInterp.gray, *[ColorInterp.undefined] * 3]
    path = raster("p.tif", np.stack([CODES] * 4), descriptions=names, tags=OURS, colorinterp=kinds)
    with pytest.raises(OptionError, match="does not say"):
        recognised(path)
    with (
        rasterio.open(path) as dataset,
        pytest.raises(BandError, match=r"4 bands \(clear, .*none called class"),
    ):
        band_for(dataset, SCHEMES["cloudmask"])


def test_a_file_that_says_two_things_is_asked_about(raster: Callable[..., Path]) -> None:
    path = raster("s2.tif", np.stack([CODES, CODES]), descriptions=["QA60", "SCL"])
    with pytest.raises(OptionError, match=r"could be scl or qa60; say it with --a"):
        recognised(path)


def test_what_is_asked_for_goes_before_what_the_file_says_with_a_warning(
    raster: Callable[..., Path],
) -> None:
    with (
        rasterio.open(raster("scl.tif", CODES)) as dataset,
        pytest.warns(SchemeWarning, match=r"scl.tif: says that its codes are scl; read as fmask"),
    ):
        assert scheme_for(dataset, "fmask", "--b").name == "fmask"


def test_what_is_asked_for_and_what_the_file_says_may_agree(raster: Callable[..., Path]) -> None:
    path = raster("s2.tif", np.stack([CODES, CODES]), descriptions=["QA60", "SCL"])
    with rasterio.open(path) as dataset:
        assert scheme_for(dataset, "qa60", "--b").name == "qa60"


def test_the_band_is_found_by_its_name_in_any_case(raster: Callable[..., Path]) -> None:
    path = raster("s2.tif", np.stack([CODES] * 3), descriptions=["B02", "qa60", "Scl"])
    with rasterio.open(path) as dataset:
        assert band_for(dataset, SCHEMES["scl"]) == 3
        assert band_for(dataset, SCHEMES["qa60"]) == 2


def test_several_bands_without_a_known_name_are_not_guessed_at(
    raster: Callable[..., Path],
) -> None:
    with (
        rasterio.open(raster("s2.tif", np.stack([CODES] * 12))) as dataset,
        pytest.raises(BandError, match=r"has 12 bands \((\(no name\), ){8}\.\.\.\), none called"),
    ):
        band_for(dataset, SCHEMES["fmask"])


def test_clouds2mask_has_its_classes_before_the_probabilities(
    raster: Callable[..., Path],
) -> None:
    with rasterio.open(raster("c.tif", np.stack([CODES] * 5))) as dataset:
        assert band_for(dataset, SCHEMES["clouds2mask"]) == 1


def test_an_alpha_band_is_no_second_band(raster: Callable[..., Path]) -> None:
    path = raster(
        "f.tif", np.stack([CODES, CODES]), colorinterp=[ColorInterp.gray, ColorInterp.alpha]
    )
    with rasterio.open(path) as dataset:
        assert band_for(dataset, SCHEMES["fmask"]) == 1
