"""Mask one raster file: the road from the command to the files."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.bands import PRESETS
from cloudmask.cube import DEFAULT_MODEL
from cloudmask.errors import OptionError
from cloudmask.local.ahead import ReadAhead
from cloudmask.local.grid import ROWS_AT_ONCE, Regrid, Resampled, metres_a_pixel
from cloudmask.local.progress import pixel_bar
from cloudmask.local.readers import CACHE_MIB, choose, gdal, opened, warn_of_misfit
from cloudmask.local.stream import answered, grown, regridded
from cloudmask.local.writers import MaskWriter
from cloudmask.memory import MIB
from cloudmask.options import Options
from cloudmask.scene import Plan, predict_rows
from cloudmask.windows import plan_axis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cloudmask.bands import Preset
    from cloudmask.ensemble import Ensemble
    from cloudmask.local.readers import Raster
    from cloudmask.local.stream import ClassRows
    from cloudmask.memory import Needs, Work
    from cloudmask.source import RowSource
    from cloudmask.spec import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class FileJob:
    """What to make of one raster."""

    source: Path
    output: Path
    """GeoTIFF of class codes."""
    models: tuple[Any, ...] = (DEFAULT_MODEL,)
    """Names or paths of networks, or opened ones; several make an ensemble."""
    preset: str | Preset = "dn"
    bands: tuple[str, ...] | None = None
    """Names of the file's bands in their order; None to read them off the file."""
    options: Options = field(default_factory=Options)
    resolution: str | float = "model"
    """Pixel size to run at: "model" for the network's own, "native" for the file's, or metres."""
    probabilities: Path | None = None
    """GeoTIFF of class probabilities to make as well."""
    quicklook: Path | None = None
    """PNG of scene and mask to make as well."""
    quiet: bool = False

    def __post_init__(self) -> None:
        """Refuse to write over what is read or written, and unknown resolutions."""
        self._check_places()
        if isinstance(self.resolution, str):
            if self.resolution not in ("model", "native"):
                raise OptionError(
                    f"resolution={self.resolution!r}: 'model', 'native' or a number of metres"
                )
        elif not self.resolution > 0 or self.resolution == math.inf:
            raise OptionError(
                f"resolution={self.resolution}: must be greater than 0 metres, and finite"
            )

    def _check_places(self) -> None:
        taken = {self.source.resolve(): "the input"}
        for path, (kind, suffixes) in self._outputs:
            if path.suffix.lower() not in suffixes:
                raise OptionError(
                    f"{path}: {kind} is written, so the name must end in {suffixes[0]}"
                )
            if not path.parent.is_dir():
                raise OptionError(f"{path.parent}: there is no such folder, for {path.name}")
            if path.resolve() in taken:
                raise OptionError(f"{path}: is {taken[path.resolve()]} too; choose another name")
            taken[path.resolve()] = "another output"

    @property
    def _outputs(self) -> list[tuple[Path, tuple[str, tuple[str, ...]]]]:
        """The files to make, with their format, less what always lies beside the mask."""
        tif, png = ("a GeoTIFF", (".tif", ".tiff")), ("a PNG", (".png",))
        some = ((self.output, tif), (self.probabilities, tif), (self.quicklook, png))
        return [(path, kind) for path, kind in some if path is not None]


@dataclass(frozen=True, slots=True)
class Summary:
    """What was made."""

    shares: dict[str, float]
    """Percentage of each class that the network knows among valid pixels; `no_data` among all."""

    def sentence(self) -> str:
        """Say the shares in words."""
        words = {name.replace("_", " "): f"{share:.1f} %" for name, share in self.shares.items()}
        absent = words.pop("no data")
        valid = ", ".join(f"{name} {share}" for name, share in words.items())
        return f"{valid} of the valid pixels; no data {absent} of all"


def mask_file(job: FileJob) -> Summary:
    """Mask a raster file, by bands of rows; the files appear when all is done.

    Raises:
        CloudmaskError: See the kinds in `cloudmask.errors`.
    """
    with gdal(), opened(job.source) as dataset:
        specs = job.options.specs(job.models)
        raster, preset = choose(dataset, specs[0].bands, job.preset, job.bands)
        regrid = _regrid(job, dataset, specs[0])
        size = footprint(job, raster, regrid, specs[0])
        job = replace(job, options=job.options.fitted(specs, size))
        ensemble = job.options.ensemble(job.models)
        warn_of_misfit(raster, preset)
        work = _Work(job, ensemble, preset, regrid, _radius(job, raster, specs[0]))
        ahead = ReadAhead(raster, _rows_ahead(job, regrid, specs[0]))
        with ahead, MaskWriter(job.output, dataset, job.probabilities) as writer:
            pixels = dataset.width * dataset.height
            with pixel_bar(job.source.name, pixels, quiet=job.quiet) as tell:
                for rows in work.stream(ahead, tell):
                    writer.write(rows.y, rows.classes, rows.spread)
            grown_by = {"DILATED_METRES": f"{job.options.output.dilate:g}"}
            of_classes = writer.counts.tags(ensemble.spec.classes) | grown_by
            writer.finish(_tags(job, ensemble, work.regrid), of_classes)
        if job.quicklook:
            _draw(job, job.quicklook)
    return Summary(writer.counts.shares(ensemble.spec.classes))


