"""What a training is to be: frozen values that refuse what cannot work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path  # noqa: TC003 - `config` reads the annotations
from typing import Literal, get_args

from cloudmask.bands import SENTINEL2
from cloudmask_export.errors import ExportError

Loss = Literal["dice", "cross-entropy", "both"]

DECODERS = ("dynunet", "smp", "slim")
"""What an architecture's name may begin with, see `skeletons.networks.network`."""
PIXEL_SIZES = (10.0, 20.0, 40.0)
"""Metres that images of 10 m can be averaged to."""
HALVED = 16
"""Pixels of a crop for one of an encoder's smallest picture, at least."""
CHANNELS: dict[int, tuple[tuple[int, ...], ...]] = {
    3: ((0,), (1, 2), (3,)),
    4: ((0,), (1,), (2,), (3,)),
}
"""Number of classes -> for each output the codes that it stands for."""


_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_ARCHITECTURE = re.compile(rf"(?:{'|'.join(DECODERS)})-[\w.]+-(?P<bands>[1-9]\d*)")


def _refuse_unless(good: bool, sentence: str) -> None:  # noqa: FBT001  # a condition
    if not good:
        raise ExportError(sentence)


def _least(key: str, value: float, least: float) -> None:
    _refuse_unless(value >= least, f"{key} = {value}: {least} or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where images and labels come from."""

    pairs: tuple[Path, ...] = ()
    """Folders of `NAME_cloudy.tif` and `NAME_clear.tif`, 13 bands of one place each."""
    labelled: tuple[Path, ...] = ()
    """Labelled data sets, in any layout of `cloudmask_export.evaluation.datasets`."""
    hold_out: tuple[str, ...] = ()
    """Groups (regions, scenes) that are kept for validation, all their images."""
    composed: int = 0
    """Images to make of cloud-free ones by putting clouds over them."""
    simulated: int = 0
    """Images to make of simulated ground."""
    shares: tuple[float, float, float] = (0.55, 0.2, 0.25)
    """How much of a batch is composed, simulated, and real."""

    def __post_init__(self) -> None:
        """Refuse what gives no images."""
        for key in ("composed", "simulated"):
            _least(f"sources.{key}", getattr(self, key), 0)
        real, shares = bool(self.pairs or self.labelled), self.shares
        _refuse_unless(
            real or self.simulated > 0,
            "sources: no images; name folders in pairs or labelled, or say how many are simulated",
        )
        _refuse_unless(
            bool(self.pairs) or not self.composed,
            f"sources.composed = {self.composed}: clouds are put over the clear images of pairs, "
            "and pairs names none",
        )
        _refuse_unless(
            real or not self.hold_out,
            f"sources.hold_out = {list(self.hold_out)}: there are no real images to hold out",
        )
        drawn = (self.composed > 0, self.simulated > 0, real)
        possible = sum(share for share, there in zip(shares, drawn, strict=True) if there)
        _refuse_unless(
            min(shares) >= 0 and possible > 0,
            f"sources.shares = {list(shares)}: shares of composed, simulated and real images, 0 "
            "or more; of those kinds that there are, one must be above 0",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """How images are varied, every time they are seen."""

    fine: float = 0.25
    """Share of batches at the images' own pixel size; the others are at the network's."""
    scale: float = 1.3
    """Images are enlarged or shrunk up to this factor."""
    rotate: bool = True
    """Whether images are turned by any angle, besides flips and quarter turns."""
    brightness: float = 0.12
    """Standard deviation of the factor that all bands share, as a logarithm."""
    colour: float = 0.04
    """The same for each band alone."""
    haze: float = 0.006
    """Standard deviation of what is added to a band, reflectance."""
    noise: float = 0.002
    """Standard deviation of the noise of a pixel, reflectance."""
    dropout: float = 0.1
    """Share of images that lose bands."""
    surface: float = 0.0
    """Share of images whose path reflectance is taken off, as level 2A does."""

    def __post_init__(self) -> None:
        """Refuse what is no share, or no deviation."""
        for key in ("fine", "dropout", "surface"):
            share = getattr(self, key)
            _refuse_unless(0 <= share <= 1, f"augment.{key} = {share}: a share, 0 to 1")
        for key in ("brightness", "colour", "haze", "noise"):
            _least(f"augment.{key}", getattr(self, key), 0)
        _refuse_unless(
            1 <= self.scale <= 4,  # noqa: PLR2004 - beyond that a crop is its own reflection
            f"augment.scale = {self.scale}: a factor, 1 (never scaled) to 4",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stretch of training."""

    classes: int
    """3 (clear, cloud, shadow) or 4 (clear, thick cloud, thin cloud, shadow)."""
    steps: int
    rate: float = 2e-3
    """Highest learning rate; it rises over a tenth of the steps and falls along a cosine."""

    def __post_init__(self) -> None:
        """Refuse classes that are none of ours, and what trains nothing."""
        _refuse_unless(
            self.classes in CHANNELS,
            f"stage: classes = {self.classes}; there are 3 (clear, cloud, shadow) and 4 (clear, "
            "thick cloud, thin cloud, shadow)",
        )
        _least("stage: steps", self.steps, 1)
        _refuse_unless(0 < self.rate <= 1, f"stage: rate = {self.rate}; above 0, 1 at most")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole training."""

    name: str
    architecture: str
    bands: tuple[str, ...]
    pixel_size: float = 20.0
    """Metres; images of half that are averaged."""
    sources: Sources
    augment: Augment = Augment()
    stages: tuple[Stage, ...]
    loss: Loss = "both"
    batch: int = 16
    crop: int = 128
    """Pixels along an edge of what the network sees in training."""
    decay: float = 0.01
    """Weight decay of AdamW."""
    smoothing: float = 0.995
    """Of the moving average of the weights, which is what is kept."""
    seed: int = 0
    every: int = 200
    """Steps between checkpoints, with a validation each."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        _refuse_unless(
            bool(_NAME.fullmatch(self.name)),
            f"name = {self.name!r}: lower-case words joined by hyphens",
        )
        self._check_network()
        self._check_stages()
        self._check_steps()

    def _check_network(self) -> None:
        strange = [band for band in self.bands if band not in SENTINEL2]
        if strange or not self.bands:
            raise ExportError(f"bands {list(self.bands)}: {strange} are none of Sentinel-2's")
        _refuse_unless(
            len(set(self.bands)) == len(self.bands), f"bands {list(self.bands)}: one is doubled"
        )
        found = _ARCHITECTURE.fullmatch(self.architecture)
        if found is None:
            raise ExportError(
                f"architecture = {self.architecture!r}: a decoder ({', '.join(DECODERS)}), the "
                "name of an encoder in timm and the number of bands, joined by hyphens, such as "
                "slim-regnety_002-13"
            )
        _refuse_unless(
            int(found["bands"]) == len(self.bands),
            f"architecture = {self.architecture!r} is for {found['bands']} bands, and bands names "
            f"{len(self.bands)}",
        )
        _refuse_unless(
            self.pixel_size in PIXEL_SIZES,
            f"pixel_size = {self.pixel_size:g}: one of "
            f"{', '.join(f'{each:g}' for each in PIXEL_SIZES)} metres",
        )

    def _check_stages(self) -> None:
        if not self.stages:
            raise ExportError("stages: there must be one at least")
        for before, after in pairwise(self.stages):
            _refuse_unless(
                before.classes <= after.classes,
                f"stage of {before.classes} classes before one of {after.classes}: a class can be "
                "split in the next stage, not united; put the stage with fewer classes first",
            )

    def _check_steps(self) -> None:
        for key, least in {"batch": 1, "every": 1, "seed": 0, "decay": 0}.items():
            _least(key, getattr(self, key), least)
        _refuse_unless(
            0 <= self.smoothing < 1, f"smoothing = {self.smoothing}: 0 or more, below 1"
        )
        losses = get_args(Loss)
        _refuse_unless(
            self.loss in losses, f"loss = {self.loss!r}: choose one of {', '.join(losses)}"
        )
        _refuse_unless(
            self.crop > 0 and self.crop % HALVED == 0,
            f"crop = {self.crop}: a multiple of {HALVED} pixels, as encoders halve pictures",
        )
