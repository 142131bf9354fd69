from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cloudmask.classes import (
    CLASSES,
    LAYOUT_BANDS,
    NO_DATA,
    Output,
    arrange,
    by_class,
    classify,
    code_of,
    dilate,
    most_probable,
)
from cloudmask.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAPS = hnp.arrays(
    np.uint8,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
    elements=st.sampled_from([0, 0, 0, 0, 1, 2, 3, 255]),
)
MASKED = st.lists(st.sampled_from([1, 2, 3]), unique=True)
LAYOUTS = list(LAYOUT_BANDS)


def spread_of(classes: NDArray[np.uint8]) -> NDArray[np.float32]:
    valid = classes != NO_DATA
    chosen = np.where(valid, classes, 0)
    return by_class(np.moveaxis(np.eye(4, dtype=np.float32)[chosen], -1, 0), range(4), valid)


def dilate_by_loops(
    classes: NDArray[np.uint8], masked: list[int], radius: float
) -> NDArray[np.uint8]:
    grown = classes.copy()
    pixels = list(product(*map(range, classes.shape)))
    for y, x in pixels:
        if classes[y, x] == 0:
            near = {
                int(classes[v, u])
                for v, u in pixels
                if (v - y) ** 2 + (u - x) ** 2 <= radius**2 and classes[v, u] in masked
            }
            grown[y, x] = min(near, default=0)
    return grown


# -- codes ----------------------------------------------------------------------------------


def test_codes_are_those_of_cloudsen12() -> None:
    assert [(each.code, each.name) for each in CLASSES] == [
        (0, "clear"), (1, "thick_cloud"), (2, "thin_cloud"), (3, "cloud_shadow"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("clear", 0),
        ("Cloud", 1),
        ("thick cloud", 1),
        ("haze", 2),
        ("thin-cloud", 2),
        ("shadow", 3),
    ],
)
def test_a_manifests_class_names_have_codes(name: str, code: int) -> None:
    assert code_of(name) == code


def test_an_unknown_class_name_has_no_code() -> None:
    assert code_of("snow") is None


# -- classes --------------------------------------------------------------------------------


def test_the_most_probable_channel_gives_its_code() -> None:
    probabilities = np.array([[[0.1, 0.7, 0.2]], [[0.2, 0.1, 0.2]], [[0.7, 0.2, 0.6]]], np.float32)
    classes = classify(probabilities, (0, 1, 3), np.ones((1, 3), bool))
    assert classes.tolist() == [[3, 0, 3]]
    assert classes.dtype == np.uint8


def test_a_tie_goes_to_the_first_channel() -> None:
    probabilities = np.full((3, 1, 1), 1 / 3, np.float32)
    assert classify(probabilities, (3, 1, 0), np.ones((1, 1), bool)).item() == 3


def test_no_data_is_255_whatever_the_probabilities() -> None:
    probabilities = np.array([[[1.0]], [[0.0]]], np.float32)
    assert classify(probabilities, (0, 1), np.zeros((1, 1), bool)).item() == 255


def test_channels_spread_over_the_four_classes() -> None:
    probabilities = np.array([[[0.1]], [[0.3]], [[0.6]]], np.float32)
    spread = by_class(probabilities, (3, 0, 1), np.ones((1, 1), bool))
    np.testing.assert_allclose(spread[:, 0, 0], [0.3, 0.6, 0, 0.1])


def test_probabilities_of_no_data_are_nan() -> None:
    spread = by_class(np.ones((2, 1, 2), np.float32), (0, 1), np.array([[True, False]]))
    assert np.isnan(spread[:, 0, 1]).all()
    assert np.isfinite(spread[:, 0, 0]).all()


# -- layouts --------------------------------------------------------------------------------


@given(MAPS, st.sampled_from(LAYOUTS))
def test_a_layout_has_its_bands_and_dtype(classes: NDArray[np.uint8], layout: str) -> None:
    output = Output(layout=layout)  # type: ignore[arg-type]
    answer = arrange(classes, spread_of(classes), output)
    assert answer.shape == (len(output.bands), *classes.shape)
    assert answer.dtype == (np.uint8 if layout == "mask" else np.float32)


@given(MAPS, MASKED, st.sampled_from(["mask", "probabilities"]))
def test_the_mask_is_zero_or_one_and_never_nan(
    classes: NDArray[np.uint8], masked: list[int], layout: str
) -> None:
    output = Output(layout=layout, masked=tuple(masked))  # type: ignore[arg-type]
    mask = arrange(classes, spread_of(classes), output)[0]
    expected = [[float(code in (*masked, 255)) for code in row] for row in classes.tolist()]
    np.testing.assert_array_equal(mask, np.reshape(expected, classes.shape))


