"""Small files beside manifests: the images by which a network tests itself, locks, Items."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from cloudmask.errors import CloudmaskError, CubeError
from cloudmask.local.report import scenes
from cloudmask.selftest import self_test
from cloudmask.spec import ModelSpec, TestFiles
from cloudmask.testing import fake_spec, identity
from cloudmask_export.errors import ExportError
from cloudmask_export.families.lock import read_lock
from fuzz.mutations import mutated, mutated_json
from fuzz.trials import Subject, Trials, WrongError

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from cloudmask.registry import Entry
    from cloudmask.runtime import Runtime

# -- images by which a network tests itself ------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Entry:
    """Stands for an entry of the registry whose network is at hand."""

    folder: Path
    spec: ModelSpec

    def load(self, _: Runtime) -> Any:
        """Give a network that answers with its input."""
        return identity(self.spec)


def npy(header: bytes, content: bytes, version: int = 1) -> bytes:
    """Write a .npy file (numpy's NEP 1) with any header."""
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + content


DESCRIPTIONS = (
    "'<u2'", "'|u1'", "'<f8'", "'<i8'", "'>u2'", "'|O'", "'|S5'", "'<U9'", "'<c16'", "'<M8[s]'",
    "'|V4'", "'|b1'", "'<f2'", "[('a', '<u2')]", "[('a', '|O')]", "'<u2, <u2'", "None", "5", "''",
    "'" + "x" * 500 + "'", "__import__('os').system('echo hit')", "[" * 500, "(" * 5000, "1L",
)  # fmt: skip
SHAPES = (
    "(4, 8, 8)", "(4, 8, 8,)", "(256,)", "(4, 64)", "()", "(0, 8, 8)", "(4, -8, 8)", "(4, 8, 9)",
    "(4, 2**40, 8)", "(4, 1000000000, 8)", "(99999999999, 99999999999, 9999999999)", "(1, 1, 256)",
    "(True, 16, 16)", "(4.0, 8, 8)", "('x',)", "None", "[4, 8, 8]", "(4, 8L, 8)", "(2, 8, 16)",
    "(4, 0, 8)", "(9" + "9" * 5000 + ",)", "(-1, 8, 8)", "(256, 1, 1)", "(4, 8, 8, 1)",
)  # fmt: skip


def _image(rng: random.Random) -> bytes:
    content = rng.randbytes(512)
    described, shape = rng.choice(DESCRIPTIONS[:1] * 12 + DESCRIPTIONS), rng.choice(SHAPES)
    order = rng.choice(("False", "False", "True", "None"))
    header = f"{{'descr': {described}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    whole = npy(header, content, rng.choice((1, 1, 1, 2, 3, 4)))
    return mutated(whole, rng) if rng.random() < 0.5 else whole


def _tested(folder: Path) -> Subject:
    bands = fake_spec().bands
    test = TestFiles(input="in.npy", bands=bands, output="out.npy", tolerance=0.1)
    spec = ModelSpec(name="fake", bands=bands, classes=(0, 1, 2, 3), tile=16, overlap=4, test=test)
    entry = _Entry(folder, spec)
    header = b"{'descr': '%b', 'fortran_order': False, 'shape': (4, 8, 8), }\n"
    sound = {
        "in.npy": npy(header % b"<u2", bytes(range(256)) * 2),
        "out.npy": npy(header % b"|u1", bytes(256)),
    }

    def make(rng: random.Random) -> str:
        for name, content in sound.items():
            (folder / name).write_bytes(content)
        name = rng.choice(list(sound))
        (folder / name).write_bytes(_image(rng))
        return name

    def take(_: str) -> None:
        self_test(cast("Entry", entry))

    def warm() -> None:
        for name, content in sound.items():
            (folder / name).write_bytes(content)
        take("")

    return Subject(make=make, take=take, warm=warm, named="fake")


# -- other JSON that others may hand us -----------------------------------------------------


def _locks(folder: Path) -> Subject:
    path = folder / "weights.lock.json"
    pins = {"a.pth": {"sha256": "0" * 64, "size": 7}, "b": {"sha256": "f" * 64}}
    sound = {"comment": "x", "files": pins}

    def make(rng: random.Random) -> bytes:
        text = mutated_json([sound], rng)
        path.write_bytes(text)
        return text

    def take(_: bytes) -> None:
        read_lock(path).of("a.pth")

    return Subject(make=make, take=take, named=str(path))


def _items(folder: Path) -> Subject:
    path = folder / "scene.json"
    (folder / "mask.tif").write_bytes(b"II*\0")
    sound = {
        "id": "scene",
        "properties": {
            "datetime": "2024-05-01T10:00:00Z",
            "platform": "sentinel-2a",
            "cloudmask:shares": {"clear": 60.0, "thick_cloud": 40.0, "no_data": 1.0},
            "cloudmask:confidence": [1, 2, 3],
            "cloudmask:model": ["a", "b"],
            "cloudmask:options": {"stitch": "blend"},
            "cloudmask:seconds": 3.5,
            "processing:software": {"openeo-cloudmask": "0.1.0"},
        },
        "assets": {"mask": {"href": "./mask.tif"}},
    }

    def make(rng: random.Random) -> bytes:
        text = mutated_json([sound], rng)
        path.write_bytes(text)
        return text

    def take(_: bytes) -> None:
        found = scenes.read(path)
        if not all(each.is_relative_to(folder) for _, each in found.files):
            raise WrongError(f"files elsewhere: {found.files}")

    return Subject(make=make, take=take)


TARGETS = (
    Trials(
        name="test images",
        kind="files",
        trials=4_000,
        refusals=(CloudmaskError,),
        # numpy asks for what a header claims before it reads, and is told no at once.
        hungry=True,
        prepare=_tested,
    ),
    Trials(name="lock files", kind="files", trials=3_000, refusals=(ExportError,), prepare=_locks),
    Trials(
        name="Items of masks", kind="files", trials=3_000, refusals=(CubeError,), prepare=_items
    ),
)
