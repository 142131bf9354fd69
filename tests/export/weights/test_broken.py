"""Files that are damaged, or no weight files at all."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import cloudmask_export.weights as reader
from cloudmask_export.errors import WeightsError
from cloudmask_export.weights import read_weights

if TYPE_CHECKING:
    from collections.abc import Callable

WRITERS = {"safetensors": "write_safetensors", "pth": "write_pth"}

# -- other files ----------------------------------------------------------------------------


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, x=np.ones(3))
    return file.getvalue()


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.ones(3))
    return file.getvalue()


OTHERS = {
    "torch's old format": b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
    "a plain pickle": b"\x80\x04N.",
    "is one numpy array": npy(),
    "without a data.pkl": npz(),
    "a web page": b"\n<!DOCTYPE html><html><title>Virus scan warning</title></html>",
    "is empty": b"",
    "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(50),
    "git lfs pull": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "compressed with gzip": b"\x1f\x8b\x08\0",
    "is no weight file": b"\x08\x07\x12\x07pytorch",
    "perhaps it is cut off": b"\x10\0\0\0",
}


@pytest.mark.parametrize("message", OTHERS)
def test_another_file_is_refused_and_called_by_its_name(tmp_path: Path, message: str) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(OTHERS[message])

    with pytest.raises(WeightsError, match=rf"weights\.pth: .*{message}"):
        read_weights(path)


def test_a_web_page_with_a_byte_order_mark_is_one_too(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"\xef\xbb\xbf<html></html>")

    with pytest.raises(WeightsError, match="a web page"):
        read_weights(path)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"net\.pkl: there is no such file"):
        read_weights(tmp_path / "net.pkl")


def test_a_folder_is_no_weight_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is a folder"):
        read_weights(tmp_path)


def test_a_file_that_may_not_be_read_is_named(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)

    with pytest.raises(WeightsError, match=r"small\.pkl: cannot be read \(Permission denied\)"):
        read_weights(network)


def test_a_file_larger_than_any_onnx_file_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "net.pkl"
    with path.open("wb") as file:
        file.truncate(reader.MAX_FILE + 1)

    with pytest.raises(WeightsError, match="an ONNX file holds at most"):
        read_weights(path)


@pytest.mark.parametrize("error", [MemoryError, RecursionError])
def test_want_of_memory_is_an_error_of_the_file_too(
    network: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(_: bytes) -> Any:
        raise error

    monkeypatch.setattr(reader, "read_torch", fail)

    with pytest.raises(WeightsError, match=rf"needs more memory than there is \({error.__name__}"):
        read_weights(network)


# -- cut off --------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", [*WRITERS, "pkl"])
def test_a_file_cut_off_anywhere_is_refused(
    weight_files: Any, tmp_path: Path, arrays: Any, network: Path, format_: str
) -> None:
    path = tmp_path / "net"
    if format_ == "pkl":
        path = network
    else:
        getattr(weight_files, WRITERS[format_])(path, arrays)
    whole = path.read_bytes()
    points = sorted({*range(0, len(whole), 7), *range(20), *range(len(whole) - 40, len(whole))})

    for end in points:
        path.write_bytes(whole[:end])
        with pytest.raises(WeightsError, match=str(path)):
            read_weights(path)


def test_a_pickle_cut_off_anywhere_is_refused(weight_files: Any, pickle_file: Any) -> None:
    w = weight_files
    stream = w.pickled(w.ordered({"x": w.tensor(w.storage("Float", "0", 8), (8,))}))

    for end in range(len(stream)):
        with pytest.raises(WeightsError, match=r"data\.pkl"):
            read_weights(pickle_file(stream[:end], whole=True))


def test_a_pickle_may_not_go_on_after_its_end(weight_files: Any, pickle_file: Any) -> None:
    w = weight_files
    stream = w.pickled(w.ordered({"x": w.tensor(w.storage("Float", "0", 8), (8,))}))

    with pytest.raises(WeightsError, match="and goes on"):
        read_weights(pickle_file(stream + b"N.", whole=True))


# -- zip files ------------------------------------------------------------------------------


def simple(w: Any) -> list[Any]:
    stream = w.pickled(w.ordered({"x": w.tensor(w.storage("Float", "0", 8), (8,))}))
    members: list[Any] = w.members(stream, {"0": np.arange(8, dtype=np.float32).tobytes()})
    return members


def changed(members: list[Any], name: str, w: Any, **changes: Any) -> list[Any]:
    return [w.Member(**{**vars(m), **changes}) if m.name == f"net/{name}" else m for m in members]


ZIPS: dict[str, Callable[[Any, list[Any]], list[Any]]] = {
    "'net/data/0' is compressed": lambda w, m: changed(m, "data/0", w, method=8),
    "'net/data/0' is compressed or": lambda w, m: changed(m, "data/0", w, packed=31),
    "'net/data.pkl' is compressed or encrypted": lambda w, m: changed(m, "data.pkl", w, flags=1),
    "runs into the next": lambda w, m: changed(m, "data/0", w, size=2**31),
    "'net/data/0' does not have its checksum": lambda w, m: changed(
        m, "data/0", w, content=bytes(32), checksum=1
    ),
    "'net/data/0' is not once within": lambda w, m: [*m, m[2]],
    "'other/x' is not once within its folder 'net'": lambda w, m: [
        *m, w.Member(name="other/x", content=b"")
    ],
    "'net' is not once within": lambda w, m: [*m, w.Member(name="net", content=b"")],
    "plain names": lambda w, m: [*m, w.Member(name="net/../../x", content=b"")],
    "a member named": lambda w, m: [*m, w.Member(name="net/\x1b[2J", content=b"")],
    "has two descriptions": lambda w, m: changed(m, "data/0", w, local_name="net/data/1"),
    "is not where it should be": lambda w, m: changed(m, "data/0", w, start=5),
    "big-endian": lambda w, m: changed(m, "byteorder", w, content=b"big"),
    "without a data.pkl": lambda w, m: m[1:],
    "TorchScript": lambda w, m: [*m, w.Member(name="net/constants.pkl", content=b"")],
}  # fmt: skip


@pytest.mark.parametrize("message", ZIPS)
def test_a_zip_that_torch_did_not_write_is_refused(
    weight_files: Any, tmp_path: Path, message: str
) -> None:
    w = weight_files
    path = tmp_path / "net.pth"
    path.write_bytes(w.zipped(ZIPS[message](w, simple(w))))

    with pytest.raises(WeightsError, match=message.replace("[", r"\[")):
        read_weights(path)


def test_the_same_zip_unchanged_is_read(weight_files: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(weight_files.zipped(simple(weight_files)))

    np.testing.assert_array_equal(read_weights(path).arrays["x"], np.arange(8))


def test_a_file_from_before_byteorder_is_little_endian(weight_files: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    members = [m for m in simple(weight_files) if m.name != "net/byteorder"]
    path.write_bytes(weight_files.zipped(members))

    assert list(read_weights(path).arrays) == ["x"]


def test_a_member_within_another_is_refused(weight_files: Any, tmp_path: Path) -> None:
    w = weight_files
    path = tmp_path / "net.pth"
    path.write_bytes(w.zipped(changed(simple(w), "data/0", w, size=300)))

    with pytest.raises(WeightsError, match="'net/data/0' runs into the next"):
        read_weights(path)


def test_a_zip_of_another_tool_is_read_if_it_is_stored(weight_files: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w") as file:
        for member in simple(weight_files):
            file.writestr(member.name, member.content)

    assert list(read_weights(path).arrays) == ["x"]


def test_a_bomb_of_zeros_is_refused_without_unpacking(weight_files: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("net/data.pkl", bytes(10**8))

    with pytest.raises(WeightsError, match=r"'net/data\.pkl' is compressed"):
        read_weights(path)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (10, struct.pack("<H", 3), "lists 5 members, not 3"),
        (12, struct.pack("<I", 10**9), "contradicts its size"),
        (12, struct.pack("<I", 10), "breaks off"),
        (16, struct.pack("<I", 10**9), "contradicts its size"),
        (16, struct.pack("<I", 0), "breaks off"),
        (20, struct.pack("<H", 1), "contradicts its size"),
    ],
)
def test_a_lying_end_of_the_zip_is_refused(
    weight_files: Any, tmp_path: Path, offset: int, value: bytes, message: str
) -> None:
    data = bytearray(weight_files.zipped(simple(weight_files)))
    at = len(data) - 22 + offset
    data[at : at + len(value)] = value
    path = tmp_path / "net.pth"
    path.write_bytes(data)

    with pytest.raises(WeightsError, match=message):
        read_weights(path)


def test_a_directory_without_end_is_refused(
    weight_files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(weight_files.zipped(simple(weight_files)))
    monkeypatch.setattr("cloudmask_export.weights.container.MAX_DIRECTORY", 100)

    with pytest.raises(WeightsError, match="contradicts its size"):
        read_weights(path)


# -- safetensors ----------------------------------------------------------------------------

GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
HEADERS: dict[str, Any] = {
    "not JSON": b'{"x": ',
    "not JSON .RecursionError": b'{"x":' + b"[" * 200_000,
    "not JSON .UnicodeDecodeError": b'{"\xff": 1}',
    "a name stands twice": b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
    b'"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
    "'x' has not exactly": {"x": {**GOOD, "more": 1}},
    "'y' has not exactly": {"y": [1]},
    "'x' has dtype 'F8_E5M2': known are F64": {"x": {**GOOD, "dtype": "F8_E5M2"}},
    "'x' has dtype a int": {"x": {**GOOD, "dtype": 3}},
    "'x': shape and two data_offsets": {"x": {**GOOD, "shape": [-2]}},
    "shape and two": {"x": {**GOOD, "shape": [2.0]}},
    "integers from 0 up": {"x": {**GOOD, "shape": [True, 2]}},
    "two data_offsets are": {"x": {**GOOD, "data_offsets": [0, 4, 8]}},
    "data_offsets are integers": {"x": {**GOOD, "data_offsets": "08"}},
    r"of shape \(3,\) and dtype F32 needs 12 bytes": {"x": {**GOOD, "shape": [3]}},
    "do not give that": {"x": {**GOOD, "data_offsets": [8, 0]}},
    "a hole or overlap": {"x": {**GOOD, "data_offsets": [4, 12]}},
    "'y' begins at byte 4 of the buffer, where 8": {
        "x": GOOD, "y": {**GOOD, "data_offsets": [4, 12]}
    },
    "need 0 bytes, the buffer has 8": {},
    "need 4 bytes, the buffer has 8": {"x": {**GOOD, "shape": [1], "data_offsets": [0, 4]}},
    "need 16 bytes, the buffer has 8": {"x": GOOD, "y": {**GOOD, "data_offsets": [8, 16]}},
    "9 dimensions": {"x": {**GOOD, "shape": [1] * 9}},
    "huge": {"x": {**GOOD, "shape": [10**60, 0], "data_offsets": [0, 0]}},
    "printable": {"x\n": GOOD},
    r"is '\\udcff'": b'{"\\udcff":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
    "begins at byte beyond": {"x": {**GOOD, "data_offsets": [10**60, 10**60 + 8]}},
}  # fmt: skip


@pytest.mark.parametrize("message", HEADERS)
def test_a_broken_safetensors_header_is_refused(tmp_path: Path, message: str) -> None:
    header = HEADERS[message]
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = tmp_path / "net.safetensors"
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + bytes(8))

    with pytest.raises(WeightsError, match=message):
        read_weights(path)


@pytest.mark.parametrize("length", [10**7, 2**31, 2**32 - 1])
def test_a_safetensors_header_longer_than_the_file_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b"{}" + bytes(100))

    with pytest.raises(WeightsError, match=f"the header should have {length} bytes"):
        read_weights(path)


def test_a_safetensors_header_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudmask_export.weights.safetensors.MAX_HEADER", 10)
    path = tmp_path / "net.safetensors"
    path.write_bytes((11).to_bytes(8, "little") + b"{}" + b" " * 9)

    with pytest.raises(WeightsError, match="at most 10 are read"):
        read_weights(path)


# -- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", WRITERS)
@pytest.mark.parametrize("dtype", ["fp64", "fp32", "fp16", "bf16"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_with_its_tensor(
    weight_files: Any, tmp_path: Path, format_: str, dtype: str, value: float
) -> None:
    broken = np.ones((3, 4), np.float32)
    broken[1, 1:3] = value
    path = tmp_path / "net"
    arrays = {"fine": np.ones(3, np.float32), "layer.w": broken}
    getattr(weight_files, WRITERS[format_])(path, arrays, dtype=dtype)

    with pytest.raises(WeightsError, match=r"tensor 'layer\.w' has 2 of 12 values .* not finite"):
        read_weights(path)


def test_a_signalling_nan_in_fp16_is_refused_without_a_warning(
    weight_files: Any, tmp_path: Path
) -> None:
    values = np.array([0x7C01, 0x3C00], np.uint16).view(np.float16)

    with pytest.raises(WeightsError, match="1 of 2 values"):
        read_weights(weight_files.write_safetensors(tmp_path / "net", {"x": values}))


def test_a_truth_value_of_two_is_refused(tmp_path: Path) -> None:
    header = b'{"x":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}'
    path = tmp_path / "net"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\x01\x02")

    with pytest.raises(WeightsError, match="tensor 'x' has the truth value 2"):
        read_weights(path)


@pytest.mark.parametrize("format_", WRITERS)
def test_a_file_without_a_floating_tensor_is_refused(
    weight_files: Any, tmp_path: Path, format_: str
) -> None:
    path = getattr(weight_files, WRITERS[format_])(tmp_path / "net", {"n": np.array(3)})

    with pytest.raises(WeightsError, match="no floating-point tensor"):
        read_weights(path)


def test_an_entry_that_is_no_tensor_is_refused(weight_files: Any, pickle_file: Any) -> None:
    path = pickle_file(weight_files.ordered({"epoch": weight_files.integer(3)}))

    with pytest.raises(WeightsError, match="entry 'epoch' is a int, not a tensor"):
        read_weights(path)
