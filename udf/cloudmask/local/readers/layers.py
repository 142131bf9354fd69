"""Bands of an xarray Dataset as rows, whether it has a dimension of bands or a variable a band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.bands import as_preset, canonical, check_dtype, positions
from cloudmask.cube import DIMENSIONS, in_standard_order
from cloudmask.errors import BandError, CubeError
from cloudmask.local.netcdf import NETCDF
from cloudmask.local.readers.meaning import own_preset
from cloudmask.local.readers.rasters import TRUE_COLOUR, places, thinned

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from cloudmask.bands import Preset
    from cloudmask.local.product import Wanted
    from cloudmask.windows import Span

FILLS = ("_FillValue", "missing_value")


@dataclass(frozen=True, slots=True)
class CubeRows:
    """Bands of a cube, in rows (a `cloudmask.source.RowSource`)."""

    parts: tuple[xr.DataArray, ...]
    """Not loaded, dimensions in any order; together the bands in the order wanted."""
    place: str
    """What to call it in messages."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(band, y, x)."""
        first = self.parts[0]
        height, width = (first.sizes[role(first, name)] for name in ("y", "x"))
        return sum(_count(part) for part in self.parts), height, width

    @property
    def itemsize(self) -> int:
        """Bytes of a number as `read` gives it."""
        return np.result_type(*(part.dtype for part in self.parts)).itemsize

    def read(self, rows: Span) -> NDArray[np.generic]:
        """See `RowSource`."""
        return self._window(rows.slice, slice(None))

    def sample(self) -> NDArray[np.generic]:
        """Read some small windows from all over: (band, n)."""
        windows = [self._window(y.slice, x.slice) for y, x in places(self.shape)]
        return np.concatenate([window.reshape(len(window), -1) for window in windows], axis=1)

    def thumbnail(self, longest: int) -> NDArray[np.generic]:
        """See `thinned`."""
        return thinned(self, longest)

    def _window(self, y: slice, x: slice) -> NDArray[np.generic]:
        return np.concatenate([_values(part, y, x, self.place) for part in self.parts])


def _count(part: xr.DataArray) -> int:
    """Count the bands of a variable."""
    band = role(part, "band")
    return part.sizes[band] if band else 1


def _values(part: xr.DataArray, y: slice, x: slice, place: str) -> NDArray[np.generic]:
    """Load (band, y, x) of a window.

    Dimensions are put in order afterwards: what is not loaded yet cannot be turned or widened
    without loading all of it, or pixel by pixel.

    Raises:
        CubeError: They cannot be read.
    """
    try:
        with NETCDF:
            window = part.isel({role(part, "y"): y, role(part, "x"): x}).compute()
    except Exception as error:
        # Each codec has errors of its own.
        why = str(error).strip() or type(error).__name__
        raise CubeError(
            f"{place}: variable {part.name} cannot be read ({why}); a chunk of it is damaged or "
            "incomplete"
        ) from error
    order = [dim for name in ("band", "y", "x") if (dim := role(window, name))]
    numbers: NDArray[np.generic] = window.transpose(*order).to_numpy()
    return numbers if numbers.ndim == 3 else numbers[None]  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Layers:
    """The bands of one moment of a cube."""

    labels: tuple[str, ...]
    variables: tuple[xr.DataArray, ...]
    """One for each label; or one for all of them, with a dimension of bands."""
    place: str

    @property
    def first(self) -> xr.DataArray:
        """One of the variables, for what they share."""
        return self.variables[0]

    def rows(self, found: Sequence[int]) -> CubeRows:
        """Choose bands by their numbers."""
        band = role(self.first, "band")
        if band:
            return CubeRows((self.first.isel({band: list(found)}),), self.place)
        return CubeRows(tuple(self.variables[number] for number in found), self.place)

    def chosen(self, wanted: Wanted) -> tuple[CubeRows, Preset]:
        """Find the wanted bands, and what their numbers mean.

        Raises:
            BandError: One is missing.
            CubeError: They are no real numbers, or are stored in different ways.
        """
        found = positions(self.labels, wanted.bands)
        rows = self.rows(found)
        for part in rows.parts:
            check_dtype(part.dtype)
        return rows, self._preset(wanted, found)

    def _preset(self, wanted: Wanted, found: Sequence[int]) -> Preset:
        single = role(self.first, "band") is not None
        attrs = [self.variables[0 if single else number].attrs for number in found]
        scales = [_attribute(each, "scale_factor") for each in attrs]
        offsets = [_attribute(each, "add_offset") for each in attrs]
        fills = {value for each in attrs for name in FILLS for value in _many(each.get(name))}
        own = None
        if wanted.preset is None:
            own = own_preset(self.place, wanted.bands, scales, offsets, sorted(fills))
        return as_preset(wanted.preset or own or "dn", sorted(fills))

    def colours(self) -> CubeRows:
        """Give red, green and blue if they are there, else the first band."""
        labels = [canonical(label) for label in self.labels]
        if set(TRUE_COLOUR) <= set(labels):
            return self.rows([labels.index(band) for band in TRUE_COLOUR])
        return self.rows([0])


