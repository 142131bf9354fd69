"""Safetensors: a JSON header that names stretches of one buffer.

The format: https://github.com/huggingface/safetensors#format. Eight bytes give the length of the
header (little-endian), then comes the header, then the buffer, which the tensors tile without
holes or overlaps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask_export.errors import WeightsError
from cloudmask_export.weights.tensors import KINDS, Kind, check_name, elements, finished, precision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LENGTH = 8
"""Bytes before the header."""
MAX_HEADER = 16 * 1024**2
"""Bytes. The format allows 100 MB, but JSON made to grow takes fifty times its size in memory; the
header of a network with a thousand tensors has 0.1 MB."""


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    kind: Kind
    shape: tuple[int, ...]
    begin: int
    end: int


def is_safetensors(data: bytes) -> bool:
    """Recognise the start of such a file (never longer than 4 GB in its header)."""
    return data[4 : LENGTH + 1] == b"\0\0\0\0{"


def read_safetensors(data: bytes) -> tuple[Mapping[str, NDArray[Any]], str]:
    """Read a whole file.

    Returns:
        Name -> array as in `Weights.arrays`, and the precision as in `Weights.stored`.

    Raises:
        WeightsError: if the file breaks the format, or a value is not finite.
    """
    length = int.from_bytes(data[:LENGTH], "little")
    if length > min(MAX_HEADER, len(data) - LENGTH):
        raise WeightsError(
            f"safetensors: the header should have {length} bytes, the file has {len(data)} and "
            f"at most {MAX_HEADER} are read: it is cut off or damaged, download it again"
        )
    entries = _entries(_header(data[LENGTH : LENGTH + length]))
    buffer = memoryview(data)[LENGTH + length :]
    _check_tiling(entries, len(buffer))
    arrays = {entry.name: _array(entry, buffer) for entry in entries}
    return arrays, precision(entry.kind for entry in entries)


def _header(text: bytes) -> Mapping[str, Any]:
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    except WeightsError:
        raise
    except (ValueError, RecursionError) as error:
        raise WeightsError(
            f"safetensors: the header is not JSON ({type(error).__name__}): download it again"
        ) from error
    if not isinstance(header, dict):
        raise WeightsError("safetensors: the header is no JSON object: download it again")
    return {name: entry for name, entry in header.items() if name != "__metadata__"}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # Which of two counts is up to the reader, so two readers could see two networks.
        raise WeightsError("safetensors: a name stands twice in the header: it is damaged")
    return found


def _entries(header: Mapping[str, Any]) -> list[_Entry]:
    return [_entry(check_name(name), value) for name, value in header.items()]


def _entry(name: str, value: Any) -> _Entry:
    fields: dict[str, Any] = value if isinstance(value, dict) else {}
    if fields.keys() != {"shape", "data_offsets", "dtype"}:
        raise WeightsError(f"tensor {name!r} has not exactly dtype, shape and data_offsets")
    shape, offsets, dtype = fields["shape"], fields["data_offsets"], fields["dtype"]
    if not isinstance(dtype, str) or dtype not in KINDS:
        text = ascii(dtype[:30]) if isinstance(dtype, str) else f"a {type(dtype).__name__}"
        raise WeightsError(f"tensor {name!r} has dtype {text}: known are {', '.join(KINDS)}")
    if not (_naturals(shape) and _naturals(offsets) and len(offsets) == 2):  # noqa: PLR2004
        raise WeightsError(f"tensor {name!r}: shape and two data_offsets are integers from 0 up")
    entry = _Entry(name, KINDS[dtype], tuple(shape), *offsets)
    _check_size(entry)
    return entry


def _check_size(entry: _Entry) -> None:
    try:
        size = elements(entry.shape) * entry.kind.itemsize
    except WeightsError as error:
        raise WeightsError(f"tensor {entry.name!r} {error}") from error
    if entry.end - entry.begin != size:
        raise WeightsError(
            f"tensor {entry.name!r} of shape {entry.shape} and dtype {entry.kind.name} needs "
            f"{size} bytes, its data_offsets do not give that: the file is damaged"
        )


def _check_tiling(entries: list[_Entry], size: int) -> None:
    position = 0
    for entry in sorted(entries, key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != position:
            raise WeightsError(
                f"tensor {entry.name!r} begins at byte {_digits(entry.begin)} of the buffer, "
                f"where {position} is expected: a hole or overlap, the file is damaged"
            )
        position = entry.end
    if position != size:
        raise WeightsError(
            f"safetensors: the tensors need {position} bytes, the buffer has {size}: the file is "
            "cut off or damaged, download it again"
        )


def _array(entry: _Entry, buffer: memoryview) -> NDArray[Any]:
    raw = np.frombuffer(buffer[entry.begin : entry.end], entry.kind.raw)
    try:
        return finished(raw.reshape(entry.shape), entry.kind)
    except WeightsError as error:
        raise WeightsError(f"tensor {entry.name!r} {error}") from error


def _naturals(value: Any) -> bool:
    # bool is an int to Python, but true is no number in a header.
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)


def _digits(number: int) -> str:
    return str(number) if number < 2**64 else "beyond 2**64"
