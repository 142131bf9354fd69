"""What the core's inner functions take: `make bench-inner`.

On tiles and rows of the sizes that occur: 13 bands for CloudS2Mask, 4 classes, a granule's width.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask import PRESETS
from cloudmask.augment import isolated_pixels
from cloudmask.blend import make_stitcher
from cloudmask.classes import by_class, classify
from cloudmask.fill import fill
from cloudmask.local.grid import Regrid
from cloudmask.local.resample import Resampled
from cloudmask.model import OnnxModel
from cloudmask.source import ArraySource, SourceBand
from cloudmask.testing import fake_spec
from cloudmask.windows import Span, Tiling, plan_axis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudmask.windows import Stitch

TILE, OVERLAP, BANDS, CLASSES = 500, 128, 13, 4
WIDTH = 5490
"""Pixels of a granule at 20 m."""
CODES = (0, 1, 2, 3)


@pytest.fixture(scope="module")
def numbers() -> NDArray[np.uint16]:
    """Give numbers as stored, (band, y, x), no data among them."""
    drawn = np.random.default_rng(0).integers(1, 12000, (BANDS, TILE, WIDTH), np.uint16)
    drawn[:, :, :100] = 0
    return drawn


@pytest.fixture(scope="module")
def probabilities() -> NDArray[np.float32]:
    """Give smooth probabilities of a band of rows, (channel, y, x)."""
    coarse = np.random.default_rng(0).random((CLASSES, TILE // 10, WIDTH // 10), np.float32)
    fine = coarse.repeat(10, axis=1).repeat(10, axis=2)
    return np.asarray(fine / fine.sum(axis=0), np.float32)


@pytest.fixture(scope="module")
def valid(probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell which of those pixels exist: all but a wedge."""
    _, height, width = probabilities.shape
    return np.asarray(np.arange(width) > np.arange(height)[:, None])


def test_preset_valid(benchmark: Any, numbers: NDArray[np.uint16]) -> None:
    """Find no data in a band of rows."""
    benchmark(PRESETS["dn"].valid, numbers)


def test_preset_reflectance(benchmark: Any, numbers: NDArray[np.uint16]) -> None:
    """Turn a tile's numbers into reflectance."""
    benchmark(PRESETS["dn_n0400"].reflectance, numbers[:, :, :TILE])


def test_cut(benchmark: Any, numbers: NDArray[np.uint16]) -> None:
    """Cut a tile out of the rows that are held, as reflectance."""
    band = SourceBand(ArraySource(numbers), PRESETS["dn"])
    band.hold(Span(0, TILE))
    benchmark(band.tile, Span(0, TILE), Span(1000, 1000 + TILE))


@pytest.mark.parametrize("what", ["wedge", "holes"])
def test_fill(benchmark: Any, what: str) -> None:
    """Fill a tile that lacks a corner, or pixels here and there."""
    draw = np.random.default_rng(0)
    tile = draw.random((BANDS, TILE, TILE), np.float32)
    along = np.arange(TILE)
    valid = along > 200 - along[:, None] if what == "wedge" else draw.random((TILE, TILE)) > 0.02
    benchmark(fill, tile, valid)


@pytest.mark.parametrize("stitch", ["blend", "crop"])
def test_stitch(benchmark: Any, stitch: Stitch) -> None:
    """Put a row of tiles together, and take the rows that are done."""
    tiling = Tiling(TILE, OVERLAP)
    x = plan_axis(WIDTH, tiling, stitch)
    y = plan_axis(10 * TILE, tiling, stitch)
    tile = np.random.default_rng(0).random((CLASSES, TILE, TILE), np.float32)

    def row() -> None:
        stitcher = make_stitcher(CLASSES, y, x, tiling)
        for placement in x.placements:
            stitcher.add(tile, y.placements[0], placement)
        stitcher.take(y.settled(0))

    benchmark(row)


def test_classify(
    benchmark: Any, probabilities: NDArray[np.float32], valid: NDArray[np.bool_]
) -> None:
    """Choose the classes of a band of rows."""
    benchmark(classify, probabilities, CODES, valid)


def test_by_class(
    benchmark: Any, probabilities: NDArray[np.float32], valid: NDArray[np.bool_]
) -> None:
    """Spread the channels of a band of rows over the classes."""
    benchmark(by_class, probabilities, CODES, valid)


def test_isolated_pixels(benchmark: Any, probabilities: NDArray[np.float32]) -> None:
    """Ask whether a tile needs another augmentation."""
    benchmark(isolated_pixels, probabilities[:, :, :TILE].argmax(axis=0))


def test_softmax(benchmark: Any) -> None:
    """Make probabilities of a tile's logits, as for networks that end in logits."""
    spec = replace(fake_spec(classes=CODES), softmax=True)
    logits = np.random.default_rng(0).random((1, CLASSES, TILE, TILE), np.float32)
    session = SimpleNamespace(run=lambda _tiles: logits)
    benchmark(OnnxModel(spec, session, (OnnxModel, ())), logits)


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_resample(benchmark: Any, numbers: NDArray[np.uint16], factor: float) -> None:
    """Bring rows to pixels twice or half as large."""
    part = numbers[:4, :, :1098]
    regrid = Regrid(part.shape[1:], factor)

    def first_rows() -> None:
        Resampled(ArraySource(part), PRESETS["dn"], regrid).read(Span(0, 200))

    benchmark(first_rows)