@given(MAPS, MASKED, st.sampled_from(["mask", "probabilities"]))
def test_no_data_is_always_masked_and_never_clear(
    classes: NDArray[np.uint8], masked: list[int], layout: str
) -> None:
    output = Output(layout=layout, masked=tuple(masked))  # type: ignore[arg-type]
    mask, code = arrange(classes, spread_of(classes), output)[:2]
    assert (mask[classes == 255] == 1).all()
    np.testing.assert_array_equal(code == 255, classes == 255)


def test_by_default_all_three_classes_are_masked() -> None:
    classes = np.array([[0, 1, 2, 3, 255]], np.uint8)
    assert arrange(classes, None, Output())[0].tolist() == [[0, 1, 1, 1, 1]]


def test_the_probabilities_follow_mask_and_class() -> None:
    classes = np.array([[3]], np.uint8)
    answer = arrange(classes, spread_of(classes), Output(layout="probabilities"))
    assert answer[:, 0, 0].tolist() == [1, 3, 0, 0, 0, 1]


@pytest.mark.parametrize(("code", "expected"), [(1, [1, 0, 0]), (3, [0, 1, 0]), (2, [0, 0, 1])])
def test_cloud_detection_has_cloud_shadow_and_haze(code: int, expected: list[int]) -> None:
    classes = np.array([[code]], np.uint8)
    answer = arrange(classes, spread_of(classes), Output(layout="cloud_detection"))
    assert answer[:, 0, 0].tolist() == expected


def test_cloud_detection_of_no_data_is_nan() -> None:
    classes = np.array([[255]], np.uint8)
    answer = arrange(classes, spread_of(classes), Output(layout="cloud_detection"))
    assert np.isnan(answer.astype(np.float32)).all()


def test_layouts_have_the_labels_that_openeo_users_see() -> None:
    assert LAYOUT_BANDS["mask"] == ("mask", "class")
    assert LAYOUT_BANDS["cloud_detection"] == ("cloud", "shadow", "haze")


# -- options --------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["masks", None, ["mask"]])
def test_an_unknown_layout_is_refused(layout: object) -> None:
    with pytest.raises(OptionError, match="choose one of mask, probabilities, cloud_detection"):
        Output(layout=layout)  # type: ignore[arg-type]


@pytest.mark.parametrize("masked", [(0,), (1, 4), (255,), ("cloud",)])
def test_an_unknown_class_to_mask_is_refused(masked: object) -> None:
    with pytest.raises(OptionError, match="choose among 1 thick cloud, 2 thin cloud, 3 cloud"):
        Output(masked=masked)  # type: ignore[arg-type]


@pytest.mark.parametrize("distance", [-1, 10_001, float("nan"), float("inf"), "60", None])
def test_a_distance_that_cannot_be_grown_is_refused(distance: object) -> None:
    with pytest.raises(
        OptionError, match=r"dilate=.*: must be (0 to 10000 metres|finite|a number)"
    ):
        Output(dilate=distance)  # type: ignore[arg-type]


# -- growing --------------------------------------------------------------------------------


@given(MAPS, MASKED, st.floats(1, 5))
def test_masked_classes_grow_as_loops_over_all_pixels_say(
    classes: NDArray[np.uint8], masked: list[int], radius: float
) -> None:
    expected = dilate_by_loops(classes, masked, radius)
    np.testing.assert_array_equal(dilate(classes, masked, radius), expected)


@given(MAPS, MASKED, st.floats(0, 5))
def test_growing_changes_clear_pixels_only(
    classes: NDArray[np.uint8], masked: list[int], radius: float
) -> None:
    grown = dilate(classes, masked, radius)
    np.testing.assert_array_equal(grown[classes != 0], classes[classes != 0])


@pytest.mark.parametrize("radius", [0, 0.5, 0.99])
def test_less_than_a_pixel_grows_nothing(radius: float) -> None:
    classes = np.array([[0, 1, 0]], np.uint8)
    assert dilate(classes, (1,), radius) is classes


def test_the_argument_is_not_changed() -> None:
    classes = np.array([[0, 1, 0]], np.uint8)
    dilate(classes, (1,), 2)
    assert classes.tolist() == [[0, 1, 0]]


# -- the most probable class ----------------------------------------------------------------


@given(
    channels=st.integers(1, 6),
    shape=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    seed=st.integers(0, 99),
    steps=st.sampled_from([2, 5, 1000]),
)
def test_the_most_probable_channel_is_numpys_argmax_ties_included(
    channels: int, shape: tuple[int, int], seed: int, steps: int
) -> None:
    draw = np.random.default_rng(seed).integers(0, steps, (channels, *shape))
    chances = (draw / steps).astype(np.float32)
    found = most_probable(chances)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, chances.argmax(axis=0))


def test_finding_the_most_probable_channel_leaves_the_probabilities_alone() -> None:
    chances = np.random.default_rng(0).random((4, 5, 6), dtype=np.float32)
    before = chances.copy()
    most_probable(chances)
    np.testing.assert_array_equal(chances, before)
