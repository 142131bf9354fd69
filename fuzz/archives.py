"""Archives: wheels and dependency archives, files inside zips, products of Sentinel-2."""

from __future__ import annotations

import io
import shutil
import struct
import zipfile
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cloudmask.errors import BandError, CubeError, ModelError
from cloudmask.local.readers.safe import SafeScene
from cloudmask.local.readers.safe_metadata import read_metadata
from cloudmask.model import read_pinned
from cloudmask.zipped import is_file, read
from cloudmask_openeo.bundle.archive import ArchiveError, read_zip, unpack
from cloudmask_openeo.bundle.target import Target
from cloudmask_openeo.bundle.wheels import read_wheel
from fuzz.mutations import mutated, mutated_headers
from fuzz.trials import Subject, Trials, WrongError, loaded

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    Files = Mapping[str, bytes]

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
ODD_NAMES = (
    "../x", "x/../../y", "/x", "//x/y", "C:x", "C:\\x", "x\\..\\y", "x\0y", "", ".", "..", "x/",
    "x//y", "./x", "CON", "x" * 300, "x/" * 40 + "y", "cloudmask/__init__.py/x", "é\u202e", "x\n",
    "~/x", "$HOME/x", "a.data/purelib/../../x", "a.data/purelib//x", "a.data/purelib/",
)  # fmt: skip

