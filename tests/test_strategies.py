from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, Phase, find, given, seed, settings

from cloudmask import mask_clouds
from cloudmask.bands import PRESETS, Preset, misfit, positions
from cloudmask.classes import LAYOUT_BANDS
from cloudmask.cube import DIMENSIONS
from cloudmask.errors import CloudmaskError
from cloudmask.spec import parse_manifest
from cloudmask.strategies import (
    FAULTS,
    Recipe,
    broken_cubes,
    cubes,
    damaged_manifests,
    manifests,
    options,
    recipes,
    specs,
    tilings,
)
from cloudmask.strategies.coordinates import ODDITIES, roles_of
from cloudmask.strategies.manifests import as_item
from cloudmask.strategies.pixels import DTYPES, MEMORY, PATTERNS, fits
from cloudmask.testing import brightest_band, constant, fake_spec

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from cloudmask.options import Options

FOUR = ("B02", "B03", "B04", "B08")
few = settings(max_examples=25, suppress_health_check=list(HealthCheck))


def drawn(strategy: SearchStrategy[Any], count: int) -> list[Any]:
    """Draw some, the same each time."""
    found: list[Any] = []

    @seed(0)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def keep(example: Any) -> None:
        found.append(example)

    keep()
    return found


@pytest.fixture(scope="module")
def pool() -> list[Recipe]:
    """Recipes for a network of four bands, and for one of a single band."""
    pytest.importorskip("dask", reason="dask is not installed")
    return drawn(recipes(dtypes=DTYPES), 250) + drawn(
        recipes(("B08",), "cdse", dtypes=DTYPES), 150
    )


# -- hypothesis -----------------------------------------------------------------------------


def alone(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )


def test_without_hypothesis_the_extra_that_installs_it_is_named() -> None:
    done = alone("import sys; sys.modules['hypothesis'] = None; import cloudmask.strategies")
    assert done.returncode == 1
    assert "ImportError: cloudmask.strategies needs hypothesis: pip install" in done.stderr
    assert "openeo-cloudmask[testing]" in done.stderr


def test_nothing_else_imports_hypothesis() -> None:
    code = "import sys, cloudmask, cloudmask.testing; print('hypothesis' in sys.modules)"
    assert alone(code).stdout == "False\n"


# -- cubes have all that they promise -------------------------------------------------------


def shown(recipe: Recipe) -> set[str]:
    """Name the features that a recipe has."""
    roles, chunks = recipe.roles_in_order, recipe.chunks or ()
    sizes = dict(zip(roles, recipe.shape, strict=True))
    features = {
        f"{len(recipe.dims)} dimensions",
        *(f"{dim} for {role}" for role, dim in recipe.roles.items()),
        f"{roles[0]} first",
        f"{roles[-1]} last",
        recipe.dtype,
        f"gaps: {recipe.gaps}",
        f"filler: {recipe.filler}",
        *(f"coordinates: {odd}" for odd in recipe.odd),
        f"memory: {recipe.memory}",
        f"dates: {sizes.get('time', 'no')}",
        "dask" if recipe.chunks else "numpy",
    }
    if recipe.one_band and recipe.gaps != "none":
        features.add("gaps in one band")
    if any(len(each) > 2 for each in chunks):
        features.add("several chunks")
    return features | more_shown(recipe, sizes)


def more_shown(recipe: Recipe, sizes: dict[str, int]) -> set[str]:
    found = {
        "one pixel": sizes["y"] == sizes["x"] == 1,
        "a long edge": max(sizes["y"], sizes["x"]) > 500,
        "other bands": len(recipe.labels) > 4,
        "bands that are there twice": len(set(recipe.labels)) < len(recipe.labels),
        "common names": "blue" in recipe.labels,
        "names with a suffix": "B03_10m" in recipe.labels,
        "numbered bands": recipe.long_name,
        "a scalar name": "band" not in sizes,
    }
    return {name for name, there in found.items() if there}


