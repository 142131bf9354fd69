"""Manifests: alone, beside a network, in a folder of networks, inside a network."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudmask import registry
from cloudmask.errors import ModelError
from cloudmask.model import forget
from cloudmask.runtime import Runtime
from cloudmask.spec import METADATA_KEY, ModelSpec, parse_manifest
from fuzz import notes
from fuzz.mutations import ODD, jsoned, mutated, mutated_json
from fuzz.trials import ROOT, Subject, Trials, WrongError

if TYPE_CHECKING:
    import random
    from pathlib import Path

MODELS = ROOT / "udf" / "cloudmask" / "models"
MANIFEST_ODD = (
    *ODD, "antigravity.x", "os.path", "numpy", ".x", "..", "__main__", "this", "../../etc/hosts",
    "clear", "cloud", "B02", "z-score", "softmax", "1220" + "0" * 64, 16, 32, 16384, 1e-9,
)  # fmt: skip


def manifests() -> list[dict[str, Any]]:
    """Read the package's own manifests, none larger than its neighbours."""
    return [json.loads(path.read_bytes()) for path in sorted(MODELS.glob("*.json"))]


def small() -> dict[str, Any]:
    """Make a manifest of what is needed and nothing else, for the network `NETWORK`."""
    names = ["B02", "B03"]
    classes = [{"value": 0, "name": "clear"}, {"value": 1, "name": "cloud"}]
    return {
        "type": "Feature",
        "properties": {
            "mlm:name": "tiny",
            "gsd": 10,
            "mlm:input": [{"name": "x", "bands": names, "input": {"shape": [-1, 2, -1, -1]}}],
            "mlm:output": [{"classification:classes": classes}],
            "mlm:hyperparameters": {"inference": {"tile_size": 16, "overlap": 4}},
        },
        "assets": {"model": {"href": "net.onnx", "roles": ["mlm:model"], "file:size": 0}},
    }


def texts(rng: random.Random, items: list[dict[str, Any]]) -> bytes:
    """Damage the text of one of several manifests."""
    return mutated_json(items, rng, MANIFEST_ODD)


def judge(spec: ModelSpec) -> None:
    """Hold a spec to what `ModelSpec` promises its readers."""
    texts_ = (spec.name, spec.input_name, spec.title, spec.licence, spec.sha256, spec.file)
    numbers = (spec.tile, spec.overlap, spec.multiple, spec.size)
    if not all(type(text) is str for text in texts_):
        raise WrongError(f"a text is none: {spec!r:.200}")
    if not all(type(number) is int for number in numbers) or type(spec.fixed_tile) is not bool:
        raise WrongError(f"a number is none: {numbers}")
    if not (0 <= spec.overlap < spec.tile <= 16384 and spec.tile % spec.multiple == 0):
        raise WrongError(f"no tiling: {numbers}")
    if len(spec.sha256) not in (0, 64) or not 0 < spec.pixel_size < float("inf"):
        raise WrongError(f"{spec.sha256!r}, {spec.pixel_size}")
    # Caches of open networks are told by their specs.
    hash(spec)


def _alone(_: Path) -> Subject:
    items = [*manifests(), small()]

    def take(text: bytes) -> None:
        judge(parse_manifest(text))

    return Subject(make=lambda rng: texts(rng, items), take=take)


# -- beside networks ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Placed:
    """A manifest in its place."""

    path: Path
    """The network."""
    text: bytes


def _beside(folder: Path) -> Subject:
    path = folder / "net.onnx"
    path.write_bytes(NETWORK)
    manifest = folder / "net.json"
    items = [*manifests(), small(), small()]

    def make(rng: random.Random) -> Placed:
        text = texts(rng, items)
        manifest.write_bytes(text)
        forget()
        return Placed(path, text)

    def warm() -> None:
        manifest.write_bytes(jsoned(small()))
        _used(path)

    return Subject(make=make, take=lambda given: _used(given.path), warm=warm, named=str(folder))


