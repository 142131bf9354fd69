"""Weight files: safetensors, what torch saves, pickles; damaged, hostile, or of another kind."""

from __future__ import annotations

import json
import pickle
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask_export.errors import WeightsError
from cloudmask_export.weights import read_weights
from cloudmask_export.weights.unpickle import follow
from cloudmask_export.weights.walk import find
from fuzz.mutations import ODD, jsoned, mutated, mutated_headers, mutated_value
from fuzz.pickles import mutated_opcodes, state_dict
from fuzz.trials import Subject, Trials, WrongError, loaded

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask_export.weights import Weights

    Arrays = Mapping[str, NDArray[Any]]

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "|i1", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
HEADER_ODD = (*ODD, *DTYPES, "BF16", [3, 2], [0, 4], [2**40, 2**40], [-1, -4], [2**62, 4])


@dataclass(frozen=True, slots=True)
class Sample:
    """A damaged weight file."""

    path: Path
    oracle: Callable[[], Arrays]
    """What its tensors must be if it is accepted."""


class Files:
    """Sound weight files of a few hundred bytes, and how each is damaged."""

    def __init__(self, folder: Path) -> None:
        self.writer = loaded("tests/export/weight_files.py")
        self.path = folder / "damaged.weights"
        self.arrays = _arrays()
        self.safe = self.writer.write_safetensors(folder / "net.safetensors", self.arrays)
        self.pth = self.writer.write_pth(folder / "net.pth", self.arrays)
        self.net = self.writer.write_torch(folder / "net.pkl", network(self.writer), _STORAGES)
        self.good: dict[Path, Arrays] = {
            path: read_weights(path).arrays for path in (self.safe, self.pth, self.net)
        }
        self.content = {path: path.read_bytes() for path in self.good}
        self.members = self.writer.members(*self._parts(), "net")

    def _parts(self) -> tuple[bytes, dict[str, bytes]]:
        storages = {
            str(key): self.writer.encoded(array)[1]
            for key, array in enumerate(self.arrays.values())
        }
        return _member(self.content[self.pth], b"net/data.pkl"), storages

    def make(self, rng: random.Random) -> Sample:
        """Write a damaged file."""
        data, oracle = rng.choice(_WAYS)(self, rng)
        self.path.write_bytes(data)
        return Sample(self.path, oracle)

    def torn_zip(self, rng: random.Random) -> tuple[bytes, Callable[[], Arrays]]:
        """Damage a zip, whose checksums must notice if what is read would change."""
        path = rng.choice((self.pth, self.net))
        damage = rng.choice((mutated, mutated_headers))
        return damage(self.content[path], rng), lambda: self.good[path]

    def torn_safetensors(self, rng: random.Random) -> tuple[bytes, Callable[[], Arrays]]:
        """Damage a file without checksums."""
        data = mutated(self.content[self.safe], rng)
        return data, lambda: safetensors(data)

    def odd_header(self, rng: random.Random) -> tuple[bytes, Callable[[], Arrays]]:
        """Write another header that is JSON, before the same numbers."""
        whole = self.content[self.safe]
        (length,) = struct.unpack("<Q", whole[:8])
        head = jsoned(mutated_value(json.loads(whole[8 : 8 + length]), rng, HEADER_ODD))
        data = struct.pack("<Q", len(head)) + head + whole[8 + length :]
        return data, lambda: safetensors(data)

    def odd_pickle(self, rng: random.Random) -> tuple[bytes, Callable[[], Arrays]]:
        """Damage the pickle of a state dict, in a zip whose checksums are right."""
        stream, storages = self._parts()
        stream = rng.choice((mutated, mutated_opcodes, mutated_opcodes))(stream, rng)
        data = self.writer.zipped(self.writer.members(stream, storages, "net"))
        return data, lambda: state_dict(stream, storages)

    def odd_network(self, rng: random.Random) -> tuple[bytes, Callable[[], Arrays]]:
        """Damage the pickle of a whole network; no other reader says what is in it."""
        stream = rng.choice((mutated, mutated_opcodes))(network(self.writer), rng)
        data = self.writer.zipped(self.writer.members(stream, _STORAGES, "net"))
        return data, dict

    def odd_zip(self, rng: random.Random) -> tuple[bytes, Callable[[], Arrays]]:
        """Say of the members what is not so: sizes, places, methods, names."""
        members = list(self.members)
        at = rng.randrange(len(members))
        old = members[at]
        lie, values = rng.choice(list(_LIES.items()))
        facts = {"name": old.name, "content": old.content, lie: rng.choice(values)}
        members[at] = self.writer.Member(**facts)
        if rng.random() < 0.2:
            members.append(old)
        return self.writer.zipped(members), lambda: self.good[self.pth]

    def foreign(self, rng: random.Random) -> tuple[bytes, Callable[[], Arrays]]:
        """Take a file of another kind, damaged or not: none of them is weights."""
        data = rng.choice(_FOREIGN)
        return mutated(data, rng) if rng.random() < 0.8 else data, _none


