from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask.classes import CLASSES, NO_DATA_CLASS
from cloudmask.local.compare.schemes import CLOUDMASK, CLOUDMASK_ONE_CLOUD, S2CLOUDLESS
from cloudmask_export.evaluation.page import pictures
from cloudmask_export.evaluation.page.pictures import Meeting, draw, kinds, natural, shares
from cloudmask_export.evaluation.page.worst import worst, wrong
from cloudmask_export.evaluation.samples import Image, Truth

PIL = pytest.importorskip("PIL.Image")

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALL = ((0,), (1,), (2,), (3,))
ONE_CLOUD = ((0,), (1, 2), (3,))
COLOURS = {each.code: each.colour for each in (*CLASSES, NO_DATA_CLASS)}


def opened(picture: Any) -> NDArray[np.uint8]:
    with PIL.open(io.BytesIO(picture.data)) as image:
        return np.asarray(image.convert("RGB"))


def image_of(edge: int, bands: tuple[str, ...] = ("B02", "B03", "B04")) -> Image:
    values = np.random.default_rng(0).uniform(0, 0.5, (len(bands), edge, edge))
    return Image(reflectance=values.astype(np.float32), bands=bands, pixel_size=10.0)


def met(truth: Any, mask: Any, groups: Any = ALL, schemes: Any = (CLOUDMASK, CLOUDMASK)) -> Any:
    return Meeting.of(Truth(np.asarray(truth)), np.asarray(mask), schemes, groups)


def test_labels_and_mask_are_painted_in_the_colours_of_the_classes() -> None:
    truth = np.array([[0, 1], [2, 255]], np.uint8)
    mask = np.array([[3, 1], [0, 0]], np.uint8)
    looks = draw(image_of(2), met(truth, mask))
    for picture, codes in ((looks.truth, truth), (looks.mask, mask)):
        expected = [[COLOURS[code] for code in row] for row in codes.tolist()]
        assert (opened(picture) == np.array(expected)).all()


def test_agreement_is_grey_each_kind_of_difference_its_colour_and_the_rest_white() -> None:
    truth = np.array([[0, 1, 0, 1, 255, 0]], np.uint8)
    mask = np.array([[0, 1, 1, 0, 1, 255]], np.uint8)
    looks = draw(image_of(6), met(np.repeat(truth, 6, 0), np.repeat(mask, 6, 0)))
    same, cloud, added, lost, *nothing = opened(looks.difference)[0].tolist()
    assert len(set(same)) == 1
    assert len(set(cloud)) == 1
    assert same > cloud
    assert nothing == [[255] * 3] * 2
    css = {kind.label: kind.colour for kind in looks.kinds}
    assert css["clear called thick cloud"] == "#" + bytes(added).hex()
    assert css["thick cloud called clear"] == "#" + bytes(lost).hex()
    assert css["both clear"] == "#" + bytes(same).hex()
    assert added != lost


def test_kinds_count_what_has_a_class_in_both_the_largest_difference_first() -> None:
    truth = np.array([0] * 7 + [1] * 4 + [3] + [255] * 5, np.uint8)
    mask = np.array([0] * 4 + [3] * 2 + [255] + [0] * 3 + [1] + [0] + [1] * 5, np.uint8)
    found = kinds(met(truth, mask).truth, met(truth, mask).mask, ALL)
    said = [(kind.label, kind.share, kind.same) for kind in found]
    part = 100 / 11
    assert [(label, same) for label, _, same in said] == [
        ("thick cloud called clear", False),
        ("clear called cloud shadow", False),
        ("cloud shadow called clear", False),
        ("both clear", True),
        ("both thick cloud", True),
    ]
    assert [share for _, share, _ in said] == pytest.approx(
        [3 * part, 2 * part, part, 4 * part, part]
    )


def test_two_masks_of_other_codes_meet_in_the_classes_that_both_know() -> None:
    # Thin cloud in the labels is cloud for a network of one cloud class.
    meeting = met([[0, 1, 2, 3]], [[0, 1, 1, 3]], ONE_CLOUD, (CLOUDMASK, CLOUDMASK_ONE_CLOUD))
    assert (meeting.truth == meeting.mask).all()
    coarse = met([[0, 1, 2, 3]], [[0, 1, 1, 0]], ((0, 3), (1, 2)), (CLOUDMASK, S2CLOUDLESS))
    assert (coarse.truth == coarse.mask).all()


