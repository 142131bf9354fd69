"""Whether the networks in a folder are what their manifests say, on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudmask.engines import providers_here
from cloudmask.errors import CloudmaskError, ModelError
from cloudmask.registry import local
from cloudmask.runtime import Runtime
from cloudmask.selftest import self_test
from cloudmask_export.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cloudmask.registry import Entry


@dataclass(frozen=True, slots=True)
class Verdict:
    """One network with one provider."""

    name: str
    provider: str
    good: bool
    words: str


def verify(folder: Path) -> Iterator[Verdict]:
    """Check every network in a folder: its hash, manifest against graph, its own test.

    Args:
        folder: With .onnx files and their manifests; or one .onnx file.

    Raises:
        ExportError: There is no network.
    """
    paths = sorted(folder.glob("*.onnx")) if folder.is_dir() else [folder]
    if not paths:
        raise ExportError(f"{folder}: no .onnx file in it; `cloudmask export` makes them")
    for path in paths:
        yield from _verify(path)


def _verify(path: Path) -> Iterator[Verdict]:
    try:
        entry = local(path)
    except ModelError as error:
        yield Verdict(path.stem, "", good=False, words=str(error))
        return
    for provider in providers_here():
        yield _judged(entry, provider)


def _judged(entry: Entry, provider: str) -> Verdict:
    try:
        found = self_test(entry, Runtime(provider=provider))
    except CloudmaskError as error:
        return Verdict(entry.spec.name, provider, good=False, words=str(error))
    if not entry.spec.sha256:
        words = "the manifest does not pin the file's hash"
        return Verdict(entry.spec.name, provider, good=False, words=words)
    if found is None:
        return Verdict(
            entry.spec.name, provider, good=True, words="hash and graph good, no own test"
        )
    words = f"hash and graph good; {100 * found.changed:.2f} % of its test's pixels differ"
    return Verdict(entry.spec.name, provider, good=found.good, words=words)
