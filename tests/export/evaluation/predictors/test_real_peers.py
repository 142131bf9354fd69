"""Our networks and peers on real imagery, where it and they are there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

rasterio = pytest.importorskip("rasterio")

from cloudmask.bands import SENTINEL2  # noqa: E402
from cloudmask_export.evaluation.predictors import How, peer, predictor  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudmask_export.evaluation.samples import Sample

PEERS = Path(__file__).parents[4] / ".venv" / "peers" / "bin" / "python"

DIRECT = """
import sys
import numpy as np
import cv2
from s2cloudless import S2PixelCloudDetector

def disk(radius):
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return (y**2 + x**2 <= radius**2).astype(np.uint8)


chances = S2PixelCloudDetector(all_bands=True).get_cloud_probability_maps(np.load(sys.argv[1]))
for name, average, dilation in (("made", 4, 2), ("raw", 0, 0)):
    mask = chances[0]
    if average:
        mean = disk(average) / disk(average).sum()
        mask = cv2.filter2D(mask, -1, mean, borderType=cv2.BORDER_REFLECT)
    mask = (mask > 0.4).astype(np.uint8)
    if dilation:
        mask = cv2.dilate(mask, disk(dilation))
    np.save(sys.argv[2] + name + ".npy", mask)
"""
"""All 13 bands in, probabilities out, and what is made of them by OpenCV alone."""


@pytest.fixture
def pair(shared_data: Path) -> tuple[Any, Any]:
    """Give a real patch, (13, y, x) reflectance, and its derived labels (y, x)."""
    name = "1970_fall_85_p492"
    layers = []
    for kind in ("cloudy", "ref"):
        path = shared_data / "pairs" / f"{name}_{kind}.tif"
        if not path.exists():
            pytest.skip(f"the test data are not here: {path}")
        with rasterio.open(path) as file:
            layers.append(file.read())
    return layers[0].astype(np.float32) / 10_000, layers[1][0]


@pytest.mark.nightly
def test_our_road_and_the_peers_own_code_agree_on_the_labelled_chip(
    sample: Callable[..., Sample], labelled_chip: Any, ukis_4b: Any
) -> None:
    cube = labelled_chip.cube
    bands = tuple(str(each) for each in cube.bands.values)
    chip = sample(cube.values, bands=bands, pixel_size=30.0, name="chip")
    ours = predictor("ukis-4b-l1c", How(resolution="native")).predict(chip)
    theirs = peer("ukis:4b_l1c").predict(chip)
    translated = np.array([0, 1, 3])[theirs]
    assert (ours == translated).mean() >= 0.97
    # Each class, not the large one alone.
    for code in (1, 3):
        both = ((ours == code) & (translated == code)).sum()
        assert 2 * both / ((ours == code).sum() + (translated == code).sum()) > 0.95


@pytest.mark.nightly
def test_the_peer_on_the_chip_has_the_scores_that_were_measured_of_it(
    sample: Callable[..., Sample], labelled_chip: Any, ukis_4b: Any
) -> None:
    from sklearn.metrics import f1_score

    bands = tuple(str(each) for each in labelled_chip.cube.bands.values)
    chip = sample(labelled_chip.cube.values, bands=bands, pixel_size=30.0)
    labels = labelled_chip.labels.ravel()
    # Cloud 4 and shadow 0 in the labels; F1 as measured with the peer alone.
    for name, cloud, shadow in (("ukis:4b_l1c", 0.900, 0.843), ("ukis:6b_l1c", 0.864, 0.826)):
        mask = peer(name).predict(chip).ravel()
        assert f1_score(labels == 4, mask == 1) == pytest.approx(cloud, abs=0.002)
        assert f1_score(labels == 0, mask == 2) == pytest.approx(shadow, abs=0.002)


@pytest.mark.nightly
def test_s2cloudless_in_its_environment_is_as_if_it_were_run_by_hand(
    sample: Callable[..., Sample], pair: tuple[Any, Any], tmp_path: Path
) -> None:
    if not PEERS.exists():
        pytest.skip(f"no environment of peers is here: {PEERS}")
    image, labels = pair
    np.save(tmp_path / "image.npy", np.moveaxis(image, 0, -1)[None])
    words = [str(PEERS), "-c", DIRECT, str(tmp_path / "image.npy"), str(tmp_path / "direct_")]
    subprocess.run(words, check=True, capture_output=True)
    patch = sample(image, bands=tuple(SENTINEL2))
    how = How(peer_python=str(PEERS))
    for name, kind in (("s2cloudless", "made"), ("s2cloudless-raw", "raw")):
        mask = peer(name, how).predict(patch)
        assert (mask == np.load(tmp_path / f"direct_{kind}.npy")).all()
        known = labels != 255
        hits = ((mask == 1) & (labels == 1) & known).sum()
        # And it is a cloud mask of this very scene.
        assert 2 * hits / ((mask[known] == 1).sum() + (labels[known] == 1).sum()) > 0.8
