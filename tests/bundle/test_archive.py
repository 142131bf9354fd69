from __future__ import annotations

import os
import stat
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudmask.local.beside import beside
from cloudmask_openeo.bundle import archive as module
from cloudmask_openeo.bundle.archive import (
    ArchiveError,
    merged,
    read_zip,
    unpack,
    write_zip,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = {"b/c.txt": b"c" * 1000, "a.bin": bytes(range(256)), "b/a": b""}
LINK = (stat.S_IFLNK | 0o777) << 16
PIPE = (stat.S_IFIFO | 0o644) << 16


def raw(path: Path, *entries: tuple[str, int], content: bytes = b"x") -> Path:
    """Write entries as an attacker would: (name, external attributes)."""
    with zipfile.ZipFile(path, "w") as file:
        for name, attributes in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = attributes
            file.writestr(entry, content)
    return path


@given(
    files=st.dictionaries(
        st.from_regex(r"[a-z0-9_]{1,8}\.[a-z]{1,3}(/[A-Z][a-z]{0,5}){0,2}", fullmatch=True),
        st.binary(max_size=200),
        max_size=8,
    ),
    compressed=st.booleans(),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], *, compressed: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "property.zip"
    folders = {name.rsplit("/", n)[0] for name in files for n in (1, 2) if name.count("/") >= n}
    kept = {name: content for name, content in files.items() if name not in folders}
    write_zip(path, kept, compressed=compressed)
    assert read_zip(path) == kept


def test_the_bytes_depend_on_nothing_but_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    write_zip(one, FILES)
    monkeypatch.setattr("time.time", lambda: 2e9)
    before = os.umask(0o077)
    try:
        write_zip(two, dict(reversed(FILES.items())))
    finally:
        os.umask(before)
    assert one.read_bytes() == two.read_bytes()


def test_entries_are_in_order_old_and_readable_by_all(tmp_path: Path) -> None:
    write_zip(tmp_path / "a.zip", FILES)
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        entries = file.infolist()
    assert [entry.filename for entry in entries] == ["a.bin", "b/a", "b/c.txt"]
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert {entry.create_system for entry in entries} == {3}


def test_folders_in_an_archive_are_no_files(tmp_path: Path) -> None:
    path = raw(tmp_path / "a.zip", ("a/", 0x10), ("a/b", 0))
    assert read_zip(path) == {"a/b": b"x"}


@pytest.mark.parametrize(
    ("name", "attributes", "why"),
    [
        ("../evil", 0, "may leave the folder"),
        ("a/../../evil", 0, "may leave the folder"),
        ("a/..", 0, "may leave the folder"),
        ("../evil/", 0x10, "may leave the folder"),
        ("/etc/evil", 0, "may leave the folder"),
        ("//host/evil", 0, "may leave the folder"),
        ("C:/evil", 0, "may leave the folder"),
        ("C:evil", 0, "may leave the folder"),
        ("a\\..\\evil", 0, "may leave the folder"),
        ("./evil", 0, "may leave the folder"),
        ("a//evil", 0, "may leave the folder"),
        ("link", LINK, "is a symbolic link"),
        ("folder/", LINK, "is a symbolic link"),
        ("pipe", PIPE, "is a device"),
    ],
)
def test_a_hostile_entry_is_refused_by_name(
    tmp_path: Path, name: str, attributes: int, why: str
) -> None:
    path = raw(tmp_path / "a.zip", ("good", 0), (name, attributes))
    with pytest.raises(ArchiveError, match=why) as caught:
        read_zip(path)
    assert str(path) in str(caught.value)
    assert repr(name.removesuffix("/")).strip("'") in str(caught.value)


def test_a_name_that_is_cut_at_a_nul_is_refused(tmp_path: Path) -> None:
    path = raw(tmp_path / "a.zip", ("good.pyXtxt", 0))
    path.write_bytes(path.read_bytes().replace(b"good.pyXtxt", b"good.py\0txt"))
    with pytest.raises(ArchiveError, match=r"entry 'good\.py\\x00txt' may leave"):
        read_zip(path)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_an_entry_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = raw(tmp_path / "a.zip", ("a/b", 0), ("a/b", 0))
    with pytest.raises(ArchiveError, match="entry 'a/b' is there twice"):
        read_zip(path)


def test_a_file_that_is_a_folder_too_is_refused(tmp_path: Path) -> None:
    path = raw(tmp_path / "a.zip", ("a/b/c", 0), ("a/b", 0))
    with pytest.raises(ArchiveError, match="'a/b' is both a file and a folder"):
        read_zip(path)


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    path = raw(tmp_path / "a.zip", ("secret", 0))
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        struct.pack_into("<H", content, content.index(signature) + offset, 1)
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="entry 'secret' is encrypted"):
        read_zip(path)


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST", 1000)
    path = tmp_path / "a.zip"
    write_zip(path, {"a": b"0" * 600, "b": b"0" * 600})
    assert path.stat().st_size < 500
    with pytest.raises(ArchiveError, match="unpacks to 1200 bytes; at most 1000"):
        read_zip(path)