def estimate(job: FileJob) -> Needs:
    """Estimate the memory that `mask_file` takes; no network is opened.

    Raises:
        CloudmaskError: See the kinds in `cloudmask.errors`.
    """
    with gdal(), opened(job.source) as dataset:
        specs = job.options.specs(job.models)
        raster, _ = choose(dataset, specs[0].bands, job.preset, job.bands)
        size = footprint(job, raster, _regrid(job, dataset, specs[0]), specs[0])
        return job.options.needs(specs, size)


def _draw(job: FileJob, path: Path) -> None:
    from cloudmask.local.picture import quicklook  # matplotlib takes a second to load

    quicklook(path, job.source, job.output, job.preset, job.bands)


def _regrid(job: FileJob, dataset: Any, spec: ModelSpec) -> Regrid:
    have, shape = metres_a_pixel(dataset), (dataset.height, dataset.width)
    if job.resolution == "model":
        return Regrid.to(shape, have, spec.pixel_size)
    if isinstance(job.resolution, str):
        return Regrid.to(shape, None, None)
    if have is None:
        raise OptionError(
            f"resolution={job.resolution:g}: {job.source} has no coordinate reference system, so "
            "its pixels have no known size; choose native"
        )
    return Regrid.to(shape, have, job.resolution)


CLASSES_BYTES, SPREAD_BYTES, GROWING_BYTES = 3, 48, 40
"""A pixel of rows on their way to the file: class codes and their copies; probabilities of four
classes and what is made of them; what finds the distance to the next cloud."""

PICTURE = 160 * MIB
"""What the quicklook takes, matplotlib included."""


def footprint(job: FileJob, raster: Raster, regrid: Regrid, spec: ModelSpec) -> Work:
    """Say how much memory the job takes besides the networks, for a plan of it.

    Args:
        job: What to make.
        raster: The chosen bands of the file.
        regrid: The file's grid and the network's.
        spec: The network, or the first one.
    """
    bands, _, width = raster.shape
    spread, dilate = job.probabilities is not None, job.options.output.dilate
    depth = math.ceil(_radius(job, raster, spec))
    pixel = CLASSES_BYTES + spread * SPREAD_BYTES + (GROWING_BYTES if dilate else 0)
    dtypes = [raster.dataset.dtypes[index - 1] for index in raster.indexes]
    itemsize = np.result_type(*dtypes).itemsize
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


def _radius(job: FileJob, raster: Raster, spec: ModelSpec) -> float:
    """Give the dilation in pixels of the file; a file without a CRS has the network's."""
    metres = metres_a_pixel(raster.dataset) or spec.pixel_size
    return job.options.output.dilate / metres


def _in_file_pixels(tell: Callable[[float], None], regrid: Regrid) -> Callable[[int], None]:
    return lambda pixels: tell(pixels * regrid.factor**2)


@dataclass(frozen=True, slots=True)
class _Work:
    """The stream of rows of one job."""

    job: FileJob
    ensemble: Ensemble
    preset: Preset
    regrid: Regrid
    radius: float
    """Dilation in pixels of the file."""

    def stream(self, own: RowSource, tell: Callable[[float], None]) -> Iterator[ClassRows]:
        """Give the rows of the mask on the file's grid.

        Args:
            own: The raster on its own grid.
            tell: Called with the number of file pixels done.
        """
        options, spec = self.job.options, self.ensemble.spec
        told = _in_file_pixels(tell, self.regrid)
        resampled = None if self.regrid.trivial else Resampled(own, self.preset, self.regrid)
        # What is resampled is reflectance.
        source, preset = (resampled, PRESETS["reflectance"]) if resampled else (own, self.preset)
        tiling = options.tiling(spec)
        y, x = (plan_axis(size, tiling, options.stitch) for size in source.shape[1:])
        plan = Plan(y, x, tiling, options.batch or 1)
        rows = predict_rows(source, plan, self.ensemble, preset, told)
        stream = answered(rows, spec.classes, spread=self.job.probabilities is not None)
        if resampled:
            stream = regridded(stream, self.regrid, resampled.valid)
        return grown(stream, options.output.masked, self.radius)


def _tags(job: FileJob, ensemble: Ensemble, regrid: Regrid) -> dict[str, str]:
    """Say how the mask was made, for the file's metadata."""
    from cloudmask import __version__

    specs = [model.spec for model in ensemble.models]
    tiling = job.options.tiling(ensemble.spec)
    return {
        "TIFFTAG_SOFTWARE": f"openeo-cloudmask {__version__}",
        "SOURCE": job.source.name,
        "MODEL": "; ".join(spec.name for spec in specs),
        "MODEL_VERSION": "; ".join(spec.version for spec in specs),
        "MODEL_SHA256": "; ".join(spec.sha256 for spec in specs),
        "MODEL_LEVEL": "; ".join(spec.level for spec in specs),
        "MODEL_LICENCE": "; ".join(dict.fromkeys(spec.licence for spec in specs)),
        "STITCH": job.options.stitch,
        "TILE": str(tiling.tile),
        "OVERLAP": str(tiling.overlap),
        "TTA_DEPTH": str(ensemble.tta.depth),
        "TTA_ADAPTIVE": str(ensemble.tta.adaptive),
        "PRESET": job.preset if isinstance(job.preset, str) else job.preset.name,
        "FILE_PIXELS_PER_NETWORK_PIXEL": f"{regrid.factor:g}",
    }
