"""Damage to pickles opcode by opcode, and what Python's own unpickler finds in one."""

from __future__ import annotations

import io
import pickle
from pickletools import genops
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from numpy.typing import NDArray

HOSTILE = (
    b"cos\nsystem\n", b"cposix\nsystem\n", b"cbuiltins\nexec\n", b"c__builtin__\neval\n",
    b"ctorch.nn.modules.conv\nConv2d.__init__.__globals__\n", b"cantigravity\nfly\n",
    b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93", b"(X\x07\x00\x00\x00echo hitR",
    b"R", b"b", b"\x81", b"\x92", b"Q", b"P0\n", b"i__main__\nx\n", b"o", b"\x82\x01",
    b"\x84\xff\xff\xff\x7f", b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n",
    b"c__builtin__\nset\n", b"c__builtin__\ngetattr\n", b"]", b"}", b")", b"(", b"t", b"u", b"e",
    b"s", b"a", b"0", b"2", b"1", b"N", b"\x88", b"h\x00", b"q\x00", b"\x94", b"r\xff\xff\xff\xff",
    b"j\xff\xff\xff\xff", b"J\xff\xff\xff\xff", b"J\xff\xff\xff\x7f",
    b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01", b"\x8b\xff\xff\xff\x7f", b"\x8a\xff",
    b"G\x7f\xf0\x00\x00\x00\x00\x00\x00", b"X\xff\xff\xff\xff", b"\x8d" + b"\xff" * 8,
    b"\x8e" + b"\xff" * 8, b"\x95" + b"\xff" * 8, b"\x97", b"\x8f", b"\x90", b"\x91", b"\x80\x05",
    b"\x80\xff", b"I01\n", b"L9999999999L\n", b"S'x'\n", b"F1e999\n", b".", b"l", b"d", b"2" * 50,
)  # fmt: skip
"""Opcodes that execute, import, copy, jump, claim sizes, or have no place in such a file."""


def mutated_opcodes(stream: bytes, rng: random.Random) -> bytes:
    """Take opcodes out, repeat, swap them or put others in: what is left still splits."""
    parts = _split(stream)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, other = rng.randrange(len(parts)), rng.randrange(len(parts))
        match rng.randrange(6):
            case 0:
                del parts[at : at + rng.choice((1, 1, 3))]
            case 1:
                parts[at:at] = parts[at : at + rng.choice((1, 2, 30))] * rng.choice((1, 2, 50))
            case 2:
                parts[at], parts[other] = parts[other], parts[at]
            case 3:
                parts[at] = rng.choice(HOSTILE)
            case _:
                parts.insert(at, rng.choice(HOSTILE))
        parts = parts or [b"."]
    return b"".join(parts)


def _split(stream: bytes) -> list[bytes]:
    starts = [at or 0 for _, _, at in genops(stream)]
    return [stream[a:b] for a, b in zip(starts, [*starts[1:], len(stream)], strict=True)]


# -- the oracle -----------------------------------------------------------------------------

DTYPES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8",
    "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "|i1", "ByteStorage": "|u1",
    "BoolStorage": "|b1", "BFloat16Storage": "<u2",
}  # fmt: skip


class _Oracle(pickle._Unpickler):  # noqa: SLF001
    """Python's unpickler, in Python, that finds a few functions of ours and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Give what stands in for a class or function of torch's."""
        full = f"{module}.{name}"
        if full == "collections.OrderedDict":
            return _Ordered
        if full == "torch._utils._rebuild_tensor_v2":
            return _Tensor
        if module == "torch" and name in DTYPES:
            return _Kind(name)
        return type(name, (_Anything,), {})

    def persistent_load(self, pid: Any) -> Any:
        """Remember where a storage lies."""
        return pid


class _Kind(str):
    """A type of storage; never called."""

    __slots__ = ()


class _Ordered(dict[Any, Any]):
    """An OrderedDict whose attributes may be set by a pickle."""


class _Anything:
    """What no tensor is made of."""

    def __init__(self, *_: Any) -> None:
        pass


class _Tensor:
    """A tensor as it is described; looked at only if it is among those of the network."""

    def __init__(self, *args: Any) -> None:
        self.args = args

    def read(self, storages: Mapping[str, bytes]) -> NDArray[Any]:
        """Take its numbers out of their storage, one by one."""
        (_, kind, key, _, count), offset, shape, strides, *_ = self.args
        # Nothing is read of an empty tensor, wherever it is said to begin.
        index = np.full(shape, 0 if 0 in shape else offset)
        for axis, step in enumerate(strides):
            # Nor does a step count along an axis with one index.
            steps = np.arange(shape[axis]) * (step if shape[axis] > 1 and index.size else 0)
            index += steps.reshape([-1 if each == axis else 1 for each in range(len(shape))])
        found: NDArray[Any] = np.frombuffer(storages[key], DTYPES[kind], count)[index]
        if kind == "BFloat16Storage":
            return (found.astype(np.uint32) << 16).view(np.float32)
        return found.astype(np.float32) if kind == "HalfStorage" else found


def state_dict(stream: bytes, storages: Mapping[str, bytes]) -> dict[Any, NDArray[Any]]:
    """Find the tensors of a state dict as Python's own unpickler does.

    Args:
        stream: Of a file that was accepted, so it holds no more than that.
        storages: Content of each, by its key.

    Raises:
        Exception: Whatever the unpickler raises.
    """
    found: dict[Any, Any] = _Oracle(io.BytesIO(_unframed(stream))).load()
    inner = (found[key] for key in ("state_dict", "model_state_dict", "model") if key in found)
    tensors = next((each for each in inner if isinstance(each, dict)), found)
    return {name: tensor.read(storages) for name, tensor in tensors.items()}


def _unframed(stream: bytes) -> bytes:
    """Leave out how long frames say they are: a hint, which our reader does not take."""
    return b"".join(part for part in _split(stream) if part[:1] != b"\x95")
