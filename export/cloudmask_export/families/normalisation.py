"""How a network wants its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from cloudmask_export.errors import ExportError


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedNormalisation:
    """The same for every image: (number / divisor - mean) / std."""

    divisor: float
    """Of the stored numbers (reflectance x 10000)."""
    mean: tuple[float, ...]
    """One for each band, of the divided numbers."""
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what gives no finite number."""
        if len(self.mean) != len(self.std) or not self.mean:
            raise ExportError(
                f"{len(self.mean)} means and {len(self.std)} standard deviations: there must be "
                "one of each for each band"
            )
        if not all(map(isfinite, (self.divisor, *self.mean, *self.std))):
            raise ExportError(
                f"divisor {self.divisor}, mean {self.mean}, std {self.std}: all must be finite"
            )
        if min(self.divisor, *self.std) <= 0:
            raise ExportError(
                f"divisor {self.divisor}, std {self.std}: numbers are divided by them, so all "
                "must be greater than 0"
            )


@dataclass(frozen=True, slots=True)
class PatchNormalisation:
    """A z-score of each band of each tile, over its pixels that exist."""


Normalisation = FixedNormalisation | PatchNormalisation
