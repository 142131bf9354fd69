from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask.errors import OptionError
from cloudmask.local.compare.schemes import CLOUDMASK, S2CLOUDLESS, UKIS_CSM, UKIS_VALID, Scheme
from cloudmask_export.evaluation.evaluate import Evaluation, evaluate
from cloudmask_export.evaluation.labels import CHIPS, PIXBOX
from cloudmask_export.evaluation.results import Results
from cloudmask_export.evaluation.samples import Dataset, EvaluationError, Image, Truth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudmask_export.evaluation.protocols import ClassScores
    from cloudmask_export.evaluation.samples import Sample

LABELS = [[0, 1, 1], [2, 3, 255]]


@dataclass
class _Sample:
    name: str = "a"
    group: str = "g"
    labels: Any = field(default_factory=lambda: LABELS)
    rows: Any = None
    columns: Any = None
    events: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return Path("data") / f"{self.name}.tif"

    def image(self) -> Image:
        self.events.append(f"image {self.name}")
        pixels = np.zeros((1, 2, 3), np.float32)
        return Image(reflectance=pixels, bands=("B02",), pixel_size=10)

    def truth(self) -> Truth:
        self.events.append(f"labels {self.name}")
        codes = np.asarray(self.labels)
        return Truth(codes, *(None if each is None else np.array(each) for each in self.places))

    @property
    def places(self) -> tuple[Any, Any]:
        return self.rows, self.columns


@dataclass
class _Predictor:
    mask: Any
    name: str = "fake"
    title: str = "A fake"
    scheme: Scheme = CLOUDMASK
    act: Callable[[Image], None] = lambda _image: None

    def predict(self, sample: Sample) -> np.ndarray:
        self.act(sample.image())
        return np.asarray(self.mask)


@dataclass
class _Rows:
    """Masks as wide as the labels, with two cloudy pixels at the left."""

    name: str = "rows"
    title: str = ""
    scheme: Scheme = CLOUDMASK

    def predict(self, sample: Sample) -> np.ndarray:
        mask = np.zeros(sample.truth().codes.shape, np.uint8)
        mask[:, :2] = 1
        return mask


def dataset(*samples: Any, kind: Any = "pixels", scheme: Scheme = CLOUDMASK) -> Dataset:
    return Dataset(
        name="fakes",
        title="Fakes",
        scheme=scheme,
        kind=kind,
        human=True,
        licence="",
        source="",
        samples=samples,
    )


PERFECT = _Predictor(LABELS)


# -- scores ---------------------------------------------------------------------------------


def test_a_mask_that_is_the_labels_is_perfect() -> None:
    found = evaluate(dataset(_Sample()), [PERFECT]).predictors[0]
    assert found.by("pooled").accuracy == 1
    assert all(each.f1 == 1 for each in found.by("pooled").questions.values())
    assert found.pixels.scored == 5
    assert found.pixels.unlabelled == 1


def test_each_predictor_and_sample_has_its_own_scores() -> None:
    samples = _Sample("a", "north"), _Sample("b", "south", [[1, 1, 1], [1, 1, 1]])
    blind = _Predictor([[0] * 3] * 2, "blind")
    results = evaluate(dataset(*samples), [PERFECT, blind])
    assert [one.mask.name for one in results.predictors] == ["fake", "blind"]
    for one in results.predictors:
        assert [(s.name, s.group, s.path) for s in one.samples] == [
            ("a", "north", str(Path("data/a.tif"))),
            ("b", "south", str(Path("data/b.tif"))),
        ]
    first, second = results.predictors
    assert first.samples[0].questions["cloud"].measure("recall") == 1
    assert first.samples[1].questions["cloud"].measure("recall") == pytest.approx(3 / 5)
    assert second.by("pooled").questions["cloud"].recall == 0


def test_results_say_what_was_scored_and_how() -> None:
    samples = [_Sample(name, name[0]) for name in ("a1", "a2", "b1")]
    results = evaluate(dataset(*samples), [PERFECT], Evaluation(resamples=5, seed=3))
    facts = results.dataset
    assert (facts.name, facts.scheme, facts.kind, facts.human) == (
        "fakes",
        "cloudmask",
        "pixels",
        True,
    )
    assert (facts.samples, facts.groups) == (3, 2)
    assert (results.resamples, results.seed) == (5, 3)
    assert results.predictors[0].mask.scheme == "cloudmask"


