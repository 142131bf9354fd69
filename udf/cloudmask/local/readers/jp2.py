"""Whether a JPEG 2000 file is whole.

GDAL gives zeros, without an error, for tiles that a file was cut off before: no data where there
are clouds. So a file's own lengths are compared with its size first.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import IO

SIGNATURE = b"\x00\x00\x00\x0cjP  "
END_OF_CODESTREAM = b"\xff\xd9"
SHORTEST = 8
"""Bytes of a box that holds nothing; lesser lengths would be followed for hours."""
LONG_LENGTH = 1
"""Length of a box that says: it stands in the eight bytes that follow (ISO 15444-1, I.4)."""
TO_THE_END = 0
"""Length of the last box, if it says none."""


def torn(stream: IO[bytes], size: int) -> str:
    """Say what a JPEG 2000 file lacks at its end; nothing if it is whole, or is no such file.

    Args:
        stream: The file, open at its start.
        size: How many bytes it has.
    """
    if not size:
        return "it is empty"
    if stream.read(len(SIGNATURE)) != SIGNATURE:
        return ""
    start = 0
    while start < size:
        length = _length(stream, start)
        if length == TO_THE_END:
            return _open_end(stream)
        if length < SHORTEST or start + length > size:
            return f"it ends after {size} bytes, before its {start + max(length, SHORTEST)}th"
        start += length
    return ""


def _length(stream: IO[bytes], start: int) -> int:
    """Read a box's length; -1 if even that is cut off."""
    stream.seek(start)
    head = stream.read(16)
    if len(head) < 8:  # noqa: PLR2004 - length and kind
        return -1
    (length,) = struct.unpack(">I", head[:4])
    if length != LONG_LENGTH:
        return int(length)
    return int.from_bytes(head[8:], "big") if len(head) == 16 else -1  # noqa: PLR2004


def _open_end(stream: IO[bytes]) -> str:
    stream.seek(-len(END_OF_CODESTREAM), os.SEEK_END)
    whole = stream.read() == END_OF_CODESTREAM
    return "" if whole else "its image has no end"