def _used(path: Path) -> str | None:
    """Do with a network's file what `cloudmask` does with one that is named by its path."""
    entry = registry.local(path)
    judge(entry.spec)
    assert entry.how_to_install
    try:
        entry.load(Runtime(threads=1))
    except ModelError as error:
        if entry.spec.name not in str(error) and str(path) not in str(error):
            raise WrongError(f"names neither network nor file: {error}") from error
        return "read, then refused"
    return "answered"


def _found(folder: Path) -> Subject:
    """Prepare a folder of networks as a dependency archive has one."""
    place = folder / registry.FOLDER
    place.mkdir()
    (place / "net.onnx").write_bytes(NETWORK)
    items = [*manifests(), small(), small()]

    def make(rng: random.Random) -> Placed:
        text = texts(rng, items)
        (place / "net.json").write_bytes(text)
        registry._known.cache_clear()  # noqa: SLF001 - else only a new file is seen
        return Placed(place / "net.json", text)

    def take(_: Placed) -> str | None:
        sys.path.append(str(folder))
        try:
            return _listed()
        finally:
            sys.path.remove(str(folder))

    return Subject(make=make, take=take, warm=lambda: take(Placed(place, b"")), named=str(place))


def _listed() -> str | None:
    """Do what `cloudmask models` does."""
    for entry in registry.known().values():
        judge(entry.spec)
        assert entry.installed or entry.how_to_install
    return None


# -- a network, and what can be put inside --------------------------------------------------


def with_metadata(network: bytes, key: bytes, value: bytes) -> bytes:
    """Put an entry into a network's `metadata_props`, field 14 of an ONNX model.

    In protocol buffers, what is appended to a message is a part of it.
    """
    return network + _field(14, _field(1, key) + _field(2, value))


def _field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return _varint(number << 3) + _varint(content)
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes([*made, number])


def _network() -> bytes:
    """Write an ONNX file by its description in protocol buffers: two bands, unchanged."""
    names = ((2, b"n"), (1, 2), (2, b"h"), (2, b"v"))
    sizes = b"".join(_field(1, _field(*size)) for size in names)
    tensor = _field(2, _field(1, _field(1, 1) + _field(2, sizes)))
    node = _field(1, b"x") + _field(2, b"y") + _field(4, b"Identity")
    ends = _field(11, _field(1, b"x") + tensor) + _field(12, _field(1, b"y") + tensor)
    graph = _field(1, node) + _field(2, b"g") + ends
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, 17))


NETWORK = _network()


def _inside(folder: Path) -> Subject:
    path = folder / "net.onnx"
    items = [*manifests(), small(), small()]

    def make(rng: random.Random) -> Placed:
        text = texts(rng, items)
        content = with_metadata(NETWORK, METADATA_KEY.encode(), text)
        path.write_bytes(mutated(content, rng) if rng.random() < 0.2 else content)
        forget()
        return Placed(path, text)

    def warm() -> None:
        path.write_bytes(with_metadata(NETWORK, METADATA_KEY.encode(), jsoned(small())))
        _used(path)

    return Subject(make=make, take=lambda given: _used(given.path), warm=warm, named=path.name)


os.environ.setdefault(registry.HOME, "")  # no trial sees the networks that a user has

TARGETS: tuple[Trials, ...] = (
    Trials(
        name="manifests", kind="manifests", trials=12_000, refusals=(ModelError,), prepare=_alone
    ),
    Trials(
        name="manifests beside networks",
        kind="manifests",
        trials=4_000,
        refusals=(ModelError,),
        prepare=_beside,
    ),
    Trials(
        name="folders of networks",
        kind="manifests",
        trials=2_000,
        refusals=(ModelError,),
        prepare=_found,
    ),
    Trials(
        name="manifests inside networks",
        kind="manifests",
        trials=2_500,
        refusals=(ModelError,),
        prepare=_inside,
    ),
    *notes.TARGETS,
)
