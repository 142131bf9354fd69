"""Pictures of a sample for the page: as the eye would see it, labels, mask, and the difference."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow

from cloudmask.bands import positions
from cloudmask.classes import NO_DATA
from cloudmask.errors import BandError
from cloudmask.local.compare.groups import title
from cloudmask.local.compare.picture import GREYS, Colour, colours
from cloudmask.local.picture import coloured, stretched
from cloudmask.local.report.pictures import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudmask.local.compare.groups import Group
    from cloudmask.local.compare.schemes import Scheme
    from cloudmask_export.evaluation.samples import Image, Truth

LONGEST = 384
"""Pixels of a picture's longer edge."""

QUALITY = 60
"""Of WebP, for what the eye sees; class colours are kept as they are."""

NATURAL = ("B04", "B03", "B02")

NOTHING = 255
"""In place of a group's number: no data, no label, or one that may be of several groups."""

FAINT = 0.25
"""How much of the scene is left under labelled points."""

POINT = 150
"""A point is drawn so that this many fit along the longer edge, and at least 3 pixels wide."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One way in which labels and mask go together."""

    label: str
    colour: str
    """As CSS writes it."""
    share: float
    """Percentage of all that have a class in both."""
    same: bool
    """Whether both say the same."""


@dataclass(frozen=True, slots=True)
class Looks:
    """The pictures of one sample and one mask."""

    view: Picture
    truth: Picture
    mask: Picture
    difference: Picture
    kinds: tuple[Kind, ...]
    """What the colours of the difference mean, what differs most first."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """Labels and a mask of one sample, as numbers of the groups that both tell apart."""

    truth: NDArray[np.uint8]
    """As `Truth.codes`: (y, x) or (point,); NOTHING where there is none."""
    mask: NDArray[np.uint8]
    """(y, x)."""
    groups: tuple[Group, ...]
    labels: Truth

    @classmethod
    def of(
        cls,
        labels: Truth,
        mask: NDArray[np.integer],
        schemes: tuple[Scheme, Scheme],
        groups: tuple[Group, ...],
    ) -> Meeting:
        """Translate codes of labels and mask, by the schemes of both, to groups."""
        truth = _numbers(labels.codes, schemes[0], groups)
        return cls(truth, _numbers(mask, schemes[1], groups), groups, labels)

    @property
    def met(self) -> NDArray[np.uint8]:
        """The mask where there are labels."""
        return np.asarray(self.labels.of(self.mask), np.uint8)


def draw(image: Image, meeting: Meeting) -> Looks:
    """Draw a sample."""
    seen = natural(image)
    painted = _difference(meeting.truth, meeting.met, meeting.groups)
    truth = coloured(_codes(meeting.truth, meeting.groups))
    if meeting.labels.rows is not None:
        truth, painted = (_pointed(seen, meeting.labels, each) for each in (truth, painted))
    return Looks(
        view=_encoded(seen, exact=False),
        truth=_encoded(truth, exact=True),
        mask=_encoded(coloured(_codes(meeting.mask, meeting.groups)), exact=True),
        difference=_encoded(painted, exact=True),
        kinds=kinds(meeting.truth, meeting.met, meeting.groups),
    )


def natural(image: Image) -> NDArray[np.float32]:
    """Show an image as the eye would see it, or grey if it lacks a colour: (y, x, 3), 0..1."""
    try:
        chosen = image.reflectance[positions(image.bands, NATURAL)]
    except BandError:
        chosen = image.reflectance[:1]
    valid = np.asarray(np.isfinite(chosen).all(axis=0))
    return stretched(np.where(valid, chosen, np.float32(0)), valid)


def kinds(
    truth: NDArray[np.uint8], mask: NDArray[np.uint8], groups: tuple[Group, ...]
) -> tuple[Kind, ...]:
    """Count which groups of labels and mask go together, any shape; empty if none do."""
    known = (truth != NOTHING) & (mask != NOTHING)
    size, total = len(groups), max(1, int(np.count_nonzero(known)))
    pairs = truth[known].astype(np.intp) * size + mask[known]
    counts = np.bincount(pairs.ravel(), minlength=size * size).reshape(size, size)
    titles = [title(group) for group in groups]
    met = [
        (int(counts[a, b]), f"{titles[a]} called {titles[b]}", colour)
        for (a, b), colour in colours(size)
    ]
    met.sort(key=lambda entry: -entry[0])
    met += [
        (int(counts[place, place]), f"both {titles[place]}", _grey(group))
        for place, group in enumerate(groups)
    ]
    return tuple(
        Kind(label, _css(colour), 100 * number / total, same=label.startswith("both "))
        for number, label, colour in met
        if number
    )


def shares(numbers: NDArray[np.uint8], groups: tuple[Group, ...]) -> str:
    """Say in words how much of labels or of a mask is of each group."""
    counts = [np.count_nonzero(numbers == place) for place in range(len(groups))]
    total = max(1, sum(counts))
    pairs = zip(groups, counts, strict=True)
    return ", ".join(f"{title(group)} {100 * count / total:.1f} %" for group, count in pairs)


def _numbers(
    codes: NDArray[np.integer], scheme: Scheme, groups: tuple[Group, ...]
) -> NDArray[np.uint8]:
    """Translate codes of any shape to numbers of groups."""
    numbers = np.full(codes.shape, NOTHING, np.uint8)
    for code, meant in scheme.codes.items():
        inside = [place for place, group in enumerate(groups) if set(meant) & set(group)]
        if len(inside) == 1:
            numbers[codes == code] = inside[0]
    return numbers


def _codes(numbers: NDArray[np.uint8], groups: tuple[Group, ...]) -> NDArray[np.uint8]:
    """Give each group the code of its first class, whose colour it has."""
    table = np.full(256, NO_DATA, np.uint8)
    table[: len(groups)] = [group[0] for group in groups]
    return table[numbers]


def _difference(
    truth: NDArray[np.uint8], mask: NDArray[np.uint8], groups: tuple[Group, ...]
) -> NDArray[np.float32]:
    """Paint agreement grey and each kind of disagreement its colour: (..., 3), 0..1."""
    painted = np.ones((*truth.shape, 3), np.float32)
    for place, group in enumerate(groups):
        painted[(truth == place) & (mask == place)] = _grey(group)
    for (left, right), colour in colours(len(groups)):
        painted[(truth == left) & (mask == right)] = colour
    return painted


def _grey(group: Group) -> Colour:
    return (GREYS[group[0]],) * 3


def _css(colour: Colour) -> str:
    return "#" + bytes(round(255 * part) for part in colour).hex()


def _pointed(
    scene: NDArray[np.float32], labels: Truth, painted: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Put squares of colours (point, 3) where the points are, on what the eye sees."""
    assert labels.rows is not None, "only points are put on a scene"
    assert labels.columns is not None, "only points are put on a scene"
    picture = (1 - FAINT + FAINT * scene).astype(np.float32)
    reach = max(1, round(max(picture.shape) / POINT / 2))
    for row, column, colour in zip(labels.rows, labels.columns, painted, strict=True):
        top, left = max(0, row - reach), max(0, column - reach)
        picture[top : row + reach + 1, left : column + reach + 1] = colour
    return picture


def _encoded(picture: NDArray[np.float32], *, exact: bool) -> Picture:
    """Encode (y, x, 3), 0..1, no larger than `LONGEST`; exact colours are picked, not mixed."""
    image = Pillow.fromarray(np.rint(255 * picture).astype(np.uint8))
    way = Pillow.Resampling.NEAREST if exact else Pillow.Resampling.BOX
    image.thumbnail((LONGEST, LONGEST), way)
    stream = io.BytesIO()
    image.save(stream, format="webp", lossless=exact, quality=QUALITY, method=2)
    return Picture(image.width, image.height, "webp", stream.getvalue())
