from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask.augment import SYMMETRIES, TTA
from cloudmask.ensemble import Ensemble
from cloudmask.errors import ModelError, OptionError
from cloudmask.options import Options
from cloudmask.testing import FakeModel, blurred, brightest_band, constant, fake_spec, identity

if TYPE_CHECKING:
    from numpy.typing import NDArray


def tiles(number: int = 3, edge: int = 16) -> NDArray[np.float32]:
    noise = np.random.default_rng(5).uniform(0, 1, (number, 4, edge, edge))
    return noise.astype(np.float32)


def slanted(gain: float = 1.0) -> FakeModel:
    """Answer differently to each of the eight symmetries."""

    def answer(stack: NDArray[np.float32]) -> NDArray[np.float32]:
        height, width = stack.shape[2:]
        slope = np.arange(height)[:, None] * 3 + np.arange(width) ** 2
        return stack * (gain * (slope / slope.max()).astype(np.float32))

    return FakeModel(answer)


def plain_mean(models: list[FakeModel], stack: NDArray[np.float32], depth: int) -> Any:
    answers = [
        symmetry.inverse(model.function(symmetry.forward(stack)))
        for symmetry in SYMMETRIES[: depth + 1]
        for model in models
    ]
    return np.mean(answers, axis=0, dtype=np.float64)


@pytest.mark.parametrize("depth", range(8))
def test_the_running_mean_is_the_mean_of_models_times_augmentations(depth: int) -> None:
    models = [slanted(), slanted(0.3), identity()]
    answer = Ensemble(tuple(models), TTA(depth=depth, adaptive=False))(tiles())
    np.testing.assert_allclose(answer, plain_mean(models, tiles(), depth), atol=1e-6)


@pytest.mark.parametrize("depth", [0, 3, 7])
def test_without_adapting_every_model_sees_every_augmentation(depth: int) -> None:
    one, other = identity(), slanted()
    Ensemble((one, other), TTA(depth=depth, adaptive=False))(tiles(5))
    assert (one.tiles, other.tiles) == (5 * (depth + 1),) * 2


def test_without_adapting_a_smooth_tile_is_asked_to_the_depth_too() -> None:
    model = constant(1)
    Ensemble((model,), TTA(depth=7, adaptive=False))(tiles())
    assert model.calls == 8


def test_an_adaptive_smooth_tile_is_asked_once() -> None:
    model = constant(1)
    Ensemble((model,), TTA(depth=7))(tiles())
    assert model.calls == 1


def test_an_adaptive_noisy_tile_is_asked_to_the_depth() -> None:
    model = brightest_band()

    def noise(stack: NDArray[np.float32]) -> NDArray[np.float32]:
        random = np.random.default_rng(model.calls).uniform(0, 1, stack.shape)
        return random.astype(np.float32)

    model.function = noise
    Ensemble((model,), TTA(depth=5))(tiles(1, 64))
    assert model.calls == 6


def test_adapting_drops_the_settled_tiles_of_a_batch_only() -> None:
    model = identity()
    stack = tiles(3, 64)
    stack[1] = np.array([0, 1, 0, 0], np.float32)[:, None, None]
    Ensemble((model,), TTA(depth=3))(stack)
    assert model.tiles == 3 + 2 * 3


def test_a_tile_that_settled_keeps_the_mean_it_had() -> None:
    model = slanted()
    stack = tiles(2, 64)
    stack[1] = np.array([0, 1, 0, 0], np.float32)[:, None, None]
    answer = Ensemble((model,), TTA(depth=3))(stack)
    np.testing.assert_array_equal(answer[1], model.function(stack)[1])
    np.testing.assert_allclose(answer[:1], plain_mean([model], stack[:1], 3), atol=1e-6)


@pytest.mark.parametrize("adaptive", [True, False])
def test_a_batch_gives_what_its_tiles_give_one_by_one(*, adaptive: bool) -> None:
    ensemble = Ensemble((slanted(), blurred()), TTA(depth=4, adaptive=adaptive))
    stack = tiles(4)
    stack[2] = 0.5
    one_by_one = np.concatenate([ensemble(stack[n : n + 1]) for n in range(4)])
    np.testing.assert_array_equal(ensemble(stack), one_by_one)


@pytest.mark.parametrize("depth", range(1, 8))
def test_a_network_that_turns_with_its_input_answers_the_same_at_any_depth(depth: int) -> None:
    plain = Ensemble((identity(),))(tiles())
    answer = Ensemble((identity(),), TTA(depth=depth, adaptive=False))(tiles())
    np.testing.assert_allclose(answer, plain, rtol=0, atol=1e-6)


