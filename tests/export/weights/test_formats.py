from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudmask_export.weights import read_weights

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FORMATS = {"safetensors": "write_safetensors", "pth": "write_pth"}
KINDS = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]


@pytest.fixture(params=FORMATS)
def written(request: pytest.FixtureRequest, weight_files: Any, tmp_path: Path) -> Any:
    """Give a function that writes arrays in each format in turn."""
    write = getattr(weight_files, FORMATS[request.param])

    def to_file(arrays: dict[str, NDArray[Any]], dtype: str | None = None) -> Path:
        path: Path = write(tmp_path / f"net.{request.param}", arrays, dtype=dtype)
        return path

    return to_file


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16", "fp64"])
def test_names_and_values_are_those_written(written: Any, arrays: Any, dtype: str) -> None:
    weights = read_weights(written(arrays, dtype))

    assert list(weights.arrays) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(weights.arrays[name], array)
        assert weights.arrays[name].shape == array.shape
    assert weights.stored == dtype


@pytest.mark.parametrize("kind", KINDS)
def test_every_dtype_but_16_bit_floats_is_kept(written: Any, arrays: Any, kind: str) -> None:
    values = np.array([[0, 1, 1], [1, 0, 1]]).astype(kind)

    read = read_weights(written({**arrays, "x": values})).arrays["x"]

    np.testing.assert_array_equal(read, values)
    assert read.dtype == (np.float32 if kind == "float16" else values.dtype)


@given(bits=st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=50))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bf16_is_widened_without_any_rounding(written: Any, bits: list[int]) -> None:
    upper = np.array([b for b in bits if b & 0x7F80 != 0x7F80] or [0], np.uint32)
    values = (upper << 16).view(np.float32)

    read = read_weights(written({"x": values}, "bf16")).arrays["x"]

    np.testing.assert_array_equal(read.view(np.uint32), values.view(np.uint32))


def test_bf16_of_a_float32_is_within_half_a_step(written: Any) -> None:
    values = np.random.default_rng(1).standard_normal(1000, np.float32)

    read = read_weights(written({"x": values}, "bf16")).arrays["x"]

    assert np.max(np.abs(read - values) / np.abs(values)) <= 2**-8


def test_subnormal_fp16_values_are_widened_exactly(written: Any) -> None:
    values = np.array([2**-24, -(2**-20), 65504], np.float32)

    read = read_weights(written({"x": values}, "fp16")).arrays["x"]

    np.testing.assert_array_equal(read, values)


def test_different_floats_in_one_file_are_called_mixed(written: Any, arrays: Any) -> None:
    weights = read_weights(written({**arrays, "half": np.ones(2, np.float16)}))

    assert weights.stored == "mixed"


def test_integers_do_not_make_a_file_mixed(written: Any) -> None:
    weights = read_weights(written({"x": np.ones(2, np.float32), "n": np.array(3)}))

    assert weights.stored == "fp32"


def test_arrays_are_contiguous_native_and_cannot_be_written(written: Any, arrays: Any) -> None:
    for array in read_weights(written(arrays)).arrays.values():
        assert array.flags.c_contiguous
        assert array.flags.aligned
        assert array.dtype.isnative
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_the_hash_and_size_are_of_the_file(written: Any, arrays: Any) -> None:
    path = written(arrays)

    weights = read_weights(path)

    assert weights.size == path.stat().st_size
    assert weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("format_", FORMATS)
def test_the_content_and_not_the_ending_decides(
    weight_files: Any, tmp_path: Path, arrays: Any, format_: str
) -> None:
    path = getattr(weight_files, FORMATS[format_])(tmp_path / "net.bin", arrays)

    assert read_weights(path).format == format_


def test_a_state_dict_knows_no_modules(written: Any, arrays: Any) -> None:
    assert read_weights(written(arrays)).modules == {}


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict"])
def test_a_state_dict_is_found_beside_a_training_loops_notes(
    weight_files: Any, tmp_path: Path, arrays: Any, wrapper: str
) -> None:
    path = weight_files.write_pth(tmp_path / "net.pth", arrays, wrapper=wrapper)

    weights = read_weights(path)

    assert list(weights.arrays) == list(arrays)
    assert weights.format == "pth"


def test_a_tensor_may_be_named_like_a_wrapper(
    weight_files: Any, tmp_path: Path, arrays: Any
) -> None:
    path = weight_files.write_pth(tmp_path / "net.pth", {**arrays, "model": np.ones(2, "f4")})

    assert list(read_weights(path).arrays) == [*arrays, "model"]


@pytest.mark.parametrize("odd", range(4))
def test_a_safetensors_header_may_have_any_length(tmp_path: Path, odd: int) -> None:
    header = b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}' + b" " * odd
    path = tmp_path / "net.safetensors"
    values = np.array([1.5, -2], np.float32)
    path.write_bytes(len(header).to_bytes(8, "little") + header + values.tobytes())

    read = read_weights(path).arrays["x"]

    np.testing.assert_array_equal(read, values)
    assert read.flags.aligned


# -- tensors as torch lays them out ---------------------------------------------------------

VIEWS = {
    "transposed": lambda a: a.T,
    "every second": lambda a: a[:, ::2],
    "a corner": lambda a: a[1:, 2:],
    "axes moved": lambda a: a.reshape(2, 3, 4).transpose(2, 0, 1),
    "one row": lambda a: a[1:2],
    "one value": lambda a: a[2:3, 3:4].reshape(()),
    "nothing": lambda a: a[:0, ::2],
    "one column": lambda a: a[:, 4:5],
}


@pytest.mark.parametrize("dtype", ["Float", "BFloat16", "Half", "Double"])
@pytest.mark.parametrize("view", VIEWS)
def test_strided_tensors_are_read_as_numpy_views_them(
    weight_files: Any, tmp_path: Path, dtype: str, view: str
) -> None:
    w = weight_files
    kind = {v: k for k, v in w.STORAGES.items()}[dtype]
    base = np.arange(24, dtype=np.float64 if dtype == "Double" else np.float32).reshape(4, 6)
    expected = VIEWS[view](base)
    _, content = w.encoded(base, {v: k for k, v in w.FLOATS.items()}[kind])
    offset = (expected.__array_interface__["data"][0] - base.ctypes.data) // base.itemsize
    steps = [step // base.itemsize for step in expected.strides]
    pushed = w.tensor(w.storage(dtype, "0", 24), expected.shape, steps, offset)
    stream = w.pickled(w.ordered({"x": pushed}))

    read = read_weights(w.write_torch(tmp_path / "net.pth", stream, {"0": content})).arrays["x"]

    np.testing.assert_array_equal(read, expected)
    assert read.flags.c_contiguous


def test_tensors_may_share_a_storage(weight_files: Any, pickle_file: Any) -> None:
    w = weight_files
    stored = w.storage("Float", "0", 8)
    body = w.ordered({"all": w.tensor(stored, (8,)), "end": w.tensor(stored, (2, 2), offset=4)})

    arrays = read_weights(pickle_file(body)).arrays

    np.testing.assert_array_equal(arrays["all"], np.arange(8))
    np.testing.assert_array_equal(arrays["end"], [[4, 5], [6, 7]])


def test_strides_of_axes_with_one_element_mean_nothing(
    weight_files: Any, pickle_file: Any
) -> None:
    w = weight_files
    body = w.ordered({"x": w.tensor(w.storage("Float", "0", 8), (1, 8), (2**62, 1))})

    np.testing.assert_array_equal(read_weights(pickle_file(body)).arrays["x"], [np.arange(8)])
