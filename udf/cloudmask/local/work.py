"""One scene planned: grids, memory, and the stream of rows from its numbers to its classes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cloudmask.bands import PRESETS
from cloudmask.errors import OptionError
from cloudmask.local.addresses import file_name
from cloudmask.local.grid import Regrid, metres_a_pixel
from cloudmask.local.readers import CACHE_MIB
from cloudmask.local.resample import ROWS_AT_ONCE, Resampled
from cloudmask.local.stream import Confidence, answered, grown, regridded
from cloudmask.memory import MIB
from cloudmask.scene import Plan, predict_rows
from cloudmask.windows import plan_axis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudmask.ensemble import Ensemble
    from cloudmask.local.filejob import FileJob
    from cloudmask.local.product import Product
    from cloudmask.local.stream import ClassRows
    from cloudmask.memory import Work
    from cloudmask.source import RowSource
    from cloudmask.spec import ModelSpec


def regrid_of(job: FileJob, product: Product, spec: ModelSpec) -> Regrid:
    """Plan the way from the scene's grid to the one that a job runs at.

    Raises:
        OptionError: Metres are wanted of a scene whose pixels have no known size.
    """
    have, shape = metres_a_pixel(product.grid), product.grid.shape
    if job.resolution == "model":
        return Regrid.to(shape, have, spec.pixel_size, spec.resampling)
    if isinstance(job.resolution, str):
        return Regrid.to(shape, None, None)
    if have is None:
        raise OptionError(
            f"resolution={job.resolution:g}: {job.scene.place} has no coordinate reference "
            "system, so its pixels have no known size; choose native"
        )
    return Regrid.to(shape, have, job.resolution, spec.resampling)


CLASSES_BYTES, SPREAD_BYTES, GROWING_BYTES = 6, 48, 40
"""A pixel of rows on their way to the file: class codes, how sure they are, and copies of both;
probabilities of four classes and what is made of them; what finds the distance to the next
cloud."""

PICTURE = 160 * MIB
"""What the quicklook takes, matplotlib included."""


def footprint(job: FileJob, product: Product, regrid: Regrid, spec: ModelSpec) -> Work:
    """Say how much memory the job takes besides the networks, for a plan of it.

    Args:
        job: What to make.
        product: The open scene.
        regrid: Its grid and the network's.
        spec: The network, or the first one.
    """
    bands, _, width = product.raster.shape
    spread, dilate = job.probabilities is not None, job.options.output.dilate
    depth = math.ceil(_radius(job, product, spec))
    pixel = CLASSES_BYTES + spread * SPREAD_BYTES + (GROWING_BYTES if dilate else 0)
    itemsize = product.raster.itemsize
    number = bands * itemsize
    # A row of the network's grid is several of the file's; what is read at once is held twice.
    at_once = 0 if regrid.trivial else math.ceil(ROWS_AT_ONCE * regrid.factor)
    reading = at_once * (2 * number + 16)
    reading += _rows_ahead(job, regrid, spec) * number
    fixed = (reading + 2 * depth * pixel) * width + CACHE_MIB * MIB
    work = job.options.work(
        spec,
        regrid.network_shape,
        itemsize=itemsize if regrid.trivial else 4,
        fixed=fixed + (PICTURE if job.quicklook else 0),
        per_row=math.ceil(regrid.factor * width * pixel),
    )
    return replace(work, spread=spread)


def _rows_ahead(job: FileJob, regrid: Regrid, spec: ModelSpec) -> int:
    """Say how many rows of the file the next step will ask for."""
    if regrid.trivial:
        return job.options.tiling(spec).stride
    return math.ceil(ROWS_AT_ONCE * regrid.factor)


def _radius(job: FileJob, product: Product, spec: ModelSpec) -> float:
    """Give the dilation in pixels of the file; a file without a CRS has the network's."""
    metres = metres_a_pixel(product.grid) or spec.pixel_size
    return job.options.output.dilate / metres


