"""The page: scores and pictures put into its template."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from cloudmask import __version__
from cloudmask.classes import CLASSES, NO_DATA_CLASS
from cloudmask.local.beside import beside
from cloudmask_export.evaluation.page import tables
from cloudmask_export.evaluation.page.worst import cards, legend
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from jinja2 import Environment

    from cloudmask_export.evaluation.page.worst import Card
    from cloudmask_export.evaluation.results import PredictorScores, Results
    from cloudmask_export.evaluation.samples import Dataset, Predictor

WORST = 6
"""Samples shown of each predictor; one takes 30 to 100 kB."""

LOOK = "cloudmask.local.report"
"""The package whose style and sorting of tables this page shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What page to make."""

    path: Path
    title: str = "Scores of cloud masks"
    worst: int = WORST
    """Samples to show of each predictor, those with most wrong pixels; 0 for none."""
    settings: tuple[tuple[str, str], ...] = ()
    """What else was chosen: name, value."""

    def __post_init__(self) -> None:
        """Refuse a name that no browser takes for a page, and fewer than no samples."""
        if self.path.suffix.lower() not in (".html", ".htm"):
            raise EvaluationError(f"{self.path}: a page is written, so the name must end in .html")
        if self.worst < 0:
            raise EvaluationError(f"worst={self.worst}: 0 samples or more can be shown")


@dataclass(frozen=True, slots=True)
class Part:
    """What the page says of one predictor."""

    number: int
    found: PredictorScores
    legend: tuple[tuple[str, str], ...]
    """What labels and mask both tell apart: title, CSS variable of its colour."""
    cards: Iterator[Card]
    """Drawn while the page is written: one sample's pictures are in memory at a time."""


def write_page(
    wish: Wish, results: Results, dataset: Dataset, predictors: Sequence[Predictor]
) -> None:
    """Write the page; it appears when all is done.

    Args:
        wish: What page.
        results: What `evaluate` found.
        dataset: What it was found on; its worst samples are read again.
        predictors: Those of the results in their order. They are asked again for masks of the
            worst samples (`predictors.Kept` remembers them).

    Raises:
        EvaluationError: A sample cannot be read any more.
        OSError: The page cannot be written.
    """
    pairs = zip(results.predictors, predictors, strict=True)
    parts = [
        Part(number, found, legend(dataset, each), cards(dataset, each, found, wish.worst))
        for number, (found, each) in enumerate(pairs, 1)
    ]
    pieces = _environment().get_template("page.html").generate(**_context(wish, results, parts))
    with beside(wish.path) as partial, partial.open("w", encoding="utf-8", newline="") as page:
        page.writelines(pieces)


def _context(wish: Wish, results: Results, parts: Sequence[Part]) -> dict[str, Any]:
    from markupsafe import Markup

    script = _asset(LOOK, "page.js")
    style = _asset(LOOK, "page.css") + _asset(__package__, "page.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return {
        "title": wish.title,
        "style": Markup(style),  # noqa: S704 - our own file
        "script": Markup(script),  # noqa: S704 - our own file
        "script_sha256": digest,
        "classes": CLASSES,
        "no_data": NO_DATA_CLASS,
        "results": results,
        "facts": results.dataset,
        "drawn": tables.drawn(results),
        "tables": list(tables.tables(results)),
        "protocols": {each: tables.PROTOCOL_WORDS[each] for each in tables.protocols(results)},
        "parts": parts,
        "worst": wish.worst,
        "settings": wish.settings,
        "version": __version__,
        "thing": "points" if results.dataset.kind == "points" else "pixels",
    }


def _environment() -> Environment:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:  # pragma: no cover - depends on the installation
        raise EvaluationError(
            f"a page needs another package ({error}): pip install 'openeo-cloudmask[local]'"
        ) from error
    return Environment(
        loader=PackageLoader("cloudmask_export.evaluation.page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def _asset(package: str, name: str) -> str:
    return (resources.files(package) / "templates" / name).read_text("utf-8")
