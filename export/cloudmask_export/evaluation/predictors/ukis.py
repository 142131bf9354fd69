"""The peer ukis-csmask: DLR's own code, tiling and all, around its own networks.

github.com/dlr-eoc/ukis-csmask, Apache-2.0 (Wieland et al. 2022,
doi:10.5194/isprs-archives-XLIII-B3-2022-217-2022). Our `ukis-4b-l1c` is the same network run by
our code; what differs between the two is the code.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from cloudmask.classes import NO_DATA
from cloudmask.local.compare.schemes import UKIS_CSM
from cloudmask.runtime import Runtime
from cloudmask_export.evaluation.predictors.bands import Sized, chosen
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudmask.local.compare.schemes import Scheme
    from cloudmask_export.evaluation.samples import Sample

BANDS = {
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B08": "nir",
    "B11": "swir16",
    "B12": "swir22",
}
"""Ours and its names of bands; a network of four takes the first four."""

_NAME = re.compile(r"ukis:([46])b_(l1c|l2a)(?:@([0-9.]+))?")
FORM = "ukis:4b_l1c, ukis:4b_l2a, ukis:6b_l1c or ukis:6b_l2a, with @30 behind for pixels of 30 m"


@dataclass(frozen=True, slots=True)
class Ukis:
    """One of its networks, at the image's pixel size or another."""

    name: str
    bands: int
    level: str
    pixel_size: float | None
    """Metres; None for the image's own."""

    @classmethod
    def named(cls, name: str) -> Ukis:
        """Read a name.

        Raises:
            EvaluationError: It is none, or the package is not installed.
        """
        found = _NAME.fullmatch(name)
        if found is None:
            raise EvaluationError(f"peer {name!r}: choose among {FORM}")
        size = _metres(name, found[3]) if found[3] else None
        if find_spec("ukis_csmask") is None:
            raise EvaluationError(
                f"{name}: ukis-csmask is not installed: pip install 'openeo-cloudmask[ukis]'"
            )
        return cls(name, int(found[1]), found[2], size)

    @property
    def title(self) -> str:
        """What it is, and its version."""
        at = "" if self.pixel_size is None else f", run at {self.pixel_size:g} m"
        return (
            f"ukis-csmask {version('ukis-csmask')} itself, {self.bands} bands, "
            f"{self.level.upper()}{at}"
        )

    @property
    def scheme(self) -> Scheme:
        """Clear, cloud, shadow; and no data, which its own masks do not have."""
        return replace(UKIS_CSM, codes={**UKIS_CSM.codes, NO_DATA: ()})

    def predict(self, sample: Sample) -> NDArray[np.integer]:
        """See `samples.Predictor`."""
        image = sample.image()
        own = chosen(sample, image, list(BANDS)[: self.bands], self.name)
        sized = Sized.of(own, image.pixel_size, self.pixel_size or image.pixel_size)
        mask = sized.back(self._classes(np.nan_to_num(sized.reflectance, nan=0.0)))
        return np.where(np.isfinite(own).all(axis=0), mask, np.uint8(NO_DATA))

    def _classes(self, reflectance: NDArray[np.float32]) -> NDArray[np.uint8]:
        from ukis_csmask.mask import CSmask

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Your input image is smaller")
            made = CSmask(
                img=np.ascontiguousarray(np.moveaxis(reflectance, 0, -1)),
                band_order=list(BANDS.values())[: self.bands],
                product_level=self.level,
                intra_op_num_threads=Runtime().intra_op_threads,
                providers=["CPUExecutionProvider"],
            )
        return np.asarray(made.csm[..., 0], np.uint8)


def _metres(name: str, text: str) -> float:
    try:
        metres = float(text)
    except ValueError:
        metres = 0.0
    if not metres > 0:
        raise EvaluationError(f"peer {name!r}: {text} are no metres; {FORM}")
    return metres
