"""What the accuracy page's studies hold on to: who is held out, and what is written where."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# benchmarks/ is no part of the distribution.
sys.path.append(str(ROOT))

for package in ("rasterio", "onnx", "matplotlib"):
    pytest.importorskip(package)

from benchmarks import accuracy, regions  # noqa: E402

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
