"""Mask one raster file: the road from the command to the files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudmask.cube import DEFAULT_MODEL
from cloudmask.errors import CubeError, OptionError
from cloudmask.local.grid import Regrid, metres_a_pixel
from cloudmask.local.progress import pixel_bar
from cloudmask.local.readers import choose, gdal, on_grid, opened, warn_of_misfit
from cloudmask.local.stream import answered, grown, regridded
from cloudmask.local.writers import MaskWriter
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
    quiet: bool = False

    def __post_init__(self) -> None:
        """Refuse to write over what is read, and unknown resolutions."""
        if self.output.absolute() == self.source.absolute():
            raise OptionError(f"{self.output}: is the input too; choose another output")
        if self.output.suffix.lower() not in (".tif", ".tiff"):
            raise OptionError(f"{self.output}: a GeoTIFF is written, so the name must end in .tif")
        if isinstance(self.resolution, str) and self.resolution not in ("model", "native"):
            raise OptionError(
                f"resolution={self.resolution!r}: 'model', 'native' or a number of metres"
            )
        if not isinstance(self.resolution, str) and not self.resolution > 0:
            raise OptionError(f"resolution={self.resolution}: must be greater than 0 metres")


@dataclass(frozen=True, slots=True)
class Summary:
    """What was made."""

    output: Path
    shares: dict[str, float]
    """Percentage of each class among valid pixels; `no_data` among all."""
    regrid: Regrid

    def sentence(self) -> str:
        """Say the shares in words."""
        parts = [f"{name.replace('_', ' ')} {share:.1f} %" for name, share in self.shares.items()]
        return ", ".join(parts)


def mask_file(job: FileJob) -> Summary:
    """Mask a raster file, by bands of rows; the files appear when all is done.

    Raises:
        CloudmaskError: See the kinds in `cloudmask.errors`.
    """
    ensemble = job.options.ensemble(job.models)
    with gdal(), opened(job.source) as dataset:
        raster, preset = choose(dataset, ensemble.spec.bands, job.preset, job.bands)
        if not dataset.width or not dataset.height:
            raise CubeError(f"{job.source}: has no pixels")
        warn_of_misfit(raster, preset)
        regrid = _regrid(job, dataset, ensemble)
        with MaskWriter(job.output, dataset, job.probabilities) as writer:
            with (
                pixel_bar(
                    job.source.name, dataset.width * dataset.height, quiet=job.quiet
                ) as tell,
                on_grid(raster, regrid) as source,
            ):
                told = _in_file_pixels(tell, regrid)
                work = _Work(job, ensemble, preset, regrid)
                for rows in work.stream(source, raster, told):
                    writer.write(rows.y, rows.classes, rows.spread)
            writer.finish(_tags(job, ensemble, regrid))
    return Summary(job.output, writer.counts.shares(), regrid)


def _regrid(job: FileJob, dataset: Any, ensemble: Ensemble) -> Regrid:
    want = ensemble.spec.pixel_size if job.resolution == "model" else job.resolution
    shape = (dataset.height, dataset.width)
    return Regrid.to(
        shape, metres_a_pixel(dataset), None if isinstance(want, str) else float(want)
    )


def _in_file_pixels(tell: Callable[[float], None], regrid: Regrid) -> Callable[[int], None]:
    return lambda pixels: tell(pixels * regrid.factor**2)


@dataclass(frozen=True, slots=True)
class _Work:
    """The stream of rows of one job."""

    job: FileJob
    ensemble: Ensemble
    preset: Preset
    regrid: Regrid

    def stream(
        self, source: Raster, own: Raster, told: Callable[[int], None]
    ) -> Iterator[ClassRows]:
        """Give the rows of the mask on the file's grid.

        Args:
            source: The raster on the network's grid.
            own: The raster on its own grid.
            told: Called with the number of network pixels done.
        """
        options, spec = self.job.options, self.ensemble.spec
        tiling = options.tiling(spec)
        y, x = (plan_axis(size, tiling, options.stitch) for size in source.shape[1:])
        plan = Plan(y, x, tiling, options.batch)
        rows = predict_rows(source, plan, self.ensemble, self.preset, told)
        stream = answered(rows, spec.classes, spread=self.job.probabilities is not None)
        if not self.regrid.trivial:
            stream = regridded(stream, self.regrid, own, self.preset)
        return grown(stream, options.output.masked, self._radius(own))

    def _radius(self, own: Raster) -> float:
        """Give the dilation in pixels of the file; a file without a CRS has the network's."""
        metres = metres_a_pixel(own.dataset) or self.ensemble.spec.pixel_size
        return self.job.options.output.dilate / metres


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
        "MODEL_LICENCE": "; ".join(dict.fromkeys(spec.licence for spec in specs)),
        "STITCH": job.options.stitch,
        "TILE": str(tiling.tile),
        "OVERLAP": str(tiling.overlap),
        "TTA_DEPTH": str(ensemble.tta.depth),
        "TTA_ADAPTIVE": str(ensemble.tta.adaptive),
        "PRESET": job.preset if isinstance(job.preset, str) else job.preset.name,
        "FILE_PIXELS_PER_NETWORK_PIXEL": f"{regrid.factor:g}",
        "DILATED_METRES": f"{job.options.output.dilate:g}",
    }
