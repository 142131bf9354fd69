"""A network behind a callable: the protocol, and networks in ONNX files.

A model takes reflectance and answers with class probabilities; what lies between (standardising,
softmax) is its own affair. Everything else in the package knows this protocol only.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property, lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cloudmask.engines import open_session
from cloudmask.errors import ModelError
from cloudmask.process import give_back, return_large_blocks
from cloudmask.runtime import Runtime
from cloudmask.spec import METADATA_KEY, ModelSpec
from cloudmask.zipped import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask.engines import Session


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


class OnnxModel:
    """A network in an ONNX file; made by `load_onnx`. Several threads may call it at once.

    Pickled as the recipe that made it, so that a worker opens its own session, once.
    """

    def __init__(
        self,
        spec: ModelSpec,
        session: Session,
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
            return self._session.run(tiles)
        except Exception as error:  # the engines' exceptions have no common base
            raise ModelError(
                f"model {self.spec.name!r} failed on tiles of shape {tiles.shape}: {error}"
            ) from error

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
        path: The file, be it inside a zip file.
        sha256: What its hash must be; empty if anything will do.

    Returns:
        The content and its sha256, hexadecimal.

    Raises:
        ModelError: It cannot be read, or is not the file that the manifest means.
    """
    try:
        content = read(path)
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
        return _load_onnx(path, spec, runtime.decided)


@lru_cache(maxsize=16)
def _load_onnx(path: Path, spec: ModelSpec, runtime: Runtime) -> OnnxModel:
    content, found = read_pinned(path, spec.sha256)
    if not runtime.arena_allowed:
        return_large_blocks()
    session = open_session(content, spec.name, runtime)
    _compare(session, spec)
    known = replace(spec, sha256=found, size=spec.size or len(content))
    del content
    give_back()  # what opening took, before the next one is opened
    return OnnxModel(known, session, (load_onnx, (path, spec, runtime)))


def forget() -> None:
    """Let go of open networks that nobody holds; they are opened anew when they are wanted."""
    _load_onnx.cache_clear()


def embedded_manifest(path: Path) -> str | None:
    """Read the manifest inside an ONNX file, if it has one.

    Raises:
        ModelError: The file is unreadable or no ONNX network.
    """
    try:
        seen = path.stat()
    except OSError:  # to read it says what is wrong
        return _embedded(path, 0, 0)
    return _embedded(path, seen.st_mtime_ns, seen.st_size)


@lru_cache(maxsize=16)
def _embedded(path: Path, _changed: int, _size: int) -> str | None:
    """Open a file to look inside, once while it stays as it is: that takes seconds."""
    content, _ = read_pinned(path, "")
    session = open_session(content, path.name, Runtime(threads=1))
    try:
        return session.metadata.get(METADATA_KEY)
    except UnicodeDecodeError as error:
        raise ModelError(f"model file {path}: its metadata are no text ({error})") from error


def _compare(session: Session, spec: ModelSpec) -> None:
    """Refuse a manifest that contradicts its network."""
    inputs, outputs = session.inputs, session.outputs
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
        if tensor.dtype != "float32" or len(tensor.shape) != 4:  # noqa: PLR2004
            raise ModelError(
                f"{where} {kind} is {tensor.dtype} of shape {tensor.shape}, must be float32 of "
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


def _compare_tile(edges: tuple[int | str | None, ...], spec: ModelSpec, where: str) -> None:
    for edge in edges:
        if isinstance(edge, int) and (edge != spec.tile or not spec.fixed_tile):
            kind = "fixed" if spec.fixed_tile else "free"
            raise ModelError(
                f"{where} it takes tiles of {edge} pixels, the manifest has {kind} tiles of "
                f"{spec.tile}"
            )
