"""What a mask depends on, as one number: told from it, a finished scene is not masked again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudmask.default import BUILT_IN
from cloudmask.errors import ModelError
from cloudmask.registry import find, meant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudmask.bands import Preset
    from cloudmask.local.filejob import FileJob
    from cloudmask.options import Options
    from cloudmask.spec import ModelSpec

FORMAT = 1
"""Raised whenever this package writes something else of the same scene, networks and options."""

NO_MATTER = ("size", "bytes_per_pixel", "flops_per_pixel", "package", "extra", "test")
"""What manifests say that neither changes a mask nor stands beside it."""


def fingerprint(job: FileJob) -> str:
    """Give the sha256, hexadecimal, of all that the files of a job depend on.

    That is the scene's identity, the networks with their manifests, and the options but for those
    that say how to compute and not what (threads, memory, batch). No network is opened.

    Raises:
        ModelError: A network is unknown or cannot be read.
        OSError: The scene's files cannot be asked for.
    """
    told = {
        "format": FORMAT,
        "scene": job.scene.identity(),
        "models": [_network(spec) for spec in _pinned(job)],
        "options": _options(job.options),
        "preset": _preset(job.preset),
        "bands": job.bands,
        "resolution": job.resolution,
        "probabilities": job.probabilities is not None,
        "format of the mask": job.output.suffix.lower(),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def unchanged(job: FileJob, opened: Sequence[ModelSpec]) -> None:
    """Refuse a mask whose networks are no longer those that a fingerprint of now tells.

    A process opens a network once, and a batch may take days.

    Args:
        job: What is being made, with the networks that were asked for.
        opened: Those that are open.

    Raises:
        ModelError: A file or its manifest was replaced meanwhile.
    """
    if not job.models:  # the package's own
        return
    for now, then in zip(_pinned(job), opened, strict=True):
        if _network(now) != _network(then):
            raise ModelError(
                f"model {then.name!r}: its file or manifest was replaced while it was in use; "
                "run the same again for masks that are all by one network"
            )


def _options(options: Options) -> dict[str, Any]:
    return {
        "stitch": options.stitch,
        "tile": options.tile,
        "overlap": options.overlap,
        "tta": options.tta and asdict(options.tta),
        "masked": options.output.masked,
        "dilate": options.output.dilate,
        "provider": options.runtime.provider,
    }


def _preset(preset: str | Preset | None) -> Any:
    return preset if preset is None or isinstance(preset, str) else asdict(preset)


def _network(spec: ModelSpec) -> dict[str, Any]:
    return {key: value for key, value in asdict(spec).items() if key not in NO_MATTER}


def _pinned(job: FileJob) -> Iterator[ModelSpec]:
    """Give the networks' manifests, each with its file's hash, though it may not say it."""
    # Which of its own networks a scene gets if none is named, follows from the scene.
    for model in _single(job.models or BUILT_IN):
        if not isinstance(model, (str, Path)):
            yield model.spec
            continue
        entry = find(model)
        spec = entry.spec
        if spec.sha256 or entry.path is None or not entry.installed:
            yield spec
        else:
            seen = entry.path.stat()
            yield replace(spec, sha256=_sha256(entry.path, seen.st_mtime_ns, seen.st_size))


@lru_cache(maxsize=16)
def _sha256(path: Path, _changed: int, _size: int) -> str:
    """Read a file's hash, once while it stays as it is."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _single(models: Sequence[Any]) -> Iterator[Any]:
    """Give networks one by one, also those of a family."""
    for model in models:
        yield from meant(model) if isinstance(model, str) else [model]
