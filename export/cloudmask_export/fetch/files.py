"""Fetch the files of a family."""

from __future__ import annotations

import logging
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pooch

from cloudmask.local.room import is_full, room
from cloudmask_export.families.lock import sha256_of, shipped_lock
from cloudmask_export.fetch.address import check
from cloudmask_export.fetch.by_hand import by_hand, nothing_published, unpinned
from cloudmask_export.fetch.errors import FetchError, PlaceError
from cloudmask_export.fetch.exclusive import alone
from cloudmask_export.fetch.held import look
from cloudmask_export.fetch.part import Part
from cloudmask_export.fetch.policy import PATIENT, no_progress, silence
from cloudmask_export.fetch.transfer import Download

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cloudmask_export.families import Family, WeightFile
    from cloudmask_export.families.lock import Lock, Pin
    from cloudmask_export.fetch.policy import Policy, Progress, Say


def fetch(
    family: Family,
    folder: Path,
    *,
    lock: Lock | None = None,
    policy: Policy = PATIENT,
    progress: Progress = no_progress,
    say: Say = silence,
) -> list[Path]:
    """Get all weight files of a family, those that are there already excepted.

    A file gets its name only once it is whole and, if a lock file knows it, has the right hash.
    What came of an interrupted download stays as `NAME.part` and is gone on with. Two processes
    may fetch into one folder: the second waits for the first and takes its files.

    Args:
        family: What to fetch.
        folder: Where the files go; made if it is not there.
        lock: Right hashes; those shipped with this package if none are given.
        policy: How patiently.
        progress: Told of every piece.
        say: Told what a person should know: files whose hash nobody knows, and waiting.

    Returns:
        The files in the order of the ensemble.

    Raises:
        FetchError: A file cannot be had, or what came is not it. The message says what each place
            answered, and how to get the files by hand.
    """
    if not family.members:
        raise FetchError(nothing_published(family))
    task = _Task(folder, shipped_lock() if lock is None else lock, policy, progress, say)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths, failed = _all(family, task)
    except OSError as error:
        raise FetchError(f"cannot write into {folder}: {error}") from error
    if failed:
        raise FetchError(by_hand(family, failed, folder))
    return paths


@dataclass(frozen=True, slots=True)
class _Task:
    """What is the same for all files of a run."""

    folder: Path
    lock: Lock
    policy: Policy
    progress: Progress
    say: Say


def _all(family: Family, task: _Task) -> tuple[list[Path], dict[WeightFile, tuple[str, ...]]]:
    """Get what can be had; a person who must fetch by hand wants to know of all files at once."""
    paths, failed = [], {}
    for weights in family.members:
        found = _one(weights, task)
        if isinstance(found, tuple):
            failed[weights] = found
        else:
            _tell_if_unpinned(found, task)
            paths.append(found)
    return paths, failed


def _one(weights: WeightFile, task: _Task) -> Path | tuple[str, ...]:
    """Return the file, or what went wrong at each place."""
    if path := look(weights, task.folder, task.lock).path:
        return path
    waiting = f"another process is fetching {weights.file}: waiting for it"
    guard = task.folder / f"{weights.file}.part.lock"
    with alone(guard, task.policy.patience, lambda: task.say(waiting)):
        # Whoever held the lock may just have finished.
        found = look(weights, task.folder, task.lock)
        return found.path or _from_anywhere(weights, task, found.refused)


def _from_anywhere(
    weights: WeightFile, task: _Task, refused: tuple[str, ...]
) -> Path | tuple[str, ...]:
    faults = list(refused)
    for url in weights.urls:
        try:
            return _from(url, weights, task)
        except PlaceError as error:
            faults.append(f"{url}: {error}")
    return tuple(faults)


def _from(url: str, weights: WeightFile, task: _Task) -> Path:
    name = weights.saved_as(check(url))
    pin = task.lock.of(name)
    part = Part(task.folder / f"{weights.file}.part")
    size = pin.size if pin else weights.size_of(name)
    download = Download(
        name=name, part=part, size=size, policy=task.policy, progress=task.progress
    )
    try:
        with _folder_for_a_while(task.folder / f"{weights.file}.new") as beside:
            _retrieve(url, beside / name, pin, download)
            path = (beside / name).replace(task.folder / name)
    except OSError as error:
        if is_full(error):
            raise _no_room(task.folder / name, part, size) from error
        raise
    part.remove()
    return path


def _no_room(path: Path, part: Part, size: int | None) -> FetchError:
    """Say what lacks; what came so far is kept, as more of it may fit once there is room."""
    lacks = 2 * size - max(0, part.done) if size else 0
    return FetchError(
        f"{path}: cannot be written, the disk is full; {room(path, lacks)} (a download and its "
        "checked copy, for a moment). Run the same again: it goes on where it stopped"
    )


@contextmanager
def _folder_for_a_while(folder: Path) -> Iterator[Path]:
    """Give pooch a place for its temporary files, those of a killed run removed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _retrieve(url: str, whole: Path, pin: Pin | None, download: Download) -> None:
    """Let pooch download beside, check the hash and delete what is wrong."""
    known = f"sha256:{pin.sha256}" if pin else None
    try:
        with _quiet():
            pooch.retrieve(
                url, known_hash=known, fname=whole.name, path=whole.parent, downloader=download
            )
    except PlaceError:
        if not download.part.resumable:
            download.part.remove()
        raise
    except ValueError as error:
        assert pin, "without a pin there is nothing to contradict"
        found = download.part.sha256()
        download.part.remove()
        raise PlaceError(
            f"what it gave has sha256 {found}, the lock file says {pin.sha256}: deleted. Either "
            "it was damaged on its way, then fetch it again; or its authors replaced it: ask "
            "them, and give their hash in a lock file of your own (--lock)"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pooch from writing on the terminal what is said here in other words."""
    logger = pooch.get_logger()
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


def _tell_if_unpinned(path: Path, task: _Task) -> None:
    if not task.lock.of(path.name):
        task.say(unpinned(path, sha256_of(path)))
