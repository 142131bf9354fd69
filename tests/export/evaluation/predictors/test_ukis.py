from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("rasterio")

from cloudmask_export.evaluation.predictors import peer
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudmask_export.evaluation.samples import Sample

SIX = ("B02", "B03", "B04", "B08", "B11", "B12")


class Seen:
    """Stands in for the peer's class and keeps what it is given; calls everything bright cloud."""

    last: dict[str, Any]

    def __init__(self, **given: Any) -> None:
        Seen.last = given
        self.csm = (given["img"][..., :1] > 0.5).astype(np.uint8) + 2 * (
            given["img"][..., :1] < 0.05
        ).astype(np.uint8)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> type[Seen]:
    mask = pytest.importorskip("ukis_csmask.mask", reason="the extra ukis is not installed")
    monkeypatch.setattr(mask, "CSmask", Seen)
    return Seen


def six(edge: int = 12) -> Any:
    """(6, y, x): band k is 0.1 + k / 100, the upper half bright, the left columns dark."""
    bands = 0.1 + np.arange(6, dtype=np.float32)[:, None, None] / 100
    image = np.broadcast_to(bands, (6, edge, edge)).copy()
    image[:, : edge // 2] += 0.6
    image[:, edge // 2 :, : edge // 2] = 0.01
    return image


@pytest.mark.parametrize(("name", "count"), [("ukis:4b_l1c", 4), ("ukis:6b_l2a", 6)])
def test_its_own_code_gets_its_bands_last_and_its_level(
    sample: Callable[..., Sample], seen: type[Seen], name: str, count: int
) -> None:
    made = peer(name).predict(sample(six()[::-1], bands=SIX[::-1]))
    given = seen.last
    assert given["band_order"] == ["blue", "green", "red", "nir", "swir16", "swir22"][:count]
    assert given["product_level"] == name[-3:]
    assert given["img"].shape == (12, 12, count)
    assert given["img"].dtype == np.float32
    assert np.allclose(given["img"][-1, -1], 0.1 + np.arange(count) / 100)
    assert (made[:6] == 1).all()
    assert (made[6:, :6] == 2).all()
    assert (made[6:, 6:] == 0).all()


def test_with_a_pixel_size_behind_its_name_it_sees_such_pixels(
    sample: Callable[..., Sample], seen: type[Seen]
) -> None:
    made = peer("ukis:4b_l1c@30").predict(sample(six(), bands=SIX))
    assert seen.last["img"].shape == (4, 4, 4)
    assert made.shape == (12, 12)
    assert (made[:6] == 1).all()


def test_no_data_is_finite_for_it_and_stays_no_data(
    sample: Callable[..., Sample], seen: type[Seen]
) -> None:
    image = six()
    image[1, 3, 4] = np.nan
    made = peer("ukis:4b_l1c").predict(sample(image, bands=SIX))
    assert np.isfinite(seen.last["img"]).all()
    assert made[3, 4] == 255
    assert np.count_nonzero(made == 255) == 1
    assert peer("ukis:4b_l1c").scheme.codes[255] == ()


@pytest.mark.parametrize(
    "name", ["ukis:", "ukis:5b_l1c", "ukis:4b_l1d", "ukis:4b-l1c", "ukis:4b_l1c@", "ukis:4b_l1c@x"]
)
def test_other_names_are_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(EvaluationError, match=r"choose among ukis:4b_l1c"):
        peer(name)


@pytest.mark.parametrize("name", ["ukis:4b_l1c@0", "ukis:4b_l1c@1.2.3"])
def test_a_pixel_size_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(EvaluationError, match="are no metres"):
        peer(name)


def test_without_the_package_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "cloudmask_export.evaluation.predictors.ukis.find_spec", lambda _name: None
    )
    with pytest.raises(EvaluationError, match=r"pip install 'openeo-cloudmask\[ukis\]'"):
        peer("ukis:4b_l1c")


def test_missing_bands_are_named(sample: Callable[..., Sample], seen: type[Seen]) -> None:
    with pytest.raises(EvaluationError, match="ukis:6b_l1c needs B11, B12 too"):
        peer("ukis:6b_l1c").predict(sample(six()[:4]))