def test_pixels_without_data_in_the_mask_are_not_scored_but_told() -> None:
    found = evaluate(dataset(_Sample()), [_Predictor([[255, 1, 1], [2, 255, 255]])])
    one = found.predictors[0]
    assert one.pixels.share_without_data == 2 / 5
    assert one.by("pooled").accuracy == 1
    assert math.isnan(one.by("pooled").questions["shadow"].recall)


def test_patches_and_pixels_are_scored_apart() -> None:
    samples = [_Sample("a", "g", [[1] * 99 + [0]]), _Sample("b", "g", [[1] + [0] * 99])]
    blind_on_b = _Predictor([[1] * 99 + [0]])
    one = evaluate(dataset(*samples), [blind_on_b]).predictors[0]
    assert [each.protocol for each in one.scores] == ["pooled", "patch medians"]
    assert one.by("pooled").questions["cloud"].precision == pytest.approx(100 / 198)
    assert one.by("patch medians").questions["cloud"].precision == pytest.approx((1 + 1 / 99) / 2)


def test_intervals_are_over_groups_and_seeded() -> None:
    labels = [[1] * (place % 4 + 1) + [0] * 5 for place in range(9)]
    samples = [_Sample(str(place), str(place), [each]) for place, each in enumerate(labels)]

    def found(seed: int) -> ClassScores:
        made = evaluate(dataset(*samples), [_Rows()], Evaluation(seed=seed, resamples=40))
        return made.predictors[0].by("pooled").questions["cloud"]

    assert found(1).intervals["recall"] == found(1).intervals["recall"]
    assert found(1).intervals["recall"] != found(2).intervals["recall"]


def test_one_group_of_samples_has_no_intervals() -> None:
    one = evaluate(dataset(_Sample("a"), _Sample("b")), [PERFECT]).predictors[0]
    assert not one.by("pooled").questions["cloud"].intervals


def test_results_of_an_evaluation_come_back_from_json() -> None:
    results = evaluate(dataset(_Sample("a", "x"), _Sample("b", "y")), [PERFECT])
    assert repr(Results.from_json(results.as_json())) == repr(results)


# -- points ---------------------------------------------------------------------------------


def test_points_are_looked_up_in_the_mask() -> None:
    sample = _Sample(labels=[1, 3, 0], rows=[0, 1, 1], columns=[2, 0, 2])
    one = evaluate(dataset(sample, kind="points"), [_Predictor([[0, 0, 1], [3, 0, 1]])])
    scores = one.predictors[0].by("points")
    assert [each.protocol for each in one.predictors[0].scores] == ["points"]
    assert scores.questions["shadow"].recall == 1
    assert scores.questions["cloud"].precision == 0.5
    assert scores.accuracy == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("rows", "columns"), [([0, 2], [0, 0]), ([0, 0], [3, 0]), ([-1, 0], [0, 0])]
)
def test_points_beyond_the_mask_are_refused(rows: list[int], columns: list[int]) -> None:
    sample = _Sample(labels=[0, 1], rows=rows, columns=columns)
    with pytest.raises(
        EvaluationError,
        match=r"mask of a by fake: is of the shape \(2, 3\), but there are labels at",
    ):
        evaluate(dataset(sample, kind="points"), [PERFECT])


def test_an_image_may_be_without_points() -> None:
    empty = _Sample("a", labels=np.zeros(0, np.uint8), rows=[], columns=[])
    sample = _Sample("b", labels=[1], rows=[0], columns=[1])
    empty.rows, empty.columns = (np.zeros(0, np.intp),) * 2
    one = evaluate(dataset(empty, sample, kind="points"), [PERFECT]).predictors[0]
    assert one.by("points").accuracy == 1