# -- archives of the openEO side ------------------------------------------------------------


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED, mode: int = 0o644) -> bytes:
    """Write a zip file, whatever the names."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.filename = name  # ZipInfo cuts it at a NUL
            entry.external_attr = mode << 16
            entry.compress_type = method
            archive.writestr(entry, content)
    return made.getvalue()


def damaged(sound: bytes, rng: random.Random) -> bytes:
    """Damage the bytes or the headers of a zip."""
    return rng.choice((mutated, mutated_headers, mutated_headers))(sound, rng)


_WHEEL: Files = {
    "cloudmask/__init__.py": b"raise SystemExit\n",
    "cloudmask/models/net.onnx": bytes(range(256)),
    "cloudmask-0.1.data/purelib/extra.py": b"x = 1\n" * 50,
    "cloudmask-0.1.dist-info/METADATA": b"Name: cloudmask\n",
}


def _wheels(folder: Path) -> Subject:
    path = folder / "cloudmask-0.1-py3-none-any.whl"
    sound = [zipped(_WHEEL, method) for method in METHODS]

    def make(rng: random.Random) -> Path:
        if rng.random() < 0.3:
            names = {rng.choice(ODD_NAMES): b"x" for _ in range(rng.randrange(1, 3))}
            mode = rng.choice((0o100644, 0o120777, 0o60644, 0o40755, 0))
            path.write_bytes(zipped({**_WHEEL, **names}, mode=mode))
        else:
            path.write_bytes(damaged(rng.choice(sound), rng))
        return path

    def take(given: Path) -> None:
        _judge(read_zip(given))
        _, files = read_wheel(given, Target())
        _confined(files)

    return Subject(make=make, take=take, named=str(path))


def _judge(files: Files) -> None:
    """Hold what was read to what was written: each content has its checksum."""
    _confined(files)
    for name, content in files.items():
        if content not in _CONTENTS:
            raise WrongError(f"{name!a} has another content")


_CONTENTS = {*_WHEEL.values(), b"x", b""}


def _confined(files: Files) -> None:
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
            raise WrongError(f"{name!a} leaves the folder")


def _unpacked(folder: Path) -> Subject:
    inside = folder / "a" / "b"
    inside.mkdir(parents=True)

    def make(rng: random.Random) -> Files:
        shutil.rmtree(inside)
        inside.mkdir()
        names = rng.choices((*ODD_NAMES, "x", "x/y", "y/z.py", "deps/net.onnx"), k=3)
        return {_torn(name, rng): b"x" for name in names}

    def take(files: Files) -> None:
        unpack(files, inside)

    def check(_: Any) -> None:
        outside = [each for each in folder.rglob("*") if not each.is_relative_to(folder / "a")]
        if outside or len(list((folder / "a").iterdir())) > 1:
            raise WrongError(f"written outside: {outside}")

    return Subject(make=make, take=take, check=check, writable=inside)


def _torn(name: str, rng: random.Random) -> str:
    if rng.random() < 0.5:
        return name
    return mutated(name.encode(), rng).decode("utf-8", "replace")


def _inside_files(folder: Path) -> Subject:
    """Prepare a wheel on `sys.path`, out of which networks are read."""
    path = folder / "own.whl"
    sound = [zipped(_WHEEL, method) for method in METHODS]

    def make(rng: random.Random) -> Path:
        path.write_bytes(damaged(rng.choice(sound), rng))
        return path / rng.choice((*_WHEEL, "cloudmask", "absent", "cloudmask/models/../x", "x\0"))

    def take(given: Path) -> str:
        there = is_file(given)
        try:
            content = read(given)
        except OSError as error:
            if str(path) not in str(error):
                raise WrongError(f"names no file: {error}") from error
            content = None
        if content is not None and (not there or content not in _CONTENTS):
            raise WrongError("it was read, but is not there, or has another content")
        read_pinned(given, "")
        return "answered"

    return Subject(make=make, take=take, named=str(path))


# -- products -------------------------------------------------------------------------------


def image(size: int = 64) -> bytes:
    """Write boxes as a JPEG 2000 file has them (ISO 15444-1, annex I), without an image."""
    signature = b"\0\0\0\x0cjP  \r\n\x87\n"
    kind = struct.pack(">I", 20) + b"ftypjp2 \0\0\0\0jp2 "
    return signature + kind + struct.pack(">I", 8 + size) + b"jp2c" + bytes(size - 2) + b"\xff\xd9"


def product(text: bytes) -> dict[str, bytes]:
    """Give the files of a product of two bands with some metadata, by name."""
    root = "S2A_MSIL1C_20200101T105441_N0208_R051_T31TCJ_20200101T112014.SAFE"
    granule = f"{root}/GRANULE/L1C_T31TCJ_A023658_20200101T105441"
    images = {f"{granule}/IMG_DATA/T31TCJ_20200101T105441_{band}.jp2": image() for band in _BANDS}
    return {f"{root}/MTD_MSIL1C.xml": text, f"{granule}/MTD_TL.xml": b"<Tile/>", **images}


_BANDS = ("B02", "B03")
_XML_ODD = (
    b"", b"nan", b"inf", b"-1", b"0", b"1e999", b"9" * 5000, "٣".encode(), b"\xc2\xb2", b"1_0",
    b"<!DOCTYPE x [<!ENTITY a 'aaaa'>]>", b"<!ENTITY", b"&a;", b"<x>" * 3000, b"&#0;", b"&#xD800;",
    b"<![CDATA[", b"]]>", b"<!--", b"utf-16", b"utf-7", b"idna", b"rot13", b"bz2", b"x-none",
    b"cp037", b"13", b"band_id='13'", b"2020-13-01", b"99999-01-01T00:00:00Z", b"NODATA",
    b"</x>", b"xmlns:n1='x'", b"Sentinel-1A", b"Level-3", b"\xff\xfe", b"\xef\xbb\xbf",
    b"0001-01-01T00:00:00+23:59", b"xinclude", b"SYSTEM 'file:///etc/hosts'",
)  # fmt: skip


def mutated_xml(text: bytes, rng: random.Random) -> bytes:
    """Put something else in the place of words and elements, or damage bytes."""
    if rng.random() < 0.3:
        return mutated(text, rng)
    for _ in range(rng.choice((1, 1, 2, 4))):
        spans = _words(text)
        start, stop = rng.choice(spans)
        text = text[:start] + rng.choice(_XML_ODD) + text[stop:]
    return text


def _words(text: bytes) -> list[tuple[int, int]]:
    """Find what lies between any two marks of XML."""
    marks = [-1, *(at for at, each in enumerate(text) if each in b"<>\"' ="), len(text)]
    return [(a + 1, b) for a, b in pairwise(marks)]


def _sound_texts() -> list[bytes]:
    safe_trees = loaded("tests/local/safe_trees.py")
    kinds = (
        safe_trees.Safe(),
        safe_trees.Safe(**safe_trees.N0400),
        safe_trees.Safe(level="L2A", **safe_trees.N0400),
        safe_trees.Safe(level="L2A", era="old"),
    )
    return [safe_trees.metadata(safe).encode() for safe in kinds]


def _metadata(_: Path) -> Subject:
    sound = _sound_texts()

    def make(rng: random.Random) -> bytes:
        return mutated_xml(rng.choice(sound), rng)

    def take(text: bytes) -> None:
        found = read_metadata("x/MTD.xml", text, "x")
        preset = found.preset("x/MTD.xml", ["B02", "B03"])
        if not 0 < preset.scale < float("inf") or abs(preset.offset) == float("inf"):
            raise WrongError(f"{preset}")

    return Subject(make=make, take=take, named="x/MTD.xml")


def _products(folder: Path) -> Subject:
    path = folder / "product.zip"
    text = _sound_texts()[1]
    whole = product(text)
    sound = [zipped(whole, method) for method in METHODS]

    def make(rng: random.Random) -> Path:
        path.write_bytes(_damaged_product(whole, sound, rng))
        return path

    def take(given: Path) -> str:
        try:
            SafeScene(given).planned(["B02"])
        except CubeError as error:
            # The images here hold no image, so GDAL's word is the last that can be reached.
            if "cannot be opened" not in str(error) or str(given) not in str(error):
                raise
        return "read up to its images"

    def warm() -> None:
        path.write_bytes(sound[0])
        take(path)

    return Subject(make=make, take=take, warm=warm, named=str(path))


def _damaged_product(whole: dict[str, bytes], sound: list[bytes], rng: random.Random) -> bytes:
    """Damage the zip, a file within a sound one, or a name."""
    name = rng.choice(list(whole))
    match rng.randrange(4):
        case 0:
            return damaged(rng.choice(sound), rng)
        case 1:
            changed = {**whole, name: mutated(whole[name], rng)}
        case 2:
            main = next(each for each in whole if each.endswith("L1C.xml"))
            changed = {**whole, main: mutated_xml(whole[main], rng)}
        case _:
            changed = {each: content for each, content in whole.items() if each != name}
            changed[rng.choice((_torn(name, rng), *ODD_NAMES))] = whole[name]
    return zipped(changed)


_ROWS: tuple[tuple[str, str, int, tuple[type[Exception], ...], Any], ...] = (
    ("wheels and dependency archives", "archives", 10_000, (ArchiveError,), _wheels),
    ("unpacked archives", "archives", 2_000, (ArchiveError, OSError), _unpacked),
    ("files inside wheels", "archives", 8_000, (ModelError,), _inside_files),
    ("product metadata", "files", 10_000, (CubeError,), _metadata),
    ("products", "archives", 4_000, (BandError, CubeError), _products),
)
TARGETS = tuple(
    Trials(name=name, kind=kind, trials=trials, refusals=refusals, prepare=prepare)
    for name, kind, trials, refusals, prepare in _ROWS
)
