"""Mask one raster file: the road from the command to the files."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudmask.bands import PRESETS
from cloudmask.cube import DEFAULT_MODEL
from cloudmask.errors import OptionError
from cloudmask.local.grid import Regrid, Resampled, metres_a_pixel
from cloudmask.local.progress import pixel_bar
from cloudmask.local.readers import choose, gdal, opened, warn_of_misfit
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
    from cloudmask.scene import RowSource


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
    ensemble = job.options.ensemble(job.models)
    with gdal(), opened(job.source) as dataset:
        raster, preset = choose(dataset, ensemble.spec.bands, job.preset, job.bands)
        warn_of_misfit(raster, preset)
        work = _Work(job, ensemble, preset, _regrid(job, dataset, ensemble))
        with MaskWriter(job.output, dataset, job.probabilities) as writer:
            pixels = dataset.width * dataset.height
            with pixel_bar(job.source.name, pixels, quiet=job.quiet) as tell:
                for rows in work.stream(raster, tell):
                    writer.write(rows.y, rows.classes, rows.spread)
            grown_by = {"DILATED_METRES": f"{job.options.output.dilate:g}"}
            of_classes = writer.counts.tags(ensemble.spec.classes) | grown_by
            writer.finish(_tags(job, ensemble, work.regrid), of_classes)
        if job.quicklook:
            _draw(job, job.quicklook)
    return Summary(writer.counts.shares(ensemble.spec.classes))


def _draw(job: FileJob, path: Path) -> None:
    from cloudmask.local.picture import quicklook  # matplotlib takes a second to load

    quicklook(path, job.source, job.output, job.preset, job.bands)


def _regrid(job: FileJob, dataset: Any, ensemble: Ensemble) -> Regrid:
    have, shape = metres_a_pixel(dataset), (dataset.height, dataset.width)
    if job.resolution == "model":
        return Regrid.to(shape, have, ensemble.spec.pixel_size)
    if isinstance(job.resolution, str):
        return Regrid.to(shape, None, None)
    if have is None:
        raise OptionError(
            f"resolution={job.resolution:g}: {job.source} has no coordinate reference system, so "
            "its pixels have no known size; choose native"
        )
    return Regrid.to(shape, have, job.resolution)


def _in_file_pixels(tell: Callable[[float], None], regrid: Regrid) -> Callable[[int], None]:
    return lambda pixels: tell(pixels * regrid.factor**2)


@dataclass(frozen=True, slots=True)
class _Work:
    """The stream of rows of one job."""

    job: FileJob
    ensemble: Ensemble
    preset: Preset
    regrid: Regrid

    def stream(self, own: Raster, tell: Callable[[float], None]) -> Iterator[ClassRows]:
        """Give the rows of the mask on the file's grid.

        Args:
            own: The raster on its own grid.
            tell: Called with the number of file pixels done.
        """
        options, spec = self.job.options, self.ensemble.spec
        told = _in_file_pixels(tell, self.regrid)
        source, preset = self._on_network_grid(own)
        tiling = options.tiling(spec)
        y, x = (plan_axis(size, tiling, options.stitch) for size in source.shape[1:])
        rows = predict_rows(source, Plan(y, x, tiling, options.batch), self.ensemble, preset, told)
        stream = answered(rows, spec.classes, spread=self.job.probabilities is not None)
        if not self.regrid.trivial:
            stream = regridded(stream, self.regrid, own, self.preset)
        return grown(stream, options.output.masked, self._radius(own))

    def _on_network_grid(self, own: Raster) -> tuple[RowSource, Preset]:
        """Give the raster on the network's grid, and what its numbers mean there."""
        if self.regrid.trivial:
            return own, self.preset
        return Resampled(own, self.preset, self.regrid), PRESETS["reflectance"]

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
