"""Tiles to try networks on and to calibrate them with: real ones if given, else simulated."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from cloudmask.bands import PRESETS, positions
from cloudmask_export.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask.bands import Preset
    from cloudmask.source import RowSource
    from cloudmask.spec import ModelSpec

    Tile = NDArray[np.float32]

EDGE = 256
"""Pixels. A network's own tile may be larger; its speed and its ranges are much the same."""
CALIBRATION, HELD_OUT = 12, 4


@dataclass(frozen=True, slots=True)
class Tiles:
    """Some tiles to calibrate with, and others to judge by."""

    calibration: tuple[Tile, ...]
    """(band, y, x) reflectance each."""
    held_out: tuple[Tile, ...]
    source: str
    """Where they come from, in words."""


def tiles(
    spec: ModelSpec, imagery: Sequence[Path] = (), preset: str = "dn", *, calibrate: bool = True
) -> Tiles:
    """Cut tiles from rasters, or simulate some.

    Args:
        spec: The network that they are for.
        imagery: Rasters that have its bands; none for simulated scenes.
        preset: What their numbers mean.
        calibrate: Whether tiles to calibrate with are needed; simulating them takes time.

    Raises:
        ExportError: The rasters hold fewer than two tiles without no data.
    """
    if not imagery:
        seeds = range(HELD_OUT), range(HELD_OUT, HELD_OUT + CALIBRATION * calibrate)
        held_out, calibration = (tuple(_simulated(spec, each)) for each in seeds)
        return Tiles(calibration, held_out, "simulated scenes")
    paths = list(dict.fromkeys(path.resolve() for path in imagery))
    # No more than are taken below: a whole scene cut into tiles would not fit into memory.
    each = -(-2 * CALIBRATION // len(paths))
    found = [tile for path in paths for tile in islice(_cut(path, spec, preset), each)]
    if len(found) < 2:  # noqa: PLR2004
        raise ExportError(
            f"{', '.join(map(str, paths))}: {len(found)} tiles of {EDGE} pixels without no data; "
            "two are needed at least, one to calibrate with and one to judge by"
        )
    source = ", ".join(path.name for path in paths)
    return Tiles(tuple(found[::2][:CALIBRATION]), tuple(found[1::2][:HELD_OUT]), source)


def _simulated(spec: ModelSpec, seeds: range) -> Iterator[Tile]:
    """Simulate a scene a seed, with all that a scene may have in varying amounts."""
    from cloudmask.local.simulator import SceneSettings, simulate

    for seed in seeds:
        varied = np.random.default_rng(seed)
        scene = simulate(
            SceneSettings(
                shape=(EDGE, EDGE),
                seed=seed,
                pixel_size=spec.pixel_size,
                thick_cover=float(varied.uniform(0.05, 0.5)),
                thin_cover=float(varied.uniform(0.1, 0.3)),
                sun_zenith=float(varied.uniform(20, 65)),
                no_data_edge=False,
            )
        )
        chosen = scene.reflectance_dn[positions(scene.bands, spec.bands)]
        yield PRESETS["dn"].reflectance(chosen)


def _cut(path: Path, spec: ModelSpec, preset: str) -> Iterator[Tile]:
    """Cut the scenes of a path into tiles side by side; those with no data are left out."""
    from cloudmask.local.product import Wanted
    from cloudmask.local.readers import find_scenes, gdal, warn_of_misfit

    wanted = Wanted(bands=spec.bands, pixel_size=spec.pixel_size, preset=preset)
    for scene in find_scenes(path):
        with gdal(), scene.opened(wanted) as product:
            warn_of_misfit(product.raster, product.preset)
            yield from _side_by_side(product.raster, product.preset)


def _side_by_side(raster: RowSource, meaning: Preset) -> Iterator[Tile]:
    from cloudmask.windows import Span

    _, height, width = raster.shape
    for top in range(0, height - EDGE + 1, EDGE):
        rows = raster.read(Span(top, top + EDGE))
        for left in range(0, width - EDGE + 1, EDGE):
            numbers = rows[:, :, left : left + EDGE]
            if meaning.valid(numbers).all():
                yield meaning.reflectance(numbers)
