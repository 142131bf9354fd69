"""Is the score luck? The recipe of `cloudmask-s2-small`, each region left out in turn.

`python -m benchmarks.regions` trains a network for each fold, with about a sixth of the steps of
the one that ships and fewer made images. It needs the project's test data and a Python with
torch (`--python`; `make test-torch` makes one). It writes `results/regions.json` and the table
of docs/accuracy.md.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.accuracy import DATA, PAGE, ROOT, Cloudless, how, scored
from benchmarks.documents import fill_in
from benchmarks.markdown import table
from benchmarks.measure import save
from cloudmask_export.evaluation.datasets import only, open_dataset
from cloudmask_export.evaluation.datasets.rasters import RasterSample
from cloudmask_export.evaluation.evaluate import Evaluation, evaluate
from cloudmask_export.evaluation.labels import CLOUDMASK
from cloudmask_export.evaluation.predictors import predictor
from cloudmask_export.make import Order, make
from cloudmask_export.training.config import Config, as_text, read_config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudmask_export.evaluation.samples import Dataset

RECIPE = ROOT / "examples" / "training" / "cloudmask-s2-small.toml"
TORCH = ROOT / ".venv" / "torch" / "bin" / "python"
LAUNCHER = ROOT / "tests" / "export" / "torch" / "lab" / "command.py"
"""Runs `cloudmask` with these sources where torch is."""
FOLDS: Mapping[str, tuple[str, ...]] = {
    "1158_spring_39": ("1158_spring_39",),
    "1868_summer_102": ("1868_summer_102",),
    "1970_fall_85": ("1970_fall_85",),
    "1970_fall_136": ("1970_fall_136",),
    "water (135, 148, 31)": ("1868_summer_135", "1970_fall_148", "1868_summer_31"),
}
"""What is left out together."""
STEPS = (200, 500)
MADE = (150, 100)
"""Composed and simulated images."""


def recipe(held: Sequence[str]) -> Config:
    """Shorten the recipe, and leave regions out."""
    whole = read_config(RECIPE)
    short = tuple(
        replace(stage, steps=steps)
        for stage, steps in zip(whole.recipe.stages, STEPS, strict=True)
    )
    sources = replace(
        whole.recipe.sources, hold_out=tuple(held), composed=MADE[0], simulated=MADE[1]
    )
    return replace(whole, recipe=replace(whole.recipe, sources=sources, stages=short))


def trained(folder: Path, held: Sequence[str], python: Path) -> Path:
    """Train and export a network; give its file."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.toml"
    config.write_text(as_text(recipe(held)), "utf-8")
    command = [python, LAUNCHER, "train", config, "-o", folder / "made", "--threads", "1"]
    subprocess.run(list(map(str, command)), check=True)
    weights = folder / "made" / "weights.safetensors"
    return make(weights, Order(folder=folder / "network", force=True)).path


def scores(network: Path, held: Sequence[str]) -> dict[str, Any]:
    """Score a network on the regions it has not seen."""
    mask = predictor(str(network), how("pairs"))
    options = Evaluation(protocols=("pooled",), resamples=0)
    found: dict[str, Any] = {}
    for name, dataset in _datasets(held).items():
        (found[name],) = scored(evaluate(dataset, [mask], options))["masks"].values()
    return found


def _datasets(held: Sequence[str]) -> dict[str, Dataset]:
    """Give the reference masks of regions, if they have any, and their cloud-free images."""
    pairs = open_dataset(DATA / "pairs")
    like = pairs.samples[0]
    assert isinstance(like, RasterSample)
    paths = [
        path
        for name in held
        for path in sorted((DATA / "train_pairs").glob(f"{name}_p*_clear.tif"))
    ]
    cloudless = tuple(
        Cloudless(replace(like, name=path.stem, group="", path=path, image_place=str(path)))
        for path in paths
    )
    made = replace(pairs, name="cloudless", scheme=CLOUDMASK, samples=cloudless)
    with_masks = [each for each in held if any(one.group == each for one in pairs.samples)]
    labelled = {"pairs": only(pairs, f"{with_masks[0]}*")} if with_masks else {}
    return {**labelled, "cloudless": made}


def markdown(found: Mapping[str, Any]) -> str:
    """Write the table of the page."""
    rows = [
        ["left out", "cloud F1", "cloud BOA", "shadow F1", "shadow BOA", "% of cloud-free flagged"]
    ]
    for name, each in found["folds"].items():
        rows.append([name, *_cells(each)])
    return table(rows)


def _cells(found: Mapping[str, Any]) -> list[str]:
    asked = found["pairs"]["questions"] if "pairs" in found else {}
    cells = [
        f"{asked[question][measure]:.3f}"
        if question in asked and asked[question][measure] is not None
        else "-"
        for question in ("cloud", "shadow")
        for measure in ("f1", "boa")
    ]
    return [*cells, f"{100 * (1 - found['cloudless']['questions']['clear']['recall']):.2f}"]


def main() -> None:
    """Train, score, keep, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, default=TORCH, help="one that has torch and timm")
    parser.add_argument("--folder", type=Path, help="where trainings go; default a scratch folder")
    parser.add_argument("--only", nargs="*", choices=FOLDS, help="folds to train; default all")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folds = folds_of(asked.folder or Path(scratch), asked.python, asked.only or tuple(FOLDS))
    found = {"steps": list(STEPS), "composed": MADE[0], "simulated": MADE[1], "folds": folds}
    save("regions", found)
    fill_in(PAGE, "regions", markdown(found))


def folds_of(folder: Path, python: Path, wanted: Sequence[str]) -> dict[str, Any]:
    """Train what is not in the folder yet, and score it."""
    found = {}
    for number, (name, held) in enumerate(FOLDS.items()):
        if name in wanted:
            place = folder / f"fold-{number}"
            there = next((place / "network").glob("*.onnx"), None)
            found[name] = scores(there or trained(place, held, python), held)
    return found


if __name__ == "__main__":
    main()
