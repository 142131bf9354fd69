"""The operations counted in our graphs are those that torch counts in its networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cloudmask_export.families import families
from cloudmask_export.graph import network
from cloudmask_export.graph.cost import cost

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

EDGE = 160
"""Pixels; no encoder rounds its levels, which torch and we might do differently."""


@pytest.mark.parametrize("architecture", ["dynunet-regnety_006-13", "smp-edgenext_small-3"])
def test_the_operations_are_those_that_torch_counts(
    architecture: str, lab: Any, random_weights: Any, tmp_path: Path
) -> None:
    lab("flops.py", architecture, str(EDGE), tmp_path / "flops")
    theirs = int((tmp_path / "flops").read_text("utf-8"))
    family = next(each for each in families().values() if architecture in each.architectures)
    arrays = random_weights(architecture)
    ours = cost(network(architecture, arrays, family, family.activation), EDGE)
    assert ours.flops * EDGE**2 == pytest.approx(theirs, rel=1e-6)
