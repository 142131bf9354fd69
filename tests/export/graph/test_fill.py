from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import numpy_helper

from cloudmask_export.errors import WeightsError
from cloudmask_export.graph import compare
from cloudmask_export.graph.fill import fill, heads
from cloudmask_export.graph.parts import weights
from cloudmask_export.skeletons import load_skeleton

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[np.generic]]
    Draw = Callable[..., Arrays]

NAME = "smp-regnety_004-3"
STEM = "encoder.model.stem.conv.weight"


@pytest.fixture
def arrays(random_weights: Draw) -> Arrays:
    return random_weights(NAME)


def test_every_tensor_goes_where_its_name_is(arrays: Arrays) -> None:
    skeleton = load_skeleton(NAME)
    used = fill(skeleton, arrays)
    assert set(used) == set(arrays)
    for name, tensor in weights(skeleton.graph).items():
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), arrays[name])


def test_counters_of_training_steps_do_not_count(arrays: Arrays) -> None:
    arrays["encoder.model.stem.bn.num_batches_tracked"] = np.array(7)
    assert not compare(load_skeleton(NAME), arrays)


def test_a_missing_tensor_is_named_and_the_others_are_counted(arrays: Arrays) -> None:
    names = list(weights(load_skeleton(NAME).graph))[:3]
    for name in names:
        del arrays[name]
    with pytest.raises(WeightsError, match=f"it lacks {names[0]} and 2 more$"):
        fill(load_skeleton(NAME), arrays)


def test_a_tensor_of_another_shape_is_named_with_both_shapes(arrays: Arrays) -> None:
    assert STEM in arrays
    arrays[STEM] = arrays[STEM][:, :2]
    with pytest.raises(WeightsError, match=rf"{STEM} \(32, 2, 3, 3\) instead of \(32, 3, 3, 3\)"):
        fill(load_skeleton(NAME), arrays)


def test_a_tensor_too_many_is_named(arrays: Arrays) -> None:
    arrays["attention.gamma"] = np.zeros(1, np.float32)
    with pytest.raises(WeightsError, match=r"it has and the network has not attention\.gamma$"):
        fill(load_skeleton(NAME), arrays)


def test_the_number_of_classes_is_free(random_weights: Draw) -> None:
    assert not compare(load_skeleton(NAME), random_weights(NAME, classes=3))


def test_only_the_heads_first_axis_is_free(random_weights: Draw) -> None:
    arrays = random_weights(NAME)
    head = heads(load_skeleton(NAME))[0]
    arrays[head] = arrays[head][:, :-1]
    found = compare(load_skeleton(NAME), arrays)
    assert [each.split(" ")[0] for each in found.misshapen] == [head]


def test_the_first_axis_of_another_tensor_is_not_free(arrays: Arrays) -> None:
    arrays[STEM] = arrays[STEM][:-1]
    found = compare(load_skeleton(NAME), arrays)
    assert found.misshapen == (f"{STEM} (31, 3, 3, 3) instead of (32, 3, 3, 3)",)


def test_nothing_is_half_filled_when_it_is_refused(arrays: Arrays) -> None:
    skeleton = load_skeleton(NAME)
    before = skeleton.SerializeToString()
    del arrays[STEM]
    with pytest.raises(WeightsError, match="it lacks"):
        fill(skeleton, arrays)
    assert skeleton.SerializeToString() == before
