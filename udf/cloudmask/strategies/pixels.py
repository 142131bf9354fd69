"""The numbers of a made-up cube: reflectances with gaps, in any dtype, anyhow in memory."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.random import Generator
    from numpy.typing import NDArray

    from cloudmask.bands import Preset

DTYPES = (
    "float32", "uint16", "int16", "float64", "uint8", "int8", "int32", "uint32", "int64", "uint64",
    "float16", "longdouble", "bool", ">f4", ">f8", ">f2", ">u2", ">i2", ">i4",
)  # fmt: skip
"""Every kind of real numbers, big-endian ones as GDAL and netCDF-3 give them too."""

DARKEST, BRIGHTEST = 0.02, 1.1
"""Reflectances of what is drawn; clouds at a low sun exceed 1."""

BLOCK = 5
"""Pixels along the edge of what is alike, so that a class has neighbours of its kind."""


def reflectances(random: Generator, shape: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """Draw (time, band, y, x) reflectances: blocks, and within them some noise."""
    height, width = shape[2:]
    coarse = (*shape[:2], -(-height // BLOCK), -(-width // BLOCK))
    blocks = random.uniform(DARKEST, BRIGHTEST, coarse).astype(np.float32)
    rows, columns = np.arange(height) // BLOCK, np.arange(width) // BLOCK
    noise = random.uniform(0.9, 1.0, shape).astype(np.float32)
    return blocks[:, :, rows[:, None], columns] * noise


def stored(values: NDArray[np.float32], preset: Preset, dtype: str) -> NDArray[Any]:
    """Write reflectances as a product of that preset does, as far as the dtype can hold them."""
    raw = values.astype(np.float64) / preset.scale - preset.offset
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return raw.astype(kind)
    if kind.kind == "b":
        return raw > raw.mean() if raw.size else raw.astype(bool)
    limits = np.iinfo(kind.name)
    # The largest 64-bit integers are no float64; what is drawn is far below.
    return np.clip(raw.round(), limits.min, min(limits.max, 2**53)).astype(kind)


def fits(preset: Preset, dtype: str) -> bool:
    """Tell whether a dtype can hold what a preset says, so that it is still of use."""
    ends = np.array([0.9 * DARKEST, BRIGHTEST], np.float32)
    light = preset.reflectance(stored(ends, preset, dtype))
    return bool(light.min() > DARKEST / 10 and light.max() < 2 * BRIGHTEST)


def fillers(preset: Preset, dtype: str) -> list[float]:
    """List numbers that mean no data in a dtype; none if there is no such number."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        largest = float(np.finfo(kind).max)  # infinite for what is wider than Python's own
        held = [value for value in preset.nodata if abs(value) <= largest]
        return [np.nan, np.inf, -np.inf, *held]
    least, most = (0, 1) if kind.kind == "b" else _limits(kind)
    fitting = [value for value in preset.nodata if least <= value <= most]
    # What no scene reflects is no data, too.
    beyond = [value for value in (most, least) if abs(value) * preset.scale > 1000]  # noqa: PLR2004 - well beyond
    return [*fitting, *(float(value) for value in beyond)]


def _limits(kind: np.dtype[Any]) -> tuple[int, int]:
    limits = np.iinfo(kind.name)
    return limits.min, limits.max


def put(gaps: NDArray[Any], numbers: NDArray[Any], value: float) -> None:
    """Write a filler where (time, 1 or band, y, x) `gaps` is True; in place."""
    kind = numbers.dtype
    if kind.kind in "iu" and not _limits(kind)[0] <= value <= _limits(kind)[1]:
        # float() rounded the largest integer up.
        value = min(max(int(value), _limits(kind)[0]), _limits(kind)[1])
    where = np.broadcast_to(gaps, numbers.shape)
    numbers[where] = int(value) if kind.kind in "iu" else value


def _everywhere(_: Generator, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return np.ones(shape, bool)


def _nowhere(_: Generator, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return np.zeros(shape, bool)


def _margins(random: Generator, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    gone = np.zeros(shape, bool)
    for axis, size in enumerate(shape):
        across = np.moveaxis(gone, axis, 0)
        across[: int(random.integers(0, size // 2 + 1))] = True
        across[size - int(random.integers(0, size // 2 + 1)) :] = True
    return gone


def _stripes(random: Generator, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    rows, columns = np.indices(shape)
    return (rows * random.integers(0, 3) + columns) % random.integers(2, 9) == 0


def _scattered(random: Generator, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return random.random(shape) < random.choice([0.01, 0.3, 0.95])


def _swath(random: Generator, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    rows, columns = np.indices(shape)
    return rows + random.uniform(-1, 1) * columns < random.uniform(0, 1) * shape[0]


def _single(random: Generator, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    gone = np.zeros(shape, bool)
    gone[tuple(random.integers(0, size) for size in shape)] = True
    return gone


def _all_but_one(random: Generator, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return ~_single(random, shape)


PATTERNS: Mapping[str, Callable[[Generator, tuple[int, ...]], NDArray[np.bool_]]] = {
    "none": _nowhere,
    "all": _everywhere,
    "margins": _margins,
    "stripes": _stripes,
    "scattered": _scattered,
    "swath": _swath,
    "single": _single,
    "all but one": _all_but_one,
}
"""Name -> what draws (y, x), True where there is no data."""


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    return array


def _fortran(array: NDArray[Any]) -> NDArray[Any]:
    return np.asfortranarray(array)


def _strided(array: NDArray[Any]) -> NDArray[Any]:
    wide = np.repeat(array, 2, axis=-1)
    return wide[..., ::2]


def _reversed(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array[..., ::-1])[..., ::-1]


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array = array.copy()
    array.flags.writeable = False
    return array


def _unaligned(array: NDArray[Any]) -> NDArray[Any]:
    memory = np.empty(array.nbytes + 1, np.uint8)
    shifted = memory[1:].view(array.dtype).reshape(array.shape)
    shifted[...] = array
    return shifted


def in_chunks(array: NDArray[Any], chunks: tuple[tuple[int, ...], ...]) -> Any:
    """Give an array to dask."""
    da: Any = import_module("dask.array")
    return da.from_array(array, chunks=chunks)


MEMORY: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "plain": _plain,
    "fortran": _fortran,
    "strided": _strided,
    "reversed": _reversed,
    "read-only": _read_only,
    "unaligned": _unaligned,
}
"""Name -> the same numbers, lying otherwise in memory."""
