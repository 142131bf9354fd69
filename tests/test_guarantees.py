"""What the package promises, tried with real networks on real imagery."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask.classes import Output
from cloudmask.cube import mask_clouds
from cloudmask.options import Options
from cloudmask.registry import known
from cloudmask.runtime import Runtime

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from cloudmask.registry import Entry
    from cloudmask.windows import Stitch

STITCHES: list[Stitch] = ["crop", "blend"]
WINDOW = {"y": slice(0, 300), "x": slice(100, 460)}


def classes(cube: xr.DataArray, entry: Entry, preset: str = "dn", **options: Any) -> Any:
    options.setdefault("runtime", Runtime(threads=2))
    model = entry.load(options["runtime"])
    answer = mask_clouds(cube, model, preset=preset, options=Options(**options))
    return answer.sel(bands="class").values


def f1(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    return float(2 * (found & true).sum() / (found.sum() + true.sum()))


@pytest.fixture(scope="module")
def crop_of_chip(labelled_chip: Any, ukis_4b: Entry) -> Any:
    return classes(labelled_chip.cube, ukis_4b, "reflectance", stitch="crop")


# -- accuracy -------------------------------------------------------------------------------


@pytest.mark.parametrize("stitch", STITCHES)
def test_accuracy_on_human_labels_is_that_of_the_network(
    labelled_chip: Any, ukis_4b: Entry, crop_of_chip: Any, stitch: Stitch
) -> None:
    found = crop_of_chip
    if stitch == "blend":
        found = classes(labelled_chip.cube, ukis_4b, "reflectance", stitch=stitch)
    assert f1(found == 1, labelled_chip.labels == 4) >= 0.89
    assert f1(found == 3, labelled_chip.labels == 0) >= 0.83


def test_product_numbers_before_and_after_baseline_0400_give_one_mask(
    real_scene: xr.DataArray, ukis_4b: Entry
) -> None:
    before = real_scene.isel(WINDOW)
    after = before.where(before == 0, before + 1000).astype("uint16")
    np.testing.assert_array_equal(
        classes(after, ukis_4b, "dn_n0400"), classes(before, ukis_4b, "dn")
    )


# -- no data --------------------------------------------------------------------------------


@pytest.mark.parametrize("stitch", STITCHES)
def test_real_no_data_is_255_and_nothing_else_is(
    real_scene: xr.DataArray, ukis_4b: Entry, stitch: Stitch
) -> None:
    missing = (real_scene.sel(bands=["B02", "B03", "B04", "B08"]) == 0).any("bands").values
    assert 0.05 < missing.mean() < 0.2
    found = classes(real_scene, ukis_4b, stitch=stitch)
    np.testing.assert_array_equal(found == 255, missing)
    assert set(np.unique(found[~missing])) <= {0, 1, 3}


@pytest.mark.parametrize("nodata", [0.0, 0.1, -1.0])
def test_a_strip_of_no_data_is_never_clear_whatever_its_value(
    labelled_chip: Any, ukis_4b: Entry, nodata: float
) -> None:
    # ukis-csmask calls 100 % of such a strip usable for 0.1 and 85 % for -1.
    from cloudmask.bands import Preset

    cube = labelled_chip.cube[:, :256, :256].copy()
    cube[:, 100:150] = nodata
    preset = Preset("reflectance", 1.0, nodata=(nodata,))
    answer = mask_clouds(cube, ukis_4b.load(Runtime(threads=2)), preset=preset)
    assert (answer.sel(bands="mask")[100:150] == 1).all()
    assert (answer.sel(bands="class")[100:150] == 255).all()


# -- one answer -----------------------------------------------------------------------------


@pytest.mark.parametrize("stitch", STITCHES)
def test_threads_and_batches_give_the_same_bytes(
    real_scene: xr.DataArray, ukis_4b: Entry, stitch: Stitch
) -> None:
    cube = real_scene.isel(WINDOW)
    answers = []
    for threads in (1, 2):
        for batch in (1, 3):
            runtime = Runtime(threads=threads)
            options = Options(
                runtime=runtime, batch=batch, stitch=stitch,
                output=Output(layout="probabilities"),
            )  # fmt: skip
            answer = mask_clouds(cube, ukis_4b.load(runtime), options=options)
            answers.append(answer.values.tobytes())
    assert len(set(answers)) == 1


@pytest.mark.parametrize("stitch", STITCHES)
def test_chunks_give_the_mask_of_the_whole_scene(
    real_scene: xr.DataArray, ukis_4b: Entry, stitch: Stitch
) -> None:
    pytest.importorskip("dask.array", reason="dask is not installed")
    whole = classes(real_scene, ukis_4b, stitch=stitch)
    lazy = real_scene.chunk(y=192, x=384)
    chunked = classes(lazy, ukis_4b, stitch=stitch, chunk=200)
    np.testing.assert_array_equal(chunked, whole)


@pytest.mark.slow
def test_an_ensemble_of_both_networks_needs_all_their_bands_alike(
    ukis_4b: Entry, ukis_6b: Entry
) -> None:
    from cloudmask.errors import ModelError

    models = [ukis_4b.load(Runtime(threads=2)), ukis_6b.load(Runtime(threads=2))]
    with pytest.raises(ModelError, match="differ in bands"):
        Options().ensemble(models)


# -- guarantee 6 ----------------------------------------------------------------------------

_ENSEMBLE_IN_A_SMALL_WORKER = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
import numpy as np
import xarray as xr
from cloudmask import Options, TTA, mask_clouds
numbers = np.random.default_rng(0).integers(500, 4000, (4, 512, 512), dtype=np.uint16)
cube = xr.DataArray(
    numbers, dims=("bands", "y", "x"), coords={"bands": ["B02", "B03", "B04", "B08"]}
)
options = Options(tta=TTA(depth=1))
mask = mask_clouds(cube, ["ukis-4b-l1c", "ukis-4b-l2a"], options=options)
assert mask.shape == (2, 512, 512)
"""


def test_three_gib_of_address_space_are_enough_for_an_ensemble_of_two() -> None:
    pytest.importorskip("resource", reason="this system has no limits on address space")
    if not known()["ukis-4b-l1c"].installed:
        pytest.skip("ukis-csmask is not installed")
    command = [sys.executable, "-c", _ENSEMBLE_IN_A_SMALL_WORKER]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