FEATURES = [
    *(f"{number} dimensions" for number in (2, 3, 4)),
    *(f"{name} for {role}" for role, names in DIMENSIONS.items() for name in names),
    *(f"{role} {end}" for role in DIMENSIONS for end in ("first", "last")),
    *DTYPES,
    *(f"gaps: {gaps}" for gaps in PATTERNS),
    *(f"filler: {filler}" for filler in ("nan", "inf", "-inf", "0.0", "")),
    *(f"coordinates: {odd}" for odd in ODDITIES),
    *(f"memory: {memory}" for memory in MEMORY),
    *(f"dates: {dates}" for dates in ("no", 0, 1, 2)),
    *("numpy", "dask", "several chunks", "gaps in one band"),
    *("one pixel", "a long edge", "other bands", "bands that are there twice", "common names"),
    *("names with a suffix", "numbered bands", "a scalar name"),
]


@pytest.mark.parametrize("feature", FEATURES)
def test_cubes_are_drawn_with(feature: str, pool: list[Recipe]) -> None:
    if not any(feature in shown(recipe) for recipe in pool):  # rare, in this version of hypothesis
        rest = recipes(dtypes=DTYPES) | recipes(("B08",), "cdse", dtypes=DTYPES)
        how = settings(max_examples=3000, database=None, phases=[Phase.generate])
        find(
            rest, lambda recipe: feature in shown(recipe), settings=how
        )  # raises if there is none


def test_small_cubes_are_more_than_large_ones(pool: list[Recipe]) -> None:
    pixels = [np.prod(recipe.shape) for recipe in pool]
    assert np.median(pixels) < 5000


def test_the_bands_that_are_needed_are_there_once(pool: list[Recipe]) -> None:
    for recipe in pool[:250]:
        assert len(set(positions(recipe.labels, FOUR))) == 4


@few
@given(recipes(largest=30))
def test_a_recipe_is_python_that_makes_the_same_cube(recipe: Recipe) -> None:
    pasted = eval(repr(recipe), {"Recipe": Recipe, "Preset": Preset})  # noqa: S307 - our own repr
    assert pasted == recipe
    xr.testing.assert_identical(pasted.cube().compute(), recipe.cube().compute())
    assert recipe.cube().shape == recipe.shape
    assert recipe.cube().dtype == np.dtype(recipe.dtype)


@pytest.mark.parametrize("memory", [name for name in MEMORY if name != "plain"])
def test_numbers_that_lie_otherwise_in_memory_are_the_same(memory: str) -> None:
    recipe = Recipe(dims=("bands", "y", "x"), shape=(4, 6, 5), labels=FOUR, memory=memory)
    plain = Recipe(dims=("bands", "y", "x"), shape=(4, 6, 5), labels=FOUR)
    made, flags = recipe.cube(), recipe.cube().values.flags
    xr.testing.assert_identical(made, plain.cube())
    assert not (flags.c_contiguous and flags.writeable and flags.aligned)


@few
@given(cubes(("B04", "B11"), "reflectance", largest=20, dtypes=["float32"], dask=False))
def test_what_is_asked_of_cubes_is_kept(cube: xr.DataArray) -> None:
    assert cube.dtype == np.float32
    assert cube.chunks is None
    assert max(size for dim, size in cube.sizes.items() if dim not in DIMENSIONS["time"]) <= 20
    finite = cube.values[np.isfinite(cube.values)]
    assert finite.size == 0 or finite.max() < 2


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_of_dtypes_that_fit_a_preset_raise_no_doubt(preset: Preset, dtype: str) -> None:
    recipe = Recipe(
        dims=("bands", "y", "x"), shape=(4, 9, 9), labels=FOUR, preset=preset, dtype=dtype
    )
    doubt = misfit(recipe.cube().values, preset)
    assert doubt is None or not fits(preset, dtype)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_numbers_mean_what_the_preset_says(preset: Preset) -> None:
    recipe = Recipe(dims=("bands", "y", "x"), shape=(4, 9, 9), labels=FOUR, preset=preset)
    light = preset.reflectance(recipe.cube().values)
    assert 0 < light.min() < light.max() < 1.2


# -- they are good for something ------------------------------------------------------------


@few
@given(cubes(largest=24))
def test_every_cube_is_masked(cube: xr.DataArray) -> None:
    answer = mask_clouds(cube, constant(3), preset="dn", options=options_of_a_test())
    classes = answer.isel({next(d for d in answer.dims if d in DIMENSIONS["band"]): 1})
    assert set(np.unique(classes)) <= {3, 255}


