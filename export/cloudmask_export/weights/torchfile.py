"""What `torch.save` writes since 1.6: a zip with a pickle and one member for each storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cloudmask_export.errors import WeightsError
from cloudmask_export.weights.container import read_archive
from cloudmask_export.weights.tensors import elements, finished, precision, strided
from cloudmask_export.weights.unpickle import follow
from cloudmask_export.weights.walk import Found, find

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from cloudmask_export.weights.standins import StorageRef, TensorRef

_T = TypeVar("_T")

MAX_GROWTH = 4
"""Bytes of all tensors for each byte of the file. Tensors may share a storage (tied layers), so
without a limit a small file could describe any number of large ones."""


def read_torch(data: bytes) -> tuple[Mapping[str, NDArray[Any]], str, Found]:
    """Read a whole file.

    Returns:
        Name -> array as in `Weights.arrays`, the precision as in `Weights.stored`, and what was
        found in the pickle.

    Raises:
        WeightsError: if the file is damaged, foreign, or asks for anything to be executed.
    """
    members = read_archive(data)
    _check_members(members)
    found = find(follow(bytes(members["data.pkl"])))
    _check_growth(found.tensors, len(data))
    arrays = {name: _array(name, tensor, members) for name, tensor in found.tensors.items()}
    return arrays, precision(tensor.storage.kind for tensor in found.tensors.values()), found


def _check_members(members: Mapping[str, memoryview]) -> None:
    if "constants.pkl" in members:
        raise WeightsError(
            "is a TorchScript program: save torch.save(model.state_dict(), ...) instead"
        )
    # Files from before torch 2.1 have no such member and are little-endian in practice.
    if bytes(members.get("byteorder", b"little")[:8]) != b"little":
        raise WeightsError("is of a big-endian machine: save it again on a little-endian one")


def _check_growth(tensors: Mapping[str, TensorRef], size: int) -> None:
    total = 0
    for name, tensor in tensors.items():
        total += _named(name, elements, tensor.shape) * tensor.storage.kind.itemsize
        if total > MAX_GROWTH * size:
            raise WeightsError(
                f"tensor {name!r}: the tensors up to it need {total} bytes, the file has {size}; "
                f"at most {MAX_GROWTH} times as much is read"
            )


def _array(name: str, tensor: TensorRef, members: Mapping[str, memoryview]) -> NDArray[Any]:
    raw = _named(name, _storage, tensor.storage, members)
    view = _named(name, strided, raw, tensor.offset, tensor.shape, tensor.strides)
    return _named(name, finished, view, tensor.storage.kind)


def _storage(ref: StorageRef, members: Mapping[str, memoryview]) -> NDArray[Any]:
    content = members.get(f"data/{ref.key}")
    if content is None:
        raise WeightsError(f"needs the member data/{ref.key[:20]}, which the zip has not")
    if ref.count * ref.kind.itemsize != len(content):
        raise WeightsError(
            f"needs {_digits(ref.count)} elements of {ref.kind.name} in data/{ref.key[:20]}, "
            f"which has {len(content)} bytes: the file is damaged"
        )
    return np.frombuffer(content, ref.kind.raw)


def _named(name: str, step: Callable[..., _T], *args: Any) -> _T:
    """Say of which tensor a step's error speaks."""
    try:
        return step(*args)
    except WeightsError as error:
        raise WeightsError(f"tensor {name!r} {error}") from error


def _digits(number: int) -> str:
    return str(number) if abs(number) < 2**63 else "beyond 2**63"
