"""Mask one scene: the road from the command to the files."""

from __future__ import annotations

import os
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudmask.bands import misfit
from cloudmask.errors import PresetWarning
from cloudmask.local.addresses import file_name
from cloudmask.local.ahead import ReadAhead
from cloudmask.local.filejob import FileJob
from cloudmask.local.fingerprint import fingerprint, unchanged
from cloudmask.local.progress import pixel_bar
from cloudmask.local.work import SceneWork, footprint, regrid_of
from cloudmask.local.writers import writer_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudmask.ensemble import Ensemble
    from cloudmask.local.product import Product
    from cloudmask.memory import Needs

__all__ = ["ALONE", "FileJob", "Summary", "Watch", "estimate", "mask_file"]


@dataclass(frozen=True, slots=True)
class Summary:
    """What was made."""

    shares: dict[str, float]
    """Percentage of each class that the network knows among valid pixels; `no_data` among all."""
    confidence: tuple[int, ...] = ()
    """Valid pixels by the probability of their class, before any dilation, in 20 equal bins."""
    seconds: float = 0.0
    """What it took, less the time spent waiting for other scenes."""

    def sentence(self) -> str:
        """Say the shares in words."""
        words = {name.replace("_", " "): f"{share:.1f} %" for name, share in self.shares.items()}
        absent = words.pop("no data")
        valid = ", ".join(f"{name} {share}" for name, share in words.items())
        return f"{valid} of the valid pixels; no data {absent} of all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What a run tells and asks on its way, so that several can go hand in hand.

    Each may raise, which ends the run and leaves no file behind.
    """

    reached: Callable[[], None] = lambda: None
    """Called before the networks begin, and before the files are made; may wait."""
    done: Callable[[float], None] = lambda _share: None
    """Called with the share of the scene, 0..1, that was done since the last call."""
    networks: Callable[[FileJob], Ensemble] = lambda job: job.options.ensemble(job.models)
    """Opens a job's networks."""
    client: Any = None
    """A dask Client (`cloudmask.local.cluster.connected`) whose workers compute; None for this
    process."""


ALONE = Watch()


def mask_file(job: FileJob, watch: Watch = ALONE) -> Summary:
    """Mask a scene, by bands of rows; the files appear when all is done, the Item last.

    Raises:
        CloudmaskError: See the kinds in `cloudmask.errors`.
        OSError: A file cannot be written.
    """
    clock = _Clock(watch.reached)
    # Of what is there now: if the scene changes meanwhile, the next run finds that out.
    mark = fingerprint(job) if job.item else ""
    with job.opened() as (named, product):
        _doubt(job, product)
        work = SceneWork.planned(named, product, watch.networks)
        if job.item:
            unchanged(job, work.specs)
        with (
            ReadAhead(product.raster, work.rows_ahead) as ahead,
            writer_for(job.output, product.grid, job.probabilities) as writer,
        ):
            if watch.client is None:
                ahead.begin()
            clock.reached()
            with _told(job, product, watch) as tell:
                for rows in work.stream(ahead, tell, watch.client):
                    writer.write(rows.y, rows.classes, rows.spread)
            clock.reached()
            if job.item:
                # It must not stand for files of two runs, should this one be killed now.
                job.item.unlink(missing_ok=True)
            writer.finish(work.tags(), work.tags_of_classes() | writer.counts.tags(work.classes))
        _draw(job, product)
    shares = writer.counts.shares(work.classes)
    summary = Summary(shares, work.confidence.counts, clock.seconds)
    if job.item:
        _describe(job.item, work, summary, mark)
    return summary


def estimate(job: FileJob) -> Needs:
    """Estimate the memory that `mask_file` takes; no network is opened.

    Raises:
        CloudmaskError: See the kinds in `cloudmask.errors`.
    """
    with job.opened() as (named, product):
        specs = job.options.specs(named.models)
        size = footprint(job, product, regrid_of(job, product, specs[0]), specs[0])
        return job.options.needs(specs, size)


class _Clock:
    """Time that a scene takes, less what it waits for others."""

    def __init__(self, wait: Callable[[], None]) -> None:
        self._wait, self._since = wait, time.perf_counter()

    def reached(self) -> None:
        start = time.perf_counter()
        self._wait()
        self._since += time.perf_counter() - start

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._since


@contextmanager
def _told(job: FileJob, product: Product, watch: Watch) -> Iterator[Callable[[float], None]]:
    """Show a bar, and tell the watch; to be called with scene pixels done since the last call."""
    pixels = product.grid.height * product.grid.width
    with pixel_bar(file_name(job.scene.place), pixels, quiet=job.quiet) as show:

        def tell(done: float) -> None:
            show(done)
            watch.done(done / pixels)

        yield tell


def _draw(job: FileJob, product: Product) -> None:
    if not (job.quicklook or job.thumbnail):
        return
    from cloudmask.local.picture import quicklook, thumbnail  # matplotlib takes a second to load

    if job.quicklook:
        title = file_name(job.scene.place)
        quicklook(job.quicklook, product.colours, product.preset, job.output, title)
    if job.thumbnail:
        thumbnail(job.thumbnail, product.colours, product.preset)


def _doubt(job: FileJob, product: Product) -> None:
    """Look at some pixels before the work starts, and warn if the preset cannot be right."""
    sentence = misfit(product.raster.sample(), product.preset)
    if sentence:
        warnings.warn(f"{job.scene.name}: {sentence}", PresetWarning, stacklevel=2)


def _describe(path: Path, work: SceneWork, summary: Summary, mark: str) -> None:
    from cloudmask.local.item import Made, write_item

    def told(file: Path | None) -> Path | None:
        return file and Path(os.path.relpath(file, path.parent))

    job = work.job
    place = Path(job.scene.place)
    made = Made(
        source=place if place.exists() else None,
        name=path.stem, facts=work.product.facts, grid=work.product.grid,
        mask=Path(os.path.relpath(job.output, path.parent)), thumbnail=told(job.thumbnail),
        probabilities=told(job.probabilities), models=work.specs, options=work.options(),
        shares=summary.shares, confidence=summary.confidence, fingerprint=mark,
        seconds=summary.seconds,
    )  # fmt: skip
    write_item(path, made)
