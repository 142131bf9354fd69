from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask_export.errors import WeightsError
from cloudmask_export.weights import read_weights
from cloudmask_export.weights.scan import operations
from cloudmask_export.weights.unpickle import follow
from cloudmask_export.weights.walk import find

if TYPE_CHECKING:
    from pathlib import Path

    from cloudmask_export.weights import Weights

LAYOUTS = ["old", "new"]


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def whole(weight_files: Any, layout: str, tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """Read CloudS2Mask's network, pickled whole."""
    path = tmp_path_factory.mktemp("weights") / f"{layout}.pkl"
    weights = read_weights(weight_files.write_pkl(path, layout=layout, seed=5))
    path.unlink()
    return weights


# -- CloudS2Mask ----------------------------------------------------------------------------


def test_names_are_those_of_torchs_state_dict(
    whole: Weights, weight_files: Any, layout: str
) -> None:
    _, facts = weight_files.structure(layout)

    assert list(whole.arrays) == list(facts["tensors"])
    assert [list(a.shape) for a in whole.arrays.values()] == [
        shape for _, shape in facts["tensors"].values()
    ]


def test_values_are_those_of_the_storages(whole: Weights, weight_files: Any, layout: str) -> None:
    expected = weight_files.clouds2mask(5, layout)

    assert all(np.array_equal(whole.arrays[name], expected[name]) for name in expected)


def test_all_421_tensors_are_there(whole: Weights) -> None:
    assert len(whole.arrays) == 421
    assert sum(array.size for array in whole.arrays.values()) == 30_404_740
    assert sum(name.endswith("num_batches_tracked") for name in whole.arrays) > 50


def test_a_whole_network_is_fp32_of_format_pkl(whole: Weights) -> None:
    assert (whole.format, whole.stored) == ("pkl", "fp32")


def test_modules_are_known_by_their_classes(whole: Weights) -> None:
    assert whole.modules[""] == "fastai.vision.models.unet.DynamicUnet"
    assert whole.modules["layers.4.relu"] == "torch.nn.modules.activation.Mish"
    assert whole.modules["layers.0.0.conv"] == "torch.nn.modules.conv.Conv2d"


def test_the_activation_is_read_from_the_file(weight_files: Any) -> None:
    stream, _ = weight_files.structure("old")
    stream = stream.replace(b"activation\nMish\n", b"activation\nReLU\n")

    modules = find(follow(stream)).modules

    assert modules["layers.4.relu"] == "torch.nn.modules.activation.ReLU"


def test_both_layouts_have_the_same_tensors(weight_files: Any) -> None:
    old, new = (find(follow(weight_files.structure(layout)[0])) for layout in LAYOUTS)

    assert {n: t.shape for n, t in old.tensors.items()} == {
        n: t.shape for n, t in new.tensors.items()
    }


# -- how modules make names -----------------------------------------------------------------


def test_a_small_network_is_walked_as_torch_does(network: Path) -> None:
    weights = read_weights(network)

    assert list(weights.arrays) == ["0.weight", "1.running_mean", "1.num_batches_tracked"]
    assert weights.modules == {
        "": "torch.nn.modules.container.Sequential",
        "0": "torch.nn.modules.conv.Conv2d",
        "1": "torch.nn.modules.batchnorm.BatchNorm2d",
        "2": "torch.nn.modules.activation.Mish",
    }
    assert weights.arrays["1.num_batches_tracked"] == 7


@pytest.mark.parametrize("protocol", [2, 4])
def test_buffers_that_are_not_persistent_are_left_out(
    weight_files: Any, pickle_file: Any, protocol: int
) -> None:
    w = weight_files
    data = w.tensor(w.storage("Float", "0", 8), (8,))
    body = w.module("x.Y", passing=["cache"], buffers={"cache": data, "kept": data})
    if protocol == 4:
        # A set has opcodes of its own there.
        old = w.call(w.named("__builtin__", "set"), w.listed(w.text("cache")))
        assert old in body
        body = body.replace(old, b"\x8f(" + w.text("cache") + b"\x90")

    assert list(read_weights(pickle_file(body)).arrays) == ["kept"]


def test_a_module_may_stand_in_two_places(weight_files: Any, pickle_file: Any) -> None:
    w = weight_files
    data = w.parameter(w.tensor(w.storage("Float", "0", 8), (8,)))
    shared = w.module("linear.Linear", parameters={"weight": data})
    modules = {"a": shared + b"q\x01", "b": b"h\x01", "gone": w.NONE}

    read = read_weights(pickle_file(w.module("container.Sequential", modules=modules)))

    assert list(read.arrays) == ["a.weight", "b.weight"]


def test_a_whole_network_is_found_beside_a_training_loops_notes(
    weight_files: Any, pickle_file: Any
) -> None:
    w = weight_files
    data = w.parameter(w.tensor(w.storage("Float", "0", 8), (8,)))
    net = w.module("linear.Linear", parameters={"weight": data})

    weights = read_weights(pickle_file(w.mapping({"epoch": w.integer(3), "model": net})))

    assert (list(weights.arrays), weights.format) == (["weight"], "pkl")


def test_a_tensor_of_a_subclass_is_a_tensor(weight_files: Any, pickle_file: Any) -> None:
    w = weight_files
    rebuild = w.named("torch._utils", "_rebuild_tensor_v2")
    args = w.group(
        w.storage("Float", "0", 8), w.integer(0), w.group(w.integer(8)), w.group(w.integer(1)),
        w.FALSE, w.ordered({}),
    )  # fmt: skip
    kind = w.named("fastai.torch_core", "TensorBase")
    body = w.call(
        w.named("torch._tensor", "_rebuild_from_type_v2"), rebuild, kind, args, w.mapping({})
    )

    arrays = read_weights(pickle_file(w.ordered({"x": body}))).arrays

    np.testing.assert_array_equal(arrays["x"], np.arange(8))


def test_reading_changes_nothing_for_the_next_file(network: Path) -> None:
    first, second = read_weights(network), read_weights(network)

    assert first.modules == second.modules
    assert all(np.array_equal(first.arrays[n], second.arrays[n]) for n in first.arrays)


BROKEN_NETWORKS = {
    "contains itself": lambda w: (
        w.named("torch.nn.modules.container", "Sequential") + b")\x81q\x01}("
        + w.text("_parameters") + b"}" + w.text("_buffers") + b"}"
        + w.text("_modules") + w.mapping({"me": b"h\x01"}) + b"ub"
    ),
    "which is no torch module": lambda w: w.module("a.B", modules={"x": w.text("y")}),
    "not a tensor": lambda w: w.module("a.B", parameters={"x": w.integer(3)}),
    "has a dot": lambda w: w.module("a.B", modules={"x.y": w.module("a.C")}),
    "is there twice": lambda w: w.module(
        "a.B",
        parameters={"x": w.tensor(w.storage("Float", "0", 8), (8,))},
        buffers={"x": w.tensor(w.storage("Float", "0", 8), (8,))},
    ),
    "no floating-point tensor": lambda w: w.module("a.B"),
    "printable": lambda w: w.module("a.B", modules={"\n": w.module("a.C")}),
    "neither a network nor a state dict": lambda w: w.listed(w.integer(1)),
    "has no dict _parameters": lambda w: (
        w.named("torch.nn.modules.a", "B") + b")\x81" + w.mapping({"_modules": b"}"}) + b"b"
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", BROKEN_NETWORKS)
def test_what_torch_never_builds_is_refused(
    weight_files: Any, pickle_file: Any, message: str
) -> None:
    path = pickle_file(BROKEN_NETWORKS[message](weight_files))

    with pytest.raises(WeightsError, match=message):
        read_weights(path)


def test_modules_within_modules_end_somewhere(weight_files: Any, pickle_file: Any) -> None:
    w = weight_files
    net = w.module("a.B")
    for _ in range(100):
        net = w.module("a.B", modules={"x": net})

    with pytest.raises(WeightsError, match="deeper than 64"):
        read_weights(pickle_file(net))


def test_shared_modules_cannot_multiply_without_end(weight_files: Any, pickle_file: Any) -> None:
    w = weight_files
    net = w.module("a.B")
    for _ in range(40):
        net = w.module("a.B", modules={"x": net + b"q\x01", "y": b"h\x01"})

    with pytest.raises(WeightsError, match="more than 50000 entries"):
        read_weights(pickle_file(net))


def test_the_real_structures_stay_far_below_the_limits(weight_files: Any) -> None:
    stream, _ = weight_files.structure("old")

    assert sum(1 for _ in operations(stream)) < 70_000
