from __future__ import annotations

import errno
import zipfile
from typing import TYPE_CHECKING

import pytest

from cloudmask.zipped import is_file, read

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "package.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("package/models/net.onnx", b"network" * 1000)
    return path


def test_a_plain_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"network")
    assert is_file(path)
    assert read(path) == b"network"


def test_a_file_is_read_out_of_an_archive(archive: Path) -> None:
    path = archive / "package" / "models" / "net.onnx"
    assert is_file(path)
    assert read(path) == b"network" * 1000


@pytest.mark.parametrize("inside", ["package/models/none.onnx", "package/models", "net.onnx"])
def test_what_an_archive_does_not_hold_is_not_there(archive: Path, inside: str) -> None:
    assert not is_file(archive / inside)
    with pytest.raises(FileNotFoundError, match="No such file in the archive"):
        read(archive / inside)


def test_what_is_nowhere_is_not_there(tmp_path: Path) -> None:
    assert not is_file(tmp_path / "none" / "net.onnx")
    with pytest.raises(FileNotFoundError, match=r"net\.onnx"):
        read(tmp_path / "none" / "net.onnx")


def test_a_file_that_is_no_archive_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("none")
    assert not is_file(tmp_path / "notes" / "net.onnx")
    with pytest.raises(OSError, match="The archive is damaged: File is not a zip file"):
        read(tmp_path / "notes" / "net.onnx")


def test_what_lies_where_we_may_not_look_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder on a worker's sys.path may belong to someone else.
    def refusing(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.stat", refusing)
    assert not is_file(tmp_path / "site-packages" / "net.onnx")


def test_a_damaged_archive_is_told(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    start = content.index(b"net.onnx") + len(b"net.onnx")
    content[start : start + 8] = b"\xff" * 8
    archive.write_bytes(content)
    with pytest.raises(OSError, match="The archive is damaged"):
        read(archive / "package" / "models" / "net.onnx")


def test_a_name_that_no_file_can_have_is_not_there(archive: Path) -> None:
    assert not is_file(archive / "x\0")
    with pytest.raises(FileNotFoundError, match="null byte"):
        read(archive / "x\0")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_what_python_imports_is_unpacked(tmp_path: Path, method: int) -> None:
    path = tmp_path / "package.whl"
    with zipfile.ZipFile(path, "w", method) as made:
        made.writestr("net.onnx", b"network")
    with pytest.raises(OSError, match=rf"The archive is damaged: .* method {method}; .*package"):
        read(path / "net.onnx")


def test_a_claim_of_more_than_there_is_takes_no_memory(tmp_path: Path) -> None:
    path = stored(tmp_path, 20, (2**31 - 2).to_bytes(4, "little"))
    with pytest.raises(OSError, match="should have 2147483646 bytes, which are not there"):
        read(path / "net.onnx")


@pytest.mark.parametrize(
    ("at", "field"),
    [(8, b"\1\0"), (6, b"\xff\0"), (42, b"\xff\xff\xff\xff"), (42, b"\1\0\0\0")],
    ids=["encrypted", "of a version to come", "at no place", "at another place"],
)
def test_a_strange_entry_is_told(tmp_path: Path, at: int, field: bytes) -> None:
    path = stored(tmp_path, at, field)
    assert is_file(path / "net.onnx") in {True, False}
    with pytest.raises(OSError, match=r"The archive is damaged: .*net\.onnx"):
        read(path / "net.onnx")


def test_what_the_system_refuses_is_no_damage(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(zipfile, "ZipFile", full)
    with pytest.raises(OSError, match="Too many open files") as caught:
        read(archive / "net.onnx")
    assert caught.value.errno == errno.EMFILE


def stored(folder: Path, at: int, field: bytes) -> Path:
    """Write an archive of one file, with other bytes in its entry of the table of contents."""
    path = folder / "package.whl"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("net.onnx", b"network")
    content = bytearray(path.read_bytes())
    start = content.index(b"PK\1\2") + at
    content[start : start + len(field)] = field
    path.write_bytes(content)
    return path
