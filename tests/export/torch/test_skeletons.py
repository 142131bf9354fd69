"""The committed graphs are those of the authors' networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from onnx import numpy_helper

from cloudmask_export import skeletons
from cloudmask_export.errors import ExportError
from cloudmask_export.skeletons import ARCHITECTURES, load_skeleton

if TYPE_CHECKING:
    from typing import Any

    from onnx import ModelProto

# Whichever test asks first for a network waits for the authors' side to make and run it.
pytestmark = pytest.mark.timeout(900)

TOLERANCE = 1e-4
"""Of a probability."""
TIE = 2e-5
"""Where the authors' two best classes are nearer than this, rounding decides between them: their
own network in float64 differs from itself in float32 by as much. Almost no pixel is."""


@pytest.fixture(scope="module")
def rebuilt(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rebuilt")
    lab("operators.py", "cloudmask_export.skeletons.build", folder)
    return folder


@pytest.mark.nightly
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_committed_file_is_what_the_script_makes(rebuilt: Path, architecture: str) -> None:
    name = f"{architecture}.onnx"
    committed = Path(skeletons.__file__).with_name(name)
    assert (rebuilt / name).read_bytes() == committed.read_bytes()


@pytest.mark.slow
def test_the_initialisers_are_the_state_dict_of_the_authors_network(authors: Any) -> None:
    theirs = {
        name: tuple(shape)
        for name, shape, *_ in authors.state
        if not name.endswith("num_batches_tracked")
    }
    assert _parameters(load_skeleton(authors.architecture)) == theirs


@pytest.mark.nightly
def test_the_head_is_what_the_number_of_classes_changes(lab: Any, tmp_path: Path) -> None:
    architecture = "smp-edgenext_small-3"
    lab("author.py", architecture, "--classes", "3", "--out", tmp_path)
    state = json.loads((tmp_path / "state.json").read_text("utf-8"))
    shapes = {name: tuple(shape) for name, shape, *_ in state}
    skeleton = load_skeleton(architecture)
    changed = {name for name, dims in _parameters(skeleton).items() if dims != shapes[name]}
    assert changed == set(_metadata(skeleton)["head"].split(","))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_parameters_carry_no_data_and_constants_do(architecture: str) -> None:
    for tensor in load_skeleton(architecture).graph.initializer:
        if tensor.name.startswith("const/"):
            assert numpy_helper.to_array(tensor).shape == tuple(tensor.dims)
        else:
            assert tensor.ByteSize() < 200, tensor.name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_parameter_is_used(architecture: str) -> None:
    graph = load_skeleton(architecture).graph
    used = {name for node in graph.node for name in node.input}
    assert {tensor.name for tensor in graph.initializer} <= used


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_skeleton_is_of_the_opset_that_all_runtimes_read(architecture: str) -> None:
    skeleton = load_skeleton(architecture)
    opsets = {each.domain: each.version for each in skeleton.opset_import}
    private = {"cloudmask": 1} if architecture.startswith("dynunet") else {}
    assert (skeleton.ir_version, opsets) == (8, {"": 17, **private})


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_skeleton_takes_images_of_any_size_with_its_number_of_bands(architecture: str) -> None:
    (image,) = load_skeleton(architecture).graph.input
    dims = [each.dim_param or each.dim_value for each in image.type.tensor_type.shape.dim]
    assert dims == ["batch", int(architecture[architecture.rindex("-") + 1 :]), "height", "width"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_skeleton_says_what_it_is(architecture: str) -> None:
    facts = _metadata(load_skeleton(architecture))
    assert facts["architecture"] == architecture
    assert set(facts) == {"architecture", "head", "versions"}


def test_an_unknown_architecture_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ExportError, match=r"'resnet'.*dynunet-regnety_006-13"):
        load_skeleton("resnet")


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skeletons, "ARCHITECTURES", ("gone",))
    with pytest.raises(ExportError, match=r"gone\.onnx is missing"):
        load_skeleton("gone")


def _parameters(model: ModelProto) -> dict[str, tuple[int, ...]]:
    return {
        tensor.name: tuple(tensor.dims)
        for tensor in model.graph.initializer
        if not tensor.name.startswith("const/")
    }


def _metadata(model: ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}
