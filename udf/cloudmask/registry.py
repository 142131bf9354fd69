"""Names of networks, and where their files are.

A network is known by a manifest in `cloudmask/models/`, or is any local `.onnx` file with its
manifest beside it (`net.json` or `net.onnx.json` for `net.onnx`) or inside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cloudmask.errors import ModelError
from cloudmask.model import OnnxModel, Runtime, embedded_manifest, load_onnx
from cloudmask.spec import METADATA_KEY, ModelSpec, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable


@dataclass(frozen=True, slots=True)
class Entry:
    """A network and its file."""

    spec: ModelSpec
    path: Path | None
    """The ONNX file; None while it is not installed."""
    folder: Traversable
    """Where its manifest lies, and what that names."""

    @property
    def installed(self) -> bool:
        """Whether the file is there."""
        return self.path is not None and self.path.is_file()

    @property
    def how_to_install(self) -> str:
        """A command."""
        return f"pip install 'openeo-cloudmask[{self.spec.extra}]'"

    def load(self, runtime: Runtime = Runtime()) -> OnnxModel:
        """Open the network, once a process.

        Raises:
            ModelError: It is not installed, damaged, or contradicts its manifest.
        """
        if self.path is None or not self.path.is_file():
            raise ModelError(
                f"model {self.spec.name!r} is known but not installed: {self.how_to_install}"
            )
        return load_onnx(self.path, self.spec, runtime)


@lru_cache(maxsize=1)
def known() -> Mapping[str, Entry]:
    """List the networks with a manifest in this package, by name."""
    folder = resources.files("cloudmask") / "models"
    texts = [file.read_text("utf-8") for file in folder.iterdir() if file.name.endswith(".json")]
    specs = sorted((parse_manifest(text) for text in texts), key=lambda spec: spec.name)
    return {spec.name: Entry(spec, _in_package(spec), folder) for spec in specs}


def _in_package(spec: ModelSpec) -> Path | None:
    """Find a file in an installed package without importing that package."""
    found = find_spec(spec.package) if spec.package else None
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / spec.file


def find(name: str | Path) -> Entry:
    """Look up a network by name, or by the path of its ONNX file.

    Raises:
        ModelError: There is no such network; the message lists those there are.
    """
    entry = known().get(str(name))
    if entry:
        return entry
    path = Path(name)
    if path.suffix == ".onnx":
        return local(path)
    lines = "\n".join(
        f"  {each.spec.name}: {'installed' if each.installed else each.how_to_install}"
        for each in known().values()
    )
    raise ModelError(
        f"unknown model {str(name)!r}; give the path of an .onnx file or one of\n{lines}"
    )


def local(path: Path) -> Entry:
    """Read the manifest of a local ONNX file.

    Raises:
        ModelError: The file or its manifest is not there or not readable.
    """
    if not path.is_file():
        raise ModelError(f"model file {path}: there is no such file")
    beside = [path.with_suffix(".json"), path.with_name(path.name + ".json")]
    for manifest in beside:
        if manifest.is_file():
            return _beside(parse_manifest(manifest.read_bytes()), path)
    text = embedded_manifest(path)
    if text is None:
        raise ModelError(
            f"model file {path}: no manifest beside it ({beside[0].name}, {beside[1].name}) nor "
            f"inside it (metadata {METADATA_KEY!r}); a network is run with its manifest only"
        )
    return _beside(parse_manifest(text), path)


def _beside(spec: ModelSpec, path: Path) -> Entry:
    return Entry(spec, path.absolute(), path.absolute().parent)
