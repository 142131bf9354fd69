"""Band names and what the numbers in a cube mean.

Bands are found by name, never by position. Numbers become reflectance by an explicit preset,
never by a guess: whether the -1000 of processing baseline 04.00 has been applied cannot be read
off the pixels.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cloudmask.errors import (
    AmbiguousBandError,
    BandError,
    CubeError,
    OptionError,
    PresetWarning,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

SENTINEL2: Mapping[str, tuple[str, ...]] = {
    # Common names: STAC EO extension 2.0, and what 1.x and odc-stac users write.
    "B01": ("coastal",),
    "B02": ("blue",),
    "B03": ("green",),
    "B04": ("red",),
    "B05": ("rededge071", "rededge1"),
    "B06": ("rededge075", "rededge2"),
    "B07": ("rededge078", "rededge3"),
    "B08": ("nir",),
    "B8A": ("nir08", "narrow_nir", "nir_narrow"),
    "B09": ("nir09", "water_vapor", "water_vapour"),
    "B10": ("cirrus",),
    "B11": ("swir16", "swir1"),
    "B12": ("swir22", "swir2"),
}
"""Sentinel-2 MSI band -> other names, in the order of the instrument."""

# A product's resolution (B02_10m, B02_60m) or titiler's band number (B02_b1).
_SUFFIX = r"(?:_(?:10|20|60)m|_b\d+)?$"
_BAND = re.compile(r"b(0?\d|1\d|0?8a)" + _SUFFIX)
# A file name (T31TCJ_20200101T105441_B04_10m), whose band has two places.
_IN_FILE_NAME = re.compile(r".*_b(\d\d|8a)(?:_(?:10|20|60)m)?$")
_ALIAS = re.compile(r"(\w+?)" + _SUFFIX)


def canonical(label: object) -> str | None:
    """Return the Sentinel-2 band that a label names ("B02" for "b2", "blue", "B02_10m", ...).

    None if it names none.
    """
    # GDAL's own Sentinel-2 driver describes a band as "B4, central wavelength 665 nm".
    text = str(label).split(",")[0].strip().lower()
    if match := _BAND.match(text) or _IN_FILE_NAME.match(text):
        name = "B" + match[1].upper().lstrip("0").zfill(2)
        return name if name in SENTINEL2 else None
    alias = _ALIAS.match(text)
    return _BY_ALIAS.get(alias[1]) if alias else None


_BY_ALIAS = {alias: band for band, aliases in SENTINEL2.items() for alias in aliases}


def positions(labels: Sequence[object], wanted: Sequence[str]) -> list[int]:
    """Find the wanted bands among a cube's labels.

    Args:
        labels: The cube's band labels, in its order.
        wanted: The network's band names, in its order.

    Returns:
        For each wanted band its position in `labels`.

    Raises:
        BandError: One is missing.
        AmbiguousBandError: Two labels name the same band.
    """
    found = {band: _matches(labels, band) for band in wanted}
    missing = [band for band, where in found.items() if not where]
    if missing:
        tried = "; ".join(f"{band}: {', '.join(aliases_of(band))}" for band in missing)
        raise BandError(
            f"missing band{'s' if len(missing) > 1 else ''} {', '.join(missing)}; there are "
            f"{', '.join(str(label) for label in labels if label != '') or 'no named ones'}. "
            f"Names tried (any case): {tried}. Load the missing bands, or name all bands in "
            "their order (bands=..., on the command line --bands)."
        )
    doubled = {band: where for band, where in found.items() if len(where) > 1}
    if doubled:
        band, where = next(iter(doubled.items()))
        names = ", ".join(str(labels[number]) for number in where)
        raise AmbiguousBandError(
            f"band {band} is named more than once: {names}; keep one of them, or call it {band}"
        )
    return [where[0] for where in found.values()]


def _matches(labels: Sequence[object], band: str) -> list[int]:
    exact = [number for number, label in enumerate(labels) if str(label) == band]
    return exact or [number for number, label in enumerate(labels) if canonical(label) == band]


def aliases_of(band: str) -> tuple[str, ...]:
    """List the names under which a band is found, the resolution suffixes left out."""
    short = re.sub("^B0", "B", band)
    return tuple(dict.fromkeys((band, short, *SENTINEL2.get(band, ()))))


FILL_VALUES = 1e9
"""No instrument stores such numbers, whatever the preset; GDAL's and netCDF's fills are larger."""

LARGEST_REFLECTANCE = 100.0
"""What no scene reflects: such a number is a fill value, so no data."""


@dataclass(frozen=True, slots=True)
class Preset:
    """How numbers become top-of-atmosphere reflectance: (number + offset) * scale."""

    name: str
    scale: float
    offset: float = 0.0
    """Added before scaling, in the unit of the numbers (-1000 from baseline 04.00 on)."""
    nodata: tuple[float, ...] = ()
    """Numbers that mean no data, besides NaN and infinities, which always do."""

    def __post_init__(self) -> None:
        """Refuse what gives no reflectance."""
        if not (np.isfinite([self.scale, self.offset]).all() and self.scale > 0):
            raise OptionError(
                f"scale={self.scale}, offset={self.offset}: both must be finite and the scale "
                "greater than 0 (0.0001 for reflectance x 10000)"
            )
        object.__setattr__(self, "nodata", tuple(float(value) for value in self.nodata))

    def valid(self, raw: NDArray[np.generic]) -> NDArray[np.bool_]:
        """Tell which pixels exist.

        A pixel with any band missing counts as missing: a network cannot be asked about half
        a spectrum.

        Args:
            raw: (band, y, x) numbers as stored.

        Returns:
            (y, x), True where every band has a number.
        """
        raw = _wide(raw)
        good = np.ones(raw.shape[1:], bool)
        limit = LARGEST_REFLECTANCE / self.scale
        bounded = _largest(raw.dtype) <= limit
        absent = _as_stored(self.nodata, raw.dtype)
        for band in raw:
            for value in absent:
                good &= band != value
            if not bounded:
                # Two comparisons and no abs(), which fails for the least integer; NaN passes none.
                good &= (band >= -limit) & (band <= limit)
        return good

    def reflectance(self, raw: NDArray[np.generic]) -> NDArray[np.float32]:
        """Convert numbers of any shape to reflectance; no data gives any number."""
        with np.errstate(over="ignore"):  # a fill value beyond float32 is no data anyway
            result = raw.astype(np.float32)
        if self.offset:
            result += np.float32(self.offset)
        if self.scale != 1:
            result *= np.float32(self.scale)
        return result


def _wide(raw: NDArray[np.generic]) -> NDArray[np.generic]:
    """Give half precision room for no-data values and limits that it cannot hold."""
    half = raw.dtype.kind == "f" and raw.dtype.itemsize == 2  # noqa: PLR2004 - of any byte order
    return raw.astype(np.float32) if half else raw


def _largest(dtype: np.dtype[np.generic]) -> float:
    """Return the largest number of a dtype."""
    if dtype.kind == "b":
        return 1
    return float(np.iinfo(str(dtype)).max) if dtype.kind in "iu" else np.inf


def _as_stored(values: Sequence[float], dtype: np.dtype[np.generic]) -> list[float]:
    """Express no-data values in a dtype, so that comparing needs no conversion of the array."""
    if dtype.kind == "f":
        return list(values)
    return [int(value) for value in values if value.is_integer() and value <= _largest(dtype)]


PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("cdse", 1e-4),
        Preset("dn", 1e-4, nodata=(0,)),
        Preset("dn_n0400", 1e-4, offset=-1000, nodata=(0,)),
        Preset("reflectance", 1.0),
    )
}
"""cdse: reflectance x 10000 with the offset already applied, NaN = no data (Copernicus Data Space
openEO); dn: product numbers before processing baseline 04.00, 0 = no data; dn_n0400: product
numbers from baseline 04.00 on; reflectance: 0..1, NaN = no data."""


def find_preset(preset: str | Preset) -> Preset:
    """Look a preset up by name.

    Raises:
        OptionError: The name is unknown.
    """
    if isinstance(preset, Preset):
        return preset
    if preset not in tuple(PRESETS):  # a list has no hash, but can be compared
        raise OptionError(
            f"preset={preset!r}: choose one of {', '.join(PRESETS)}, or give a Preset with scale, "
            "offset and nodata"
        )
    return PRESETS[preset]


def check_dtype(dtype: np.dtype[np.generic]) -> None:
    """Refuse what is no number.

    Raises:
        CubeError: Complex, text, dates or objects.
    """
    if dtype.kind not in "biuf":
        raise CubeError(f"dtype {dtype}: the cube must hold real numbers (integer or float)")


def misfit(sample: NDArray[np.generic], preset: Preset) -> str | None:
    """Say why the numbers cannot be what the preset claims.

    Only the impossible is reported: clouds alone are bright, deep water alone is dark.

    Args:
        sample: (band, ...) numbers as stored, some of the scene will do.
        preset: The claim.

    Returns:
        One sentence with the observed range, or None.
    """
    flat = sample.reshape(len(sample), 1, -1)
    raw = flat[:, 0][:, _plausible(flat, preset)]
    if raw.size == 0:
        return None
    low, high = np.percentile(preset.reflectance(raw), [1, 99])
    if 0.0005 <= high <= 10 and low >= -0.05:  # noqa: PLR2004 - read with the sentence below
        return None
    return (
        f"preset {preset.name!r} gives reflectances from {low:.4g} to {high:.4g} (1st to 99th "
        f"percentile; stored numbers from {raw.min():g} to {raw.max():g}), but 0 to 1.5 is "
        f"possible: choose another preset ({', '.join(PRESETS)})"
    )


def _plausible(flat: NDArray[np.generic], preset: Preset) -> NDArray[np.bool_]:
    """Tell which pixels of (band, 1, n) have numbers, be they far too large."""
    numbers = flat[:, 0].astype(np.float64)
    good = (np.abs(numbers) < FILL_VALUES).all(axis=0)
    for value in preset.nodata:
        good &= (numbers != value).all(axis=0)
    return np.asarray(good)


LONGEST_MEMORY = 1000
"""Calls that are remembered to have warned."""

_warned: set[str] = set()


def warn_once(call: str, sentence: str | None) -> None:
    """Warn of a misfit, once for each call however many chunks notice it."""
    if len(_warned) > LONGEST_MEMORY:
        _warned.clear()
    if sentence and call not in _warned:
        _warned.add(call)
        warnings.warn(sentence, PresetWarning, stacklevel=3)


def as_preset(preset: str | Preset, extra_nodata: Iterable[float] = ()) -> Preset:
    """Look a preset up and add a file's own no-data values to it."""
    known = find_preset(preset)
    extra = [float(value) for value in extra_nodata if np.isfinite(value)]
    merged = tuple(dict.fromkeys((*known.nodata, *extra)))
    return Preset(known.name, known.scale, known.offset, merged)
