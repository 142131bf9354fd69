"""Cubes through `mask_clouds`: a mask that keeps every promise, or the error that is documented.

Each cube is masked three times: as it is; with dask if it was numpy's and the other way round; and
with dimensions and bands in another order. The masks must be the same, and what an independent
oracle says. Cubes that are spoilt must be refused by the right kind of error.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import strategies as st

from cloudmask.bands import PRESETS, Preset
from cloudmask.cube import mask_clouds
from cloudmask.errors import CloudmaskError, PresetWarning
from cloudmask.spec import ModelSpec
from cloudmask.strategies import FAULTS, Recipe, faults, options, recipes
from cloudmask.strategies.coordinates import roles_of
from cloudmask.strategies.cubes import names_of
from cloudmask.strategies.pixels import DTYPES
from fuzz.checks import Asked, check_dress, check_equal, check_values, must
from fuzz.drive import Driven, UndocumentedError
from fuzz.guards import HangError
from fuzz.networks import NETWORKS
from fuzz.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from cloudmask.options import Options
    from fuzz.tally import Target

    Masker = Callable[..., xr.DataArray]
    Chunks = tuple[tuple[int, ...], ...] | None

MOST_TILES = 200
"""In a cube; a bound of a trial's time, nothing more."""

MOST_CHUNKS = 4
"""Along an axis; the same."""

SHORTEST_MESSAGE = 20
"""Characters that say a value, a rule and a remedy at the very least."""

SOME_PRESETS = (
    *PRESETS.values(),
    Preset("percent", 0.01, nodata=(255.0,)),
    Preset("archive", 1 / 20000, offset=-2000.0, nodata=(65535.0, -32768.0)),
)

SOME_BANDS = (
    ("B02", "B03", "B04", "B08"),
    ("B04", "B8A", "B02", "B11", "B12"),
    ("B08", "B03"),
    ("B08",),
)

SOME_CLASSES = ((0, 1, 2, 3), (0, 1, 3), (1, 0), (3, 0, 2, 1))

NAMES = [fault.name for fault in FAULTS]
SOUND = [""] * len(NAMES)
"""As many sound cubes as spoilt ones, and one more to start with."""


