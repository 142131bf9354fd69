"""Exported networks in our pipeline, against the authors' own pipelines on the same arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask import TTA, Options, find_model, mask_clouds
from cloudmask.ensemble import Ensemble
from cloudmask_export.make import Order, make

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

    from cloudmask.model import Model
    from cloudmask.spec import ModelSpec
    from cloudmask_export.make import Made

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TILE, OVERLAP = 192, 96
"""Of a scene of 384 pixels: no tile is pulled inside, so that the ramps of all pipelines are
proportional."""
STARTS = (0, 96, 192)
TIE = 1e-5
"""Share of the sum by which a class must lead for rounding not to decide."""
OPTIONS = Options(stitch="blend", tile=TILE, overlap=OVERLAP)


@pytest.fixture(scope="module")
def scene(imagery: xr.DataArray) -> xr.DataArray:
    """(bands, y, x) uint16, 13 x 384 x 384: what peers do with no data is another matter."""
    found = imagery[:, :, 192:576]
    assert (found > 0).all()
    return found


def classes(scene: xr.DataArray, model: Any, options: Options = OPTIONS) -> NDArray[np.uint8]:
    return mask_clouds(scene, model, preset="dn", options=options).sel(bands="class").values


# -- CloudS2Mask


@pytest.fixture(scope="module")
def members(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Made]:
    """Two CloudS2Mask networks, exported; the weights lie beside."""
    made = []
    for seed in (1, 2):
        folder = tmp_path_factory.mktemp(f"member{seed}")
        lab("author.py", "dynunet-regnety_006-13", "--seed", str(seed), "--out", folder)
        made.append(make(folder / "weights.pkl", Order(folder=folder, family="clouds2mask-10m")))
    return made


def joined(
    lab: Any, scene: xr.DataArray, members: list[Made], folder: Path, depth: int = 0
) -> dict[str, NDArray[Any]]:
    """Let the package infer and join."""
    tiles = [(y, x) for y in STARTS for x in STARTS]
    given, out = folder / "scene.npz", folder / "out.npz"
    np.savez(given, numbers=scene.values, tiles=tiles, tile=TILE, overlap=OVERLAP)
    weights = [each.path.with_name("weights.pkl") for each in members]
    lab("peer_clouds2mask.py", given, "--weights", *weights, "--depth", str(depth), "--out", out)
    with np.load(out) as file:
        return dict(file)


@pytest.mark.nightly
def test_classes_are_those_of_clouds2mask_but_for_its_8_bit_numbers(
    lab: Any, scene: xr.DataArray, members: list[Made], tmp_path: Path
) -> None:
    peer = joined(lab, scene, members[:1], tmp_path)
    ours = classes(scene, members[0].path)
    exact = peer["exact"].argmax(axis=0)
    second, best = np.sort(peer["exact"], axis=0)[-2:]
    decided = best - second > TIE * best
    np.testing.assert_array_equal(ours[decided], exact[decided])
    assert decided.mean() > 0.9999
    truncated = peer["classes"] != exact
    np.testing.assert_array_equal(
        ours[decided & ~truncated], peer["classes"][decided & ~truncated]
    )
    assert 0 < truncated.mean() < 0.05


@pytest.mark.nightly
def test_augmented_ensembles_are_those_of_clouds2mask_within_its_8_bits(
    lab: Any, scene: xr.DataArray, members: list[Made], tmp_path: Path
) -> None:
    peer = joined(lab, scene, members, tmp_path, depth=2)
    models = tuple(find_model(each.path).load() for each in members)
    tiles = [scene.values[:, y : y + TILE, x : x + TILE] for y in STARTS for x in STARTS]
    reflectance = np.stack(tiles).astype(np.float32) * np.float32(1e-4)
    ours = Ensemble(models, TTA(depth=2))(reflectance)
    difference = np.abs(ours * 255 - peer["predictions"].astype(np.float32))
    assert difference.max() <= 1.01  # it cuts what is behind the point off


# -- OmniCloudMask


@pytest.fixture(scope="module", params=["regnety_004", "edgenext_small"])
def omni(request: pytest.FixtureRequest, lab: Any, tmp_path_factory: Any) -> tuple[str, Made]:
    """Make a network of version 4: its encoder, and what is exported of it."""
    folder = tmp_path_factory.mktemp("omni")
    lab("author.py", f"smp-{request.param}-3", "--seed", "1", "--out", folder)
    path, order = folder / "weights.safetensors", Order(folder=folder, family="omnicloudmask-v4")
    return request.param, make(path, order)


class _Logarithms:
    """Answers with the logarithms of another network's: logits, but for a constant a pixel."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def spec(self) -> ModelSpec:
        return self._model.spec

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.log(np.maximum(self._model(tiles), np.float32(1e-30)))


def predicted(
    lab: Any, scene: xr.DataArray, omni: tuple[str, Made], folder: Path, overlap: int
) -> NDArray[np.uint8]:
    """Let the package predict."""
    encoder, made = omni
    given, out = folder / "scene.npz", folder / "out.npz"
    numbers = scene.sel(bands=list(made.spec.bands)).values.astype(np.float32)
    np.savez(given, numbers=numbers, tile=TILE, overlap=overlap)
    weights = made.path.with_name("weights.safetensors")
    lab("peer_omnicloudmask.py", given, encoder, weights, "--out", out)
    with np.load(out) as file:
        return file["classes"]


def test_classes_are_those_of_omnicloudmask_where_tiles_do_not_overlap(
    lab: Any, scene: xr.DataArray, omni: tuple[str, Made], tmp_path: Path
) -> None:
    peer = predicted(lab, scene, omni, tmp_path, overlap=0)
    ours = classes(scene, omni[1].path, Options(stitch="blend", tile=TILE, overlap=0))
    assert np.mean(ours == peer) >= 0.999
    assert len(np.unique(peer)) == 4


@pytest.mark.nightly
def test_where_tiles_overlap_it_differs_only_as_omnicloudmask_averages_logits(
    lab: Any, scene: xr.DataArray, omni: tuple[str, Made], tmp_path: Path
) -> None:
    peer = predicted(lab, scene, omni, tmp_path, overlap=OVERLAP)
    model = find_model(omni[1].path).load()
    assert np.mean(classes(scene, _Logarithms(model)) == peer) >= 0.999
    assert 0.9 < np.mean(classes(scene, model) == peer) < 0.999
