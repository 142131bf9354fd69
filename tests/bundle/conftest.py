"""Small networks, and wheels that need no package index."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from cloudmask.spec import METADATA_KEY, ModelSpec  # noqa: E402
from cloudmask_export.item import item  # noqa: E402
from cloudmask_openeo.bundle.archive import write_zip  # noqa: E402
from cloudmask_openeo.bundle.contents import Order  # noqa: E402
from cloudmask_openeo.bundle.make import make  # noqa: E402
from cloudmask_openeo.bundle.target import Target  # noqa: E402
from cloudmask_openeo.bundle.wheels import fits, installed_wheel  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

BANDS = ("B02", "B03")
LICENCE = "Do as you like.\n"


class MakeNetwork(Protocol):
    """Write NAME.onnx, NAME.json and LICENSE into a folder."""

    def __call__(
        self, folder: Path, name: str = "net", *, pinned: bool = True, inside: bool = False
    ) -> Path:
        """Give the path of the .onnx file; its weights depend on the name."""


def _network(name: str, manifest: str = "") -> bytes:
    """Make a network of three classes that looks at neighbouring pixels."""
    random = np.random.default_rng(list(name.encode()))
    weights = random.normal(size=(3, len(BANDS), 3, 3)).astype(np.float32)
    shapes: list[Any] = [["n", channels, "y", "x"] for channels in (len(BANDS), 3)]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input", "w"], ["logits"], pads=[1, 1, 1, 1]),
            helper.make_node("Softmax", ["logits"], ["output"], axis=1),
        ],
        name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shapes[0])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, shapes[1])],
        [numpy_helper.from_array(weights, "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if manifest:
        helper.set_model_props(made, {METADATA_KEY: manifest})
    content: bytes = made.SerializeToString()
    return content


def _manifest(name: str, content: bytes) -> str:
    spec = ModelSpec(
        name=name, bands=BANDS, classes=(0, 1, 3), tile=32, overlap=8, file=f"{name}.onnx",
        licence="LicenseRef-net", sha256=hashlib.sha256(content).hexdigest(),
    )  # fmt: skip
    made = item(
        spec if content else replace(spec, sha256=""),
        architecture="none",
        source="https://example.org",
        size=len(content),
    )
    return json.dumps(made)


@pytest.fixture(scope="session")
def make_network() -> MakeNetwork:
    """Write a network, its manifest and its licence."""

    def write(
        folder: Path, name: str = "net", *, pinned: bool = True, inside: bool = False
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.onnx"
        content = _network(name, _manifest(name, b"") if inside else "")
        path.write_bytes(content)
        if not inside:
            text = _manifest(name, content if pinned else b"")
            path.with_suffix(".json").write_text(text, "utf-8")
        (folder / "LICENSE").write_text(LICENCE, "utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def here() -> Target:
    """The target that this Python is."""
    for target in (Target(), Target(python="3.12"), Target(python="3.13")):
        if target.is_here:
            return target
    pytest.skip("no archive for this Python and platform could be tried here")


@pytest.fixture(scope="session")
def runtime_wheel(here: Target, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pack the installed ONNX Runtime as a wheel again: no package index is needed."""
    if not fits("onnxruntime", here):
        pytest.skip("the installed ONNX Runtime did not come as a wheel for this platform")
    name, files = installed_wheel("onnxruntime", here)
    digits = here.python.replace(".", "")
    tags = f"cp{digits}-cp{digits}-{here.platform}"
    path = tmp_path_factory.mktemp("wheels") / f"{name.replace(' ', '-')}-{tags}.whl"
    write_zip(path, files, compressed=False)
    return path


@pytest.fixture(scope="session")
def toy_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a wheel that only calls itself ONNX Runtime, where nothing is run."""
    path = tmp_path_factory.mktemp("toy") / "onnxruntime-9.9-py3-none-any.whl"
    info = "onnxruntime-9.9.dist-info"
    files = {
        "onnxruntime/__init__.py": b"__version__ = '9.9'\n",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: onnxruntime\nVersion: 9.9\n",
    }
    write_zip(path, files)
    return path


@pytest.fixture(scope="session")
def archive(
    make_network: MakeNetwork,
    runtime_wheel: Path,
    here: Target,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Make an archive of two small networks, not yet tried."""
    folder = tmp_path_factory.mktemp("archive")
    models = tuple(str(make_network(folder / name, name)) for name in ("one", "two"))
    order = Order(
        models=models, output=folder / "deps.zip", target=here, wheels=(runtime_wheel,),
        check=False,
    )  # fmt: skip
    return make(order).path