def _attribute(attrs: Any, name: str) -> float | None:
    return float(attrs[name]) if name in attrs else None


def _many(value: Any) -> list[float]:
    """Give the numbers of an attribute; a fill value of text means none."""
    numbers = np.atleast_1d(np.asarray([] if value is None else value))
    if numbers.dtype.kind not in "iuf":
        return []
    return [float(number) for number in numbers if np.isfinite(number)]


def role(array: Any, name: str) -> Any:
    """Find the dimension that means "time", "band", "y" or "x"; None if there is none."""
    return next((dim for dim in DIMENSIONS[name] if dim in array.dims), None)


def images(dataset: xr.Dataset) -> list[xr.DataArray]:
    """List the variables that have rows and columns."""
    return [each for each in dataset.data_vars.values() if role(each, "y") and role(each, "x")]


def layers(dataset: xr.Dataset, place: str, names: Sequence[str] | None = None) -> Layers:
    """Find the bands of a Dataset without a time dimension.

    Args:
        dataset: Not decoded (`mask_and_scale=False`).
        place: What to call it in messages.
        names: Names of its bands in their order, if it does not say.

    Raises:
        BandError: The bands have no names.
        CubeError: There are no such variables.
    """
    found = images(dataset)
    if not found:
        there = ", ".join(map(str, dataset.data_vars)) or "none"
        raise CubeError(
            f"{place}: no variable has rows and columns (y and x, or latitude and longitude); its "
            f"variables are {there}"
        )
    stacks = [each for each in found if role(each, "band")]
    if not stacks:
        labels = list(names or (str(each.name) for each in found))
        _check_count(labels, len(found))
        return Layers(tuple(labels), tuple(_checked(each) for each in found), place)
    stack = max(stacks, key=lambda each: _known(_labels(each)))
    labels = list(names or _labels(stack))
    if not labels:
        raise BandError(
            f"{place}: the bands of variable {stack.name} have no names; name them in their "
            "order, for example --bands B02,B03,B04,B08"
        )
    _check_count(labels, stack.sizes[role(stack, "band")])
    return Layers(tuple(labels), (_checked(stack),), place)


def _checked(variable: xr.DataArray) -> xr.DataArray:
    """Refuse dimensions that are not known."""
    in_standard_order(variable)
    return variable


def _check_count(labels: Sequence[str], count: int) -> None:
    if len(labels) != count:
        raise BandError(
            f"bands {','.join(labels)}: {len(labels)} names for {count} bands; name every band, "
            "in its order"
        )


def _known(labels: Sequence[str]) -> int:
    return sum(canonical(label) is not None for label in labels)


def _labels(stack: xr.DataArray) -> list[str]:
    """Read the names of bands, as openEO, odc-stac and rioxarray give them."""
    dim = role(stack, "band")
    labels = list(stack[dim].values) if dim in stack.coords else []
    if labels and all(isinstance(label, (str, np.str_)) for label in labels):
        return [str(label) for label in labels]
    names = stack.attrs.get("long_name")
    if isinstance(names, str):
        return [names]
    return [str(name) for name in names] if isinstance(names, (list, tuple)) else []