def test_points_of_pixbox_may_be_cloud_and_shadow_at_once() -> None:
    """Two opaque clouds in shadow, one called cloud, the other shadow; and two clear points."""
    sample = _Sample(labels=[102, 102, 1, 7], rows=[0, 0, 1, 1], columns=[0, 1, 0, 1])
    mask = _Predictor([[1, 3, 0], [0, 0, 0]])
    found = evaluate(dataset(sample, kind="points", scheme=PIXBOX), [mask]).predictors[0]
    scores = found.by("points").questions
    assert scores["cloud"].recall == scores["shadow"].recall == 0.5
    assert scores["cloud"].precision == scores["shadow"].precision == 1
    assert scores["clear"].precision == scores["clear"].recall == 1


# -- one sample at a time -------------------------------------------------------------------


def test_a_sample_is_read_once_and_after_the_one_before_is_done() -> None:
    events: list[str] = []

    def noting(name: str) -> Callable[[Image], None]:
        return lambda _image: events.append(name)

    samples = [_Sample(name, events=events) for name in "ab"]
    predictors = [_Predictor(LABELS, name, act=noting(name)) for name in "pq"]
    evaluate(dataset(*samples), predictors)
    assert events == ["labels a", "image a", "p", "q", "labels b", "image b", "p", "q"]


def test_a_predictor_cannot_change_the_image_for_the_next_one() -> None:
    def spoil(image: Image) -> None:
        image.reflectance[:] = 9

    with pytest.raises(ValueError, match="read-only"):
        evaluate(dataset(_Sample()), [_Predictor(LABELS, act=spoil)])


def test_each_step_is_told_before_it_is_done_and_the_end_too() -> None:
    told: list[tuple[str, int, int]] = []
    samples, predictors = [_Sample("a"), _Sample("b")], [PERFECT, _Predictor(LABELS, "q")]

    def tell(words: str, done: int, total: int) -> None:
        told.append((words, done, total))

    evaluate(dataset(*samples), predictors, tell=tell)
    assert told == [
        ("a: fake", 0, 4),
        ("a: q", 1, 4),
        ("b: fake", 2, 4),
        ("b: q", 3, 4),
        ("", 4, 4),
    ]


# -- what is refused ------------------------------------------------------------------------


def test_labels_with_a_strange_code_are_refused_before_anything_is_masked() -> None:
    def never(_image: Image) -> None:
        pytest.fail("masked")

    sample = _Sample("tile-7", labels=[[0, 1, 9], [0, 0, 0]])
    with pytest.raises(
        EvaluationError,
        match=r"labels of tile-7 \(data.tile-7\.tif\): has the codes 9, but cloudmask .* has only "
        "0, 1, 2, 3, 255",
    ):
        evaluate(dataset(sample), [_Predictor(LABELS, act=never)])


def test_a_mask_with_a_strange_code_is_refused() -> None:
    with pytest.raises(
        EvaluationError,
        match=r"mask of a by fake: has the codes 2, 3, but s2cloudless .* has only 0, 1, 255;",
    ):
        evaluate(dataset(_Sample()), [_Predictor(LABELS, scheme=S2CLOUDLESS)])


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(
        EvaluationError,
        match=r"mask of a by fake: is of the shape \(3, 2\), its labels of \(2, 3\)",
    ):
        evaluate(dataset(_Sample()), [_Predictor(np.transpose(LABELS))])


def test_a_mask_of_probabilities_is_refused() -> None:
    with pytest.raises(EvaluationError, match="mask of a by fake: holds float64; cloudmask has"):
        evaluate(dataset(_Sample()), [_Predictor(np.zeros((2, 3)))])


def test_a_dataset_without_samples_is_refused() -> None:
    with pytest.raises(EvaluationError, match="fakes: has no samples"):
        evaluate(dataset(), [PERFECT])


def test_no_predictor_is_refused() -> None:
    with pytest.raises(EvaluationError, match="no predictor"):
        evaluate(dataset(_Sample()), [])


def test_samples_of_one_name_are_refused() -> None:
    with pytest.raises(
        EvaluationError, match="fakes: samples a: each name may be there only once"
    ):
        evaluate(dataset(_Sample(), _Sample()), [PERFECT])


def test_predictors_of_one_name_are_refused() -> None:
    with pytest.raises(EvaluationError, match="predictors fake: each name may be there only once"):
        evaluate(dataset(_Sample()), [PERFECT, PERFECT])