@dataclass(frozen=True, slots=True)
class Case:
    """A cube, and how it is masked."""

    recipe: Recipe
    bands: tuple[str, ...]
    """The network's."""
    classes: tuple[int, ...]
    """The network's."""
    network: str
    options: Options
    fault: str = ""
    """What is wrong with the cube; empty for nothing."""
    spec: ModelSpec = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Describe the network."""
        made = ModelSpec(name="fake", bands=self.bands, classes=self.classes, tile=32, overlap=8)
        object.__setattr__(self, "spec", made)


@st.composite
def cases(draw: st.DrawFn, largest: int = 700) -> Case:
    """Draw cubes and ways to mask them."""
    bands = draw(st.sampled_from(SOME_BANDS))
    preset = draw(st.sampled_from(SOME_PRESETS))
    recipe = draw(recipes(bands, preset, largest=largest, dtypes=DTYPES))
    sizes = dict(zip(recipe.roles_in_order, recipe.shape, strict=True))
    pixels = max(sizes.get("time", 1), 1) * sizes["y"] * sizes["x"]
    stride = int((pixels / MOST_TILES) ** 0.5) + 1
    chunk = max(sizes["y"], sizes["x"]) // MOST_CHUNKS + 1
    classes = draw(st.sampled_from(SOME_CLASSES))
    plain = ["brightest"] if len(classes) <= len(bands) else []
    return Case(
        replace(recipe, chunks=draw(emptied(recipe.chunks))),
        bands,
        classes,
        draw(st.sampled_from([*plain, "surrounded", "last class"])),
        draw(options(least_stride=stride, least_chunk=chunk, largest_tile=max(48, stride + 16))),
        draw(st.sampled_from(["", *NAMES, *SOUND])),
    )


@st.composite
def emptied(draw: st.DrawFn, chunks: Chunks) -> Chunks:
    """Put empty chunks between others, as selections leave them; mostly do not."""
    if chunks is None or draw(st.integers(0, 3)) < 3:
        return chunks
    axis = draw(st.integers(0, len(chunks) - 1))
    place = draw(st.integers(0, len(chunks[axis])))
    none = (0,) * draw(st.integers(1, 4))
    lengths = (*chunks[axis][:place], *none, *chunks[axis][place:])
    return (*chunks[:axis], lengths, *chunks[axis + 1 :])


def judge(case: Case, masker: Masker = mask_clouds) -> str:
    """Mask a cube and check all that is promised.

    Raises:
        UndocumentedError: A promise is broken.
    """
    cube = case.recipe.cube()
    try:
        with patient():
            return _refused(case, cube, masker) or _answered(case, cube, masker)
    except HangError as error:
        raise UndocumentedError(str(error)) from error


def _refused(case: Case, cube: xr.DataArray, masker: Masker) -> str:
    """Mask a spoilt cube; empty if it cannot be spoilt in that way."""
    if not case.fault:
        return ""
    fault = faults(case.fault)
    spoilt = fault.spoil(cube, case.bands)
    if spoilt is None:
        return ""
    try:
        _mask(case, spoilt, masker)
    except CloudmaskError as error:
        must(isinstance(error, fault.error), f"{fault.name}: {type(error).__name__}: {error}")
        must(len(str(error)) >= SHORTEST_MESSAGE, f"{fault.name}: says only {str(error)!r}")
        return f"refused: {type(error).__name__}"
    raise UndocumentedError(f"{fault.name}: it was answered")


def _answered(case: Case, cube: xr.DataArray, masker: Masker) -> str:
    asked = _asked(case, cube)
    before = cube.copy(deep=True) if cube.chunks is None else cube.compute()
    try:
        answer = _mask(case, cube, masker)
        must(cube.compute().identical(before), "the cube has changed")
        check_dress(asked, answer)
        check_values(asked, answer)
        other = cube.compute() if cube.chunks is not None else _chunked(cube, case.recipe.seed)
        check_equal(answer, _mask(case, other, masker), "dask")
        turned = _turned(before, case.recipe.seed)
        check_equal(answer, _mask(case, turned, masker), "the order of dimensions or bands")
    except CloudmaskError as error:
        message = f"a sound cube is refused: {type(error).__name__}: {error}"
        raise UndocumentedError(message) from error
    return "answered"


def _asked(case: Case, cube: xr.DataArray) -> Asked:
    wanted = tuple(_place(case.recipe.labels, band) for band in case.bands)
    return Asked(cube, wanted, case.recipe.preset, case.spec, case.options, case.network)


def _mask(case: Case, cube: xr.DataArray, masker: Masker) -> xr.DataArray:
    """Mask and compute; only what is documented may be raised or warned of."""
    network = NETWORKS[case.network](case.spec)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            lazy = masker(cube, network, preset=case.recipe.preset, options=case.options)
            answer = lazy.compute(scheduler="sync")
        except (CloudmaskError, UndocumentedError):
            raise
        except Exception as error:
            raise UndocumentedError(f"{type(error).__name__}: {error}") from error
    odd = [each for each in caught if not issubclass(each.category, PresetWarning)]
    must(not odd, f"warns: {odd and odd[0].message}")
    must((lazy.chunks is None) == (cube.chunks is None), "lazy and not lazy are exchanged")
    must(len(caught) <= 1, f"warns {len(caught)} times of the preset")
    return answer


def _place(labels: tuple[str, ...], band: str) -> int:
    """Find a band among a cube's, by the names that were drawn from."""
    return next(number for number, label in enumerate(labels) if label in names_of(band))


def _chunked(cube: xr.DataArray, seed: int) -> xr.DataArray:
    """Cut a cube into chunks of some size or other."""
    random = np.random.default_rng(seed)
    return cube.chunk(
        {dim: int(random.integers(size // 5 + 1, size + 2)) for dim, size in cube.sizes.items()}
    )


def _turned(cube: xr.DataArray, seed: int) -> xr.DataArray:
    """Give a cube with dimensions and bands in another order."""
    random = np.random.default_rng(seed)
    band = roles_of(cube.dims).get("band")
    if band is not None and "long_name" not in cube.attrs:
        cube = cube.isel({band: random.permutation(cube.sizes[band])})
    return cube.transpose(*random.permutation(list(map(str, cube.dims))))


AGAIN = "from fuzz.again import *; judge_cube({case})"

TARGETS: tuple[Target, ...] = (Driven("cubes", "cubes", 5000, cases(), judge, AGAIN),)