def test_the_input_is_not_changed() -> None:
    stack = tiles()
    model = FakeModel(lambda given: given)  # answers with its very argument
    Ensemble((model, model), TTA(depth=7, adaptive=False))(stack)
    np.testing.assert_array_equal(stack, tiles())


def test_the_answer_is_float32() -> None:
    assert Ensemble((identity(), slanted()), TTA(depth=2))(tiles()).dtype == np.float32


@pytest.mark.parametrize(
    ("what", "other"),
    [
        ("bands", fake_spec(bands=("B03", "B02", "B04", "B08"))),
        ("classes", fake_spec(classes=(0, 1, 3, 2))),
        ("pixel_size", replace(fake_spec(), pixel_size=20.0)),
    ],
)
def test_networks_that_cannot_be_averaged_are_refused(what: str, other: object) -> None:
    spec = replace(other, name="other")  # type: ignore[type-var]
    with pytest.raises(ModelError, match=f"'fake' and 'other' differ in {what}"):
        Ensemble((identity(), identity(spec)))  # type: ignore[arg-type]


def test_an_ensemble_of_nothing_is_refused() -> None:
    with pytest.raises(ModelError, match="at least one"):
        Ensemble(())


def test_the_name_joins_the_networks_names() -> None:
    other = identity(replace(fake_spec(), name="other"))
    assert Ensemble((identity(), other)).name == "fake+other"


# -- options --------------------------------------------------------------------------------


def test_options_without_a_model_are_refused() -> None:
    with pytest.raises(ModelError, match="no model given"):
        Options().ensemble([])


@pytest.mark.parametrize("model", [5, None, [5], [None]])
def test_something_that_is_no_model_is_refused(model: object) -> None:
    with pytest.raises(ModelError, match="model"):
        Options().ensemble(model)  # type: ignore[arg-type]


def test_the_first_networks_augmentation_is_the_default() -> None:
    model = identity(replace(fake_spec(), tta=TTA(depth=3)))
    assert Options().ensemble(model).tta == TTA(depth=3)
    assert Options(tta=TTA()).ensemble(model).tta == TTA()


def test_a_tile_that_another_member_cannot_take_is_refused() -> None:
    other = identity(replace(fake_spec(tile=32), name="other", fixed_tile=True))
    with pytest.raises(ModelError, match="'other' takes tiles of 32 pixels only"):
        Options().ensemble([identity(), other])


@pytest.mark.parametrize("name", ["batch", "chunk", "pixel_size"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_size_that_is_not_positive_is_refused(name: str, value: float) -> None:
    with pytest.raises(
        OptionError,
        match=f"{name}={value}: must be (greater than 0|1 or more|a whole number|finite)",
    ):
        Options(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["batch", "chunk"])
@pytest.mark.parametrize("value", [2.5, "2", float("inf")])
def test_a_size_that_is_no_whole_number_is_refused(name: str, value: object) -> None:
    with pytest.raises(OptionError, match=f"{name}="):
        Options(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["10", float("inf")])
def test_a_pixel_size_that_is_no_finite_number_is_refused(value: object) -> None:
    with pytest.raises(OptionError, match="pixel_size="):
        Options(pixel_size=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["tile", "overlap"])
@pytest.mark.parametrize("value", ["16", 16.0])
def test_a_tiling_that_is_no_whole_number_is_refused(name: str, value: object) -> None:
    with pytest.raises(OptionError, match=f"{name}=.*must be a whole number"):
        Options(**{name: value}).ensemble(identity())  # type: ignore[arg-type]


def test_an_unknown_stitcher_is_refused() -> None:
    with pytest.raises(OptionError, match="choose one of crop, blend"):
        Options(stitch="mean")  # type: ignore[arg-type]


def test_another_tile_keeps_the_share_of_its_overlap() -> None:
    tiling = Options(tile=48).tiling(fake_spec(tile=16, overlap=4))
    assert (tiling.tile, tiling.overlap) == (48, 12)


def test_a_dilation_is_counted_in_the_pixels_of_the_cube() -> None:
    options = Options(output=replace(Options().output, dilate=60.0))
    assert options.dilation(fake_spec()) == 6
    assert replace(options, pixel_size=20).dilation(fake_spec()) == 3