def test_a_mask_with_nothing_in_common_with_the_labels_is_refused_before_reading() -> None:
    sample = _Sample()
    with pytest.raises(EvaluationError, match="no two classes that both tell apart"):
        evaluate(dataset(sample, scheme=S2CLOUDLESS), [_Predictor(LABELS, scheme=UKIS_VALID)])
    assert not sample.events


def test_a_predictor_that_cannot_do_a_sample_ends_the_evaluation() -> None:
    def lacks(_image: Image) -> None:
        raise EvaluationError("a lacks B10")

    with pytest.raises(EvaluationError, match="a lacks B10"):
        evaluate(dataset(_Sample()), [_Predictor(LABELS, act=lacks)])


def test_a_protocol_for_other_labels_is_refused() -> None:
    with pytest.raises(
        OptionError, match=r"protocols \['points'\]: these labels are pixels; choo"
    ):
        evaluate(dataset(_Sample()), [PERFECT], Evaluation(protocols=("points",)))


def test_only_the_protocols_asked_for_are_made() -> None:
    asked = Evaluation(protocols=("patch medians",))
    one = evaluate(dataset(_Sample()), [PERFECT], asked).predictors[0]
    assert [each.protocol for each in one.scores] == ["patch medians"]


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(
        OptionError, match=r"protocols \['mean'\]: choose among pooled, patch medi"
    ):
        Evaluation(protocols=("mean",))  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"resamples": -1}, {"seed": -1}])
def test_negative_numbers_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(OptionError, match="both are whole numbers from 0"):
        Evaluation(**wrong)  # type: ignore[arg-type]


# -- a peer's published scores --------------------------------------------------------------

NAMES = ["blue", "green", "red", "nir", "swir16", "swir22"]


@dataclass
class _Chip:
    chip: Any
    name: str = "ukis_sentinel2"
    group: str = "ukis_sentinel2"
    path: Path = Path("ukis_sentinel2.npz")

    def image(self) -> Image:
        cube = self.chip.cube
        return Image(
            reflectance=cube.values.astype(np.float32),
            bands=tuple(cube.bands.values.tolist()),
            pixel_size=30,
            level="L1C",
        )

    def truth(self) -> Truth:
        return Truth(self.chip.labels)


@dataclass
class _Peer:
    """The peer's own code: its tiles, its blending, its networks."""

    bands: int
    title: str = "ukis-csmask"
    scheme: Scheme = UKIS_CSM

    @property
    def name(self) -> str:
        return f"ukis {self.bands}b"

    def predict(self, sample: Sample) -> np.ndarray:
        peer = pytest.importorskip("ukis_csmask.mask")
        image = np.moveaxis(sample.image().reflectance[: self.bands], 0, -1)
        made = peer.CSmask(
            np.ascontiguousarray(image),
            band_order=NAMES[: self.bands],
            product_level="l1c",
            intra_op_num_threads=1,
            providers=["CPUExecutionProvider"],
        )
        return np.asarray(made.csm[..., 0])


def row(scores: ClassScores) -> Sequence[float]:
    return scores.precision, scores.recall, scores.f1, scores.iou, scores.boa


@pytest.mark.parametrize(
    ("bands", "cloud", "shadow", "accuracy"),
    [
        (6, (0.769, 0.986, 0.864, 0.761, 0.959), (0.723, 0.963, 0.826, 0.703, 0.959), 0.903),
        (4, (0.839, 0.971, 0.900, 0.818, 0.964), (0.739, 0.983, 0.843, 0.729, 0.970), 0.926),
    ],
    ids=["6b", "4b"],
)
def test_the_peers_scores_on_human_labels_come_out(
    labelled_chip: Any, bands: int, cloud: Any, shadow: Any, accuracy: float
) -> None:
    """Precision, recall, F1, IoU, BOA as measured apart from this project, to three digits."""
    found = evaluate(dataset(_Chip(labelled_chip), scheme=CHIPS), [_Peer(bands)])
    scores = found.predictors[0].by("pooled")
    assert row(scores.questions["cloud"]) == pytest.approx(cloud, abs=0.005)
    assert row(scores.questions["shadow"]) == pytest.approx(shadow, abs=0.005)
    assert scores.accuracy == pytest.approx(accuracy, abs=0.005)
