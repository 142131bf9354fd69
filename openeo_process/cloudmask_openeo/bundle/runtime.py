"""ONNX Runtime for the target, without what inference never loads.

To open a network and run it, ONNX Runtime imports numpy and itself; the other requirements in its
metadata (flatbuffers, protobuf, packaging) serve its tools.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from cloudmask.errors import OptionError
from cloudmask_openeo.bundle import wheels
from cloudmask_openeo.bundle.archive import merged

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cloudmask_openeo.bundle.archive import Files
    from cloudmask_openeo.bundle.target import Target

NAME = "onnxruntime"

INSTALLED = "installed"
"""Instead of a version: the one that is installed here."""

_TOOLS = tuple(
    f"{NAME}/{part}/" for part in ("backend", "datasets", "quantization", "tools", "transformers")
)

# For programs in C and C++; Python's module holds the same code once more.
_C_LIBRARY = "libonnxruntime.so"


def third_party(
    target: Target, given: Iterable[Path] = (), version: str | None = None
) -> dict[str, dict[str, bytes]]:
    """Collect the packages that an archive brings along, ONNX Runtime among them.

    Args:
        target: Where they are to run.
        given: Wheels, taken as they are.
        version: Of ONNX Runtime, fetched from the package index; or "installed". Default: the
            version installed here, its own files where they run on the target.

    Returns:
        The files of each package by name; the keys are such as "onnxruntime 1.32.0".

    Raises:
        OptionError: A wheel is not for the target, or there is none.
        ArchiveError: A wheel has entries that must not be unpacked, or two wheels the same file.
    """
    found = dict(wheels.read_wheel(path, target) for path in given)
    has_runtime = any(each.split()[0] == NAME for each in found)
    if has_runtime and version:
        raise OptionError(f"{NAME} {version} and a wheel of {NAME} are given; leave one out")
    if not has_runtime:
        found |= [_runtime(target, version)]
    kept = {name: needed(files) for name, files in found.items()}
    merged(kept)
    return kept


def _runtime(target: Target, version: str | None) -> tuple[str, dict[str, bytes]]:
    if version == INSTALLED or (version is None and wheels.fits(NAME, target)):
        return wheels.installed_wheel(NAME, target)
    return wheels.download(NAME, version or wheels.installed_version(NAME), target)


def needed(files: Files) -> dict[str, bytes]:
    """Leave out what inference never loads; licences stay."""
    return {name: content for name, content in files.items() if not _is_unneeded(name, files)}


def _is_unneeded(name: str, files: Files) -> bool:
    path = PurePosixPath(name)
    if path.parts[0].endswith(".dist-info"):
        # Of what is not there any more, or meant for installers.
        return path.name in ("RECORD", "RECORD.jws", "RECORD.p7s", "entry_points.txt")
    if path.name.startswith(_C_LIBRARY):
        return not _is_wanted(files)
    return name.startswith(_TOOLS)


def _is_wanted(files: Files) -> bool:
    """Whether another library of the package names the C library, so that it may load it."""
    libraries = (
        content
        for name, content in files.items()
        if ".so" in PurePosixPath(name).name
        and not PurePosixPath(name).name.startswith(_C_LIBRARY)
    )
    return any(_C_LIBRARY.encode() in content for content in libraries)
