"""What `cloudmask evaluate` does: refuse, score, write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudmask import __version__
from cloudmask.local.beside import beside
from cloudmask_export.evaluation.datasets import check, only, open_dataset
from cloudmask_export.evaluation.evaluate import ALL, Evaluation, evaluate
from cloudmask_export.evaluation.markdown import markdown
from cloudmask_export.evaluation.page import Wish, write_page
from cloudmask_export.evaluation.page.make import WORST
from cloudmask_export.evaluation.predictors import How, Kept, network, peer
from cloudmask_export.evaluation.predictors.how import USUAL
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from pathlib import Path

    from cloudmask_export.evaluation.evaluate import Tell
    from cloudmask_export.evaluation.results import Results
    from cloudmask_export.evaluation.samples import Dataset

JSON, MARKDOWN, PAGE = "results.json", "results.md", "page.html"
"""Files that are made in the folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for."""

    data: Path
    layout: str | None = None
    """How the data lie there; None to see by itself."""
    only: str | None = None
    """Pattern that the names of samples must fit; None for all."""
    networks: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    folder: Path | None = None
    """Where to write; None for nowhere."""
    how: How = field(default=USUAL)
    evaluation: Evaluation = field(default=ALL)
    worst: int = WORST
    """Samples to show of each predictor."""
    title: str = "Scores of cloud masks"
    force: bool = False
    """Whether to replace files that are there."""

    @property
    def settings(self) -> tuple[tuple[str, str], ...]:
        """What a reader must know to do it again, name and value."""
        tta = "the network's" if self.how.tta is None else f"{self.how.tta.depth}"
        overlap = "the network's" if self.how.overlap is None else f"{self.how.overlap} px"
        return (
            ("resolution", f"{self.how.resolution}"),
            ("TTA depth", tta),
            ("stitch", self.how.stitch),
            ("overlap", overlap),
            ("samples", self.only or "all"),
            ("seed", f"{self.evaluation.seed}"),
        )


@dataclass(frozen=True, slots=True)
class Ready:
    """An order whose data are there and whose predictors can run."""

    order: Order
    dataset: Dataset
    predictors: tuple[Kept, ...]

    def scored(self, tell: Tell) -> Results:
        """Look at all labels, score, and write what was asked for.

        Raises:
            EvaluationError: A sample cannot be read, or a predictor cannot mask it.
            OSError: A file cannot be written.
        """
        check(self.dataset, lambda name: tell(f"labels of {name}", 0, 1))
        results = evaluate(self.dataset, self.predictors, self.order.evaluation, tell)
        if self.order.folder is not None:
            tell("the page", 1, 1)
            self._write(self.order.folder, results)
        return results

    def _write(self, folder: Path, results: Results) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        order = self.order
        for name, text in ((JSON, results.as_json()), (MARKDOWN, page_of(results, order))):
            with beside(folder / name) as partial:
                partial.write_text(text, "utf-8")
        wish = Wish(
            path=folder / PAGE, title=order.title, worst=order.worst, settings=order.settings
        )
        write_page(wish, results, self.dataset, self.predictors)


def ready(order: Order) -> Ready:
    """Refuse what cannot work, open the data and start what makes masks.

    Args:
        order: What was asked for.

    Raises:
        EvaluationError: Nothing makes masks, a file would be replaced, the data are of another
            layout, or a network or peer is unknown, absent or damaged.
    """
    if not (order.networks or order.peers):
        raise EvaluationError("nothing makes masks: name a network with -m or a peer with --peer")
    _check_folder(order)
    dataset = open_dataset(order.data, order.layout)
    if order.only is not None:
        dataset = only(dataset, order.only)
    made = [network(each, order.how) for each in order.networks]
    made += [peer(each, order.how) for each in order.peers]
    return Ready(order, dataset, tuple(Kept(each) for each in made))


def _check_folder(order: Order) -> None:
    if order.folder is None:
        return
    if order.folder.exists() and not order.folder.is_dir():
        raise EvaluationError(f"{order.folder}: is a file, and a folder is written")
    if order.force:
        return
    there = [name for name in (JSON, MARKDOWN, PAGE) if (order.folder / name).exists()]
    if there:
        raise EvaluationError(
            f"{order.folder}: has {', '.join(there)} already; say --force to replace them, or "
            "another folder"
        )


def page_of(results: Results, order: Order) -> str:
    """Write the results as a page of Markdown."""
    who = [f"- {each.mask.name}: {each.mask.title}" for each in results.predictors]
    notes = dict.fromkeys(each.mask.note for each in results.predictors if each.mask.note)
    chosen = ", ".join(f"{name} {value}" for name, value in order.settings)
    facts = results.dataset
    lines = [
        f"# {order.title}",
        "",
        markdown(results),
        *who,
        "",
        *(f"- {note}" for note in notes),
        f"Data: {facts.source}, licence {facts.licence}.",
        f"Made with openeo-cloudmask {__version__}: {chosen}.",
    ]
    return "\n".join(lines) + "\n"
