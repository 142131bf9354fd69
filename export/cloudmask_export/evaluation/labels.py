"""What the labels of public datasets mean, and one table of all class mappings.

A dataset's codes are kept as its makers gave them, apart from two: what we leave out of an image
is 255, and PixBox, which has two numbers for a point, gets one made of both. The comments say
where the makers' words leave a choice, and how it was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from cloudmask.classes import CLEAR, NO_DATA, SHADOW, THICK, THIN
from cloudmask.local.compare.schemes import (
    CLOUD,
    CLOUDMASK,
    KAPPAMASK,
    NO_CLOUD,
    NOTHING,
    SCHEMES,
    Scheme,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UNLABELLED = NO_DATA
"""Code that we give to pixels which have no label."""

_FOUR: dict[int, tuple[int, ...]] = {0: (CLEAR,), 1: (THICK,), 2: (THIN,), 3: (SHADOW,)}
_OUTSIDE: dict[int, tuple[int, ...]] = {UNLABELLED: NOTHING}

CLOUDSEN12 = Scheme(
    name="cloudsen12-labels",
    title="CloudSEN12, high-quality labels",
    # Table 3 of the paper. 255 is ours: outside the patch, where the arrays are padded.
    codes=_FOUR | _OUTSIDE,
    source="https://doi.org/10.1038/s41597-022-01878-2",
)
CLOUDSEN12_PLUS = Scheme(
    name="cloudsen12plus-labels",
    title="CloudSEN12+, high-quality labels",
    codes=_FOUR | {99: NOTHING} | _OUTSIDE,
    source="https://huggingface.co/datasets/tacofoundation/cloudsen12",
)
KAPPASET = Scheme(
    name="kappaset-labels",
    title="KappaSet",
    # The classes of KappaMask, which was trained on it: 0 undefined, 5 missing.
    codes=KAPPAMASK.codes,
    source="https://doi.org/10.5281/zenodo.7100327",
)
CATALOGUE = Scheme(
    name="catalogue-labels",
    title="Sentinel-2 Cloud Mask Catalogue, subscenes with shadows marked",
    # Places of CLEAR, CLOUD, CLOUD_SHADOW along the last axis of a mask.
    codes={0: (CLEAR,), 1: CLOUD, 2: (SHADOW,), UNLABELLED: NOTHING},
    source="https://doi.org/10.5281/zenodo.4172871",
)
CATALOGUE_CLOUD = Scheme(
    name="catalogue-cloud-labels",
    title="Sentinel-2 Cloud Mask Catalogue, all subscenes",
    # Where shadows were not marked, a shadow is called CLEAR: only cloud can be told.
    codes={0: NO_CLOUD, 1: CLOUD, 2: (SHADOW,), UNLABELLED: NOTHING},
    source="https://doi.org/10.5281/zenodo.4172871",
)

IN_SHADOW = 100
"""Added to PixBox's CLOUD_CHARACTERISTICS_ID where its SHADOW_ID says cloud shadow."""

_PIXBOX_CLOUD: dict[int, tuple[int, ...]] = {
    # 0, none of the classes, counts as no cloud where the published scores come from.
    0: (CLEAR,),
    1: (CLEAR,),  # no cloud
    2: (THICK,),  # opaque
    3: (THIN,),  # semi-transparent
    4: (THIN,),  # thick semi-transparent
    5: (THIN,),  # average semi-transparent
    6: (THIN,),  # thin semi-transparent
    7: (CLEAR,),  # clear
    # Cloud, but nobody says how thick: mixed pixel, contrail, fog, haze, border.
    8: CLOUD,
    9: CLOUD,
    10: CLOUD,
    11: CLOUD,
    12: CLOUD,
}


def _in_shadow(meant: tuple[int, ...]) -> tuple[int, ...]:
    return (SHADOW,) if meant == (CLEAR,) else (*meant, SHADOW)


PIXBOX = Scheme(
    name="pixbox-labels",
    title="PixBox-S2-CMIX: CLOUD_CHARACTERISTICS_ID, + 100 in cloud shadow",
    codes=_PIXBOX_CLOUD
    | {IN_SHADOW + code: _in_shadow(meant) for code, meant in _PIXBOX_CLOUD.items()},
    source="https://doi.org/10.5281/zenodo.5036991",
    note="PixBox has two numbers for a point, so that it can be cloud and cloud shadow at once; "
    "SHADOW_ID 1, 2 and 4 (none, of terrain, above a cloud) are no cloud shadow.",
)
PIXBOX_SEVERAL = frozenset(
    IN_SHADOW + code for code, meant in _PIXBOX_CLOUD.items() if meant != (CLEAR,)
)
"""Codes of PixBox's labels that are cloud and shadow at once, not one of them."""

