"""Many scenes, one after the other, into one folder.

While the networks work on a scene, the next one is opened and its first rows are read, and the
files of the last one are made. A scene is complete once its Item is there; one that is complete
and still fits is not masked again, so a run may be ended at any moment and started anew.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from rasterio.errors import RasterioError

from cloudmask.errors import CloudmaskError
from cloudmask.local.beside import hidden, sweep
from cloudmask.local.filejob import FileJob
from cloudmask.local.fingerprint import fingerprint
from cloudmask.local.item import complete
from cloudmask.local.readers import gdal
from cloudmask.local.run import Watch, mask_file
from cloudmask.local.statistics import write_statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from cloudmask.ensemble import Ensemble
    from cloudmask.local.product import Scene
    from cloudmask.local.run import Summary

STAGES = 3
"""A scene is opened; the networks work on it; its files are made."""

FULL = 2**20
"""Bytes; with less than that a disk is full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What to make of every scene."""

    folder: Path
    """Where to; made if it is not there."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What `FileJob` takes for each of them alike: models, preset, bands, options, resolution."""
    probabilities: bool = False
    """Whether to write class probabilities, too."""
    overwrite: bool = False
    """Whether to mask again what is complete."""
    client: Any = None
    """A dask Client whose workers compute; None for this process."""

    def job(self, name: str, scene: Scene) -> FileJob:
        """Say what to make of a scene."""
        return FileJob(
            scene=scene, output=self.folder / f"{name}_mask.tif",
            probabilities=self.folder / self._spread(name) if self.probabilities else None,
            thumbnail=self.folder / f"{name}_thumbnail.png", item=self.folder / f"{name}.json",
            quiet=True, **self.settings,
        )  # fmt: skip

    def finished(self, job: FileJob) -> bool:
        """Tell whether all files of a job are there, of just these options and this input."""
        assert job.item, "jobs of a batch have one"
        return not self.overwrite and complete(job.item, fingerprint(job))

    def tidy(self, name: str) -> None:
        """Remove what a run with other options left, and this one did not replace."""
        if not self.probabilities:
            (self.folder / self._spread(name)).unlink(missing_ok=True)

    @staticmethod
    def _spread(name: str) -> str:
        return f"{name}_probabilities.tif"

    @property
    def scenes_at_once(self) -> int:
        """How many may be somewhere between their opening and their last file."""
        options = self.settings.get("options")
        # Memory is planned for one scene.
        return 1 if options and options.memory is not None else STAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a scene."""

    name: str
    place: str
    summary: Summary | None = None
    """Of a scene that was masked now; None if it was complete already, or failed."""
    reason: str = ""
    """Why it failed; empty if it did not."""


def mask_many(
    scenes: Mapping[str, Scene],
    batch: Batch,
    told: Callable[[Outcome], None] = lambda _outcome: None,
    done: Callable[[float], None] = lambda _share: None,
) -> list[Outcome]:
    """Mask scenes into a folder; those that fail stop none of the others.

    Args:
        scenes: By the names that their files shall have.
        batch: What to make of each.
        told: Called with what became of each, as soon as it is known.
        done: Called, from other threads, with the share of a scene done since the last call.

    Returns:
        What became of each, in the order of `scenes`.

    Raises:
        OSError: The folder cannot be made or written to.
        OptionError: A setting cannot work with any scene.
    """
    _prepared(batch.folder)
    line = _Line(batch, done)
    found: dict[str, Outcome] = {}
    # Around all of them: to hush a warning is a matter of the whole process.
    with gdal(), ThreadPoolExecutor(batch.scenes_at_once, "scene") as pool:
        runs = [pool.submit(line.run, name, scene) for name, scene in scenes.items()]
        try:
            for run in as_completed(runs):
                outcome = run.result()
                found[outcome.name] = outcome
                told(outcome)
        except BaseException:
            line.stop()
            pool.shutdown(cancel_futures=True)
            raise
    failed = [outcome for outcome in found.values() if outcome.reason]
    if len(failed) < len(found):
        _summed_up(batch.folder, spared=bool(failed))
    return [found[name] for name in scenes]


def _summed_up(folder: Path, *, spared: bool) -> None:
    """Write the statistics; if they are `spared`, the list of failures matters more."""
    try:
        write_statistics(folder)
    except OSError as error:
        if not spared:
            raise
        warnings.warn(f"{folder}: has no new statistics ({error})", stacklevel=2)


def _prepared(folder: Path) -> None:
    """Make the folder, see that it can be written to, and clean up after a dead process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=hidden(folder / "trial"), dir=folder):
            sweep(folder)
    except OSError as error:
        raise OSError(
            f"{folder}: cannot be written to ({error.strerror or error}); choose another folder"
        ) from error


