"""A network behind a callable: the protocol, and ONNX Runtime.

A model takes reflectance and answers with class probabilities; what lies between (standardising,
softmax) is its own affair. Everything else in the package knows this protocol only.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cloudmask.checks import whole
from cloudmask.errors import ModelError
from cloudmask.spec import METADATA_KEY, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


class Model(Protocol):
    """What an ensemble is made of."""

    @property
    def spec(self) -> ModelSpec:
        """What the network wants and gives."""

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict.

        Args:
            tiles: (n, band, y, x) reflectance, finite, bands in the order of the spec. Not
                changed; need not be contiguous.

        Returns:
            (n, channel, y, x) probabilities, channels in the order of `spec.classes`.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """How ONNX Runtime may use the machine."""

    threads: int | None = None
    """Threads of one network call; default OMP_NUM_THREADS, else the cores this process may
    use. ONNX Runtime's own default takes every core of the node."""
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    """Execution providers in order of preference."""

    def __post_init__(self) -> None:
        """Refuse thread numbers below 1."""
        if self.threads is not None:
            object.__setattr__(self, "threads", whole("threads", self.threads, least=1))
        object.__setattr__(self, "providers", tuple(np.atleast_1d(self.providers).tolist()))

    @property
    def intra_op_threads(self) -> int:
        """The number of threads to use."""
        return self.threads or _threads_of_environment() or _usable_cores()


