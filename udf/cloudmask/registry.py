"""Names of networks, and where their files are.

A network is known by a manifest in `cloudmask/models/` (where the package's own lie, also while it
is imported out of a zip file), in the user's own folder (`home`), or in a folder
`cloudmask_models` of any folder on `sys.path` (so come those of a dependency archive), or is any
local `.onnx` file with its manifest beside it (`net.json` or `net.onnx.json` for `net.onnx`) or
inside it.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cloudmask import model
from cloudmask.errors import ModelError
from cloudmask.families import members
from cloudmask.model import OnnxModel, embedded_manifest, load_onnx
from cloudmask.runtime import Runtime
from cloudmask.spec import METADATA_KEY, ModelSpec, parse_manifest
from cloudmask.zipped import is_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

FOLDER = "cloudmask_models"
"""Name of folders on `sys.path` that hold networks beside their manifests."""
PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors of a process that has no room for a moment; they say nothing about a file."""
HOME = "CLOUDMASK_MODELS"
"""Environment variable: the user's own folder of networks; empty for none."""


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
        return self.path is not None and is_file(self.path)

    @property
    def how_to_install(self) -> str:
        """A command, or what else is to be done."""
        if not self.spec.extra:
            return f"put {self.spec.file} beside its manifest in {self.folder}"
        return f"pip install 'openeo-cloudmask[{self.spec.extra}]'"

    def load(self, runtime: Runtime = Runtime()) -> OnnxModel:
        """Open the network, once a process.

        Raises:
            ModelError: It is not installed, damaged, or contradicts its manifest.
        """
        try:
            return self._opened(runtime)
        except ModelError:
            if self.installed:
                raise
            raise ModelError(
                f"model {self.spec.name!r} is known but not installed: {self.how_to_install}"
            ) from None

    def _opened(self, runtime: Runtime) -> OnnxModel:
        if self.path is None:
            raise ModelError(f"model {self.spec.name!r} has no file")
        if self.path.parent.name != FOLDER or not self.spec.sha256:
            return load_onnx(self.path, self.spec, runtime)
        return _once(_Pinned(self.spec, runtime.decided, self.path))


@dataclass(frozen=True, slots=True)
class _Pinned:
    """A network of a dependency archive: the same one wherever it was unpacked this time.

    Some back-ends unpack an archive for every chunk and delete it after.
    """

    spec: ModelSpec
    runtime: Runtime
    path: Path = field(compare=False)


@lru_cache(maxsize=16)
def _once(network: _Pinned) -> OnnxModel:
    return load_onnx(network.path, network.spec, network.runtime)


def forget() -> None:
    """Let go of open networks that nobody holds; they are opened anew when they are wanted."""
    _once.cache_clear()
    model.forget()


def known() -> Mapping[str, Entry]:
    """List the networks that have a manifest, by name.

    One in a folder goes before one of the same name in this package, a folder `cloudmask_models`
    before the user's own, and the one that stands first on `sys.path` before others.

    Raises:
        ModelError: A manifest in such a folder cannot be read.
    """
    own, found = _known(tuple(sys.path), _folders())
    return dict(sorted((own | found).items()))


def home() -> Path | None:
    """Tell where the user's own networks are: `cloudmask fetch` puts them there.

    The environment variable CLOUDMASK_MODELS, else `openeo-cloudmask/models` where programs keep
    a user's data (XDG base directory specification). None if the variable is empty.
    """
    data = os.environ.get("XDG_DATA_HOME") or os.path.join("~", ".local", "share")  # noqa: PTH118
    place = os.environ.get(HOME, os.path.join(data, "openeo-cloudmask", "models"))  # noqa: PTH118
    # Path.expanduser fails for a user without a home, as workers may be.
    return Path(os.path.expanduser(place)).absolute() if place else None  # noqa: PTH111


def _folders() -> tuple[tuple[Path, int], ...]:
    """Find the folders of networks, and when each was last changed.

    Python's own finders are not asked: they overlook a folder made a moment ago.
    """
    own = home()
    places = dict.fromkeys(Path(place, FOLDER).absolute() for place in sys.path)
    if own is not None:
        places[own] = None
    # Path.is_dir fails where os.path.isdir says no: in a home that this process may not look into.
    there = [place for place in places if os.path.isdir(place)]  # noqa: PTH112
    return tuple((place, place.stat().st_mtime_ns) for place in there)