PAIRS = Scheme(
    name="pairs-labels",
    title="reference masks derived from a cloudy and a clear image",
    codes={0: (CLEAR,), 1: CLOUD, 2: (SHADOW,), UNLABELLED: NOTHING},
    source="https://patricktum.github.io/cloud_removal/sen12mscr/",
)
CHIPS = Scheme(
    name="chips-labels",
    title="ukis-csmask's labelled chips",
    codes={
        0: (SHADOW,),
        1: (CLEAR,),  # water
        2: (CLEAR,),  # snow
        3: (CLEAR,),  # land
        4: CLOUD,
    },
    source="https://github.com/dlr-eoc/ukis-csmask",
)

LABELS: Mapping[str, Scheme] = {
    each.name: each
    for each in (
        CLOUDSEN12,
        CLOUDSEN12_PLUS,
        KAPPASET,
        CATALOGUE,
        CATALOGUE_CLOUD,
        PIXBOX,
        PAIRS,
        CHIPS,
    )
}
"""Name -> scheme of labels; GeoTIFF pairs of one's own have our own codes, `cloudmask`."""

ALL_AT_ONCE: Mapping[str, frozenset[int]] = {PIXBOX.name: PIXBOX_SEVERAL}
"""Name of a scheme -> its codes that are all of their classes at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """A scheme as a row of the table; codes as text, "0, 1, 4 to 6"."""

    name: str
    title: str
    clear: str
    thick: str
    thin: str
    shadow: str
    nothing: str
    """Codes that say nothing of the pixel."""
    source: str

    @classmethod
    def of(cls, scheme: Scheme) -> ClassRow:
        """Say what the codes of a scheme may stand for; a code may be in several columns."""
        clear, thick, thin, shadow = (
            _as_text(code for code, meant in scheme.codes.items() if each in meant)
            for each in (CLEAR, THICK, THIN, SHADOW)
        )
        return cls(
            name=scheme.name,
            title=scheme.title,
            clear=clear,
            thick=thick,
            thin=thin,
            shadow=shadow,
            nothing=_as_text(code for code, meant in scheme.codes.items() if not meant),
            source=scheme.source,
        )


def class_table() -> tuple[ClassRow, ...]:
    """List all class mappings: labels first, then masks."""
    schemes = (*LABELS.values(), *SCHEMES.values())
    assert len({each.name for each in schemes}) == len(schemes), "names are unique"
    return tuple(ClassRow.of(each) for each in schemes)


def class_markdown() -> str:
    """Write the table for a page of the documentation; ends without a line break."""
    head = "| scheme | what | clear | thick | thin | shadow | says nothing | source |"
    rows = [
        f"| `{row.name}` | {row.title} | {row.clear} | {row.thick} | {row.thin} | {row.shadow} "
        f"| {row.nothing} | [link]({row.source}) |"
        for row in class_table()
    ]
    return "\n".join([head, "|" + "---|" * 8, *rows])


def _as_text(codes: Iterable[int]) -> str:
    """Write codes, runs of three and more as "4 to 6"."""
    ordered = sorted(codes)
    breaks = [place for place, (a, b) in enumerate(pairwise(ordered), 1) if b - a > 1]
    runs = [
        ordered[start:stop] for start, stop in pairwise([0, *breaks, len(ordered)]) if start < stop
    ]
    return ", ".join(
        f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run))  # noqa: PLR2004
        for run in runs
    )


__all__ = [
    "ALL_AT_ONCE",
    "CATALOGUE",
    "CATALOGUE_CLOUD",
    "CHIPS",
    "CLOUDMASK",
    "CLOUDSEN12",
    "CLOUDSEN12_PLUS",
    "IN_SHADOW",
    "KAPPASET",
    "LABELS",
    "PAIRS",
    "PIXBOX",
    "PIXBOX_SEVERAL",
    "UNLABELLED",
    "ClassRow",
    "class_markdown",
    "class_table",
]