_LIES: dict[str, tuple[Any, ...]] = {
    "method": (8, 12, 14, 99), "flags": (1, 0x0809, 0x2041), "size": (0, 1, 2**31, 2**32 - 1),
    "packed": (0, 7, 2**32 - 1), "checksum": (0, 1), "start": (0, 1, 64, 2**31, 2**32 - 1),
    "local_name": ("net/other", "x"),
    "name": ("../x", "/x", "net/../../x", "net\\x", "C:x", "other/data.pkl", "net/", "n\x00/x",
             "net/data/0", "net/constants.pkl", "net/byteorder", "net/" + "x" * 3000),
}  # fmt: skip
_WAYS = (
    Files.torn_zip, Files.torn_safetensors, Files.odd_header, Files.odd_header, Files.odd_pickle,
    Files.odd_pickle, Files.odd_pickle, Files.odd_network, Files.odd_zip, Files.foreign,
)  # fmt: skip
_STORAGES = {"0": bytes(32), "1": np.ones(2, np.float32).tobytes(), "2": bytes(8)}
_FOREIGN = (
    b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", pickle.dumps({"a": [1.0]}),
    pickle.dumps({"a": 1}, 0), b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4'}  \n", b"\x89HDF\r\n",
    b"version https://git-lfs.github.com/spec/v1\n", b"\x1f\x8b\x08\x00", b"<!DOCTYPE html><html>",
    b"", b"PK\x05\x06" + bytes(18), b"PK\x03\x04" + bytes(60), bytes(4) + b"\0\0\0\0{}",
    b"cos\nsystem\n(S'echo hit'\ntR.", b"\x02" + bytes(7) + b"{}", bytes(100),
)  # fmt: skip


def _none() -> Arrays:
    raise WrongError("it is no weight file")


def _arrays() -> Arrays:
    return {
        "stem.weight": np.arange(12, dtype=np.float32).reshape(3, 1, 2, 2) / 4,
        "stem.bias": np.arange(3, dtype=np.float32) - 1,
        "half": np.ones(3, np.float16),
        "flags": np.array([True, False]),
        "none": np.zeros((0, 3), np.float32),
        "bn.num_batches_tracked": np.array(41),
    }


def network(w: Any) -> bytes:
    """Pickle a network of a convolution, batch normalisation and Mish."""
    kernel = w.parameter(w.tensor(w.storage("Float", "0", 8), (2, 1, 2, 2)))
    mean = w.tensor(w.storage("Float", "1", 2), (2,))
    seen = w.tensor(w.storage("Long", "2", 1), ())
    parts = {
        "0": w.module("conv.Conv2d", parameters={"weight": kernel, "bias": w.NONE}),
        "1": w.module("batchnorm.BatchNorm2d", buffers={"mean": mean, "seen": seen}),
        "2": w.module("activation.Mish"),
    }
    whole: bytes = w.pickled(w.module("container.Sequential", modules=parts))
    return whole


def _member(data: bytes, name: bytes) -> bytes:
    """Take a stored member out of a zip of our own writer."""
    start = data.index(name) - 30
    length, extra = struct.unpack_from("<2H", data, start + 26)
    begin = start + 30 + length + extra
    return data[begin : data.index(b"PK\x07\x08", begin)]


def safetensors(data: bytes) -> Arrays:
    """Read a file that was accepted, by its format's description alone."""
    (length,) = struct.unpack("<Q", data[:8])
    header, buffer = json.loads(data[8 : 8 + length]), data[8 + length :]
    header.pop("__metadata__", None)
    return {name: _tensor(buffer, **facts) for name, facts in header.items()}


def _tensor(
    buffer: bytes, dtype: str, shape: list[int], data_offsets: tuple[int, int]
) -> NDArray[Any]:
    raw = buffer[slice(*data_offsets)]
    if dtype == "BF16":
        wide = np.frombuffer(raw, "<u2").astype(np.uint32) << 16
        return wide.view(np.float32).reshape(shape)
    numbers = np.frombuffer(raw, DTYPES[dtype]).reshape(shape)
    return numbers.astype(np.float32) if dtype == "F16" else numbers


def take(sample: Sample) -> str | None:
    """Read a file; an accepted one is what it should be."""
    return _judged(read_weights(sample.path))


def _judged(weights: Weights) -> str:
    for name, array in weights.arrays.items():
        if not (name.isprintable() and array.flags.c_contiguous and not array.flags.writeable):
            raise WrongError(f"{name!a} is not what Weights promises")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise WrongError(f"{name!a} is not finite")
    if sum(array.nbytes for array in weights.arrays.values()) > 8 * weights.size:
        raise WrongError("the tensors are more than the file")
    return f"answered: {weights.format}"


def compare(sample: Sample) -> None:
    """Hold an accepted file to another reader's answer."""
    found, wanted = read_weights(sample.path).arrays, sample.oracle()
    for name, array in wanted.items():
        ours = found[name]
        if ours.dtype != array.dtype or not np.array_equal(ours, array):
            raise WrongError(f"{name!a} is not what stands in the file")
    if wanted and set(found) != set(wanted):
        raise WrongError(f"{set(found) ^ set(wanted)} is not in both")


def _files(folder: Path) -> Subject:
    files = Files(folder)
    return Subject(make=files.make, take=take, check=compare, named=str(files.path))


def _pickles(folder: Path) -> Subject:
    files = Files(folder)
    plain = {"a": [1, 2.5, None, True, "x"], "b": (1, 2, 3, 4), "c": {"d": {1, 2}, "e": 2**40}}
    streams = [pickle.dumps(plain, protocol) for protocol in range(2, 6)]
    streams += [_member(files.content[files.pth], b"net/data.pkl"), network(files.writer)]

    def make(rng: random.Random) -> bytes:
        stream = rng.choice(streams)
        return rng.choice((mutated, mutated_opcodes, mutated_opcodes))(stream, rng)

    def take_stream(stream: bytes) -> str | None:
        find(follow(stream))
        return None

    return Subject(make=make, take=take_stream)


TARGETS = (
    Trials(
        name="weight files", kind="files", trials=30_000, refusals=(WeightsError,), prepare=_files
    ),
    Trials(
        name="pickles", kind="files", trials=20_000, refusals=(WeightsError,), prepare=_pickles
    ),
)
