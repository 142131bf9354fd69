"""Masks that were made, kept to be drawn later, so that what is shown is what was scored."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudmask.local.compare.schemes import Scheme
    from cloudmask_export.evaluation.samples import Predictor, Sample


@dataclass(frozen=True, slots=True)
class Kept:
    """A predictor that remembers its masks, each a few kilobytes."""

    predictor: Predictor
    _masks: dict[str, tuple[bytes, str, tuple[int, ...]]] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """See `samples.Predictor`."""
        return self.predictor.name

    @property
    def title(self) -> str:
        """See `samples.Predictor`."""
        return self.predictor.title

    @property
    def scheme(self) -> Scheme:
        """See `samples.Predictor`."""
        return self.predictor.scheme

    def predict(self, sample: Sample) -> NDArray[np.integer]:
        """See `samples.Predictor`; a mask that was made is not made again."""
        if sample.name not in self._masks:
            mask = self.predictor.predict(sample)
            self._masks[sample.name] = zlib.compress(mask.tobytes(), 1), mask.dtype.str, mask.shape
        held, dtype, shape = self._masks[sample.name]
        return np.frombuffer(zlib.decompress(held), dtype).reshape(shape)
