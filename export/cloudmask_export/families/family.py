"""A family: the networks of one ensemble, which take and give the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, Literal, get_args

from cloudmask.bands import SENTINEL2
from cloudmask.classes import CLASSES
from cloudmask.spec import Resampling
from cloudmask_export.errors import ExportError
from cloudmask_export.families.normalisation import FixedNormalisation, Normalisation

if TYPE_CHECKING:
    from cloudmask_export.families.weight_file import WeightFile

Level = Literal["L1C", "L2A", ""]
Activation = Literal["Mish", "ReLU", ""]

HALVED = 32
"""Pixels of a tile for one of an encoder's last picture."""
SLIM_HALVED = 16
"""The same for an encoder without its last stage, as `slim-` architectures have it."""

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What is published under one name."""

    name: str
    title: str
    licence: str
    """SPDX identifier of the weights' licence."""
    citation: str
    page: str
    """The project's page."""
    bands: tuple[str, ...]
    """Sentinel-2 names, in the network's order."""
    classes: tuple[int, ...]
    """Codes of `cloudmask.classes`, in the network's channel order."""
    level: Level
    """Processing level that the network was trained for; "" where both work."""
    pixel_size: float
    """Metres."""
    resampling: Resampling = "average"
    """How finer pixels are brought to that size."""
    tile: int
    """Pixels along an edge."""
    overlap: int
    """Pixels that neighbouring tiles share."""
    normalisation: Normalisation
    activation: Activation
    """What the decoder takes for `act_cls` if the weights do not say; "" if it has no choice."""
    training_data: str
    """What the weights were trained on, and that data's licence, in words."""
    architectures: tuple[str, ...]
    """Names of the skeletons that its weights fill."""
    members: tuple[WeightFile, ...] = ()
    """In the order of the ensemble; none where nothing is published."""

    @property
    def multiple(self) -> int:
        """What a tile must be a multiple of, in pixels: the power of two in the authors' tile.

        No more than the encoders halve. Exported networks count on it (`graph.exact`).
        """
        slim = all(name.startswith("slim-") for name in self.architectures)
        return gcd(self.tile, SLIM_HALVED if slim else HALVED)

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if not _NAME.fullmatch(self.name):
            raise ExportError(f"family {self.name!r}: lower-case words joined by hyphens")
        self._check_input()
        self._check_classes()
        self._check_members()

    def _check_input(self) -> None:
        self._refuse_unless(bool(self.bands), "bands: there must be one at least")
        strange = [band for band in self.bands if band not in SENTINEL2]
        self._refuse_unless(not strange, f"bands {strange} are none of Sentinel-2's")
        self._distinct("bands", self.bands)
        if isinstance(self.normalisation, FixedNormalisation):
            given = len(self.normalisation.mean)
            self._refuse_unless(
                given == len(self.bands),
                f"{given} means for {len(self.bands)} bands: one for each is needed",
            )
        self._refuse_unless(
            0 <= self.overlap < self.tile,
            f"overlap {self.overlap} px: must be 0 or more and below the tile's {self.tile} px",
        )
        self._refuse_unless(
            self.pixel_size > 0, f"pixel size {self.pixel_size} m: must be above 0"
        )
        self._one_of("resampling", self.resampling, get_args(Resampling))
        self._one_of("level", self.level, get_args(Level))
        self._one_of("activation", self.activation, get_args(Activation))

    def _check_classes(self) -> None:
        known = {each.code for each in CLASSES}
        strange = [code for code in self.classes if code not in known]
        self._refuse_unless(not strange, f"class codes {strange}: must be among {sorted(known)}")
        self._refuse_unless(len(self.classes) > 1, f"classes {self.classes}: two at least")
        self._distinct("classes", self.classes)

    def _check_members(self) -> None:
        self._distinct("members", tuple(each.member for each in self.members))
        needed = {each.architecture for each in self.members}
        self._refuse_unless(
            bool(self.architectures) and needed <= set(self.architectures),
            f"architectures {self.architectures}: must name one at least and those of all "
            f"members, which are {sorted(needed)}",
        )

    def _one_of(self, what: str, value: str, allowed: tuple[str, ...]) -> None:
        self._refuse_unless(value in allowed, f"{what} {value!r}: must be one of {allowed}")

    def _distinct(self, what: str, values: tuple[object, ...]) -> None:
        self._refuse_unless(len(set(values)) == len(values), f"{what} {values}: one is doubled")

    def _refuse_unless(self, good: bool, sentence: str) -> None:  # noqa: FBT001  # a condition
        if not good:
            raise ExportError(f"family {self.name}: {sentence}")
