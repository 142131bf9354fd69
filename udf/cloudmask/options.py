"""All options of a run in one frozen value, and how they become a plan."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudmask.checks import choice, finite, whole
from cloudmask.classes import Output
from cloudmask.ensemble import Ensemble
from cloudmask.errors import ModelError, OptionError
from cloudmask.memory import MIB, Run, Work, fitted
from cloudmask.process import give_back, held, room
from cloudmask.registry import find, meant
from cloudmask.runtime import Runtime
from cloudmask.spec import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudmask.augment import TTA
    from cloudmask.memory import Needs
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
    batch: int | None = None
    """Tiles in one network call; does not change the answer, larger costs memory. Default: 1 on
    a processor, on a graphics card as many as fit, up to 8."""
    memory: int | None = None
    """Bytes that the process may take altogether, what it holds already included; what cannot
    be done in it is refused before a network is opened. With dask: each chunk's task by itself.
    Default: no limit but the system's, by which nothing is refused."""
    chunk: int = 1024
    """Wanted edge of a dask chunk in pixels; rounded so that chunks agree with the whole."""
    pixel_size: float | None = None
    """Metres a pixel of the cube, for distances in `output`; needed if there are any."""
    output: Output = field(default_factory=Output)
    """What to answer."""
    runtime: Runtime = field(default_factory=Runtime)
    """Threads, and the engine that runs the networks."""

    def __post_init__(self) -> None:
        """Refuse sizes that cannot work; the tiling itself is checked with the network."""
        choice("stitch", self.stitch, ("crop", "blend"))
        object.__setattr__(self, "chunk", whole("chunk", self.chunk, least=1))
        for name in ("batch", "memory"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, whole(name, getattr(self, name), least=1))
        if self.memory is not None and self.memory < MIB:
            raise OptionError(
                f"memory={self.memory}: is a number of bytes, {MIB} (1 MiB) or more; write "
                f"{self.memory} * 2**20 if MiB are meant"
            )
        if self.pixel_size is not None and not finite("pixel_size", self.pixel_size) > 0:
            raise OptionError(f"pixel_size={self.pixel_size}: must be greater than 0 metres")

    def tiling(self, spec: ModelSpec) -> Tiling:
        """Choose tile and overlap for a network."""
        return spec.tiling(self.tile, self.overlap)

    def dilation(self, spec: ModelSpec) -> float:
        """Return how far masked classes grow, in pixels (of the network, if not told others)."""
        return self.output.dilate / (self.pixel_size or spec.pixel_size)

    def work(
        self, spec: ModelSpec, shape: tuple[int, int], *, itemsize: int, fixed: int, per_row: int
    ) -> Work:
        """Say what is to be done, for a plan of memory; see `cloudmask.memory.Work`."""
        return Work(
            shape=shape,
            tiling=self.tiling(spec),
            stitch=self.stitch,
            itemsize=itemsize,
            spread=self.output.layout != "mask",
            fixed=fixed,
            per_row=per_row,
        )

    def needs(self, specs: Sequence[ModelSpec], work: Work) -> Needs:
        """Estimate the memory that networks, as `specs` gives them, take over scene or chunk."""
        run = Run(tuple(specs), work, self.runtime)
        return run.chosen(self.batch, room(self.memory)).needs

    def fitted(self, specs: Sequence[ModelSpec], work: Work) -> Options:
        """Choose what memory decides: the batch, and the allocator's arena.

        Args:
            specs: The networks, as `specs` gives them.
            work: Scene or chunk.

        Raises:
            OptionError: It cannot be done in `memory`.
        """
        choice = fitted(
            Run(tuple(specs), work, self.runtime),
            batch=self.batch,
            memory=self.memory,
            other=partial(self._other_tiling, specs),
        )
        runtime = self.runtime
        if self.memory is not None or choice.arena != runtime.arena_allowed:
            runtime = replace(runtime, arena=choice.arena)
        return replace(self, batch=choice.batch, runtime=runtime)

    def fits(self, specs: Sequence[ModelSpec], work: Work) -> bool:
        """Tell whether a scene or chunk can be done as these options are, in `memory`."""
        return self.memory is None or self.needs(specs, work).total <= self.memory

    def _other_tiling(self, specs: Sequence[ModelSpec], tile: int) -> Tiling:
        for spec in specs:
            spec.tiling(tile)  # raises if the network takes one tile only
        return specs[0].tiling(tile, self.overlap)

    def specs(self, models: SomeModels) -> tuple[ModelSpec, ...]:
        """Look networks up without opening them.

        Raises:
            ModelError: One is unknown.
        """
        held()  # before a network is opened for the manifest inside it
        found = tuple(map(_spec, _listed(models)))
        give_back()
        return found

    def ensemble(self, models: SomeModels) -> Ensemble:
        """Open networks and put them together.

        Raises:
            ModelError: One is unknown, absent or damaged, or they do not fit together.
        """
        opened = tuple(self._opened(model) for model in _listed(models))
        tta = opened[0].spec.tta if self.tta is None else self.tta
        ensemble = Ensemble(opened, tta)
        for model in opened:
            model.spec.tiling(self.tiling(ensemble.spec).tile)
        return ensemble

    def _opened(self, model: Any) -> Model:
        if not isinstance(model, (str, Path)):
            _spec(model)  # raises if it is no network
            opened: Model = model
            return opened
        return find(model).load(self.runtime)


def _listed(models: SomeModels) -> Sequence[Any]:
    some: Sequence[Any] = models if isinstance(models, (list, tuple)) else [models]
    if not some:
        raise ModelError("no model given: name one, `cloudmask models` lists them")
    listed: list[Any] = []
    for model in some:
        listed += meant(model) if isinstance(model, str) else [model]
    return listed


def _spec(model: Any) -> ModelSpec:
    """Give a network's manifest, with the size of its file."""
    if isinstance(model, (str, Path)):
        entry = find(model)
        if entry.spec.size or entry.path is None or not entry.installed:
            return entry.spec
        return replace(entry.spec, size=entry.path.stat().st_size)
    if not callable(model) or not isinstance(getattr(model, "spec", None), ModelSpec):
        raise ModelError(
            f"model {model!r}: give a name, the path of an .onnx file, an opened network or a "
            "list of them"
        )
    spec: ModelSpec = model.spec
    return spec
