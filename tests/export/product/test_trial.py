from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cloudmask_export.errors import ExportError
from cloudmask_export.parity import Parity
from cloudmask_export.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable

EXACT = Parity(tiles=1, pixels=100, largest=1e-6, mean=1e-7, equal=1.0, worst=1.0)


@pytest.fixture
def trial() -> Callable[..., Trial]:
    def make(equal: float | None, largest: float = 1e-6) -> Trial:
        cost = None if equal is None else replace(EXACT, equal=equal, largest=0.5)
        return Trial(b"", replace(EXACT, largest=largest), cost, 1.0, "tiles")

    return make


@pytest.mark.parametrize("equal", [0.99, 0.995, 1.0, None])
def test_a_network_that_agrees_enough_is_taken(
    trial: Callable[..., Trial], equal: float | None
) -> None:
    trial(equal).judge(99.0)


def test_a_network_that_agrees_too_little_is_refused_with_both_figures_and_the_remedies(
    trial: Callable[..., Trial],
) -> None:
    with pytest.raises(ExportError, match=r"98\.90 % of pixels .* 99 % is asked for") as caught:
        trial(0.989).judge(99.0)
    for remedy in ("fp32", "fp16", "--imagery", "--threshold"):
        assert remedy in str(caught.value)


@pytest.mark.parametrize("largest", [1.01e-4, 0.9])
@pytest.mark.parametrize("equal", [None, 1.0])
def test_a_rewritten_network_that_is_another_is_refused_whatever_is_allowed(
    trial: Callable[..., Trial], largest: float, equal: float | None
) -> None:
    with pytest.raises(ExportError, match="from those of the network as its authors wrote it"):
        trial(equal, largest).judge(0.0)


def test_a_rewritten_network_may_differ_in_the_last_digits(trial: Callable[..., Trial]) -> None:
    trial(None, 1e-4).judge(100.0)
