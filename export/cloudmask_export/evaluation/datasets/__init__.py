"""Readers of labelled datasets, each in the layout that it is distributed in: `open_dataset`."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from cloudmask_export.evaluation.datasets import (
    arrays,
    catalogue,
    checking,
    chips,
    cloudsen12,
    folders,
    kappaset,
    pixbox,
    tacos,
)
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudmask_export.evaluation.datasets.layout import Layout
    from cloudmask_export.evaluation.samples import Dataset

LAYOUTS: Mapping[str, Layout] = {
    each.name: each
    for each in (
        cloudsen12.LAYOUT,
        arrays.LAYOUT,
        tacos.LAYOUT,
        kappaset.LAYOUT,
        pixbox.LAYOUT,
        catalogue.LAYOUT,
        catalogue.CLOUD_ONLY,
        folders.GEOTIFF,
        folders.REFERENCES,
        chips.LAYOUT,
    )
}
"""Name -> layout."""

_MLSTAC = (
    ".mlstac, an older form of CloudSEN12+, cannot be read: take its .taco files, or convert each "
    "patch to NAME_image.tif and NAME_label.tif"
)
_HINTS: Mapping[str, str] = {
    "*_clear.tif": "it has images without clouds beside cloudy ones but no labels, which "
    "`cloudmask train` can use, not `cloudmask evaluate`",
    "*.mlstac": _MLSTAC,
    "*/*.mlstac": _MLSTAC,
    "*.zip": "it has .zip files: unpack them first",
}
"""What is there instead -> what to say of it."""


def open_dataset(path: Path, layout: str | None = None) -> Dataset:
    """List the labelled images of a dataset; none is read yet.

    Args:
        path: Its folder, or a file where the layout is one.
        layout: Key of `LAYOUTS`; None to recognise it, then `Dataset.name` says which.

    Raises:
        EvaluationError: There is nothing, it is of no known layout or could be of several, or
            files are missing; says what was looked for, and names the first file.
    """
    path = Path(path)
    if not path.exists():
        raise EvaluationError(f"{path}: there is no such file or folder")
    if layout is not None:
        return _asked(path, layout).open(path)
    fitting = [each for each in LAYOUTS.values() if not each.by_name_only and each.fits(path)]
    if len(fitting) > 1:
        names = ", ".join(each.name for each in fitting)
        raise EvaluationError(
            f"{path}: could be of the layouts {names}; say which, or keep them in folders of "
            "their own"
        )
    if not fitting:
        raise EvaluationError(f"{path}: is of no known layout{_hint(path)}. Looked for{_all()}")
    return fitting[0].open(path)


def _asked(path: Path, layout: str) -> Layout:
    if layout not in LAYOUTS:
        raise EvaluationError(f"layout {layout!r}: choose among {', '.join(LAYOUTS)}")
    if not LAYOUTS[layout].fits(path):
        raise EvaluationError(
            f"{path}: is not of the layout {layout}{_hint(path)}. It should be "
            f"{LAYOUTS[layout].folder}"
        )
    return LAYOUTS[layout]


def _hint(path: Path) -> str:
    hints = [
        hint
        for pattern, hint in _HINTS.items()
        if path.match(pattern) or next(path.glob(pattern), None)
    ]
    return f"; {hints[0]}" if hints else ""


def _all() -> str:
    return "".join(
        f"\n  {each.name}: {each.folder}" for each in LAYOUTS.values() if not each.by_name_only
    )


def only(dataset: Dataset, pattern: str) -> Dataset:
    """Keep the samples whose name fits a pattern, as "test/*" for a split.

    Raises:
        EvaluationError: None does.
    """
    kept = [each for each in dataset.samples if fnmatchcase(each.name, pattern)]
    if not kept:
        first = dataset.samples[0].name if dataset.samples else "none"
        raise EvaluationError(
            f"{dataset.name}: no sample is called like {pattern!r}; the first of "
            f"{len(dataset.samples)} is {first}"
        )
    return replace(dataset, samples=kept)


def check(dataset: Dataset, tell: Callable[[str], None] | None = None) -> None:
    """Go over all labels before a long run; see `checking.check`.

    Args:
        dataset: As `open_dataset` gives it, or one's own.
        tell: Called with each sample's name before it is looked at.

    Raises:
        EvaluationError: Something could not be used; names the first file.
    """
    known = LAYOUTS.get(dataset.name)
    checking.check(
        dataset,
        one_size=known is not None and known.one_size,
        **({} if tell is None else {"tell": tell}),
    )


__all__ = ["LAYOUTS", "check", "only", "open_dataset"]