def _threads_of_environment() -> int:
    """Return OMP_NUM_THREADS (its first level, if nested), 0 if absent or no number."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() else 0


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


ARENA_WANTS = 4 * 2**30
"""Bytes of address space below which the allocator's arena is left out: it is a fifth to a third
faster, but keeps what it once took."""


def _arena_allowed() -> bool:
    try:
        import resource
    except ImportError:  # not on Windows, where no such limit exists
        return True
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return limit == resource.RLIM_INFINITY or limit >= ARENA_WANTS


class OnnxModel:
    """A network run by ONNX Runtime; made by `load_onnx`. Several threads may call it at once.

    Pickled as the recipe that made it, so that a worker opens its own session, once.
    """

    def __init__(
        self,
        spec: ModelSpec,
        session: Any,
        recipe: tuple[Callable[..., OnnxModel], tuple[Any, ...]],
    ) -> None:
        self.spec = spec
        self._session = session
        self._recipe = recipe

    def __reduce__(self) -> tuple[Callable[..., OnnxModel], tuple[Any, ...]]:
        return self._recipe

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Model`."""
        answer = self._run(self._standardised(tiles))
        wanted = (len(tiles), len(self.spec.classes), *tiles.shape[2:])
        if answer.shape != wanted:
            raise ModelError(
                f"model {self.spec.name!r} answers with shape {answer.shape} instead of {wanted}; "
                "it must give each class a probability for each pixel of the tile"
            )
        return _softmax(answer) if self.spec.softmax else answer

    def _run(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            (answer,) = self._session.run(None, {self.spec.input_name: tiles})
        except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
            raise ModelError(
                f"model {self.spec.name!r} failed on tiles of shape {tiles.shape}: {error}"
            ) from error
        return answer

    @cached_property
    def _mean_and_std(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        shape = (1, -1, 1, 1)
        mean = np.array(self.spec.mean, np.float32).reshape(shape)
        return mean, np.array(self.spec.std, np.float32).reshape(shape)

    def _standardised(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self.spec.mean:
            return np.ascontiguousarray(tiles)
        mean, std = self._mean_and_std
        result = np.empty(tiles.shape, np.float32)
        np.subtract(tiles, mean, out=result)
        np.divide(result, std, out=result)
        return result


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn logits (n, channel, y, x) into probabilities, in place."""
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits


def read_pinned(path: Path, sha256: str) -> tuple[bytes, str]:
    """Read a model file whole and compare its hash.

    Args:
        path: The file.
        sha256: What its hash must be; empty if anything will do.

    Returns:
        The content and its sha256, hexadecimal.

    Raises:
        ModelError: It cannot be read, or is not the file that the manifest means.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"model file {path}: cannot be read ({error.strerror})") from error
    found = hashlib.sha256(content).hexdigest()
    if sha256 and found != sha256:
        raise ModelError(
            f"model file {path}: sha256 is {found}, the manifest says {sha256}; the file is "
            "damaged or another version, fetch it again"
        )
    return content, found


_opening = Lock()


def load_onnx(path: Path, spec: ModelSpec, runtime: Runtime) -> OnnxModel:
    """Open a network: once a process for the same file, manifest and runtime.

    Raises:
        ModelError: The file is unreadable, not the pinned one, no ONNX network, or contradicts
            the manifest.
    """
    with _opening:  # else the threads of a worker would each open one at the start
        return _load_onnx(path, spec, runtime)


@lru_cache(maxsize=16)
def _load_onnx(path: Path, spec: ModelSpec, runtime: Runtime) -> OnnxModel:
    content, found = read_pinned(path, spec.sha256)
    session = open_session(content, spec.name, runtime)
    _compare(session, spec)
    return OnnxModel(replace(spec, sha256=found), session, (load_onnx, (path, spec, runtime)))


def open_session(content: bytes, name: str, runtime: Runtime) -> Any:
    """Make an ONNX Runtime session that is a good guest on a shared node.

    Raises:
        ModelError: The bytes are no ONNX network, or a provider is not installed.
    """
    import onnxruntime

    absent = set(runtime.providers) - set(onnxruntime.get_available_providers())
    if absent:
        raise ModelError(
            f"provider {', '.join(sorted(absent))} is not installed; here are "
            f"{', '.join(onnxruntime.get_available_providers())}"
        )
    options = _session_options(onnxruntime.SessionOptions(), runtime)
    try:
        return onnxruntime.InferenceSession(content, options, providers=list(runtime.providers))
    except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
        raise ModelError(f"model {name!r}: not a usable ONNX network ({error})") from error


def _session_options(options: Any, runtime: Runtime) -> Any:
    options.intra_op_num_threads = runtime.intra_op_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: its warnings are about its own optimiser
    # Pre-planned buffers cost memory and bring no speed here.
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = _arena_allowed()
    # Spinning threads take the cores from other workers; it costs about 3 % when alone.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def embedded_manifest(path: Path) -> str | None:
    """Read the manifest inside an ONNX file, if it has one.

    Raises:
        ModelError: The file is unreadable or no ONNX network.
    """
    content, _ = read_pinned(path, "")
    session = open_session(content, path.name, Runtime(threads=1))
    found: str | None = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    return found


def _compare(session: Any, spec: ModelSpec) -> None:
    """Refuse a manifest that contradicts its network."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    where = f"model {spec.name!r} contradicts its manifest:"
    names = [each.name for each in inputs]
    if names != [spec.input_name]:
        raise ModelError(f"{where} inputs {names}, manifest has {spec.input_name!r}")
    if len(outputs) != 1:
        raise ModelError(f"{where} {len(outputs)} outputs, one is supported")
    for kind, tensor, wanted, what in (
        ("input", inputs[0], len(spec.bands), "bands"),
        ("output", outputs[0], len(spec.classes), "classes"),
    ):
        if tensor.type != "tensor(float)" or len(tensor.shape) != 4:  # noqa: PLR2004
            raise ModelError(
                f"{where} {kind} is {tensor.type} of shape {tensor.shape}, must be float32 of "
                f"(n, {what}, y, x)"
            )
        if isinstance(tensor.shape[0], int):
            raise ModelError(
                f"{where} {kind} is for batches of {tensor.shape[0]} only; export the network "
                "with a free (dynamic) batch dimension"
            )
        if isinstance(tensor.shape[1], int) and tensor.shape[1] != wanted:
            raise ModelError(f"{where} {kind} has {tensor.shape[1]} {what}, manifest has {wanted}")
    _compare_tile(inputs[0].shape[2:], spec, where)


def _compare_tile(edges: list[int | str], spec: ModelSpec, where: str) -> None:
    for edge in edges:
        if isinstance(edge, int) and (edge != spec.tile or not spec.fixed_tile):
            kind = "fixed" if spec.fixed_tile else "free"
            raise ModelError(
                f"{where} it takes tiles of {edge} pixels, the manifest has {kind} tiles of "
                f"{spec.tile}"
            )
