"""Trained weights as arrays, from files that are never trusted.

Three formats are read with numpy alone: a network pickled whole by torch, a state dict saved by
torch, and safetensors. They are told apart by their content. Nothing from a file is ever executed:
pickles are followed by a reader of their opcodes that can import and call nothing
(`weights.unpickle`).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from cloudmask_export.errors import WeightsError
from cloudmask_export.weights.container import MAGIC as ZIP
from cloudmask_export.weights.safetensors import is_safetensors, read_safetensors
from cloudmask_export.weights.torchfile import read_torch
from cloudmask_export.weights.value import Weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Weights", "read_weights"]

MAX_FILE = 2 * 1024**3
"""Bytes. An ONNX file can hold no more."""

_FOREIGN = (
    # torch before 1.6: the number 0x1950a86a20f9469cfc6c as a pickle of protocol 2.
    (
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
        "is of torch's old format: load it with torch 1.6 or later and save it again",
    ),
    (
        b"\x80",
        "is a plain pickle, not of torch.save: save torch.save(model.state_dict(), ...) instead",
    ),
    (b"\x93NUMPY", "is one numpy array: save all tensors by name as .safetensors"),
    (b"\x89HDF", "is an HDF5 file (of Keras?): torch's formats and safetensors can be read"),
    (b"version https://git-lfs", "is only git-lfs's note of the file: run git lfs pull"),
    (b"\x1f\x8b", "is compressed with gzip: unpack it first"),
)


def read_weights(path: Path) -> Weights:
    """Read the tensors of a trained network without executing anything from the file.

    Args:
        path: A network pickled whole (`torch.save(model, ...)`, usually .pkl), a state dict
            (`torch.save(model.state_dict(), ...)`, usually .pth; also within a dict under
            "state_dict", "model_state_dict" or "model"), or .safetensors. Whatever it is named,
            its content decides.

    Raises:
        WeightsError: if there is no such file, it is of another kind, damaged, asks for anything
            to be executed, or holds a value that is not finite. The message names the file and
            the first thing that is wrong; no other exception is raised.
    """
    try:
        data = _content(path)
        return _read(data)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (MemoryError, RecursionError) as error:
        raise WeightsError(
            f"{path}: needs more memory than there is ({type(error).__name__})"
        ) from error


def _content(path: Path) -> bytes:
    """Read all at once, so that the hash is of what was read, whatever happens to the file."""
    if path.is_dir():
        raise WeightsError("is a folder: name a weight file within it")
    if not path.is_file():
        raise WeightsError("there is no such file")
    size = path.stat().st_size
    if size > MAX_FILE:
        raise WeightsError(f"has {size} bytes: an ONNX file holds at most {MAX_FILE}")
    with path.open("rb") as file:
        # Never more, should it be growing just now.
        return file.read(size)


def _read(data: bytes) -> Weights:
    modules: Mapping[str, str] = {}
    if data.startswith(ZIP):
        arrays, stored, found = read_torch(data)
        modules = found.modules
        format_ = "pkl" if found.whole else "pth"
    elif is_safetensors(data):
        arrays, stored = read_safetensors(data)
        format_ = "safetensors"
    else:
        raise WeightsError(_what(data))
    return _weights(data, arrays, modules=modules, format=format_, stored=stored)


def _weights(data: bytes, arrays: Mapping[str, NDArray[Any]], **facts: Any) -> Weights:
    digest = hashlib.sha256(data).hexdigest()
    return Weights(arrays=arrays, sha256=digest, size=len(data), **facts)


def _what(data: bytes) -> str:
    """Say what a file is that is no weight file, and what to do."""
    if not data:
        return "is empty: download it again"
    if data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return (
            "is a web page, not weights: the download went wrong (a page that asks for a "
            "confirmation?); open the address in a browser and save the file itself"
        )
    for magic, what in _FOREIGN:
        if data.startswith(magic):
            return what
    return (
        "is no weight file that can be read: torch's .pkl and .pth (zip, torch 1.6 or later) and "
        ".safetensors can; perhaps it is cut off, download it again"
    )