def _cut(content: bytes) -> bytes:
    return content[:-30]


def _flip(content: bytes) -> bytes:
    return content.replace(b"stored as it is", b"stored as it was")[: len(content)]


def _other_name(content: bytes) -> bytes:
    return content.replace(b"name", b"eman", 1)


@pytest.mark.parametrize("damage", [_cut, _flip, _other_name, lambda _: b"no zip at all"])
def test_a_damaged_archive_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a.zip"
    write_zip(path, {"name": b"stored as it is"}, compressed=False)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ArchiveError, match="no readable zip file"):
        read_zip(path)


@pytest.mark.parametrize("name", ["../a", "/a", "a\\b", "", "a/./b"])
def test_a_name_that_would_not_be_read_is_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError, match="may leave the folder"):
        write_zip(tmp_path / "a.zip", {name: b""})
    with pytest.raises(ArchiveError, match="may leave the folder"):
        unpack({name: b""}, tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_unpacked_files_are_those_of_the_archive(tmp_path: Path) -> None:
    unpack(FILES, tmp_path / "x")
    found = {
        file.relative_to(tmp_path / "x").as_posix(): file.read_bytes()
        for file in (tmp_path / "x").rglob("*")
        if file.is_file()
    }
    assert found == FILES


def test_sources_with_the_same_file_are_refused() -> None:
    with pytest.raises(ArchiveError, match=r"two: 'a\.bin' comes from another source"):
        merged({"one": FILES, "two": {"a.bin": b""}})


def test_sources_with_different_files_are_put_side_by_side() -> None:
    assert merged({"one": FILES, "two": {"z": b"1"}}) == {**FILES, "z": b"1"}


def _write_half(path: Path) -> None:
    path.write_text("half")
    raise LookupError("stop")


def test_a_failure_leaves_what_stood_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deps.zip"
    path.write_text("before")
    with pytest.raises(LookupError, match="stop"), beside(path) as partial:
        _write_half(partial)
    assert [file.name for file in tmp_path.iterdir()] == ["deps.zip"]
    assert path.read_text() == "before"


def test_a_success_replaces_what_stood_there(tmp_path: Path) -> None:
    path = tmp_path / "deps.zip"
    path.write_text("before")
    with beside(path) as partial:
        partial.write_text("whole")
        assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["deps.zip"]
    assert path.read_text() == "whole"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_entry_that_could_take_any_memory_to_unpack_is_refused(
    tmp_path: Path, method: int
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as made:
        made.writestr("a", b"x")
    with pytest.raises(ArchiveError, match=rf"a\.zip: .*'a' is packed by method {method}"):
        read_zip(path)


@pytest.mark.parametrize(
    ("at", "field", "why"),
    [
        (20, b"\xfe\xff\xff\x7f", "should have 2147483646 bytes, which are not there"),
        (42, b"\xff\xff\xff\x7f", "which are not there"),
        (6, b"\xff\0", "zip file version 25.5"),
    ],
    ids=["size", "place", "version"],
)
def test_an_entry_that_cannot_be_is_refused(
    tmp_path: Path, at: int, field: bytes, why: str
) -> None:
    path = raw(tmp_path / "a.zip", ("a", 0))
    content = bytearray(path.read_bytes())
    start = content.index(b"PK\1\2") + at
    content[start : start + len(field)] = field
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=rf"a\.zip: .*{why}"):
        read_zip(path)
