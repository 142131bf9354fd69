"""Networks as they travel: the ONNX file, its manifest, its test, its licence, side by side."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudmask
from cloudmask.errors import ModelError
from cloudmask.model import embedded_manifest, read_pinned
from cloudmask.registry import FOLDER, find
from cloudmask.runtime import Runtime
from cloudmask.spec import SHA256_MULTIHASH, parse_manifest
from cloudmask_openeo.bundle.wheels import DISTRIBUTION, licence_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudmask.registry import Entry
    from cloudmask.spec import ModelSpec

_OWN = Path(cloudmask.__file__).with_name("models")
"""The networks of our own package, whose licence is theirs."""

_LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt", "COPYING")


@dataclass(frozen=True, slots=True)
class Network:
    """One network with all that travels with it."""

    given: str
    """How the user named it."""
    spec: ModelSpec
    files: Mapping[str, bytes]
    """By name in the archive."""

    @property
    def description(self) -> dict[str, Any]:
        """Say in bundle.json what it is."""
        content = self.files[f"{FOLDER}/{self.spec.name}.onnx"]
        texts = sorted(name for name in self.files if "LICENCE" in name)
        return {
            "name": self.spec.name,
            "file": f"{FOLDER}/{self.spec.name}.onnx",
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "licence": self.spec.licence,
            "licence_texts": texts,
        }


def packed(given: str) -> Network:
    """Collect a network, known by name or given as the path of an .onnx file.

    Raises:
        ModelError: It is unknown, absent or damaged, contradicts its manifest, or its name cannot
            be that of a file.
    """
    entry = find(given)
    entry.load(Runtime(threads=1))
    assert entry.path is not None, "it has been opened"
    name = entry.spec.name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ModelError(
            f"model {given}: its manifest names it {name!r}; to become a file the name must be of "
            "letters, digits, '.', '_' and '-'"
        )
    content, sha256 = read_pinned(entry.path, entry.spec.sha256)
    item = json.loads(_manifest(entry))
    tests = _tests(entry)
    _rewrite(item, name, len(content), sha256, tested=bool(tests))
    text = json.dumps(item, indent=2, ensure_ascii=False) + "\n"
    made = {".onnx": content, ".json": text.encode(), **tests, **_licences(entry)}
    files = {f"{FOLDER}/{name}{suffix}": part for suffix, part in made.items()}
    return Network(given, parse_manifest(text), files)


def _manifest(entry: Entry) -> str:
    """Find the text that a network's spec was read from."""
    assert entry.path is not None, "it has been opened"
    onnx = entry.path.name
    for name in (f"{entry.spec.name}.json", f"{entry.path.stem}.json", f"{onnx}.json"):
        file = entry.folder / name
        if file.is_file() and _tells(file.read_bytes(), entry.spec):
            return file.read_text("utf-8")
    inside = embedded_manifest(entry.path)
    if inside is None:
        raise ModelError(f"model {entry.spec.name!r}: its manifest is gone from {entry.folder}")
    return inside


def _tells(text: bytes, spec: ModelSpec) -> bool:
    try:
        return parse_manifest(text) == spec
    except ModelError:
        return False  # of something else


def _rewrite(item: dict[str, Any], name: str, size: int, sha256: str, *, tested: bool) -> None:
    """Let a manifest name the files beside it, and pin the network."""
    assets = item["assets"]
    asset = next(each for each in assets.values() if "mlm:model" in each.get("roles", ()))
    asset |= {
        "href": f"{name}.onnx",
        "file:size": size,
        "file:checksum": SHA256_MULTIHASH + sha256,
    }
    for key in ("cloudmask:package", "cloudmask:extra"):
        asset.pop(key, None)
    for key in ("test-input", "test-output"):
        if tested:
            assets[key]["href"] = f"{name}.{key}.npy"
        else:
            assets.pop(key, None)


def _tests(entry: Entry) -> dict[str, bytes]:
    test = entry.spec.test
    if test is None:
        return {}
    try:
        return {
            f".{key}.npy": (entry.folder / name).read_bytes()
            for key, name in (("test-input", test.input), ("test-output", test.output))
        }
    except OSError as error:
        raise ModelError(
            f"model {entry.spec.name!r}: file of its test cannot be read ({error})"
        ) from error


def _licences(entry: Entry) -> dict[str, bytes]:
    """Find the licence text where the network comes from."""
    package, path = entry.spec.package, entry.path
    if package:
        owners = metadata.packages_distributions().get(package, [])
        texts = [text for owner in owners for text in licence_texts(owner).values()]
    else:
        folder, name = path.parent if path else Path(), entry.spec.name
        names = [f"{name}.{_SUFFIX}", *(f"{name}.{number}.{_SUFFIX}" for number in range(2, 10))]
        own = [folder / each for each in names]
        shared = [folder / each for each in _LICENCE_FILES]
        there = [each for each in own if each.is_file()] or [
            each for each in shared if each.is_file()
        ]
        texts = [each.read_bytes() for each in there]
        if not texts and folder == _OWN:
            texts = list(licence_texts(DISTRIBUTION).values())
    return {f".{f'{n}.' if n > 1 else ''}{_SUFFIX}": text for n, text in enumerate(texts, 1)}


_SUFFIX = "LICENCE.txt"