class _Stopped(BaseException):
    """All scenes are to stop where they are."""


class _Line:
    """Scenes in a line: each stage is held by one of them, from one to the next."""

    def __init__(self, batch: Batch, done: Callable[[float], None]) -> None:
        self._batch, self._done = batch, done
        self._stages = tuple(Lock() for _ in range(STAGES))
        self._stopped = Event()
        self._opening = Lock()
        self._networks: dict[tuple[Any, ...], Ensemble] = {}

    def stop(self) -> None:
        """Let all scenes end where they are."""
        self._stopped.set()

    def run(self, name: str, scene: Scene) -> Outcome:
        """Mask a scene unless it is complete, and say what became of it."""
        outcome = partial(Outcome, name=name, place=scene.place)
        shares = _Shares(self._told)
        try:
            return outcome(summary=self._masked(name, scene, shares))
        except (CloudmaskError, OSError, RasterioError) as error:
            return outcome(reason=self._said(str(error)))
        except Exception as error:  # noqa: BLE001  # nobody is there to see it until the end
            return outcome(reason=self._said(f"{type(error).__name__}: {error}"))
        finally:
            shares.rest()

    def _masked(self, name: str, scene: Scene, shares: _Shares) -> Summary | None:
        job = self._batch.job(name, scene)
        self._check()
        if self._batch.finished(job):
            return None
        if self._full:
            raise OSError("not begun")
        with self._turn() as reached:
            watch = Watch(
                reached=reached, done=shares.add, networks=self._opened, client=self._batch.client
            )
            summary = mask_file(job, watch)
        self._batch.tidy(name)
        return summary

    @contextmanager
    def _turn(self) -> Iterator[Callable[[], None]]:
        """Hold the first stage; what is given lets go of a stage once the next one is held."""
        held: list[Lock] = []

        def reached() -> None:
            following = self._stages[self._stages.index(held[-1]) + 1 if held else 0]
            following.acquire()
            if held:
                held.pop().release()
            held.append(following)
            self._check()

        try:
            reached()
            yield reached
        finally:
            for lock in held:
                lock.release()

    def _opened(self, job: FileJob) -> Ensemble:
        """Open networks for the first scene that needs them; they serve all others."""
        # If none are named, they may be others from scene to scene.
        chosen = () if self._batch.settings.get("models") else job.models
        with self._opening:
            if chosen not in self._networks:
                self._networks[chosen] = job.options.ensemble(job.models)
            return self._networks[chosen]

    def _told(self, share: float) -> None:
        self._check()
        self._done(share)

    def _check(self) -> None:
        if self._stopped.is_set():
            raise _Stopped

    def _said(self, reason: str) -> str:
        """Name a full disk, of which libraries say many different things."""
        return f"the disk of {self._batch.folder} is full ({reason})" if self._full else reason

    @property
    def _full(self) -> bool:
        return shutil.disk_usage(self._batch.folder).free < FULL


class _Shares:
    """How much of a scene has been told, so that it is one scene in the end."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell, self._told = tell, 0.0

    def add(self, share: float) -> None:
        self._told += share
        self._tell(share)

    def rest(self) -> None:
        """Tell what lacks."""
        self._tell(1 - self._told)
