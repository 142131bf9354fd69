"""The zip file around what torch saves: stored members in one folder, nothing else.

Read strictly by the format (APPNOTE.TXT of PKWARE, 4.3) and not by `zipfile`: torch's writer uses
a small part of zip, and what is beyond that part (compression, encryption, comments, files within
files) is either foreign or made to deceive. Nothing is ever unpacked: members are views.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudmask_export.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAGIC = b"PK\x03\x04"
MAX_DIRECTORY = 8 * 1024**2
"""Bytes of the table of contents: about 100,000 members; the networks have 500."""

_END = struct.Struct("<4s4H2IH")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_ENCRYPTED = 1
_AGAIN = "the file is cut off or damaged, download it again"


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    size: int
    checksum: int
    start: int
    """Byte of the file at which its local header begins."""


def read_archive(data: bytes) -> Mapping[str, memoryview]:
    """Give the members of a torch zip by their paths below its one folder; data.pkl is there.

    Returns:
        Views on `data`; every checksum has been compared.

    Raises:
        WeightsError: if the zip is damaged, or is not of the kind that torch writes.
    """
    members, directory = _directory(data)
    folder = members[0].name.partition("/")[0] if members else ""
    if not any(member.name == f"{folder}/data.pkl" for member in members):
        raise WeightsError(
            "is a zip without a data.pkl, so torch did not save it: if the weights were zipped "
            "for transport (or are numpy's .npz), unpack them first"
        )
    spans = [_span(data, member) for member in members]
    # Before any checksum: members on top of each other would make a small file a long calculation.
    _check_apart(members, spans, directory)
    found: dict[str, memoryview] = {}
    for member, span in zip(members, spans, strict=True):
        top, _, path = member.name.partition("/")
        if top != folder or not path or path in found:
            raise WeightsError(
                f"the zip's member {member.name!r} is not once within its folder {folder!r}: "
                "torch writes one folder and every name once, so this is not torch's"
            )
        found[path] = _checked(memoryview(data)[span], member)
    return found


def _directory(data: bytes) -> tuple[list[_Member], int]:
    """Read the table of contents, which stands at the end, and say where it begins."""
    end = len(data) - _END.size
    if end < 0 or not data.startswith(b"PK\x05\x06", end):
        raise WeightsError(f"the zip has no table of contents at its end: {_AGAIN}")
    *_, count, size, start, comment = _END.unpack_from(data, end)
    if comment or start + size > end or size > MAX_DIRECTORY:
        raise WeightsError(f"the zip's table of contents contradicts its size: {_AGAIN}")
    members = list(_entries(data, start, start + size))
    # The count has 16 bits; that of a longer table is 65535.
    if count != min(len(members), 0xFFFF):
        raise WeightsError(f"the zip lists {len(members)} members, not {count}: {_AGAIN}")
    return members, start


def _entries(data: bytes, position: int, end: int) -> Iterator[_Member]:
    while position < end:
        member, position = _entry(data, position, end)
        yield member


def _entry(data: bytes, position: int, end: int) -> tuple[_Member, int]:
    names = position + _ENTRY.size
    if names > end or not data.startswith(b"PK\x01\x02", position):
        raise WeightsError(f"the zip's table of contents breaks off: {_AGAIN}")
    fields = _ENTRY.unpack_from(data, position)
    flags, method, checksum, packed, size, length, extra, comment = (
        *fields[3:5], *fields[7:13],
    )  # fmt: skip
    following = names + length + extra + comment
    if following > end:
        raise WeightsError(f"the zip's table of contents breaks off: {_AGAIN}")
    name = _name(data[names : names + length])
    if method or flags & _ENCRYPTED or packed != size:
        raise WeightsError(
            f"the zip's member {name!r} is compressed or encrypted: torch never writes that; if "
            "the weights were zipped for transport, unpack them first"
        )
    return _Member(name, size, checksum, fields[-1]), following


def _name(raw: bytes) -> str:
    try:
        name = raw.decode("ascii")
    except UnicodeDecodeError:
        name = ""
    # Nothing is unpacked, so these could do no harm here; they show who made the file, though.
    if not name.isprintable() or not name or "\\" in name or ".." in name.split("/"):
        raise WeightsError(
            f"the zip has a member named {raw[:60]!a}: torch writes plain names, so this "
            "is not torch's"
        )
    return name


def _span(data: bytes, member: _Member) -> slice:
    """Find a member's content, behind its local header."""
    name = member.start + _LOCAL.size
    if name > len(data) or not data.startswith(MAGIC, member.start):
        raise WeightsError(f"the zip's member {member.name!r} is not where it should be: {_AGAIN}")
    fields = _LOCAL.unpack_from(data, member.start)
    method, length, extra = fields[3], *fields[-2:]
    if method or data[name : name + length] != member.name.encode("ascii"):
        raise WeightsError(f"the zip's member {member.name!r} has two descriptions: {_AGAIN}")
    begin = name + length + extra
    return slice(begin, begin + member.size)


def _check_apart(members: list[_Member], spans: list[slice], directory: int) -> None:
    """Refuse members that reach into each other or into the table of contents."""
    order = sorted(zip(members, spans, strict=True), key=lambda pair: pair[0].start)
    limits = [member.start for member, _ in order[1:]] + [directory]
    for (member, span), limit in zip(order, limits, strict=False):
        if span.stop > limit:
            raise WeightsError(f"the zip's member {member.name!r} runs into the next: {_AGAIN}")


def _checked(content: memoryview, member: _Member) -> memoryview:
    if zlib.crc32(content) != member.checksum:
        raise WeightsError(
            f"the zip's member {member.name!r} does not have its checksum: {_AGAIN} (or save it "
            "again with torch.serialization.set_crc32_options(True))"
        )
    return content
