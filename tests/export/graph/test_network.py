from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from cloudmask_export.errors import WeightsError
from cloudmask_export.families import families, family
from cloudmask_export.graph import network, plain_network
from cloudmask_export.skeletons import ARCHITECTURES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from onnx import ModelProto

    from cloudmask_export.families import Family

    Run = Callable[[ModelProto, NDArray[np.float32]], NDArray[np.float32]]
    Draw = Callable[..., dict[str, NDArray[np.float32]]]

SMALL = "smp-regnety_004-3"
V4 = family("omnicloudmask-v4")


def fitting(architecture: str) -> Family:
    return next(each for each in families().values() if architecture in each.architectures)


def tile(bands: int, height: int = 72, width: int = 104, count: int = 1) -> NDArray[np.float32]:
    draw = np.random.default_rng(0)
    coarse = draw.random((count, bands, -(-height // 8), -(-width // 8)))
    fine = np.kron(coarse, np.ones((8, 8)))[:, :, :height, :width]
    return (0.5 * fine + 0.1 * draw.random(fine.shape)).astype(np.float32)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_rewritten_network_is_the_one_as_written(
    architecture: str, random_weights: Draw, run: Run
) -> None:
    each = fitting(architecture)
    arrays = random_weights(architecture)
    written = "Mish as written" if each.activation == "Mish" else each.activation
    rows, columns = (-(-size // each.multiple) * each.multiple for size in (72, 104))
    image = tile(len(each.bands), rows, columns)
    found = run(network(architecture, arrays, each, each.activation), image)
    wanted = run(plain_network(architecture, arrays, each, written), image)
    assert found.shape == (1, 4, rows, columns)
    np.testing.assert_allclose(found, wanted, atol=5e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_network_is_valid_for_any_runtime_of_its_opset(
    architecture: str, random_weights: Draw
) -> None:
    each = fitting(architecture)
    model = network(architecture, random_weights(architecture), each, each.activation)
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    assert {node.domain for node in model.graph.node} == {""}


def test_an_item_of_a_batch_is_answered_as_if_it_were_alone(
    random_weights: Draw, run: Run
) -> None:
    model = network(SMALL, random_weights(SMALL), V4, "")
    tiles = tile(3, 64, 64, count=3)
    alone = np.concatenate([run(model, each[None]) for each in tiles])
    np.testing.assert_allclose(run(model, tiles), alone, atol=1e-5)


def test_three_classes_make_a_network_of_three(random_weights: Draw, run: Run) -> None:
    three = replace(V4, classes=(0, 1, 3))
    model = network(SMALL, random_weights(SMALL, classes=3), three, "")
    assert run(model, tile(3)).shape[1] == 3
    assert model.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 3


def test_weights_of_three_classes_are_refused_for_a_family_of_four(random_weights: Draw) -> None:
    arrays = random_weights(SMALL, classes=3)
    with pytest.raises(WeightsError, match="have 3 classes, family 'omnicloudmask-v4' has 4"):
        network(SMALL, arrays, V4, "")


def test_classes_come_in_the_order_of_their_codes(random_weights: Draw, run: Run) -> None:
    arrays = random_weights(SMALL)
    turned = replace(V4, classes=(3, 0, 2, 1))
    found = run(network(SMALL, arrays, turned, ""), tile(3))
    straight = run(network(SMALL, arrays, V4, ""), tile(3))
    np.testing.assert_allclose(found, straight[:, [1, 3, 2, 0]], atol=1e-6)