@dataclass(frozen=True, slots=True)
class SceneWork:
    """The work on one open scene."""

    job: FileJob
    """With the options that memory decides."""
    product: Product
    ensemble: Ensemble
    regrid: Regrid
    """The scene's grid and the network's."""
    confidence: Confidence = field(default_factory=Confidence)
    """Counted while the rows pass."""

    @classmethod
    def planned(
        cls, job: FileJob, product: Product, networks: Callable[[FileJob], Ensemble]
    ) -> SceneWork:
        """Choose what memory decides, and open the networks.

        Raises:
            OptionError: It cannot be done in the memory that is allowed.
            ModelError: A network is absent or damaged, or they do not fit together.
        """
        specs = job.options.specs(job.models)
        regrid = regrid_of(job, product, specs[0])
        size = footprint(job, product, regrid, specs[0])
        job = replace(job, options=job.options.fitted(specs, size))
        return cls(job, product, networks(job), regrid)

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        """The networks'."""
        return tuple(model.spec for model in self.ensemble.models)

    @property
    def classes(self) -> tuple[int, ...]:
        """Codes of the classes that the networks know."""
        return self.ensemble.spec.classes

    @property
    def rows_ahead(self) -> int:
        """How many rows of the file the next step will ask for."""
        return _rows_ahead(self.job, self.regrid, self.ensemble.spec)

    def stream(
        self, own: RowSource, tell: Callable[[float], None], client: Any = None
    ) -> Iterator[ClassRows]:
        """Give the rows of the mask on the file's grid.

        Args:
            own: The raster on its own grid.
            tell: Called with the number of file pixels done.
            client: A dask Client whose workers compute; None for this process.
        """
        made = self._made_here(own, tell) if client is None else self._made_there(client, tell)
        radius = _radius(self.job, self.product, self.ensemble.spec)
        return grown(self.confidence.counted(made), self.job.options.output.masked, radius)

    def _made_here(self, own: RowSource, tell: Callable[[float], None]) -> Iterator[ClassRows]:
        options, spec, preset = self.job.options, self.ensemble.spec, self.product.preset
        resampled = None if self.regrid.trivial else Resampled(own, preset, self.regrid)
        # What is resampled is reflectance.
        source, meaning = (resampled, PRESETS["reflectance"]) if resampled else (own, preset)
        tiling = options.tiling(spec)
        y, x = (plan_axis(size, tiling, options.stitch) for size in source.shape[1:])
        plan = Plan(y, x, tiling, options.batch or 1)
        rows = predict_rows(source, plan, self.ensemble, meaning, self._in_file_pixels(tell))
        stream = answered(rows, spec.classes, spread=self.job.probabilities is not None)
        return regridded(stream, self.regrid, resampled.valid) if resampled else stream

    def _made_there(self, client: Any, tell: Callable[[float], None]) -> Iterator[ClassRows]:
        from cloudmask.local.cluster import Order, stream

        order = Order(
            scene=self.job.scene, wanted=self.job.wanted(self.ensemble.spec), regrid=self.regrid,
            ensemble=self.ensemble, options=self.job.options,
            spread=self.job.probabilities is not None,
        )  # fmt: skip
        for rows in stream(order, client):
            yield rows
            tell(rows.y.size * self.product.grid.width)

    def _in_file_pixels(self, tell: Callable[[float], None]) -> Callable[[int], None]:
        return lambda pixels: tell(pixels * self.regrid.factor**2)

    def options(self) -> dict[str, Any]:
        """Say how the scene is masked, as JSON values; alike for scenes that are masked alike."""
        job, tiling, tta = self.job, self.job.options.tiling(self.ensemble.spec), self.ensemble.tta
        asked = (
            job.preset if job.preset is None or isinstance(job.preset, str) else job.preset.name
        )
        return {
            "stitch": job.options.stitch,
            "tile": tiling.tile,
            "overlap": tiling.overlap,
            "tta_depth": tta.depth,
            "tta_adaptive": tta.adaptive,
            "preset": asked,
            "resolution": job.resolution,
            "dilate": job.options.output.dilate,
            "provider": job.options.runtime.provider,
        }

    def tags(self) -> dict[str, str]:
        """Say how the mask was made, for the file's metadata."""
        from cloudmask import __version__

        specs, options = self.specs, self.options()
        same = ("stitch", "tile", "overlap", "tta_depth", "tta_adaptive")
        return {
            "TIFFTAG_SOFTWARE": f"openeo-cloudmask {__version__}",
            "SOURCE": file_name(self.job.scene.place),
            "SCENE": self.job.scene.name,
            "MODEL": "; ".join(spec.name for spec in specs),
            "MODEL_VERSION": "; ".join(spec.version for spec in specs),
            "MODEL_SHA256": "; ".join(spec.sha256 for spec in specs),
            "MODEL_LEVEL": "; ".join(spec.level for spec in specs),
            "MODEL_LICENCE": "; ".join(dict.fromkeys(spec.licence for spec in specs)),
            **{name.upper(): str(options[name]) for name in same},
            "PRESET": self.product.preset.name,
            "FILE_PIXELS_PER_NETWORK_PIXEL": f"{self.regrid.factor:g}",
        }

    def tags_of_classes(self) -> dict[str, str]:
        """Say what was done to the classes alone."""
        return {"DILATED_METRES": f"{self.job.options.output.dilate:g}"}
