"""Cubes that can be masked, and cubes that must be refused."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from cloudmask.bands import SENTINEL2, Preset, aliases_of, find_preset
from cloudmask.cube import DIMENSIONS
from cloudmask.strategies.coordinates import ODDITIES
from cloudmask.strategies.faults import FAULTS
from cloudmask.strategies.pixels import DTYPES, MEMORY, PATTERNS, fillers, fits
from cloudmask.strategies.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from hypothesis.strategies import SearchStrategy

FOUR = ("B02", "B03", "B04", "B08")
"""Bands of the network that masks by default."""

LARGEST = 700
"""Pixels along an edge of the largest cube."""

CELLS = 2_000_000
"""Numbers in a cube at most: one that is large in all dimensions at once is slow, nothing more."""

LONGEST = (5, 12, 40, 40, 130, LARGEST)
"""Edges up to which sizes are drawn, each as often: small cubes find as much, and sooner."""

OTHER_BANDS = ("SCL", "AOT", "sunZenithAngles", "dataMask", "B99", "")
"""What stands beside the spectral bands."""


def cubes(
    bands: Sequence[str] = FOUR,
    preset: str | Preset = "dn",
    *,
    largest: int = LARGEST,
    dtypes: Sequence[str] | None = None,
    dask: bool | None = None,
) -> SearchStrategy[xr.DataArray]:
    """Draw cubes that `cloudmask.mask_clouds` masks, awkward in all ways in which cubes are.

    Dimensions (2 to 4) have any accepted names and stand in any order; a cube for one band may
    lack the band dimension. There are other bands than the needed ones, doubled ones among them,
    and all have any of their names. There are gaps or none, no dates, one or several, coordinates
    that are missing or odd. Numbers are numpy's or dask's, and lie in memory in several ways.

    Args:
        bands: Sentinel-2 names of the bands that must be there.
        preset: What the numbers mean; say the same to `mask_clouds`.
        largest: Pixels along an edge of the largest cube.
        dtypes: Names of numpy dtypes of real numbers to draw from; default all that can hold such
            numbers, so that nobody doubts the preset.
        dask: Whether cubes are chunked; default both, if dask is installed.
    """
    return recipes(bands, preset, largest=largest, dtypes=dtypes, dask=dask).map(Recipe.cube)


@st.composite
def recipes(
    draw: st.DrawFn,
    bands: Sequence[str] = FOUR,
    preset: str | Preset = "dn",
    *,
    largest: int = LARGEST,
    dtypes: Sequence[str] | None = None,
    dask: bool | None = None,
) -> Recipe:
    """Draw what `cubes` are made of; see there."""
    known = find_preset(preset)
    labels = draw(band_labels(bands))
    roles = draw(_roles(flat=len(labels) == len(bands) == 1))
    counts = draw(_counts(roles, len(labels), largest))
    shape = tuple(counts[role] for role in roles)
    dtype = draw(st.sampled_from(dtypes or [each for each in DTYPES if fits(known, each)]))
    usable = find_spec("dask") is not None if dask is None else dask
    chunked = usable and (dask is True or draw(st.booleans()))
    return Recipe(
        dims=tuple(draw(st.sampled_from(DIMENSIONS[role])) for role in roles),
        shape=shape,
        labels=labels,
        preset=known,
        dtype=dtype,
        odd=tuple(draw(st.lists(st.sampled_from(list(ODDITIES)), max_size=4, unique=True))),
        long_name="band" in roles and draw(st.integers(0, 9)) == 9,  # noqa: PLR2004 - a tenth
        memory=draw(st.sampled_from(list(MEMORY))),
        chunks=tuple(draw(_cut(size)) for size in shape) if chunked else None,
        seed=draw(st.integers(0, 2**16)),
        **draw(_gaps(known, dtype)),
    )


@st.composite
def broken_cubes(
    draw: st.DrawFn, bands: Sequence[str] = FOUR, *, largest: int = 40
) -> xr.DataArray:
    """Draw cubes that `cloudmask.mask_clouds` must refuse; `FAULTS` lists why.

    Args:
        draw: Given by hypothesis.
        bands: Sentinel-2 names of the bands that would be needed.
        largest: Pixels along an edge of the largest cube.
    """
    cube = draw(cubes(bands, largest=largest))
    fault = draw(st.sampled_from([each for each in FAULTS if each.spoil(cube, bands) is not None]))
    spoilt = fault.spoil(cube, bands)
    assert spoilt is not None, "only what can be spoilt was drawn"
    return spoilt


@st.composite
def band_labels(draw: st.DrawFn, bands: Sequence[str]) -> tuple[str, ...]:
    """Draw the names of a cube's bands: the needed ones by any name, others, in any order."""
    own = [draw(st.sampled_from(names_of(band))) for band in bands]
    spare = [band for band in SENTINEL2 if band not in bands]
    more = draw(st.lists(st.sampled_from([*spare, *OTHER_BANDS]), max_size=4))
    return tuple(draw(st.permutations([*own, *more])))


def names_of(band: str) -> tuple[str, ...]:
    """List names under which products and back-ends give a Sentinel-2 band."""
    _, short, *_ = (*aliases_of(band), band)
    return (
        *aliases_of(band),
        band.lower(),
        f"{band}_10m",
        f"{band}_b1",
        f"T31TCJ_20200101T105441_{band}_20m",
        f"{short}, central wavelength 665 nm",
    )


@st.composite
def _roles(draw: st.DrawFn, *, flat: bool) -> tuple[str, ...]:
    """Draw which roles there are, in which order; `flat` cubes need no band dimension."""
    roles = ["band", "y", "x"]
    if flat and draw(st.booleans()):
        roles.remove("band")
    if draw(st.booleans()):
        roles.insert(0, "time")
    return tuple(draw(st.permutations(roles)))


@st.composite
def _counts(draw: st.DrawFn, roles: Sequence[str], bands: int, largest: int) -> dict[str, int]:
    """Draw sizes of at most `CELLS` numbers altogether."""
    times = draw(st.sampled_from([1, 2, 3, 0, 5])) if "time" in roles else 1
    room = CELLS // (bands * max(times, 1))
    edges = [edge for edge in LONGEST if edge < largest] + [largest]
    y = draw(st.sampled_from(edges).flatmap(lambda edge: st.integers(1, edge)))
    x = draw(st.sampled_from(edges).flatmap(lambda edge: st.integers(1, edge)))
    return {"time": times, "band": bands, "y": y, "x": min(x, max(1, room // y))}


@st.composite
def _gaps(draw: st.DrawFn, preset: Preset, dtype: str) -> dict[str, Any]:
    possible = fillers(preset, dtype)
    if not possible:
        return {}
    return {
        "gaps": draw(st.sampled_from(list(PATTERNS))),
        "filler": repr(float(draw(st.sampled_from(possible)))),
        "one_band": draw(st.booleans()),
    }


@st.composite
def _cut(draw: st.DrawFn, size: int) -> tuple[int, ...]:
    """Cut an axis into a few chunks, none of them empty: dask itself fails with some that are."""
    if size < 2:  # noqa: PLR2004 - a pixel cannot be cut
        return (size,)
    cuts = sorted(draw(st.lists(st.integers(1, size - 1), max_size=4, unique=True)))
    ends = [0, *cuts, size]
    return tuple(after - before for before, after in pairwise(ends))
