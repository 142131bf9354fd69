"""Write weight files as torch and safetensors do, without either, from numpy arrays.

For tests: take the fixture `weight_files`. The first part puts pickles together opcode by opcode
(also pickles that torch would never write), the second zips them as torch does, the third writes
whole files.
"""

from __future__ import annotations

import json
import lzma
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

DATA = Path(__file__).parent / "weights" / "data"
STORAGES = {
    "float64": "Double", "float32": "Float", "float16": "Half", "bfloat16": "BFloat16",
    "int64": "Long", "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte",
    "bool": "Bool",
}  # fmt: skip
SAFETENSORS = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16",
    "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
FLOATS = {"fp64": "float64", "fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}

# -- pickles, opcode by opcode --------------------------------------------------------------

NONE, TRUE, FALSE, REDUCE, NEWOBJ, BUILD, PERSISTENT = b"N", b"\x88", b"\x89", b"R", b"\x81", b"b", b"Q"  # fmt: skip  # noqa: E501


def pickled(body: bytes) -> bytes:
    """Make a whole stream of protocol 2."""
    return b"\x80\x02" + body + b"."


def text(value: str) -> bytes:
    """Push a str."""
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def integer(value: int) -> bytes:
    """Push an int."""
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def named(module: str, name: str) -> bytes:
    """Push a global."""
    return f"c{module}\n{name}\n".encode()


def group(*items: bytes) -> bytes:
    """Push a tuple."""
    return b"(" + b"".join(items) + b"t" if items else b")"


def listed(*items: bytes) -> bytes:
    """Push a list."""
    return b"](" + b"".join(items) + b"e"


def call(function: bytes, *args: bytes) -> bytes:
    """Push what a call gives."""
    return function + group(*args) + REDUCE


def mapping(entries: Mapping[str, bytes]) -> bytes:
    """Push a dict."""
    return b"}" + _filled(entries)


def ordered(entries: Mapping[str, bytes]) -> bytes:
    """Push an OrderedDict."""
    return call(named("collections", "OrderedDict")) + _filled(entries)


def _filled(entries: Mapping[str, bytes]) -> bytes:
    if not entries:
        return b""
    return b"(" + b"".join(text(key) + value for key, value in entries.items()) + b"u"


def storage(kind: str, key: str, count: int) -> bytes:
    """Push a storage of, say, kind "Float"."""
    parts = (text("storage"), named("torch", f"{kind}Storage"), text(key), text("cpu"))
    return group(*parts, integer(count)) + PERSISTENT


def tensor(
    stored: bytes, shape: Iterable[int], strides: Iterable[int] | None = None, offset: int = 0
) -> bytes:
    """Push a tensor; without strides it lies in rows."""
    shape = tuple(shape)
    steps = row_strides(shape) if strides is None else strides
    sizes = group(*map(integer, shape)), group(*map(integer, steps))
    rebuild = named("torch._utils", "_rebuild_tensor_v2")
    return call(rebuild, stored, integer(offset), *sizes, FALSE, ordered({}))


def row_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Give the strides, in elements, of a C-contiguous array."""
    return tuple(int(np.prod(shape[axis + 1 :], dtype=int)) for axis in range(len(shape)))


def parameter(data: bytes) -> bytes:
    """Push a trained parameter made of a tensor."""
    return call(named("torch._utils", "_rebuild_parameter"), data, TRUE, ordered({}))


def module(kind: str, passing: Iterable[str] = (), **parts: Mapping[str, bytes]) -> bytes:
    """Push a module of class `torch.nn.modules.KIND` with parameters, buffers and modules."""
    names = call(named("__builtin__", "set"), listed(*map(text, passing)))
    state = {
        "training": FALSE,
        "_parameters": mapping(parts.get("parameters", {})),
        "_buffers": mapping(parts.get("buffers", {})),
        "_non_persistent_buffers_set": names,
        "_forward_hooks": ordered({}),
        "_modules": mapping(parts.get("modules", {})),
    }
    where, _, name = kind.rpartition(".")
    return named(f"torch.nn.modules.{where}", name) + group() + NEWOBJ + mapping(state) + BUILD


# -- zip files as torch's writer makes them -------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file within a zip; what is not None replaces what would be true."""

    name: str
    content: bytes
    method: int = 0
    flags: int = 0x0808
    size: int | None = None
    packed: int | None = None
    checksum: int | None = None
    local_name: str | None = None
    start: int | None = None


def zipped(members: Iterable[Member]) -> bytes:
    """Write a zip: contents at multiples of 64 bytes, sizes behind them and in the directory."""
    body, directory, count = bytearray(), bytearray(), 0
    for count, member in enumerate(members, start=1):  # noqa: B007
        start, sums = len(body), _sums(member)
        body += _local(member, start) + member.content + b"PK\x07\x08" + struct.pack("<3I", *sums)
        place = start if member.start is None else member.start
        directory += _listed(member, sums, place)
    end = len(body) + len(directory)
    wide = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 798, 45, 0, 0, count, count,
                       len(directory), len(body))  # fmt: skip
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    last = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, min(count, 65535), min(count, 65535),
                       len(directory), len(body), 0)  # fmt: skip
    return bytes(body + directory) + wide + locator + last


def _sums(member: Member) -> tuple[int, int, int]:
    size = len(member.content) if member.size is None else member.size
    true = zlib.crc32(member.content)
    packed = size if member.packed is None else member.packed
    return (true if member.checksum is None else member.checksum, packed, size)


def _local(member: Member, start: int) -> bytes:
    name = (member.local_name or member.name).encode()
    padding = -(start + 34 + len(name)) % 64
    extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
    head = struct.pack("<4s5H3I2H", b"PK\x03\x04", 0, member.flags, member.method, 0, 0, 0, 0, 0,
                       len(name), len(extra))  # fmt: skip
    return head + name + extra


