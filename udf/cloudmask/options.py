"""All options of a run in one frozen value, and how they become a plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudmask.checks import choice, finite, whole
from cloudmask.classes import Output
from cloudmask.ensemble import Ensemble
from cloudmask.errors import ModelError, OptionError
from cloudmask.model import Runtime
from cloudmask.registry import find
from cloudmask.spec import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudmask.augment import TTA
    from cloudmask.model import Model
    from cloudmask.windows import Stitch, Tiling

    SomeModel = str | Path | Model
    SomeModels = SomeModel | Sequence[SomeModel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run networks over a scene; every default is the network's own or the safest."""

    stitch: Stitch = "crop"
    """"crop": the same mask however the scene is cut into chunks. "blend": tiles mixed over
    their overlap; chunks then recompute their neighbours' tiles to agree."""
    tile: int | None = None
    """Edge of a tile in pixels; default the network's, whose answers depend on it."""
    overlap: int | None = None
    """Pixels that neighbouring tiles share; default the network's."""
    tta: TTA | None = None
    """Test-time augmentation; default the network's."""
    batch: int = 1
    """Tiles in one network call; does not change the answer, larger costs memory."""
    chunk: int = 1024
    """Wanted edge of a dask chunk in pixels; rounded so that chunks agree with the whole."""
    pixel_size: float | None = None
    """Metres a pixel of the cube, for distances in `output`; needed if there are any."""
    output: Output = field(default_factory=Output)
    """What to answer."""
    runtime: Runtime = field(default_factory=Runtime)
    """Threads and providers."""

    def __post_init__(self) -> None:
        """Refuse sizes that cannot work; the tiling itself is checked with the network."""
        choice("stitch", self.stitch, ("crop", "blend"))
        for name in ("batch", "chunk"):
            object.__setattr__(self, name, whole(name, getattr(self, name), least=1))
        if self.pixel_size is not None and not finite("pixel_size", self.pixel_size) > 0:
            raise OptionError(f"pixel_size={self.pixel_size}: must be greater than 0 metres")

    def tiling(self, spec: ModelSpec) -> Tiling:
        """Choose tile and overlap for a network."""
        return spec.tiling(self.tile, self.overlap)

    def dilation(self, spec: ModelSpec) -> float:
        """Return how far masked classes grow, in pixels (of the network, if not told others)."""
        return self.output.dilate / (self.pixel_size or spec.pixel_size)

    def ensemble(self, models: SomeModels) -> Ensemble:
        """Open networks and put them together.

        Raises:
            ModelError: One is unknown, absent or damaged, or they do not fit together.
        """
        some = models if isinstance(models, (list, tuple)) else [models]
        opened = tuple(self._opened(model) for model in some)
        if not opened:
            raise ModelError("no model given: name one, `cloudmask models` lists them")
        tta = opened[0].spec.tta if self.tta is None else self.tta
        ensemble = Ensemble(opened, tta)
        for model in opened:
            model.spec.tiling(self.tiling(ensemble.spec).tile)
        return ensemble

    def _opened(self, model: Any) -> Model:
        if isinstance(model, (str, Path)):
            return find(model).load(self.runtime)
        if not callable(model) or not isinstance(getattr(model, "spec", None), ModelSpec):
            raise ModelError(
                f"model {model!r}: give a name, the path of an .onnx file, an opened network or a "
                "list of them"
            )
        opened: Model = model
        return opened
