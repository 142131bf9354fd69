"""What the accuracy page's studies hold on to: who is held out, and what is written where."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
# benchmarks/ is no part of the distribution.
sys.path.append(str(ROOT))

for package in ("rasterio", "onnx", "matplotlib"):
    pytest.importorskip(package)

from benchmarks import accuracy, regions  # noqa: E402
from benchmarks.measure import kept  # noqa: E402

from cloudmask.registry import find  # noqa: E402
from cloudmask_export.evaluation.evaluate import Evaluation, evaluate  # noqa: E402
from cloudmask_export.evaluation.predictors import predictor  # noqa: E402
from cloudmask_export.training.config import read_config  # noqa: E402

CONFIGS = ROOT / "examples" / "training"
pytestmark = pytest.mark.usefixtures("shared_data")


def test_the_networks_of_the_package_are_not_trained_on_the_regions_they_are_scored_on() -> None:
    for name in accuracy.OURS:
        held = read_config(CONFIGS / f"{name}.toml").recipe.sources.hold_out
        assert set(held) == set(accuracy.HELD_OUT)


def test_each_fold_leaves_its_regions_out_of_the_same_recipe() -> None:
    whole = read_config(regions.RECIPE).recipe
    for held in regions.FOLDS.values():
        short = regions.recipe(held).recipe
        assert short.sources.hold_out == held
        assert (short.architecture, short.augment, short.seed) == (
            whole.architecture,
            whole.augment,
            whole.seed,
        )


def test_simulated_scenes_that_are_scored_have_every_class() -> None:
    seen = {
        int(code)
        for seed in accuracy.SEEDS
        for code in set(accuracy.Simulated(seed).truth().codes[::8, ::8].ravel())
    }
    assert {0, 1, 2, 3} <= seen


def test_a_score_that_is_not_known_is_a_dash() -> None:
    mask = {"questions": {"cloud": {"f1": 0.9, "boa": None, "interval": None}}}
    text = accuracy.readme({"datasets": {"pairs": {"masks": {"one": mask}}}})
    assert "| `one` | 0.900 | - | - |" in text


# -- the networks that ship -----------------------------------------------------------------


@pytest.mark.parametrize("name", accuracy.OURS)
def test_a_network_of_the_package_is_a_trained_one_of_its_config(name: str) -> None:
    spec = find(name).spec
    config = read_config(CONFIGS / f"{name}.toml")
    assert spec.title.startswith(config.card.title)
    assert (spec.bands, spec.pixel_size) == (config.recipe.bands, config.recipe.pixel_size)
    assert spec.size is not None
    assert spec.size <= 4_000_000


@pytest.mark.parametrize("name", accuracy.OURS)
def test_a_network_of_the_package_costs_a_fifth_of_clouds2mask_a_pixel_at_most(name: str) -> None:
    flops = find(name).spec.flops_per_pixel
    assert flops is not None
    assert flops <= CLOUDS2MASK / 5


CLOUDS2MASK = 731e3
"""Floating-point operations a pixel, counted from its graph (docs/speed.md)."""


@pytest.fixture(scope="module")
def on_pairs() -> Any:
    """Scores of the network for 13 bands on regions that it was not trained on."""
    dataset, _ = accuracy.datasets()["pairs"]
    mask = predictor(accuracy.OURS[0], accuracy.how("pairs"))
    (found,) = evaluate(dataset, [mask], Evaluation(protocols=("pooled",), resamples=0)).predictors
    return found.by("pooled").questions


def test_clouds_over_unseen_regions_are_found(on_pairs: Any) -> None:
    assert on_pairs["cloud"].f1 >= 0.93
    assert on_pairs["cloud"].boa >= 0.95


def test_shadows_over_unseen_regions_are_found(on_pairs: Any) -> None:
    assert on_pairs["shadow"].f1 >= 0.70


def test_little_of_a_cloud_free_image_is_flagged() -> None:
    dataset, _ = accuracy.datasets()["cloudless"]
    mask = predictor(accuracy.OURS[0], accuracy.how("cloudless"))
    (found,) = evaluate(dataset, [mask], Evaluation(protocols=("pooled",), resamples=0)).predictors
    assert found.by("pooled").questions["clear"].recall >= 0.98


# -- what is published ----------------------------------------------------------------------


def test_the_tables_of_the_documents_are_those_of_the_results() -> None:
    found = kept()["accuracy"]
    assert accuracy.markdown(found) in accuracy.PAGE.read_text("utf-8")
    assert accuracy.readme(found) in (ROOT / "README.md").read_text("utf-8")
    assert regions.markdown(kept()["regions"]) in accuracy.PAGE.read_text("utf-8")
