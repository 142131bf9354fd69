"""ONNX Runtime: on the processor, and its other execution providers."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

from cloudmask.engines.session import Tensor
from cloudmask.errors import ModelError
from cloudmask.process import startable
from cloudmask.runtime import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from cloudmask.runtime import Provider, Runtime

DTYPES = {"tensor(float)": "float32"}
ONE_AT_A_TIME = ("directml",)
"""Providers whose sessions do not take calls of several threads at once."""


class OrtSession:
    """See `cloudmask.engines.Session`."""

    def __init__(self, raw: Any, *, one_at_a_time: bool = False) -> None:
        self._raw = raw
        self._guard = Lock() if one_at_a_time else nullcontext()

    @cached_property
    def inputs(self) -> tuple[Tensor, ...]:
        """What it takes."""
        return tuple(map(_tensor, self._raw.get_inputs()))

    @cached_property
    def outputs(self) -> tuple[Tensor, ...]:
        """What it gives."""
        return tuple(map(_tensor, self._raw.get_outputs()))

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        """What its file says of itself."""
        return dict(self._raw.get_modelmeta().custom_metadata_map)

    def run(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `cloudmask.engines.Session`."""
        wanted, given = [self.outputs[0].name], {self.inputs[0].name: tiles}
        with self._guard:
            (answer,) = self._raw.run(wanted, given)
        return answer


def _tensor(raw: Any) -> Tensor:
    return Tensor(raw.name, DTYPES.get(raw.type, raw.type), tuple(raw.shape))


def open_ort(content: bytes, name: str, runtime: Runtime) -> OrtSession:
    """Open a network with ONNX Runtime.

    Args:
        content: The ONNX file.
        name: What messages call it.
        runtime: One of ONNX Runtime's providers.

    Raises:
        ModelError: The bytes are no ONNX network, or the provider is not installed or does not
            start.
    """
    raw = inference_session(content, name, runtime)
    return OrtSession(raw, one_at_a_time=runtime.provider in ONE_AT_A_TIME)


def inference_session(content: bytes, name: str, runtime: Runtime) -> Any:
    """Make ONNX Runtime's own session, one that is a good guest on a shared node.

    Raises:
        ModelError: As `open_ort`.
    """
    import onnxruntime

    asked = PROVIDERS[runtime.provider]
    _check_installed(asked, onnxruntime.get_available_providers())
    options = _session_options(onnxruntime.SessionOptions(), runtime)
    try:
        raw = onnxruntime.InferenceSession(
            content, options, providers=list(asked.onnxruntime), enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
        raise _unusable(name, asked, error) from error
    _check_started(asked, raw.get_providers())
    raw.disable_fallback()  # else a call that fails, and all after it, go to the CPU
    raw._model_bytes = None  # noqa: SLF001 - else a copy of the file is kept for the fallback
    return raw


def _unusable(name: str, asked: Provider, error: Exception) -> ModelError:
    if not asked.install:
        return ModelError(f"model {name!r}: not a usable ONNX network ({error})")
    return ModelError(
        f"model {name!r}: provider {asked.name!r} ({asked.what}) cannot open it ({error}); it "
        f"needs {asked.install}, or choose provider 'cpu'"
    )


def _check_installed(asked: Provider, available: list[str]) -> None:
    if asked.onnxruntime[0] not in available:
        raise ModelError(
            f"provider {asked.name!r} ({asked.what}) is not installed: ONNX Runtime has "
            f"{', '.join(available)} here; it needs {asked.install}"
        )


def _check_started(asked: Provider, running: list[str]) -> None:
    """Refuse the CPU where another was asked for: ONNX Runtime goes there with a warning only."""
    if asked.onnxruntime[0] not in running:
        raise ModelError(
            f"provider {asked.name!r} ({asked.what}) is installed but does not start, ONNX "
            f"Runtime would run on {', '.join(running)} instead; it needs {asked.install}, or "
            "choose provider 'cpu'"
        )


def _session_options(options: Any, runtime: Runtime) -> Any:
    options.intra_op_num_threads = startable(runtime.intra_op_threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: its warnings are about its own optimiser
    # Pre-planned buffers cost memory and bring no speed here.
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = runtime.arena_allowed
    # Spinning threads take the cores from other workers; it costs about 3 % when alone.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # It would take its own format, too, which nothing here has looked through.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return options
