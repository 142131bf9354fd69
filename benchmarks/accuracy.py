"""How good are the masks, ours and others', on what there is to compare with?

Human labels first; then labels derived from pairs of images, cloud-free images, and simulated
scenes with exact truth. `python -m benchmarks.accuracy` needs the project's test data beside it,
the extras and, for s2cloudless, `.venv/peers`. It writes `results/accuracy.json`, the tables and
the picture of docs/accuracy.md.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.documents import fill_in
from benchmarks.markdown import paragraphs, table
from benchmarks.measure import kept, save
from cloudmask.bands import SENTINEL2
from cloudmask.classes import CLEAR
from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask_export.evaluation.datasets import open_dataset
from cloudmask_export.evaluation.datasets.rasters import RasterSample
from cloudmask_export.evaluation.evaluate import Evaluation, evaluate
from cloudmask_export.evaluation.labels import CLOUDMASK
from cloudmask_export.evaluation.predictors import How, predictor
from cloudmask_export.evaluation.samples import Dataset, EvaluationError, Image, Truth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudmask_export.evaluation.results import PredictorScores, Results
    from cloudmask_export.evaluation.samples import Predictor

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
PAGE = ROOT / "docs" / "accuracy.md"
PICTURE = ROOT / "docs" / "images" / "accuracy.png"
PEER_PYTHON = ROOT / ".venv" / "peers" / "bin" / "python"
HELD_OUT = ("1158_spring_39", "1868_summer_102", "1970_fall_85")
"""Regions that the networks of the package were not trained on."""
OURS = ("cloudmask-s2-small", "cloudmask-s2-small-4b")
PEERS = ("ukis:4b_l1c", "ukis:6b_l1c", "ukis:6b_l1c@20", "s2cloudless")
SEEDS = range(9001, 9007)
"""Of simulated scenes; none was trained on."""
MEASURES = ("precision", "recall", "f1", "iou", "boa")
VEIL = 0.01
"""B10 above which there is cirrus: over low land water vapour leaves a few thousandths."""
QUESTIONS = ("cloud", "shadow", "thick", "thin", "clear")
HEADINGS = {
    "human": "**Labels drawn by people**: one chip of 512 x 512 px at 30 m; its six bands let "
    "only networks of four or six bands be scored.",
    "pairs": "**Labels derived from pairs of images**, not by people: seven images of three "
    "regions, none of which our networks were trained on.",
    "cloudless": "**Cloud-free images** of the same regions: per cent of pixels called anything "
    "else than clear.",
    "veiled": "**Images that pass for cloud-free but lie under thin cirrus** (B10 about 0.04, "
    "region 1970_fall_85): per cent called anything else than clear. To flag them may be right.",
    "simulated": "**Simulated scenes** with exact truth: six, none of which was trained on.",
}


@dataclass(frozen=True, slots=True)
class Cloudless:
    """A cloud-free image: everything in it is clear."""

    raster: RasterSample

    @property
    def name(self) -> str:
        """As the file."""
        return self.raster.name

    @property
    def group(self) -> str:
        """Region."""
        return self.raster.group

    @property
    def path(self) -> Path:
        """The image."""
        return self.raster.path

    def image(self) -> Image:
        """Read it."""
        return self.raster.image()

    @property
    def is_veiled(self) -> bool:
        """Whether thin cirrus lies over it, though it passes for cloud-free."""
        image = self.image()
        return float(np.nanmedian(image.reflectance[image.bands.index("B10")])) > VEIL

    def truth(self) -> Truth:
        """Call all of it clear."""
        return Truth(np.full(self.raster.image().shape, CLEAR, np.uint8))


@dataclass(frozen=True, slots=True)
class Simulated:
    """A simulated scene with its exact truth."""

    seed: int

    @property
    def name(self) -> str:
        """By its seed."""
        return f"simulated-{self.seed}"

    group = name

    @property
    def path(self) -> Path:
        """There is none."""
        return Path(self.name)

    @property
    def settings(self) -> SceneSettings:
        """Draw what differs from scene to scene."""
        rng = np.random.default_rng(self.seed)
        return SceneSettings(
            shape=(512, 512),
            seed=self.seed,
            sun_zenith=float(rng.uniform(25, 60)),
            thick_cover=float(rng.uniform(0.05, 0.4)),
            thin_cover=float(rng.uniform(0.08, 0.3)),
            water_vapour=float(rng.uniform(0.8, 3.5)),
            snow_line=180.0 if self.seed % 3 == 0 else None,
        )

    def image(self) -> Image:
        """Simulate."""
        numbers = simulate(self.settings).reflectance_dn.astype(np.float32)
        numbers[numbers == 0] = np.nan
        return Image(
            reflectance=numbers / np.float32(10_000),
            bands=tuple(SENTINEL2),
            pixel_size=10.0,
            level="L1C",
        )

    def truth(self) -> Truth:
        """Give what is there."""
        return Truth(simulate(self.settings).truth)


def datasets() -> Mapping[str, tuple[Dataset, Sequence[str]]]:
    """Name -> labelled images, and who can mask them."""
    chip = open_dataset(DATA / "labelled")
    pairs = open_dataset(DATA / "pairs")
    made: dict[str, Any] = {"scheme": CLOUDMASK, "kind": "pixels", "human": False}
    free = _cloudless(pairs)
    cloudless, veiled = (
        replace(pairs, name=name, title="Cloud-free images", samples=samples, **made)
        for name, samples in (
            ("cloudless", tuple(each for each in free if not each.is_veiled)),
            ("veiled", tuple(each for each in free if each.is_veiled)),
        )
    )
    scenes = replace(
        pairs, name="simulated", title="Simulated scenes", samples=tuple(map(Simulated, SEEDS)),
        **made,
    )  # fmt: skip
    own = (*OURS, "ukis:4b_l1c", "s2cloudless")
    return {
        "human": (chip, (OURS[1], "ukis-4b-l1c", "ukis:4b_l1c", "ukis:6b_l1c")),
        "pairs": (pairs, (*OURS, *PEERS)),
        "cloudless": (cloudless, own),
        "veiled": (veiled, own),
        "simulated": (scenes, own),
    }


def _cloudless(pairs: Dataset) -> tuple[Cloudless, ...]:
    like = pairs.samples[0]
    assert isinstance(like, RasterSample)
    found = sorted((DATA / "train_pairs").glob("*_clear.tif"))
    held = [path for path in found if path.name.startswith(HELD_OUT)]
    return tuple(
        Cloudless(
            replace(
                like,
                name=path.stem,
                group=path.stem.rpartition("_p")[0],
                path=path,
                image_place=str(path),
            )
        )
        for path in (*held, *sorted((DATA / "clear").glob("*.tif")))
    )


def run(wanted: Sequence[str] = ()) -> dict[str, Any]:
    """Score everybody on everything, or on some of it."""
    options = Evaluation(protocols=("pooled",))
    found, absent = {}, {}
    for name, (dataset, names) in datasets().items():
        if wanted and name not in wanted:
            continue
        ready: list[Predictor] = []
        for each in names:
            try:
                ready.append(predictor(each, how(name)))
            except EvaluationError as error:
                absent[each] = str(error)
        results = evaluate(dataset, ready, options)
        found[name] = scored(results)
        if name == "pairs":
            draw_worst(dataset, ready[0], results.predictors[0])
    return {"datasets": found, "absent": absent}


def how(name: str) -> How:
    """Run networks at their own pixel size; where pixels are larger, at those."""
    resolution = "native" if name == "human" else "model"
    python = str(PEER_PYTHON) if PEER_PYTHON.exists() else None
    return How(resolution=resolution, peer_python=python)  # type: ignore[arg-type]


def scored(results: Results) -> dict[str, Any]:
    """Take from results what the page shows."""
    return {
        "samples": results.dataset.samples,
        "groups": results.dataset.groups,
        "masks": {each.mask.name: _of(each) for each in results.predictors},
    }


def _of(found: PredictorScores) -> dict[str, Any]:
    pooled = found.by("pooled")
    scores: dict[str, dict[str, Any]] = {
        question: {measure: _number(getattr(each, measure)) for measure in MEASURES}
        | {"interval": _interval(each), "called": _number(_called(each.counts))}
        for question, each in pooled.questions.items()
    }
    return {"questions": scores, "accuracy": _number(pooled.accuracy)}


def _called(counts: Any) -> float:
    """Give the share of pixels that were called so."""
    return float(counts.called / counts.counted)


def _interval(scores: Any) -> list[float] | None:
    found = scores.intervals.get("f1")
    return None if found is None else [_number(found.low), _number(found.high)]  # type: ignore[list-item]


def _number(value: float) -> float | None:
    return round(value, 4) if value == value else None  # noqa: PLR0124 - NaN


def draw_worst(dataset: Dataset, mask: Predictor, found: PredictorScores) -> None:
    """Draw the two images on which a mask did worst: image, labels, mask."""
    from cloudmask.local.picture import coloured, panels
    from cloudmask_export.evaluation.page.pictures import natural
    from cloudmask_export.evaluation.page.worst import worst, wrong

    named = {each.name: each for each in dataset.samples}
    codes = {0: 0, 1: 1, 2: 3, 255: 255}
    shown: dict[str, Any] = {}
    for scores in worst(found.samples, 2):
        sample = named[scores.name]
        labels = np.vectorize(codes.__getitem__, otypes=[np.uint8])(sample.truth().codes)
        title = f"{scores.name}: {wrong(scores):.1f} % wrong"
        shown[title] = natural(sample.image())
        shown[f"labels of {scores.name}"] = coloured(labels)
        shown[f"mask of {scores.name}"] = coloured(np.asarray(mask.predict(sample), np.uint8))
    panels(PICTURE, shown, f"where {mask.name} did worst", {})


def markdown(found: Mapping[str, Any]) -> str:
    """Write the tables of the page."""
    sets = found["datasets"]
    tables = {
        "human": _scores(sets["human"], ("cloud", "shadow")),
        "pairs": _scores(sets["pairs"], ("cloud", "shadow")),
        "cloudless": _flagged(sets["cloudless"]),
        "veiled": _flagged(sets["veiled"]),
        "simulated": _scores(sets["simulated"], QUESTIONS[:-1]),
    }
    return paragraphs(part for name, made in tables.items() for part in (HEADINGS[name], made))


def readme(found: Mapping[str, Any]) -> str:
    """Write the table of the README."""
    rows = [["mask", "cloud F1", "cloud BOA", "shadow F1"]]
    for name, mask in found["datasets"]["pairs"]["masks"].items():
        asked = mask["questions"]
        cells = [_cell(asked["cloud"], "boa"), _plain(asked.get("shadow"))]
        rows.append([f"`{name}`", _plain(asked["cloud"]), *cells])
    return table(rows)


def _plain(scores: Mapping[str, Any] | None) -> str:
    return "-" if scores is None else f"{scores['f1']:.3f}"


def _scores(found: Mapping[str, Any], questions: Sequence[str]) -> str:
    rows = [["mask", "class", "precision", "recall", "F1 (95 % over regions)", "IoU", "BOA"]]
    for question in questions:
        for name, mask in found["masks"].items():
            each = mask["questions"].get(question)
            if each is not None:
                rows.append([name, question, *(_cell(each, measure) for measure in MEASURES)])
    return table(rows)


def _cell(scores: Mapping[str, Any], measure: str) -> str:
    value = scores[measure]
    text = "-" if value is None else f"{value:.3f}"
    if measure == "f1" and scores["interval"]:
        low, high = scores["interval"]
        return f"{text} ({low:.2f} to {high:.2f})"
    return text


def _flagged(found: Mapping[str, Any]) -> str:
    rows = [["mask", "% flagged"]]
    for name, mask in found["masks"].items():
        asked = mask["questions"]
        # Where all is clear, what is not called clear is flagged; s2cloudless knows clouds only.
        share = 1 - asked["clear"]["recall"] if "clear" in asked else asked["cloud"]["called"]
        rows.append([name, f"{100 * share:.2f}"])
    return table(rows)


def main() -> None:
    """Measure, keep, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=(), choices=HEADINGS, help="what to measure")
    wanted = parser.parse_args().only
    found = run(wanted)
    if wanted:
        before = kept()["accuracy"]
        found["datasets"] = {**before["datasets"], **found["datasets"]}
        found["absent"] = {**before["absent"], **found["absent"]}
    save("accuracy", found)
    fill_in(PAGE, "accuracy", markdown(found))
    fill_in(ROOT / "README.md", "accuracy", readme(found))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
