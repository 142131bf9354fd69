"""What `cloudmask mask` does, and what it says meanwhile."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudmask.errors import OptionError
from cloudmask.local.batch import Batch, mask_many
from cloudmask.local.beside import sweep
from cloudmask.local.console import complain, say
from cloudmask.local.inputs import folder_for, named, scenes_of
from cloudmask.local.progress import scene_bar
from cloudmask.local.run import FileJob, Watch, mask_file
from cloudmask.local.writers import CUBES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from cloudmask.local.batch import Outcome
    from cloudmask.local.inputs import Failure
    from cloudmask.local.product import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was typed."""

    sources: tuple[str, ...]
    output: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What `FileJob` takes for one scene as for many."""
    probabilities: bool = False
    quicklook: Path | None = None
    overwrite: bool = False
    scheduler: str | None = None
    quiet: bool = False


def run_mask(order: Order) -> bool:
    """Mask one scene or many, and say what was made.

    Returns:
        Whether nothing failed; of many scenes those that did have been told.

    Raises:
        CloudmaskError: See the kinds in `cloudmask.errors`.
        OSError: Nothing can be written there.
    """
    scenes, failures = scenes_of(_for_workers(order) if order.scheduler else order.sources)
    folder = folder_for(order.output, len(scenes) + len(failures))
    if folder and order.quicklook:
        raise OptionError(
            f"quicklook={order.quicklook}: draws one scene into one file; a folder has "
            "thumbnails, and `cloudmask report` makes a page of it"
        )
    with _client(order.scheduler) as client:
        if folder:
            return _many(order, Batch(
                folder=folder, settings=order.settings, probabilities=order.probabilities,
                overwrite=order.overwrite, client=client,
            ), scenes, failures)  # fmt: skip
        _one(order, scenes[0], client)
    return True


def _for_workers(order: Order) -> list[str]:
    """Give whole paths: a worker's working folder is another."""
    return [each if "://" in each else str(Path(each).absolute()) for each in order.sources]


def _client(scheduler: str | None) -> AbstractContextManager[Any]:
    if scheduler is None:
        return nullcontext()
    from cloudmask.local.cluster import connected

    return connected(scheduler)


def _one(order: Order, scene: Scene, client: Any) -> None:
    output = Path(order.output)
    chances = output.with_name(f"{output.stem}_probabilities.tif")
    if output.suffix.lower() in CUBES:
        chances = output  # which holds both
    job = FileJob(
        scene=scene, output=output, probabilities=chances if order.probabilities else None,
        quicklook=order.quicklook, quiet=order.quiet, **order.settings,
    )  # fmt: skip
    for made in (output, order.quicklook):
        if made:
            sweep(made.parent, made.stem)
    summary = mask_file(job, Watch(client=client))
    if not order.quiet:
        say(f"{output}: {summary.sentence()}")


def _many(
    order: Order, batch: Batch, scenes: Sequence[Scene], failures: Sequence[Failure]
) -> bool:
    def tell(outcome: Outcome) -> None:
        if outcome.summary and not order.quiet:
            summary = outcome.summary
            say(f"{outcome.name}: {summary.sentence()}; {summary.seconds:.1f} s")

    with scene_bar(len(scenes), quiet=order.quiet) as done:
        outcomes = mask_many(named(scenes), batch, tell, done)
    failed = [(each.place, each.reason) for each in outcomes if each.reason]
    failed += [(each.place, each.reason) for each in failures]
    if not order.quiet:
        say(_counted(batch.folder, outcomes, len(failed)))
    if failed:
        complain(f"{len(failed)} of {len(scenes) + len(failures)} scenes failed:")
    for place, reason in failed:
        complain(reason if reason.startswith(place) else f"{place}: {reason}")
    return not failed


def _counted(folder: Path, outcomes: Sequence[Outcome], failed: int) -> str:
    made = sum(each.summary is not None for each in outcomes)
    there = sum(each.summary is None and not each.reason for each in outcomes)
    words = [f"{made} scene{'s' * (made != 1)} masked"]
    words += [f"{there} complete already"] if there else []
    words += [f"{failed} failed"] if failed else []
    return f"{folder}: {', '.join(words)}"
