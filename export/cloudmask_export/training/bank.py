"""All images of a training, with their labels, ready to be drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cloudmask.bands import SENTINEL2
from cloudmask.local.readers import gdal
from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask_export.errors import ExportError
from cloudmask_export.training import pairs, skies
from cloudmask_export.training.labelled import chips, is_held
from cloudmask_export.training.sets import IS_CLEAR, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudmask_export.training.labelled import Chip
    from cloudmask_export.training.recipe import Recipe

SCALE = 10_000
EDGE = 256
"""Pixels along an edge of every image, of 10 m."""
FINE = 10.0
"""Metres."""
WET = 0.08
"""B08 of water, at most."""
OF_WATER = 0.15
SELDOM = 4
KINDS = ("composed", "simulated", "real")
BANDS = tuple(SENTINEL2)


@dataclass(frozen=True, slots=True)
class Bank:
    """Images and labels."""

    images: NDArray[np.uint16]
    """(image, band, y, x): reflectance x 10000, bands of the recipe."""
    sets: NDArray[np.uint8]
    """(image, y, x): sets of classes."""
    kinds: NDArray[np.uint8]
    """(image,): which of `KINDS`."""
    weights: NDArray[np.float32]
    """(image,): how often each is drawn, compared with others of its kind."""

    def draw(
        self, count: int, shares: tuple[float, ...], rng: np.random.Generator
    ) -> NDArray[np.intp]:
        """Choose images, kind by kind as often as asked, whatever is there of each."""
        there = np.bincount(self.kinds, self.weights, minlength=len(KINDS))
        wanted = np.where(there > 0, shares, 0.0) / np.where(there > 0, there, 1.0)
        chance = wanted[self.kinds] * self.weights
        return rng.choice(len(self.kinds), size=count, p=chance / chance.sum())


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images of one place."""

    name: str
    group: str
    cloudy: NDArray[np.float32]
    clear: NDArray[np.float32]
    """(13, y, x) reflectance each."""

    def sets(self) -> NDArray[np.uint8]:
        """Label the cloudy image (y, x)."""
        cloudy, clear = (dict(zip(BANDS, each, strict=True)) for each in (self.cloudy, self.clear))
        return pairs.labels(cloudy, clear)


def read_pairs(folder: Path) -> Iterator[Pair]:
    """Read `NAME_cloudy.tif` and `NAME_clear.tif`, in order of their names."""
    for path in sorted(folder.glob("*_cloudy.tif")):
        name = path.name.removesuffix("_cloudy.tif")
        other = path.with_name(f"{name}_clear.tif")
        if not other.is_file():
            raise ExportError(f"{path}: {other.name} is missing beside it")
        yield Pair(name, name.rpartition("_p")[0], _read(path), _read(other))


def _read(path: Path) -> NDArray[np.float32]:
    import rasterio

    with gdal(), rasterio.open(path) as file:
        if (file.count, file.height, file.width) != (len(BANDS), EDGE, EDGE):
            raise ExportError(
                f"{path}: {file.count} bands of {file.height} x {file.width} px; "
                f"{len(BANDS)} of {EDGE} x {EDGE} are needed"
            )
        return np.asarray(file.read(), np.float32) / np.float32(SCALE)


def build(recipe: Recipe, tell: Callable[[str], None] = lambda _words: None) -> tuple[Bank, Bank]:
    """Read, label, compose and simulate.

    Returns:
        What to train on, and what is held out: real images of its groups.
    """
    found = [pair for folder in recipe.sources.pairs for pair in read_pairs(folder)]
    held = set(recipe.sources.hold_out)
    cut = [chip for path in recipe.sources.labelled for chip in chips(path, recipe.bands, tell)]
    _check_held(recipe.sources.hold_out, found, cut)
    mine = [pair for pair in found if pair.group not in held]
    away = [pair for pair in found if pair.group in held]
    bands = [BANDS.index(band) for band in recipe.bands]
    tell("labels")
    real: dict[bool, list[Part]] = {True: [], False: []}
    for chip in cut:
        real[is_held(chip, held)].append(("real", chip.image, chip.sets))
    parts = [*_real(mine), *real[False], *_composed(recipe, mine, tell), *_simulated(recipe, tell)]
    return _stacked(parts, bands), _stacked([*_real(away), *real[True]], bands)


