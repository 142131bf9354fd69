"""From the bytes of a file to arrays: element types, layout in memory, finite values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from cloudmask_export.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

MAX_DIMENSIONS = 8
"""Convolution weights have four (three-dimensional ones five)."""
MAX_ELEMENTS = 2**40
"""Far above any file read here; keeps numpy's own arithmetic from overflowing."""
MAX_NAME = 500
"""Characters of a tensor's name."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How the elements of a tensor are stored."""

    name: str
    """In safetensors' spelling."""
    raw: str
    """The little-endian numpy type with the same bytes; bf16, which numpy lacks, as integers."""
    precision: str = ""
    """Of a floating type: "fp32" and so on."""

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return np.dtype(self.raw).itemsize


KINDS = {
    kind.name: kind
    for kind in (
        Kind("F64", "<f8", "fp64"),
        Kind("F32", "<f4", "fp32"),
        Kind("F16", "<f2", "fp16"),
        Kind("BF16", "<u2", "bf16"),
        Kind("I64", "<i8"),
        Kind("I32", "<i4"),
        Kind("I16", "<i2"),
        Kind("I8", "|i1"),
        Kind("U8", "|u1"),
        Kind("BOOL", "|u1"),
    )
}


def elements(shape: tuple[int, ...]) -> int:
    """Count the elements of a shape.

    Raises:
        WeightsError: if numpy could not hold such a shape, or a size is negative.
    """
    # Zeros count as ones: an axis beside an empty one may not be gigantic either.
    if min(shape, default=0) < 0:
        raise WeightsError(f"has the shape {_clipped(shape)}: no size can be negative")
    if len(shape) > MAX_DIMENSIONS or math.prod(max(n, 1) for n in shape) > MAX_ELEMENTS:
        raise WeightsError(
            f"has {len(shape)} dimensions, {_clipped(shape)}: at most {MAX_DIMENSIONS} dimensions "
            f"and {MAX_ELEMENTS} elements are read"
        )
    return math.prod(shape)


def check_name(name: object) -> str:
    """Let a tensor's or module's name pass if it can stand in messages and in an ONNX file."""
    if type(name) is not str or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        text = ascii(name[:60]) if isinstance(name, str) else f"a {type(name).__name__}"
        raise WeightsError(f"a tensor's name is {text}: 1 to {MAX_NAME} printable characters")
    return name


def strided(
    storage: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> NDArray[Any]:
    """View a one-dimensional storage as torch's tensors do, never beyond its end.

    Args:
        storage: (n,), any dtype.
        offset: Element of the storage at index 0, 0, ...
        shape: Of the tensor.
        strides: For each axis, elements of the storage from one index to the next.

    Raises:
        WeightsError: if an element would lie outside, or the view is larger than the storage.
    """
    count = elements(shape)
    if len(strides) != len(shape) or min((*strides, offset)) < 0:
        raise WeightsError(
            f"has shape {_clipped(shape)}, strides {_clipped(strides)} and offset "
            f"{_clipped((offset,))}: as many strides as axes, and nothing negative, can be read"
        )
    steps = tuple(step if n > 1 else 0 for n, step in zip(shape, strides, strict=True))
    last = offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
    if count == 0:
        return np.empty(shape, storage.dtype)
    if last >= len(storage) or count > len(storage):
        raise WeightsError(
            f"reaches element {last} with {count} elements of a storage of {len(storage)}: "
            "the file is damaged or made to read beyond its end"
        )
    size = storage.itemsize
    return as_strided(storage[offset:], shape, tuple(step * size for step in steps))


def finished(raw: NDArray[Any], kind: Kind) -> NDArray[Any]:
    """Widen, order and check an array as it lies in the file.

    Args:
        raw: Of dtype `kind.raw`, any shape and strides.
        kind: How its elements are stored.

    Returns:
        Same shape, C-contiguous, read-only, native byte order; fp16 and bf16 as float32.

    Raises:
        WeightsError: if a value is not finite, or a truth value is neither 0 nor 1.
    """
    array = _native(raw, kind)
    if kind.precision:
        wrong = array.size - int(np.count_nonzero(np.isfinite(array)))
        if wrong:
            raise WeightsError(
                f"has {wrong} of {array.size} values that are not finite (NaN or infinite): "
                "training diverged or the file is damaged; take another checkpoint"
            )
    array.flags.writeable = False
    return array


def precision(kinds: Iterable[Kind]) -> str:
    """Name the floating type of a file with tensors of these kinds ("mixed" for several).

    Raises:
        WeightsError: if none of them is floating.
    """
    found = {kind.precision for kind in kinds} - {""}
    if not found:
        raise WeightsError("holds no floating-point tensor: these are no weights of a network")
    return found.pop() if len(found) == 1 else "mixed"


def _native(raw: NDArray[Any], kind: Kind) -> NDArray[Any]:
    if kind.name == "BF16":
        # The upper half of a float32, so nothing is rounded.
        wide = np.asarray(raw, np.uint32, order="C")
        return np.left_shift(wide, 16, out=wide).view(np.float32)
    if kind.name == "F16":
        # A signalling NaN makes the cast warn; `finished` reports it as what it is.
        with np.errstate(invalid="ignore"):
            return np.asarray(raw, np.float32, order="C")
    if kind.name == "BOOL":
        if raw.size and raw.max() > 1:
            raise WeightsError(f"has the truth value {raw.max()}, not 0 or 1: it is damaged")
        return np.asarray(raw, np.bool_, order="C")
    # frombuffer leaves views at odd addresses where a header has an odd length: copy those.
    native = np.require(raw, np.dtype(kind.raw).newbyteorder("="), ["A"])
    return np.asarray(native, order="C")[...]


def _clipped(sizes: tuple[int, ...]) -> str:
    # Not str() of all: a hostile file may give thousands of axes, or numbers of a million digits.
    shown = [n if abs(n) < MAX_ELEMENTS else "huge" for n in sizes[:MAX_DIMENSIONS]]
    return f"({', '.join(map(str, shown))}{', ...' if len(sizes) > MAX_DIMENSIONS else ''})"
