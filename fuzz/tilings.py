"""Tilings: every pixel has exactly one answer, and chunks answer as the whole does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np
import xarray as xr
from hypothesis import strategies as st

from cloudmask.augment import TTA
from cloudmask.classes import Output
from cloudmask.cube import mask_clouds
from cloudmask.errors import CloudmaskError
from cloudmask.options import Options
from cloudmask.spec import ModelSpec
from cloudmask.strategies import tilings
from cloudmask.windows import Stitch, Tiling, plan_axis
from fuzz.checks import check_equal, must
from fuzz.drive import Driven, UndocumentedError
from fuzz.guards import HangError
from fuzz.networks import surrounded
from fuzz.patience import patient

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloudmask.windows import AxisPlan
    from fuzz.tally import Target

MOST_TILES = 250
"""In an image; a bound of a trial's time, nothing more."""
MOST_CHUNKS = 5
"""Along an axis; the same."""
BANDS = ("B02", "B08")


@dataclass(frozen=True, slots=True)
class Cut:
    """An image, and how it is cut into tiles and into chunks."""

    shape: tuple[int, int]
    """Pixels (y, x)."""
    tiling: Tiling
    stitch: Stitch
    chunk: int
    """See `cloudmask.Options.chunk`."""
    chunks: tuple[int, ...]
    """Pixels (y, x) of the chunks that dask has before."""
    depth: int
    """Of the augmentation."""
    seed: int

    @property
    def options(self) -> Options:
        """The same as options."""
        return Options(
            stitch=self.stitch,
            tile=self.tiling.tile,
            overlap=self.tiling.overlap,
            chunk=self.chunk,
            tta=TTA(depth=self.depth),
            output=Output(layout="probabilities"),
        )


@st.composite
def cuts(draw: st.DrawFn) -> Cut:
    """Draw images, long ones of one or few rows among them, and ways to cut them."""
    long, short = draw(st.integers(1, 700)), draw(st.integers(1, 40))
    shape = (long, short) if draw(st.booleans()) else (short, long)
    return Cut(
        shape,
        draw(tilings(largest=96, least_stride=int((long * short / MOST_TILES) ** 0.5) + 1)),
        draw(st.sampled_from(get_args(Stitch))),
        draw(st.integers(long // MOST_CHUNKS + 1, 300)),
        tuple(draw(st.integers(size // MOST_CHUNKS + 1, size + 9)) for size in shape),
        draw(st.sampled_from([0, 0, 0, 2])),
        draw(st.integers(0, 2**16)),
    )


def judge(cut: Cut) -> str:
    """Look at the plan of each axis, then compare chunks with the whole.

    Raises:
        UndocumentedError: A promise is broken.
    """
    try:
        with patient():
            for length in cut.shape:
                check_plan(plan_axis(length, cut.tiling, cut.stitch), length, cut.tiling)
            _compare(cut)
    except HangError as error:
        raise UndocumentedError(str(error)) from error
    except CloudmaskError as error:
        message = f"a sound tiling is refused: {type(error).__name__}: {error}"
        raise UndocumentedError(message) from error
    return "answered"


def check_plan(plan: AxisPlan, length: int, tiling: Tiling) -> None:
    """Count, pixel by pixel, whose it is and who sees it.

    Raises:
        UndocumentedError: A pixel has no tile of its own, or two; or the plan is not ordered.
    """
    owners, seen = np.zeros(length, int), np.zeros(length, bool)
    for placement in plan.placements:
        window, core = placement.window, placement.core
        must(window.size == tiling.tile, f"{window} is no tile of {tiling.tile}")
        must(window.start <= core.start <= core.stop <= window.stop, f"{core} not in {window}")
        owners[core.slice] += 1
        seen[max(0, window.start) : max(0, window.stop)] = True
    must((owners == 1).all(), f"pixels have {np.unique(owners)} tiles of their own")
    must(seen.all(), "a pixel is in no tile")
    final = [plan.settled(number) for number in range(len(plan.placements))]
    must(final == sorted(final), "rows are final before earlier ones")
    must(final[-1] == length, "the last rows are never final")


def _compare(cut: Cut) -> None:
    spec = ModelSpec(name="fake", bands=BANDS, classes=(0, 1, 3), tile=16, overlap=4)
    cube = xr.DataArray(_numbers(cut), dims=("bands", "y", "x"), coords={"bands": list(BANDS)})
    whole, chunked = (
        mask_clouds(each, surrounded(spec), preset="reflectance", options=cut.options)
        for each in (cube, cube.chunk(y=cut.chunks[0], x=cut.chunks[1]))
    )
    check_equal(whole, chunked.compute(scheduler="sync"), "cutting into chunks")


def _numbers(cut: Cut) -> NDArray[np.float32]:
    """Draw (band, y, x) reflectances, with a corner and some pixels of no data."""
    random = np.random.default_rng(cut.seed)
    numbers = random.uniform(0.02, 0.9, (len(BANDS), *cut.shape)).astype(np.float32)
    rows, columns = (int(random.integers(0, size + 1)) // 2 for size in cut.shape)
    numbers[:, :rows, :columns] = np.nan
    numbers[:, random.random(cut.shape) < random.choice([0, 0.01])] = np.nan
    return numbers


AGAIN = "from fuzz.again import *; judge_tiling({case})"

TARGETS: tuple[Target, ...] = (Driven("tilings", "tilings", 1000, cuts(), judge, AGAIN),)