def _check_held(held: Sequence[str], found: Sequence[Pair], cut: Sequence[Chip]) -> None:
    """Refuse a group to hold out that no image is of."""
    groups = {pair.group for pair in found}
    for each in held:
        if each not in groups and not any(is_held(chip, (each,)) for chip in cut):
            there = sorted(groups | {chip.group for chip in cut})
            raise ExportError(f"hold_out {each!r}: groups there are {', '.join(there)}")


Part = tuple[str, "NDArray[np.float32]", "NDArray[np.uint8]"]


def _real(found: list[Pair]) -> Iterator[Part]:
    for pair in found:
        yield "real", pair.cloudy, pair.sets()
        yield "real", pair.clear, np.full(pair.clear.shape[1:], IS_CLEAR, np.uint8)


def _composed(recipe: Recipe, found: list[Pair], tell: Callable[[str], None]) -> Iterator[Part]:
    grounds = _evenly(found)
    for number in range(recipe.sources.composed if found else 0):
        rng = np.random.default_rng([recipe.seed, 1, number])
        clear = next(grounds).clear
        tell(f"clouds over real ground, {number + 1} of {recipe.sources.composed}")
        yield "composed", *skies.under(skies.draw(rng), _turned(clear, rng), FINE, rng)


def _evenly(found: list[Pair]) -> Iterator[Pair]:
    """Go through the places over and over, as often through a small group as through a large one.

    Water comes once in `SELDOM` times.
    """
    groups: dict[str, list[Pair]] = {}
    for pair in found:
        groups.setdefault(pair.group, []).append(pair)
    turn = 0
    while True:
        for members in groups.values():
            if not _is_water(members[0].clear):
                yield members[turn % len(members)]
            elif turn % SELDOM == 0:
                yield members[turn // SELDOM % len(members)]
        turn += 1


def _turned(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    turned = np.rot90(image, int(rng.integers(4)), axes=(1, 2))
    return np.ascontiguousarray(turned[:, :, ::-1] if rng.integers(2) else turned)


def _simulated(recipe: Recipe, tell: Callable[[str], None]) -> Iterator[Part]:
    for number in range(recipe.sources.simulated):
        rng = np.random.default_rng([recipe.seed, 2, number])
        tell(f"simulated ground, {number + 1} of {recipe.sources.simulated}")
        clear = _ground(rng)
        yield "simulated", *skies.under(skies.draw(rng), clear, FINE, rng)


def _ground(rng: np.random.Generator) -> NDArray[np.float32]:
    snow = float(rng.uniform(50.0, 400.0)) if rng.random() < 0.35 else None  # noqa: PLR2004
    scene = simulate(
        SceneSettings(
            shape=(EDGE, EDGE),
            pixel_size=float(rng.choice([10.0, 20.0])),
            seed=int(rng.integers(2**31)),
            sun_zenith=float(rng.uniform(20.0, 68.0)),
            sun_azimuth=float(rng.uniform(60.0, 300.0)),
            thick_cover=0.0,
            thin_cover=0.0,
            no_data_edge=False,
            water_vapour=float(rng.uniform(0.3, 4.5)),
            aerosol=float(rng.uniform(0.03, 0.35)),
            relief=float(np.exp(rng.uniform(np.log(20.0), np.log(1_200.0)))),
            snow_line=snow,
        )
    )
    return scene.reflectance_dn.astype(np.float32) / np.float32(SCALE)


def _stacked(parts: list[Part], bands: list[int]) -> Bank:
    images = np.empty((len(parts), len(bands), EDGE, EDGE), np.uint16)
    sets = np.full((len(parts), EDGE, EDGE), UNKNOWN, np.uint8)
    kinds, weights = np.empty(len(parts), np.uint8), np.empty(len(parts), np.float32)
    for number, (kind, image, labels) in enumerate(parts):
        images[number] = np.clip(np.rint(image[bands] * SCALE), 1, 65_535)
        sets[number], kinds[number] = labels, KINDS.index(kind)
        weights[number] = OF_WATER if _is_water(image) else 1.0
    return Bank(images, sets, kinds, weights)


def _is_water(image: NDArray[np.float32]) -> bool:
    """Tell whether a (13, y, x) image is nothing but water, which is all alike."""
    return float(np.quantile(image[BANDS.index("B08")], 0.9)) < WET
