from __future__ import annotations

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


def test_a_damaged_archive_is_told(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    start = content.index(b"net.onnx") + len(b"net.onnx")
    content[start : start + 8] = b"\xff" * 8
    archive.write_bytes(content)
    with pytest.raises(OSError, match="The archive is damaged"):
        read(archive / "package" / "models" / "net.onnx")