def test_a_label_that_is_of_several_classes_at_once_is_not_painted_as_one() -> None:
    several = replace(CLOUDMASK, codes={**CLOUDMASK.codes, 101: (1, 3)})
    meeting = met([[0, 101, 3]], [[0, 1, 3]], ALL, (several, CLOUDMASK))
    assert meeting.truth.tolist() == [[0, pictures.NOTHING, 3]]
    assert sum(kind.share for kind in kinds(meeting.truth, meeting.mask, ALL)) == 100


def test_shares_in_words_are_of_what_has_a_class() -> None:
    numbers = met([[0, 0, 1, 255, 3]], [[0] * 5]).truth
    assert shares(numbers, ONE_CLOUD) == "clear 66.7 %, cloud 33.3 %, cloud shadow 0.0 %"


def test_what_the_eye_sees_has_red_green_blue_in_their_places() -> None:
    values = np.zeros((3, 8, 8), np.float32)
    values[0, :4] = 0.5  # B04
    values[1, :, :4] = 0.5  # B02
    seen = natural(Image(reflectance=values, bands=("B04", "B02", "B03"), pixel_size=10.0))
    red, green, blue = (seen[..., band] > 0.5 for band in range(3))
    assert (red == (np.arange(8) < 4)[:, None]).all()
    assert (blue == (np.arange(8) < 4)[None, :]).all()
    assert not green.any()


def test_an_image_without_those_colours_is_grey() -> None:
    seen = natural(image_of(8, ("B08", "B11")))
    assert (seen == seen[..., :1]).all()
    assert seen.std() > 0.1


def test_no_data_is_painted_as_such_in_the_scene() -> None:
    image = image_of(8)
    image.reflectance[1, 2, 3] = np.nan
    assert np.allclose(natural(image)[2, 3] * 255, NO_DATA_CLASS.colour)


def test_large_samples_make_small_pictures_whose_class_colours_do_not_mix() -> None:
    edge = 3 * pictures.LONGEST
    codes = np.random.default_rng(1).integers(0, 4, (edge, edge)).astype(np.uint8)
    looks = draw(image_of(edge), met(codes, codes))
    for picture in (looks.view, looks.truth, looks.mask, looks.difference):
        assert (picture.width, picture.height) == (pictures.LONGEST, pictures.LONGEST)
    colours = {tuple(each) for each in opened(looks.truth).reshape(-1, 3).tolist()}
    assert colours <= {tuple(each) for each in COLOURS.values()}


def test_points_are_squares_where_they_are() -> None:
    labels = Truth(np.array([0, 1]), np.array([3, 20]), np.array([5, 30]))
    mask = np.zeros((40, 40), np.uint8)
    looks = draw(image_of(40), Meeting.of(labels, mask, (CLOUDMASK, CLOUDMASK), ALL))
    truth, difference = opened(looks.truth), opened(looks.difference)
    assert tuple(truth[3, 5]) == COLOURS[0]
    assert tuple(truth[19, 31]) == COLOURS[1]
    assert tuple(truth[30, 10]) not in {COLOURS[0], COLOURS[1]}
    (kind,) = [each for each in looks.kinds if not each.same]
    assert (kind.label, kind.share) == ("thick cloud called clear", 50)
    assert "#" + bytes(difference[20, 30].tolist()).hex() == kind.colour


def test_the_worst_have_the_largest_share_of_wrong_pixels(two: Any) -> None:
    ours = two.results.predictors[0].samples
    assert [each.name for each in worst(ours, 9)] == ["a_1", "<b>&_2"]
    assert [each.name for each in worst(ours, 1)] == ["a_1"]
    # 4 rows of 20 are called cloud, one pixel of them has no label.
    assert wrong(worst(ours, 1)[0]) == pytest.approx(100 * 79 / 399)
