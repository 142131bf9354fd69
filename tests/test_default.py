"""The network that is taken if none is named, through every door."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xarray as xr

import cloudmask.accessor  # noqa: F401 - cubes get their methods
from cloudmask import default as module
from cloudmask.bands import SENTINEL2
from cloudmask.chunk import mask_chunk
from cloudmask.cube import mask_clouds
from cloudmask.default import BUILT_IN, built_in, default_model
from cloudmask.errors import AmbiguousBandError, BandError, CubeError, ModelError
from cloudmask.registry import known
from cloudmask.selftest import self_test
from cloudmask.zipped import read

if TYPE_CHECKING:
    from cloudmask.registry import Entry

LARGE, SMALL = BUILT_IN
ALL = list(SENTINEL2)
FOUR = ["B02", "B03", "B04", "B08"]
LARGEST = 4_000_000
"""Bytes of a network that may come with the package."""


def cube(bands: list[str], name: str = "bands") -> xr.DataArray:
    """(band, y, x) reflectance x 10000."""
    numbers = np.random.default_rng(2).uniform(100, 6000, (len(bands), 40, 48)).astype("f4")
    return xr.DataArray(numbers, dims=(name, "y", "x"), coords={name: bands})


def used(mask: xr.DataArray) -> str:
    name: str = mask.attrs["cloudmask_model"]
    return name


# -- the networks that come with the package ------------------------------------------------


@pytest.mark.parametrize("entry", built_in(), ids=BUILT_IN)
def test_a_network_of_the_package_is_there_small_and_free(entry: Entry) -> None:
    assert entry.installed
    assert not entry.spec.package
    assert not entry.spec.extra
    assert entry.spec.licence == "MIT"
    assert entry.path is not None
    assert len(read(entry.path)) == entry.spec.size <= LARGEST


@pytest.mark.parametrize("entry", built_in(), ids=BUILT_IN)
def test_a_network_of_the_package_answers_as_it_did_when_it_was_made(entry: Entry) -> None:
    found = self_test(entry)
    assert found is not None
    assert found.good


def test_they_are_for_the_bands_that_the_default_names() -> None:
    large, small = (entry.spec for entry in built_in())
    assert (list(large.bands), large.level) == (ALL, "L1C")
    assert (list(small.bands), small.level) == (FOUR, "")
    assert large.classes == small.classes == (0, 1, 2, 3)


def test_a_network_of_the_package_is_checked_against_its_hash() -> None:
    entry = built_in()[0]
    other = replace(entry, spec=replace(entry.spec, sha256="ab" * 32))
    with pytest.raises(ModelError, match="the manifest says abab"):
        other.load()


# -- which one ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        (ALL, LARGE),
        (ALL[::-1], LARGE),
        ([*ALL, "SCL"], LARGE),
        ([f"{band}_b1" for band in ALL], LARGE),
        ([band for band in ALL if band != "B10"], SMALL),
        (FOUR, SMALL),
        (["nir", "SCL", "red", "green", "blue"], SMALL),
    ],
)
def test_the_first_network_whose_bands_are_there_is_taken(labels: list[str], name: str) -> None:
    assert default_model(labels) == name


def test_bands_that_no_own_network_can_do_with_are_refused_with_what_is_missing() -> None:
    with pytest.raises(
        BandError, match=r"no network is named.*missing band B08; there are B02, B"
    ):
        default_model(["B02", "B03", "B04", "B8A"])


def test_networks_that_could_be_named_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = built_in()[1]
    others = {
        name: replace(entry, spec=replace(entry.spec, name=name, bands=bands), path=path)
        for name, bands, path in (
            ("fits", ("B03", "B02"), entry.path),
            ("is-absent", ("B03", "B02"), None),
            ("wants-more", ("B02", "B11"), entry.path),
        )
    }
    monkeypatch.setattr(module, "known", lambda: {**known(), **others})
    with pytest.raises(BandError, match=r"installed here, it can be masked by fits\.$"):
        default_model(["B02", "B03"])


def test_that_no_network_could_be_named_is_told() -> None:
    with pytest.raises(BandError, match=r"installed here, no other network fits\.$"):
        default_model(["B01"])


def test_a_band_that_is_there_twice_is_no_reason_to_do_without_it() -> None:
    with pytest.raises(AmbiguousBandError, match="band B05 is named more than once"):
        default_model([*ALL[:4], "B5", "rededge1", *ALL[5:]])


# -- through the doors of Python ------------------------------------------------------------


@pytest.mark.parametrize(("bands", "name"), [(ALL, LARGE), (FOUR, SMALL)])
@pytest.mark.parametrize("dimension", ["bands", "band", "spectral"])
def test_a_cube_without_a_name_is_masked_as_with_the_name(
    bands: list[str], name: str, dimension: str
) -> None:
    numbers = cube(bands, dimension)
    found = mask_clouds(numbers)
    assert used(found) == name
    xr.testing.assert_identical(found, mask_clouds(numbers, name))


def test_names_that_the_caller_gives_choose_the_network() -> None:
    bare = cube([str(number) for number in range(13)])
    assert used(mask_clouds(bare, bands=ALL)) == LARGE
    assert used(mask_clouds(bare[:5], bands=["SCL", *FOUR])) == SMALL


def test_a_dataset_is_masked_by_what_its_variables_allow() -> None:
    numbers = cube(ALL)
    assert used(mask_clouds(numbers.to_dataset(dim="bands"))) == LARGE
    assert used(mask_clouds(numbers[1:].to_dataset(dim="bands"))) == SMALL


def test_a_lazy_cube_is_masked_as_a_whole_one() -> None:
    pytest.importorskip("dask")
    numbers = cube(ALL)
    xr.testing.assert_equal(mask_clouds(numbers.chunk(x=17)).compute(), mask_clouds(numbers))


def test_the_method_of_a_cube_takes_the_same_network() -> None:
    assert used(cube(FOUR).cloudmask.mask()) == SMALL


@pytest.mark.parametrize("numbers", [cube(FOUR)[0].drop_vars("bands"), cube(FOUR)[0]])
def test_a_single_band_is_refused_by_what_is_missing(numbers: xr.DataArray) -> None:
    with pytest.raises(BandError, match=r"missing bands .*B03, B04, B08; there are"):
        mask_clouds(numbers)


def test_what_is_no_cube_is_refused_as_ever() -> None:
    with pytest.raises(CubeError, match="ndarray: an xarray DataArray or Dataset is needed"):
        mask_clouds(np.zeros((4, 8, 8)))  # type: ignore[arg-type]


# -- in a worker ----------------------------------------------------------------------------


@pytest.mark.parametrize(("bands", "name"), [(ALL, LARGE), (FOUR, SMALL)])
@pytest.mark.parametrize("context", [{}, {"model": None}, {"chunk_overlap": 4}])
def test_a_chunk_without_a_name_is_masked_as_with_the_name(
    bands: list[str], name: str, context: dict[str, object]
) -> None:
    numbers = cube(bands)
    found = mask_chunk(numbers, context)
    assert used(found) == name
    xr.testing.assert_identical(found, mask_chunk(numbers, {**context, "model": name}))


def test_chunks_of_one_worker_may_have_different_bands() -> None:
    names = [used(mask_chunk(cube(bands), {"threads": 1})) for bands in (ALL, FOUR, ALL)]
    assert names == [LARGE, SMALL, LARGE]


def test_a_context_may_name_the_bands() -> None:
    bare = cube([str(number) for number in range(4)]).drop_vars("bands")
    assert used(mask_chunk(bare, {"bands": FOUR})) == SMALL


def test_a_context_keeps_the_model_that_it_names() -> None:
    assert used(mask_chunk(cube(ALL), {"model": SMALL})) == SMALL


def test_a_chunk_that_lacks_a_band_is_refused_in_one_line() -> None:
    with pytest.raises(BandError, match=r"^no network is named[^\n]*missing band B08[^\n]*$"):
        mask_chunk(cube(FOUR[:-1]), {})


def test_no_other_package_with_networks_is_needed() -> None:
    code = f"""
import sys
sys.modules["ukis_csmask"] = None
import numpy as np, xarray as xr, cloudmask
numbers = np.full((4, 32, 32), 1000.0, "f4")
cube = xr.DataArray(numbers, dims=("bands", "y", "x"), coords={{"bands": {FOUR}}})
print(cloudmask.mask_clouds(cube).attrs["cloudmask_model"])
print(cloudmask.models()["ukis-4b-l1c"].installed)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [SMALL, "False"]
