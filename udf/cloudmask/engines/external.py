"""ONNX files that keep their weights in other files.

Engines read such files beside the network, or where they happen to run, and no hash covers them.
So a file's tensors are looked through, by the wire format of protocol buffers and the numbers of
onnx.proto (ONNX IR version 11), before any engine sees it; nothing is copied.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from cloudmask.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Field = tuple[int, int | memoryview]

INSIDE: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}  # fmt: skip
"""Message -> numbers of the fields in which further messages lie that may hold tensors."""

DATA_LOCATION, EXTERNAL_DATA = 14, 13
"""Fields of a tensor: where its numbers are (0: in it), and in which file."""

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
"""Kinds of fields."""

LONGEST_VARINT = 10
"""Bytes."""

MOST_FIELDS = 1_000_000
"""No network has as many by far; to look through more would take minutes."""


def refuse_external(content: bytes, name: str) -> None:
    """Refuse a network whose weights are not all inside its file.

    Args:
        content: The ONNX file. What cannot be read is left to the engine, which says why.
        name: What messages call it.

    Raises:
        ModelError: A tensor's numbers are in another file; or there are more parts than a network
            has.
    """
    fields = _all_fields(memoryview(content))
    for kind, number, value in islice(fields, MOST_FIELDS):
        if kind == "tensor" and _is_outside(number, value):
            raise ModelError(
                f"model {name!r}: keeps weights in another file, which its hash does not cover; "
                "save it as one file: onnx.save(onnx.load(PATH), NEW_PATH)"
            )
    if next(fields, None):
        raise ModelError(f"model {name!r}: has more than {MOST_FIELDS} parts; no network has")


def _all_fields(content: memoryview) -> Iterator[tuple[str, int, int | memoryview]]:
    """Give the fields of a model and of all that may hold tensors, with the kind of message."""
    # No recursion: a hostile file may nest without end.
    left = [("model", content)]
    while left:
        kind, message = left.pop()
        inside = INSIDE[kind]
        for number, value in _fields(message):
            yield kind, number, value
            if number in inside and isinstance(value, memoryview):
                left.append((inside[number], value))


def _is_outside(number: int, value: int | memoryview) -> bool:
    return number == EXTERNAL_DATA or (number == DATA_LOCATION and value != 0)


def _fields(message: memoryview) -> Iterator[Field]:
    """Split a message into numbers of fields and their values, up to where it is damaged."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind, value = tag & 7, memoryview(b"")
        if kind == VARINT:
            number, at = _varint(message, at)
            yield tag >> 3, number
            continue
        if kind == DELIMITED:
            size, at = _varint(message, at)
            value = message[at : at + size]
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:  # groups, which ONNX has none of, or damage
            return
        at += size
        yield tag >> 3, value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Read a whole number, seven bits a byte; give it and where the next thing begins."""
    value = 0
    for place, byte in enumerate(message[at : at + LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:  # noqa: PLR2004 - the last byte's mark
            return value, at + place + 1
    return value, len(message)
