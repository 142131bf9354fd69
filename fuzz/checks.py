"""What is promised of a mask, each promise looked at with numbers of our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.classes import LAYOUT_BANDS
from cloudmask.strategies.coordinates import roles_of
from fuzz import oracle
from fuzz.drive import UndocumentedError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from cloudmask.bands import Preset
    from cloudmask.options import Options
    from cloudmask.spec import ModelSpec

ROLES = ("time", "band", "y", "x")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a mask was asked of."""

    cube: xr.DataArray
    wanted: tuple[int, ...]
    """Where the network's bands stand among the cube's, as was drawn."""
    preset: Preset
    spec: ModelSpec
    options: Options
    network: str

    @property
    def numbers(self) -> NDArray[Any]:
        """(time, band, y, x), the network's bands in its order."""
        return standard(self.cube)[:, list(self.wanted)]


def standard(array: xr.DataArray) -> NDArray[Any]:
    """Give (time, band, y, x); what is not there has length 1."""
    roles = roles_of(array.dims)
    there = [role for role in ROLES if role in roles]
    values = array.transpose(*(roles[role] for role in there)).values
    lacking = tuple(number for number, role in enumerate(ROLES) if role not in roles)
    return np.expand_dims(values, lacking)


def must(holds: object, promise: str) -> None:
    """Demand that something is so.

    Raises:
        UndocumentedError: It is not.
    """
    if not holds:
        raise UndocumentedError(promise)


def check_dress(asked: Asked, answer: xr.DataArray) -> None:
    """Check dimensions, coordinates, sizes, bands and dtype of a mask."""
    cube, layout = asked.cube, asked.options.output.layout
    roles = roles_of(cube.dims)
    band = roles.get("band", "bands")
    kept = [dim for dim in answer.dims if dim in cube.dims]
    must(kept == list(cube.dims), f"dims {cube.dims} became {answer.dims}")
    must({*answer.dims} == {*cube.dims, band}, f"dims {cube.dims} became {answer.dims}")
    for dim in set(cube.dims) - {band}:
        must(answer.sizes[dim] == cube.sizes[dim], f"{dim} has another length")
    must(tuple(answer[band].values) == LAYOUT_BANDS[layout], f"bands {answer[band].values}")
    must(answer.dtype == (np.uint8 if layout == "mask" else np.float32), f"dtype {answer.dtype}")
    _check_coordinates(cube, answer, band)


def _check_coordinates(cube: xr.DataArray, answer: xr.DataArray, band: str) -> None:
    expected = {name for name in cube.coords if name != band and band not in cube[name].dims}
    must({*answer.coords} - {band} == expected, f"coordinates {sorted(map(str, answer.coords))}")
    for name in expected:
        same = answer[name].variable.identical(cube[name].variable)
        must(same and answer[name].dtype == cube[name].dtype, f"coordinate {name} has changed")


def check_values(asked: Asked, answer: xr.DataArray) -> None:
    """Check the numbers of a computed mask."""
    values = standard(answer)
    gone = oracle.missing(asked.numbers, asked.preset)
    if asked.options.output.layout == "cloud_detection":
        _check_chances(values, gone)
        return
    _check_classes(asked, values[:, 0], values[:, 1], gone)
    if asked.options.output.layout == "probabilities":
        _check_chances(values[:, 2:], gone)
        total = values[:, 2:].sum(axis=1)[~gone]
        must(np.allclose(total, 1, atol=1e-4), "probabilities do not sum to 1")


def _check_classes(
    asked: Asked, mask: NDArray[Any], classes: NDArray[Any], gone: NDArray[np.bool_]
) -> None:
    options, spec = asked.options, asked.spec
    must(np.isin(mask, (0, 1)).all(), f"mask has {np.unique(mask)}")
    must(np.isin(classes, (*spec.classes, 255)).all(), f"classes {np.unique(classes)}")
    must(((classes == 255) == gone).all(), "255 is not exactly where a needed band is missing")
    must((mask[gone] == 1).all(), "no data is usable")
    output = options.output
    must(((mask == 1) == (np.isin(classes, output.masked) | gone)).all(), "mask is not of classes")
    if asked.network == "brightest":
        plain = oracle.brightest(asked.numbers, asked.preset, spec.classes)
        radius = output.dilate / (options.pixel_size or spec.pixel_size)
        grown = oracle.masked_after_growing(plain, output.masked, radius)
        must(((mask == 1) == grown).all(), "mask is not that of the pixels' own classes")
        free = ~grown | (radius < 1)
        must((classes == plain)[free].all(), "class is not that of the pixel's own spectrum")


def _check_chances(values: NDArray[Any], gone: NDArray[np.bool_]) -> None:
    empty = np.broadcast_to(gone[:, None], values.shape)
    must((np.isnan(values) == empty).all(), "NaN is not exactly where a needed band is missing")
    there = values[~empty]
    must(((there >= 0) & (there <= 1 + 1e-5)).all(), "a probability is not from 0 to 1")


def check_equal(one: xr.DataArray, other: xr.DataArray, what: str) -> None:
    """Demand the same bytes of two computed masks, whatever the order of their dimensions."""
    alike = np.array_equal(standard(one), standard(other), equal_nan=one.dtype.kind == "f")
    must(alike, f"{what} changes the mask")