def _listed(member: Member, sums: tuple[int, int, int], start: int) -> bytes:
    name = member.name.encode()
    return struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 0, 0, member.flags, member.method, 0, 0,
                       *sums, len(name), 0, 0, 0, 0, 0, start) + name  # fmt: skip


def members(stream: bytes, storages: Mapping[str, bytes], folder: str = "net") -> list[Member]:
    """List what torch puts into a zip, in its order."""
    contents = {
        "data.pkl": stream,
        "byteorder": b"little",
        **{f"data/{key}": content for key, content in storages.items()},
        "version": b"3\n",
        ".data/serialization_id": b"0" * 40,
    }
    return [Member(name=f"{folder}/{name}", content=c) for name, c in contents.items()]


def write_torch(path: Path, stream: bytes, storages: Mapping[str, bytes] | None = None) -> Path:
    """Write a zip of torch with any pickle."""
    path.write_bytes(zipped(members(stream, storages or {}, path.stem)))
    return path


# -- whole files ----------------------------------------------------------------------------


def write_safetensors(
    path: Path, arrays: Mapping[str, NDArray[Any]], dtype: str | None = None
) -> Path:
    """Write a .safetensors file.

    Args:
        path: To write.
        arrays: Name -> array, of any dtype in `SAFETENSORS`.
        dtype: Store floating arrays so: "fp64", "fp32", "fp16" or "bf16"; others as they are.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    buffer = bytearray()
    for name, array in arrays.items():
        kind, content = encoded(array, dtype)
        offsets = [len(buffer), len(buffer) + len(content)]
        header[name] = {
            "dtype": SAFETENSORS[kind], "shape": list(array.shape), "data_offsets": offsets,
        }  # fmt: skip
        buffer += content
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(buffer))
    return path


def write_pth(
    path: Path,
    arrays: Mapping[str, NDArray[Any]],
    dtype: str | None = None,
    wrapper: str | None = None,
) -> Path:
    """Write a state dict as `torch.save` does, or a dict that has it under the key `wrapper`."""
    storages: dict[str, bytes] = {}
    entries = {}
    for key, (name, array) in enumerate(arrays.items()):
        kind, storages[str(key)] = encoded(array, dtype)
        entries[name] = tensor(storage(STORAGES[kind], str(key), array.size), array.shape)
    metadata = mapping({"_metadata": ordered({"": mapping({"version": integer(1)})})})
    state = ordered(entries) + metadata + BUILD
    if wrapper:
        state = mapping({"epoch": integer(3), wrapper: state})
    return write_torch(path, pickled(state), storages)


def write_pkl(
    path: Path,
    arrays: Mapping[str, NDArray[Any]] | None = None,
    layout: str = "new",
    activation: str = "Mish",
    seed: int = 0,
) -> Path:
    """Write CloudS2Mask's network (13 bands, 4 classes) pickled whole, 125 MB.

    Args:
        path: To write.
        arrays: Values by their names in the state dict; `clouds2mask` gives the others.
        layout: "old" (torch 2.1, timm 0.9, fastai 2.7) or "new".
        activation: "Mish" or "ReLU".
        seed: Of the random values.
    """
    stream, facts = structure(layout)
    stream = stream.replace(b"activation\nMish\n", f"activation\n{activation}\n".encode())
    storages = {
        # What the hooks keep of the last image that was seen: no weights.
        key: bytes(count * (8 if dtype == "torch.int64" else 4))
        for key, (dtype, count) in facts["storages"].items()
    }
    for name, array in {**clouds2mask(seed, layout), **(arrays or {})}.items():
        key, shape = facts["tensors"][name]
        dtype = np.dtype(facts["storages"][key][0].removeprefix("torch."))
        if list(array.shape) != shape:
            raise ValueError(f"{name} has shape {list(array.shape)}, the network has {shape}")
        storages[key] = array.astype(dtype).tobytes()
    return write_torch(path, stream, storages)


def structure(layout: str) -> tuple[bytes, dict[str, Any]]:
    """Give the pickle of a network, and what torch finds in it (tests/export/weights/data)."""
    stream = lzma.decompress((DATA / f"{layout}.pkl.xz").read_bytes())
    facts: dict[str, Any] = json.loads(lzma.decompress((DATA / f"{layout}.json.xz").read_bytes()))
    return stream, facts


def clouds2mask(seed: int = 0, layout: str = "new") -> dict[str, NDArray[Any]]:
    """Make random values that keep a signal's size from layer to layer, for all 421 tensors."""
    rng = np.random.default_rng(seed)
    shapes = structure(layout)[1]["tensors"]
    return {name: _values(name, tuple(shape), rng) for name, (_, shape) in shapes.items()}


def _values(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    if name.endswith("num_batches_tracked"):
        return np.array(rng.integers(1, 1000))
    noise = rng.standard_normal(shape, np.float32)
    if len(shape) > 1:
        return noise * np.float32(np.prod(shape[1:]) ** -0.5)
    if name.endswith(("running_var", "weight")):
        return np.float32(1) + np.float32(0.1) * np.abs(noise)
    return np.float32(0.1) * noise


def encoded(array: NDArray[Any], dtype: str | None = None) -> tuple[str, bytes]:
    """Give an array's bytes and the name of how they are stored, floats as `dtype` says."""
    wanted = FLOATS[dtype] if dtype and array.dtype.kind == "f" else array.dtype.name
    if wanted == "bfloat16":
        return wanted, bfloat16(array).tobytes()
    return wanted, array.astype(wanted).tobytes()


def bfloat16(array: NDArray[Any]) -> NDArray[np.uint16]:
    """Round to bf16, ties to even, as the upper halves of float32."""
    bits = array.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
