"""How predictors run: options that a user may set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cloudmask.checks import choice
from cloudmask.options import Options
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from cloudmask.augment import TTA
    from cloudmask.windows import Stitch


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How to run what makes masks; every default is that of `cloudmask mask`."""

    resolution: float | Literal["model", "native"] = "model"
    """Pixel size to run our networks at: the network's own, the image's, or metres. The mask
    always has the image's pixels. Peers say theirs in their name."""
    tta: TTA | None = None
    """Test-time augmentation of our networks; default the network's."""
    stitch: Stitch = "blend"
    """How tiles of our networks are put together."""
    overlap: int | None = None
    """Pixels that tiles of our networks share; default the network's."""
    peer_python: str | None = None
    """Python that has the packages of peers, if this one has not."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        choice("stitch", self.stitch, ("crop", "blend"))
        if isinstance(self.resolution, str):
            wrong = self.resolution not in ("model", "native")
        else:
            wrong = not 0 < self.resolution < float("inf")
        if wrong:
            raise EvaluationError(
                f"resolution={self.resolution}: choose model, native or a number of metres "
                "greater than 0"
            )

    @property
    def options(self) -> Options:
        """The same for the core."""
        return Options(stitch=self.stitch, tta=self.tta, overlap=self.overlap)

    def pixel_size(self, image: float, network: float) -> float:
        """Choose the pixel size to run at.

        Args:
            image: Metres a pixel of the image.
            network: Metres a pixel that the network was trained on.
        """
        if self.resolution == "model":
            return network
        return image if self.resolution == "native" else float(self.resolution)


USUAL = How()
"""As `cloudmask mask` does without options."""