def options_of_a_test() -> Options:
    from cloudmask.options import Options

    return Options(overlap=0)


def careless(cube: xr.DataArray, band: str) -> xr.DataArray:
    """Mask as somebody would who has never seen a gap: NaN is compared, and found to be clear."""
    return (cube.mean(band) > 3000).astype("uint8")


def test_a_careless_pipeline_is_found_out() -> None:
    @settings(few, max_examples=300, database=None, phases=[Phase.generate])
    @seed(0)
    @given(cubes(preset="cdse", largest=20, dtypes=["float32"], dask=False))
    def no_data_is_masked(cube: xr.DataArray) -> None:
        band = roles_of(cube.dims)["band"]
        gone = cube.isnull().all(band)
        assert careless(cube, band).where(gone, other=1).all()

    with pytest.raises(AssertionError):
        no_data_is_masked()


@few
@given(broken_cubes(largest=12))
def test_broken_cubes_are_refused(cube: xr.DataArray) -> None:
    with pytest.raises(CloudmaskError, match=r".{20}"):
        mask_clouds(cube, brightest_band())


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.name)
def test_a_fault_is_answered_with_its_error(fault: Any) -> None:
    single = fault.name == "the only band is another"
    recipe = Recipe(
        dims=("t", "y", "x") if single else ("t", "bands", "y", "x"),
        shape=(1, 3, 3) if single else (1, 4, 3, 3),
        labels=("B08",) if single else ("blue", "B03", "B08", "red"),
        chunks=None if single else ((1,), (2, 2), (3,), (3,)),
    )
    bands = ("B08",) if single else FOUR
    spoilt = fault.spoil(recipe.cube(), bands)
    with pytest.raises(fault.error):
        mask_clouds(spoilt, constant(1, fake_spec(bands)))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.name)
@pytest.mark.parametrize("dims", [("y", "x"), ("t", "band", "y", "x")], ids="-".join)
def test_the_cube_itself_is_not_spoilt(fault: Any, dims: tuple[str, ...]) -> None:
    flat = len(dims) < 4
    recipe = Recipe(
        dims=dims, shape=(1,) * len(dims), labels=("B08",), long_name=not flat, odd=("crs",)
    )
    cube = recipe.cube()
    before = cube.copy(deep=True)
    fault.spoil(cube, ("B08",))
    xr.testing.assert_identical(cube, before)


# -- tilings, options -----------------------------------------------------------------------


@given(tilings(largest=64, least_stride=5, multiple=8))
def test_tilings_are_as_wanted(tiling: Any) -> None:
    assert tiling.tile % 8 == 0
    assert tiling.stride >= 5
    assert tiling.tile <= 64


def test_options_are_of_all_kinds() -> None:
    found: list[Options] = drawn(options(), 150)
    assert {each.stitch for each in found} == {"crop", "blend"}
    assert {each.output.layout for each in found} == set(LAYOUT_BANDS)
    assert any(each.output.dilate > 10 for each in found)
    assert {each.tta is None for each in found} == {True, False}
    assert {each.tile is None for each in found} == {True, False}


@few
@given(options(least_stride=9, least_chunk=50, grow=False))
def test_options_are_bounded_as_wanted(some: Options) -> None:
    assert some.tiling(fake_spec()).stride >= 9
    assert some.chunk >= 50
    assert some.output.dilate == 0


# -- manifests ------------------------------------------------------------------------------


@given(specs())
def test_a_manifest_is_read_as_what_it_was_written_from(spec: Any) -> None:
    assert parse_manifest(json.dumps(as_item(spec))) == spec


@given(manifests())
def test_manifests_can_be_read(item: dict[str, Any]) -> None:
    assert parse_manifest(json.dumps(item)).name == item["id"]


@given(damaged_manifests())
def test_damaged_manifests_are_read_or_refused(item: dict[str, Any]) -> None:
    with suppress(CloudmaskError):
        parse_manifest(json.dumps(item))


def readable(item: dict[str, Any]) -> bool:
    try:
        return bool(parse_manifest(json.dumps(item)))
    except CloudmaskError:
        return False


def test_much_damage_is_noticed_and_some_is_not() -> None:
    found = [readable(item) for item in drawn(damaged_manifests(), 60)]
    assert {True, False} == set(found)
    assert found.count(False) > 15
