"""The bands of an image that a predictor takes, at the pixel size it wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudmask.bands import PRESETS, positions
from cloudmask.errors import BandError
from cloudmask.local.grid import Regrid
from cloudmask.local.resample import Resampled
from cloudmask.source import ArraySource
from cloudmask.windows import Span
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cloudmask.spec import Resampling
    from cloudmask_export.evaluation.samples import Image, Sample


def chosen(sample: Sample, image: Image, wanted: Sequence[str], who: str) -> NDArray[np.float32]:
    """Give the wanted bands of an image in their order: (band, y, x) reflectance, NaN = no data.

    Raises:
        EvaluationError: Some are missing.
    """
    try:
        places = positions(image.bands, wanted)
    except BandError as error:
        missing = ", ".join(band for band in wanted if band not in image.bands)
        raise EvaluationError(
            f"{sample.path}: sample {sample.name} has the bands {', '.join(image.bands)}, but "
            f"{who} needs {missing} too; leave {who} out, or take data that have them"
        ) from error
    return image.reflectance[places]


@dataclass(frozen=True, slots=True)
class Sized:
    """An image brought to another pixel size, and the way back."""

    reflectance: NDArray[np.float32]
    """(band, y, x); NaN = no data."""
    regrid: Regrid

    @classmethod
    def of(
        cls,
        reflectance: NDArray[np.float32],
        have: float,
        want: float,
        resampling: Resampling = "average",
    ) -> Sized:
        """Bring (band, y, x) to pixels of `want` metres, as `cloudmask mask` does.

        Larger pixels are the mean of those that exist, smaller ones lie linearly between.
        """
        regrid = Regrid.to((reflectance.shape[1], reflectance.shape[2]), have, want, resampling)
        if regrid.trivial:
            return cls(reflectance, regrid)
        source = Resampled(ArraySource(reflectance), PRESETS["reflectance"], regrid)
        return cls(source.read(Span(0, regrid.network_shape[0])), regrid)

    def back(self, mask: NDArray[np.integer]) -> NDArray[np.integer]:
        """Bring a mask (y, x) to the image's own pixels, each its nearest."""
        return self.regrid.back(mask, Span(0, self.regrid.network_shape[0]))
