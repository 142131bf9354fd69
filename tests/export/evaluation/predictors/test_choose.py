from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("rasterio")

from cloudmask.errors import OptionError
from cloudmask_export.evaluation.predictors import KINDS, How, peer, predictor
from cloudmask_export.evaluation.predictors.kept import Kept
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloudmask_export.evaluation.samples import Sample


def test_a_name_is_a_peers_or_a_networks(tiny_network: Path) -> None:
    pytest.importorskip("ukis_csmask", reason="the extra ukis is not installed")
    assert type(predictor(str(tiny_network))).__name__ == "Networks"
    assert type(predictor("ukis:4b_l1c")).__name__ == "Ukis"


def test_an_unknown_peer_is_refused_with_those_there_are() -> None:
    with pytest.raises(EvaluationError, match=r"peer 'fmask': choose among s2cloudless, .*files:"):
        peer("fmask")
    with pytest.raises(EvaluationError, match="peer 's2cloudless-rough': choose among"):
        predictor("s2cloudless-rough")
    assert "NETWORK" in KINDS


@pytest.mark.parametrize("resolution", ["grid", "", 0, -10, float("nan"), float("inf")])
def test_a_resolution_that_is_none_is_refused(resolution: Any) -> None:
    with pytest.raises(EvaluationError, match=r"resolution=.*: choose model, native or a number"):
        How(resolution=resolution)


def test_a_way_to_stitch_that_is_none_is_refused() -> None:
    with pytest.raises(OptionError, match="stitch"):
        How(stitch="glue")  # type: ignore[arg-type]


class Counting:
    """Makes another mask each time it is asked."""

    name, title, scheme = "n", "t", None

    def __init__(self) -> None:
        self.calls = 0

    def predict(self, sample: Sample) -> Any:
        """See `samples.Predictor`."""
        self.calls += 1
        return np.full((2, 3), 300 + self.calls, np.int32)


def test_a_mask_that_was_made_is_not_made_again(sample: Callable[..., Sample]) -> None:
    kept = Kept(Counting())  # type: ignore[arg-type]
    first, other = sample(np.zeros((4, 2, 3))), sample(np.zeros((4, 2, 3)), name="b")
    assert (kept.predict(first) == 301).all()
    assert (kept.predict(other) == 302).all()
    again = kept.predict(first)
    assert again.dtype == np.int32
    assert (again == np.full((2, 3), 301)).all()
    assert (kept.name, kept.title) == ("n", "t")
