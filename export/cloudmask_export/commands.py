"""What the commands `cloudmask export` and `cloudmask fetch` do, line by line."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from cloudmask_export.errors import AlreadyMadeError, ExportError
from cloudmask_export.families import by_file_name, families, family
from cloudmask_export.families.lock import pin, read_lock, shipped_lock
from cloudmask_export.make import Made, Order, make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cloudmask_export.families import Family
    from cloudmask_export.families.lock import Lock
    from cloudmask_export.fetch import Progress

__all__ = ["Locks", "Order", "catalogue", "export_files", "fetched"]

MEGA = 1e6
UNPINNED = "no lock file knows its hash"
"""Part of what is said of a file that is about to be pinned."""


def export_files(
    files: Sequence[Path],
    order: Order,
    *,
    every: bool = False,
    resume: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Iterator[str]:
    """Export weight files one after the other.

    Args:
        files: Weights; folders of them if `every`.
        order: How.
        every: Take all files of the order's family from the folders.
        resume: Leave out what is there already, whole and made of the same weights.
        tell: Called with a few words before each step.

    Yields:
        What was made, a line each; at the end how to use it.

    Raises:
        ExportError: A file is missing or cannot be exported; those before it are done.
    """
    say = tell or (lambda _words: None)
    paths = _members(files, order.family) if every else list(files)
    for folder in filter(Path.is_dir, paths):
        raise ExportError(f"{folder}: is a folder; name the files, or say --all --family NAME")
    networks = []
    for number, path in enumerate(paths, start=1):
        title = f"{path.name} ({number} of {len(paths)}): " if len(paths) > 1 else f"{path.name}: "
        try:
            made = make(path, order, _prefixed(title, say))
            networks.append(made.path)
            yield _sentence(made)
        except AlreadyMadeError as error:
            if not (resume or every):
                raise
            networks.append(error.network)
            yield f"{error.network}: is there already, made of these weights"
    say("")
    yield _how_to_use(networks)


def _prefixed(title: str, say: Callable[[str], None]) -> Callable[[str], None]:
    return lambda words: say(title + words)


def _members(folders: Sequence[Path], name: str | None) -> list[Path]:
    """Find the files of a family, in the order of its ensemble.

    Raises:
        ExportError: One is missing, or no family is named.
    """
    if name is None:
        raise ExportError("--all: say which family with --family NAME")
    wanted = family(name)
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else [folder]:
            known = by_file_name(path.name)
            if known and known[0].name == wanted.name:
                found.setdefault(known[1].member, path)
    missing = [each.file for each in wanted.members if each.member not in found]
    if missing or not found:
        raise ExportError(
            f"{', '.join(map(str, folders))}: {_files(wanted, missing)}; `cloudmask fetch "
            f"{wanted.name}` downloads them, or says where they are"
        )
    return [found[each.member] for each in wanted.members]


def _files(wanted: Family, missing: list[str]) -> str:
    if not wanted.members:
        return f"nothing is published of {wanted.name}, so name its files without --all"
    return f"not all files of {wanted.name} are there, missing: {', '.join(missing)}"


def _sentence(made: Made) -> str:
    report = made.report
    return (
        f"{made.path}: {report.result.bytes / MEGA:.1f} MB, {report.result.kind}, "
        f"{report.result.seconds_per_megapixel:.2f} s per megapixel here; {_agreement(made)}"
    )


_DOUBT = "; its weights are NOT the published file of that name"


def _agreement(made: Made) -> str:
    report = made.report
    doubt = _DOUBT if report.source.published is False else ""
    if report.precision is None:
        return f"probabilities within {report.rewrites.largest:.0e} of the authors' graph{doubt}"
    return f"{100 * report.precision.equal:.2f} % of pixels have the class of fp32{doubt}"


def _how_to_use(networks: Sequence[Path]) -> str:
    folder = networks[0].parent
    models = " ".join(f"-m {quote(str(each))}" for each in networks)
    together = " (an ensemble; one alone is faster)" if len(networks) > 1 else ""
    return (
        f"check them anywhere: cloudmask verify {quote(str(folder))}\n"
        f"use{together}: cloudmask mask S2.tif -o mask.tif {models}"
    )


AFTER_CATALOGUE = (
    "all under MIT; the labels they were trained on have licences of their own, CloudSEN12's is "
    "CC BY-NC 4.0\nget one: cloudmask fetch NAME"
)


def catalogue() -> Iterator[str]:
    """List the families: what each takes, gives and weighs."""
    for each in families().values():
        known = [member.size for member in each.members]
        size = f", {sum(known) / MEGA:.0f} MB" if known and None not in known else ""  # type: ignore[arg-type]
        count = f"{len(each.members)} networks{size}" if each.members else "your own weights"
        yield (
            f"{each.name}: {each.title}; {len(each.bands)} bands, {len(each.classes)} classes, "
            f"{each.pixel_size:g} m, {count}"
        )


@dataclass(frozen=True, slots=True)
class Locks:
    """Which hashes downloads must have."""

    own: Path | None = None
    """The user's lock file, which goes before the one that is shipped."""
    pin: bool = False
    """Whether what is fetched is to be written into it."""

    def read(self) -> Lock:
        """Read both; an own one that is to be made need not be there."""
        if self.own is None or (self.pin and not self.own.exists()):
            return shipped_lock()
        return read_lock(self.own).over(shipped_lock())


def fetched(name: str, folder: Path, locks: Locks, progress: Progress) -> list[Path]:
    """Fetch the weights of a family, those that are there already excepted.

    A file whose hash nobody knows is taken with a warning.

    Raises:
        FetchError: A file cannot be had; the message says how to get it by hand.
        ExportError: There is no such family.
    """
    # Not above: exporting needs neither pooch nor a connection.
    from cloudmask_export.fetch import fetch

    say = _warn_but_of_pins if locks.pin else _warn
    paths = fetch(family(name), folder, lock=locks.read(), progress=progress, say=say)
    if locks.pin and locks.own is not None:
        for path in paths:
            pin(path, locks.own)
    return paths


def _warn_but_of_pins(sentence: str) -> None:
    if UNPINNED not in sentence:
        _warn(sentence)


def _warn(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=2)
