from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

import cloudmask
from cloudmask import Options, Output
from cloudmask.default import BUILT_IN
from cloudmask.errors import BandError, ModelError, OptionError
from cloudmask_openeo.process_implementations import cloud_detection, detection

LARGE, SMALL = BUILT_IN


@pytest.fixture
def detected(imagery: xr.DataArray) -> xr.DataArray:
    return imagery.isel(y=slice(0, 256), x=slice(100, 356))


def test_cloud_detection_answers_the_official_bands(detected: xr.DataArray) -> None:
    answer = cloud_detection(detected.chunk(), options={"preset": "dn"})
    expected = cloudmask.mask_clouds(
        detected, preset="dn", options=Options(output=Output(layout="cloud_detection"))
    )
    assert answer.chunks is not None
    assert list(answer["bands"].values) == ["cloud", "shadow", "haze"]
    np.testing.assert_allclose(answer.compute(), expected, atol=1e-5)


def test_a_method_is_a_network(detected: xr.DataArray) -> None:
    by_name = cloud_detection(detected, SMALL, {"preset": "dn"})
    assert by_name.attrs["cloudmask_model"] == SMALL


@pytest.mark.parametrize(("bands", "name"), [(slice(None), LARGE), (slice(1, 9), SMALL)])
def test_without_a_method_it_is_the_packages_own_network_for_the_bands(
    detected: xr.DataArray, bands: slice, name: str
) -> None:
    some = detected[bands]
    by_name = cloud_detection(some, name, {"preset": "dn"})
    xr.testing.assert_identical(by_name, cloud_detection(some, None, {"preset": "dn"}))


def test_options_reach_the_network(detected: xr.DataArray) -> None:
    plain = cloud_detection(detected, options={"preset": "dn"})
    turned = cloud_detection(detected, options={"preset": "dn", "tta": 1, "adaptive": False})
    assert not np.array_equal(plain, turned, equal_nan=True)


def test_an_ensemble_is_an_option(detected: xr.DataArray) -> None:
    twice = {"preset": "dn", "model": [LARGE, LARGE]}
    np.testing.assert_allclose(
        cloud_detection(detected, options=twice),
        cloud_detection(detected, options={"preset": "dn"}),
        atol=1e-6,
    )


@pytest.mark.parametrize(
    ("method", "options", "error", "message"),
    [
        ("Fmask", {}, ModelError, "'Fmask' is not available here; there are .*ukis-4b-l1c"),
        ("/etc/passwd", {}, ModelError, "'/etc/passwd' is not available"),
        (None, {"model": ["/tmp/net.onnx"]}, ModelError, "net.onnx' is not available"),  # noqa: S108
        ("ukis-4b-l1c", {"model": "ukis-4b-l2a"}, OptionError, "give one of them"),
        (None, {"deps": ["/tmp"]}, OptionError, "deps cannot be chosen; possible are model"),  # noqa: S108
        (None, {"layout": "mask"}, OptionError, "layout cannot be chosen"),
        (None, {"colour": 1}, OptionError, "colour cannot be chosen"),
        (None, {"tta": 9}, OptionError, "9"),
        (None, {"bands": ["B01"] * 13}, BandError, "missing bands B02, B03, B04, B08"),
    ],
)
def test_what_cannot_be_detected_with_is_refused(
    detected: xr.DataArray, method: str | None, options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        cloud_detection(detected, method, options)


def test_an_option_that_is_null_is_not_given(detected: xr.DataArray) -> None:
    nulls = {"preset": "dn", "tta": None, "model": None}
    xr.testing.assert_identical(
        cloud_detection(detected, LARGE, nulls),
        cloud_detection(detected, options={"preset": "dn"}),
    )


def test_a_network_that_is_known_but_not_installed_is_not_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    far = SimpleNamespace(installed=False)
    monkeypatch.setattr(detection, "known", lambda: {"far": far})
    with pytest.raises(ModelError, match="'far' is not available here; there are none"):
        cloud_detection(xr.DataArray([[0.0]], dims=("y", "x")), "far")
