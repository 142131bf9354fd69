"""Two masks compared: `compare` gives a `Comparison`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudmask.errors import OptionError
from cloudmask.local.compare.aligned import Layer, aligned
from cloudmask.local.compare.counting import Pixels, Translator, count
from cloudmask.local.compare.groups import Group, chosen, lookup, title
from cloudmask.local.compare.recognise import band_for, scheme_for
from cloudmask.local.readers import gdal, opened
from cloudmask.local.scores import Confusion, Score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cloudmask.local.compare.schemes import Scheme


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two masks."""

    place: str
    """Path."""
    scheme: Scheme
    """What its codes mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How far two masks agree, the first taken as the truth."""

    a: Side
    b: Side
    groups: tuple[Group, ...]
    """The classes compared, each a group of our class codes."""
    confusion: Confusion
    """Pixels: a row for each group of `a`, a column for each of `b`."""
    pixels: Pixels
    """Where the pixels of `a` went."""
    looks: tuple[NDArray[np.uint8], NDArray[np.uint8]] = field(compare=False, repr=False)
    """Both masks where they overlap, made small, for pictures: (y, x) numbers of `groups`, 254 no
    data."""

    @property
    def titles(self) -> tuple[str, ...]:
        """Names of the groups."""
        return tuple(title(group) for group in self.groups)

    def score(self, place: int) -> Score:
        """Score `b` against `a` on one group."""
        return self.confusion.score(place)

    def as_dict(self) -> dict[str, Any]:
        """Give everything as JSON values; what cannot be said (no such pixels) is None."""
        pairs = zip(self.titles, self.groups, strict=True)
        return {
            "a": {"path": self.a.place, "scheme": self.a.scheme.name},
            "b": {"path": self.b.place, "scheme": self.b.scheme.name},
            "truth": "a",
            "classes": [{"name": name, "codes": list(group)} for name, group in pairs],
            "pixels": {
                "compared": self.pixels.compared,
                "no_data_a": self.pixels.no_data_a,
                "no_data_b": self.pixels.no_data_b,
                "outside_b": self.pixels.outside,
            },
            "confusion": [list(row) for row in self.confusion.counts],
            "overall_accuracy": self.confusion.accuracy,
            "balanced_overall_accuracy": self.confusion.balanced_accuracy,
            "kappa": known(self.confusion.kappa),
            "scores": {name: _scores(self.score(place)) for place, name in enumerate(self.titles)},
        }


def known(number: float) -> float | None:
    """Turn NaN into None."""
    return None if number != number else number  # noqa: PLR0124 - only NaN differs from itself


def said(score: Score) -> tuple[float | None, float | None, float | None, float | None]:
    """Give precision, recall, F1 and IoU; None for a share of nothing.

    `Score` calls nothing found of nothing perfect. Where a reader judges a mask by it, a class
    that does not occur should not look like a success.
    """
    return (
        score.precision if score.called else None,
        score.recall if score.there else None,
        score.f1 if score.called or score.there else None,
        score.iou if score.called or score.there else None,
    )


def _scores(score: Score) -> dict[str, float | int | None]:
    names = ("precision", "recall", "f1", "iou")
    shares = dict(zip(names, said(score), strict=True))
    return {**shares, "pixels_a": score.there, "pixels_b": score.called}


def compare(
    a: str | Path,
    b: str | Path,
    *,
    a_scheme: str | Scheme | None = None,
    b_scheme: str | Scheme | None = None,
    classes: str | None = None,
) -> Comparison:
    """Compare two masks of one place, the first taken as the truth.

    The second is read on the grid of the first, the nearest pixel for each. Only pixels count
    that have a class in both. Swapped masks give the transposed matrix if their grids are one.

    Args:
        a: Raster with class codes, taken as the truth.
        b: Raster with class codes.
        a_scheme: What the codes of `a` mean: a name of `schemes.SCHEMES` or a scheme of your own;
            None to let the file say it.
        b_scheme: The same for `b`.
        classes: "all", "cloud-shadow" (clear, cloud, shadow), "cloud" (cloud or not) or "usable"
            (clear or not); None for the most that both schemes tell apart.

    Raises:
        OptionError: A scheme is unknown or not said, both masks are one, or the schemes do not
            tell the classes apart.
        BandError: A file has several bands and none is known to hold the codes.
        CubeError: A file is no raster, damaged, or has other codes; both show different places.
    """
    with gdal(), opened(a) as first, opened(b) as second:
        sides = (
            Side(str(a), scheme_for(first, a_scheme, "--a")),
            Side(str(b), scheme_for(second, b_scheme, "--b")),
        )
        layers = (
            Layer(first, band_for(first, sides[0].scheme), str(a)),
            Layer(second, band_for(second, sides[1].scheme), str(b)),
        )
        _check_two(*layers)
        return _compared(sides, layers, classes)


def _check_two(a: Layer, b: Layer) -> None:
    """Refuse to compare a mask with itself."""
    same = Path(a.place).resolve() == Path(b.place).resolve()
    if same and a.band == b.band:
        raise OptionError(f"{b.place}: is one and the same mask twice; give two")


def _compared(
    sides: tuple[Side, Side], layers: tuple[Layer, Layer], classes: str | None
) -> Comparison:
    schemes = (sides[0].scheme, sides[1].scheme)
    groups = chosen(*schemes, classes)
    with aligned(*layers) as pair:
        readers = (
            Translator(pair.a, schemes[0], lookup(schemes[0], groups)),
            Translator(pair.b, schemes[1], lookup(schemes[1], groups)),
        )
        counted = count(pair, *readers, len(groups))
    return Comparison(
        a=sides[0],
        b=sides[1],
        groups=groups,
        confusion=Confusion(tuple(tuple(row) for row in counted.counts.tolist())),
        pixels=counted.pixels,
        looks=counted.looks,
    )
