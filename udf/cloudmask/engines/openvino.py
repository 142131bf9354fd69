"""OpenVINO on the processor, by its own API.

It compiles a network for one shape. Tiles are run one by one, so that there is one shape for each
size of tile, and the answer cannot depend on the batch.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.engines.restore import restore
from cloudmask.engines.session import Tensor
from cloudmask.errors import ModelError
from cloudmask.runtime import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cloudmask.runtime import Runtime

DTYPES = {"f32": "float32"}
KEPT = 2
"""Sizes of tiles whose compiled networks are kept."""
PRECISIONS = {"openvino": "f32", "openvino-bf16": "bf16"}
"""What it computes in, by provider; left alone, it takes bfloat16 wherever it can."""


class OpenVinoSession:
    """See `cloudmask.engines.Session`."""

    def __init__(self, core: Any, graph: Any, settings: Mapping[str, Any]) -> None:
        self.inputs = tuple(map(_tensor, graph.inputs))
        self.outputs = tuple(map(_tensor, graph.outputs))
        self.metadata: Mapping[str, str] = _metadata(graph)
        self._core, self._graph, self._settings = core, graph, settings
        self._compiled: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self._lock = Lock()

    def run(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `cloudmask.engines.Session`."""
        compiled = self._compiled_for(tiles.shape[1:])
        # A request of its own: it costs nothing, and no other thread writes into it.
        request = compiled.create_infer_request()
        answers = [request.infer([tile[None]])[0] for tile in tiles]
        return answers[0] if len(answers) == 1 else np.concatenate(answers)

    def _compiled_for(self, shape: tuple[int, ...]) -> Any:
        """Compile for tiles of a shape (band, y, x), unless that is done already."""
        with self._lock:
            if shape not in self._compiled:
                while len(self._compiled) >= KEPT:
                    self._compiled.popitem(last=False)
                self._graph.reshape([1, *shape])
                self._compiled[shape] = self._core.compile_model(
                    self._graph, "CPU", dict(self._settings)
                )
            self._compiled.move_to_end(shape)
            return self._compiled[shape]


def _tensor(port: Any) -> Tensor:
    kind = port.element_type.get_type_name()
    names = sorted(port.get_names())
    shape = tuple(each.get_length() if each.is_static else None for each in port.partial_shape)
    return Tensor(names[0] if names else "", DTYPES.get(kind, kind), shape)


def _metadata(graph: Any) -> Mapping[str, str]:
    """Read the ONNX file's metadata, which OpenVINO keeps as the framework's."""
    if not graph.has_rt_info("framework"):
        return {}
    return {key: value.astype(str) for key, value in graph.get_rt_info()["framework"].items()}


def open_openvino(content: bytes, name: str, runtime: Runtime) -> OpenVinoSession:
    """Open a network with OpenVINO; it is compiled when the first tile comes.

    Args:
        content: The ONNX file.
        name: What messages call it.
        runtime: One of OpenVINO's providers.

    Raises:
        ModelError: The bytes are no ONNX network, OpenVINO is not installed, or the processor
            does not compute in the precision asked for.
    """
    core = _core(runtime.provider)
    _check_precision(runtime.provider, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    try:
        graph = _read(content)
    except RuntimeError as error:
        raise ModelError(f"model {name!r}: not a usable ONNX network ({error})") from error
    session = OpenVinoSession(core, graph, _settings(runtime))
    restore(graph)
    return session


def _core(provider: str) -> Any:
    try:
        import openvino
    except ImportError as error:
        asked = PROVIDERS[provider]
        raise ModelError(
            f"provider {provider!r} ({asked.what}) is not installed ({error}); it needs "
            f"{asked.install}"
        ) from error
    return openvino.Core()


def _check_precision(provider: str, able: list[str]) -> None:
    """Refuse bfloat16 that the processor does not have: imitated it is slower than float32."""
    if PRECISIONS[provider] == "bf16" and "BF16" not in able:
        raise ModelError(
            f"provider {provider!r}: this processor does not compute with bfloat16 (it has "
            f"{', '.join(able)}), and imitating it is several times slower than float32; choose "
            "provider 'openvino'"
        )


def _read(content: bytes) -> Any:
    """Read ONNX and nothing else; `Core.read_model` would take other formats, and more memory."""
    from openvino.frontend import FrontEndManager

    reader = FrontEndManager().load_by_framework("onnx")
    return reader.convert(reader.load(io.BytesIO(content)))


def _settings(runtime: Runtime) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": PRECISIONS[runtime.provider],
        "INFERENCE_NUM_THREADS": runtime.intra_op_threads,
        "NUM_STREAMS": 1,
        # Workers that share a node would be bound to the same cores.
        "ENABLE_CPU_PINNING": False,
    }
