"""Our networks, run as `cloudmask mask` and `mask_clouds` run them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from cloudmask.classes import CLEAR, NO_DATA, SHADOW, THICK, THIN
from cloudmask.cube import mask_clouds
from cloudmask.errors import CloudmaskError
from cloudmask.local.compare.schemes import CLOUDMASK, CLOUDMASK_ONE_CLOUD, NOTHING, Scheme
from cloudmask_export.evaluation.predictors.bands import Sized, chosen
from cloudmask_export.evaluation.predictors.how import USUAL, How
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloudmask.model import Model
    from cloudmask_export.evaluation.samples import Sample

JOINT = "+"
"""Between the names of networks that make one ensemble; no path of one file is taken apart."""


@dataclass(frozen=True, slots=True)
class Networks:
    """A network, or several that answer together."""

    name: str
    models: tuple[Model, ...]
    how: How
    scheme: Scheme

    @classmethod
    def named(cls, name: str, how: How = USUAL) -> Networks:
        """Open networks.

        Args:
            name: Name, family or path of an .onnx file; several joined by "+".
            how: How to run them.

        Raises:
            EvaluationError: One is unknown, absent or damaged, or they do not fit together.
        """
        try:
            return cls.of(name, _listed(name), how)
        except CloudmaskError as error:
            raise EvaluationError(f"network {name}: {error}") from error

    @classmethod
    def of(cls, name: str, models: Sequence[Any], how: How = USUAL) -> Networks:
        """Put networks together that are open or known by name.

        Raises:
            ModelError: One is unknown, absent or damaged, or they do not fit together.
            OptionError: The overlap does not fit them.
        """
        ensemble = how.options.ensemble(models)
        return cls(name, ensemble.models, how, scheme_of(ensemble.spec.classes))

    @property
    def title(self) -> str:
        """Titles and versions of the networks."""
        specs = [model.spec for model in self.models]
        return " + ".join(f"{each.title or each.name} {each.version}".strip() for each in specs)

    def predict(self, sample: Sample) -> NDArray[np.integer]:
        """See `samples.Predictor`."""
        image, spec = sample.image(), self.models[0].spec
        own = chosen(sample, image, spec.bands, self.name)
        want = self.how.pixel_size(image.pixel_size, spec.pixel_size)
        sized = Sized.of(own, image.pixel_size, want, spec.resampling)
        mask = sized.back(self._classes(sized.reflectance)).copy()
        mask[~np.isfinite(own).all(axis=0)] = NO_DATA
        return mask

    def _classes(self, reflectance: NDArray[np.float32]) -> NDArray[np.integer]:
        bands = list(self.models[0].spec.bands)
        cube = xr.DataArray(reflectance, {"bands": bands}, ("bands", "y", "x"))
        masked = mask_clouds(
            cube, list(self.models), preset="reflectance", options=self.how.options
        )
        return np.asarray(masked.sel(bands="class").values)


def _listed(name: str) -> list[str]:
    """Take a name apart, unless it is the path of a file."""
    return [name] if Path(name).is_file() else [each.strip() for each in name.split(JOINT)]


def scheme_of(classes: Sequence[int]) -> Scheme:
    """Say what the codes of a network's masks mean: a class it lacks is within one it has."""
    if set(classes) == {CLEAR, THICK, THIN, SHADOW}:
        return CLOUDMASK
    if set(classes) == {CLEAR, THICK, SHADOW}:
        return CLOUDMASK_ONE_CLOUD
    instead = {THICK: THIN, THIN: THICK, SHADOW: CLEAR, CLEAR: CLEAR}
    within = {code: code if code in classes else other for code, other in instead.items()}
    codes = {
        code: tuple(sorted(each for each, place in within.items() if place == code))
        for code in classes
    }
    return Scheme(
        name="cloudmask-fewer",
        title=f"ours, of a network with the classes {', '.join(map(str, sorted(classes)))}",
        codes={**codes, NO_DATA: NOTHING},
        source=CLOUDMASK.source,
    )
