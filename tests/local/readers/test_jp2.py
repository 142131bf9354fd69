from __future__ import annotations

import io
import struct

import pytest

from cloudmask.local.readers.jp2 import SIGNATURE, torn

HEAD = SIGNATURE + b"\x0d\x0a\x87\x0a"


def box(kind: bytes, body: bytes, *, long: bool = False, open_end: bool = False) -> bytes:
    if open_end:
        return struct.pack(">I4s", 0, kind) + body
    if long:
        return struct.pack(">I4sQ", 1, kind, len(body) + 16) + body
    return struct.pack(">I4s", len(body) + 8, kind) + body


FORMS = {
    "plain": HEAD + box(b"jp2h", bytes(20)) + box(b"jp2c", b"codes" * 9),
    "long": HEAD + box(b"jp2c", b"codes" * 9, long=True),
    "open": HEAD + box(b"jp2c", b"codes" * 9 + b"\xff\xd9", open_end=True),
}


def said(data: bytes) -> str:
    return torn(io.BytesIO(data), len(data))


@pytest.mark.parametrize("form", FORMS)
def test_a_whole_file_is_not_torn(form: str) -> None:
    assert said(FORMS[form]) == ""


@pytest.mark.parametrize("form", FORMS)
def test_a_file_cut_inside_its_image_is_torn(form: str) -> None:
    data = FORMS[form]
    start = data.index(b"jp2c") + 4
    for end in range(start, len(data)):
        assert said(data[:end]), end


def test_a_file_that_is_no_jpeg_2000_is_left_to_gdal() -> None:
    assert said(b"II*\0" + bytes(40)) == ""


def test_an_empty_file_is_torn() -> None:
    assert said(b"") == "it is empty"


def test_the_message_says_where_it_ends() -> None:
    data = FORMS["plain"]
    assert said(data[:-7]) == f"it ends after {len(data) - 7} bytes, before its {len(data)}th"


def test_boxes_shorter_than_their_own_heads_are_damage_and_not_followed_for_hours() -> None:
    short = struct.pack(">I", 4)
    assert said(HEAD + box(b"jp2c", b"codes")) == ""
    assert said(HEAD + short * 9 + box(b"jp2c", b"codes")).startswith("it ends after")