@lru_cache(maxsize=1)
def _known(
    _path: tuple[str, ...], folders: tuple[tuple[Path, int], ...]
) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """List the networks of this package, and those in folders; anew if `sys.path` changes."""
    folder, specs = _own()
    own = {spec.name: Entry(spec, _own_file(spec), folder) for spec in specs}
    files = [file for place, _ in folders for file in sorted(place.glob("*.json"))]
    found = [entry for file in files if _may_be_manifest(file) for entry in _readable(file)]
    return own, {entry.spec.name: entry for entry in reversed(found)}


def _may_be_manifest(file: Path) -> bool:
    """Tell reports and lock files from manifests; what is no JSON may be a damaged one."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return True
    return not isinstance(content, dict) or content.get("type") == "Feature"


def _readable(manifest: Path) -> list[Entry]:
    """Read a manifest; one among the user's own that cannot be read is left out with a warning.

    An archive's must be right: nobody would see the warning.
    """
    try:
        return [_archived(manifest)]
    except (ModelError, OSError) as error:
        # What is left out stays so: another network would answer in its name.
        if manifest.parent != home() or getattr(error, "errno", None) in PASSING:
            raise
        warnings.warn(f"{error}; left out", stacklevel=2)
        return []


def _archived(manifest: Path) -> Entry:
    spec = _parsed(manifest)
    return Entry(spec, _file(spec, manifest.parent), manifest.parent)


def _parsed(manifest: Path, text: str | bytes | None = None) -> ModelSpec:
    """Parse a manifest, or the text of one that is inside a file."""
    try:
        return parse_manifest(manifest.read_bytes() if text is None else text)
    except ModelError as error:
        raise ModelError(f"{manifest}: {error}") from error


@lru_cache(maxsize=1)
def _own() -> tuple[Traversable, tuple[ModelSpec, ...]]:
    """Read this package's manifests, once: it may be in an archive that is gone later."""
    folder = resources.files("cloudmask") / "models"
    texts = [file.read_text("utf-8") for file in folder.iterdir() if file.name.endswith(".json")]
    return folder, tuple(map(parse_manifest, texts))


def _own_file(spec: ModelSpec) -> Path | None:
    """Find the file of a network of this package.

    If the archive that the package was imported from is gone, it may have been unpacked anew.
    """
    here = Path(__file__).with_name("models")
    places = [here, *(Path(place, *here.parts[-2:]) for place in sys.path)]
    there = (place for place in places if is_file(place / spec.file))
    return _file(spec, next(there, here))


def _file(spec: ModelSpec, beside: Path) -> Path | None:
    """Find a network's file: beside its manifest, or in the package that the manifest names."""
    return _in_package(spec) if spec.package else beside / spec.file


def _in_package(spec: ModelSpec) -> Path | None:
    """Find a file in an installed package without importing that package."""
    found = find_spec(spec.package)
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
        f"unknown model {str(name)!r}; give the path of an .onnx file or one of\n{lines}\n"
        "(CloudS2Mask and OmniCloudMask are made with `cloudmask fetch` or `cloudmask export`)"
    )


def meant(name: str) -> list[str]:
    """Give what a name means: the members of a family (`cloudmask.families`), else itself.

    Raises:
        ModelError: It is a family's of which nothing is installed.
    """
    return [entry.spec.name for entry in members(name, known())] or [name]


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
            try:
                return _beside(_parsed(manifest), path)
            except OSError as error:
                raise ModelError(f"{manifest}: cannot be read ({error.strerror})") from error
    text = embedded_manifest(path)
    if text is None:
        raise ModelError(
            f"model file {path}: no manifest beside it ({beside[0].name}, {beside[1].name}) nor "
            f"inside it (metadata {METADATA_KEY!r}); a network is run with its manifest only"
        )
    return _beside(_parsed(path, text), path)


def _beside(spec: ModelSpec, path: Path) -> Entry:
    return Entry(spec, path.absolute(), path.absolute().parent)
