from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from cloudmask_export.families import FixedNormalisation, PatchNormalisation, family
from cloudmask_export.graph.ends import INPUT, OUTPUT, normalise, softmax

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from onnx import ModelProto

    Small = Callable[..., ModelProto]
    Run = Callable[[ModelProto, NDArray[np.float32]], NDArray[np.float32]]


def nothing(small: Small, bands: int = 3) -> ModelProto:
    return small([helper.make_node("Identity", ["x"], ["y"])], {}, bands)


def scored(tile: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute a z-score in float64; a constant band gives 0."""
    mean, std = tile.mean(axis=(2, 3), keepdims=True), tile.std(axis=(2, 3), keepdims=True)
    return np.where(std > 1e-9, (tile - mean) / np.where(std > 1e-9, std, 1), 0)


@given(seed=st.integers(0, 99), level=st.floats(0.001, 1.2), contrast=st.floats(0.002, 0.5))
def test_a_tiles_z_score_is_that_of_float64(
    small: Small, run: Run, seed: int, level: float, contrast: float
) -> None:
    model = nothing(small)
    normalise(model.graph, PatchNormalisation())
    draw = np.random.default_rng(seed)
    tile = (level + contrast * draw.normal(size=(2, 3, 100, 90))).astype(np.float32)
    wanted = scored(tile.astype(np.float64))
    # float32 itself cannot tell a reflectance better than this.
    step = np.spacing(np.float32(level + contrast)) / contrast
    np.testing.assert_allclose(run(model, tile), wanted, rtol=2e-6, atol=2 * step)


def test_the_tiles_of_a_batch_are_scored_each_by_itself(small: Small, run: Run) -> None:
    model = nothing(small)
    normalise(model.graph, PatchNormalisation())
    tiles = np.random.default_rng(0).random((3, 3, 20, 20)).astype(np.float32)
    tiles *= np.array([1, 5, 0.1], np.float32)[:, None, None, None]
    alone = [run(model, tile[None])[0] for tile in tiles]
    np.testing.assert_allclose(run(model, tiles), alone, atol=1e-5)


@given(value=st.floats(0, 1.5, width=32), height=st.integers(90, 300))
def test_a_constant_band_becomes_zero(small: Small, run: Run, value: float, height: int) -> None:
    model = nothing(small)
    normalise(model.graph, PatchNormalisation())
    tile = np.random.default_rng(0).random((1, 3, height, 201)).astype(np.float32)
    tile[:, 1] = value
    np.testing.assert_allclose(run(model, tile)[:, 1], 0, atol=1e-5)


def test_a_band_that_varies_by_one_step_is_no_constant(small: Small, run: Run) -> None:
    model = nothing(small)
    normalise(model.graph, PatchNormalisation())
    tile = np.full((1, 3, 64, 64), 0.1, np.float32)
    tile[:, :, 32] = 0.1001
    assert np.abs(run(model, tile)).max() > 1


def test_fixed_statistics_are_those_of_the_authors_numbers(small: Small, run: Run) -> None:
    by = family("clouds2mask-20m").normalisation
    assert isinstance(by, FixedNormalisation)
    model = nothing(small, bands=13)
    normalise(model.graph, by)
    numbers = np.random.default_rng(0).integers(1, 16000, (1, 13, 8, 8)).astype(np.float64)
    shape = (1, 13, 1, 1)
    wanted = (numbers / 32767 - np.reshape(by.mean, shape)) / np.reshape(by.std, shape)
    found = run(model, (numbers / 10000).astype(np.float32))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_probabilities_come_out_and_reflectance_goes_in(small: Small, run: Run) -> None:
    model = nothing(small)
    normalise(model.graph, FixedNormalisation(divisor=1e4, mean=(0,) * 3, std=(1,) * 3))
    softmax(model.graph, 3)
    assert [each.name for each in (*model.graph.input, *model.graph.output)] == [INPUT, OUTPUT]
    logits = np.random.default_rng(0).normal(0, 30, (2, 3, 5, 4)).astype(np.float32)
    found = run(model, logits)
    power = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(found, power / power.sum(axis=1, keepdims=True), atol=1e-6)
