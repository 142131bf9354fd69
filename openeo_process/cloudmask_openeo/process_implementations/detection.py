"""openEO's process `cloud_detection`, done by a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudmask.context import KEYS, parse_context
from cloudmask.cube import mask_clouds
from cloudmask.errors import ModelError, OptionError
from cloudmask.registry import known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

_NOT_HERE = {
    # A probability is neither hidden nor grown, and the output is fixed by openEO.
    "layout", "masked", "dilate", "pixel_size",
    # Of chunks, and of the worker that a UDF runs on.
    "chunk_overlap", "deps",
}  # fmt: skip

OPTIONS = tuple(key for key in KEYS if key not in _NOT_HERE)
"""What `options` may hold; see `cloudmask.context.Context`."""


def detect(
    data: xr.DataArray, method: str | None = None, options: Mapping[str, Any] | None = None
) -> xr.DataArray:
    """Detect clouds, cloud shadows and haze.

    Args:
        data: Top-of-atmosphere reflectances; dimensions t or time, bands, y, x in any order. What
            the numbers mean says the option "preset", by default "cdse": x 10000, NaN = no data.
        method: Name of a network (`cloudmask.models()`); None for the package's own for the bands
            of the cube, see `cloudmask.mask_clouds`.
        options: Keys are `OPTIONS`. "model" takes several networks, an ensemble, in place of
            `method`.

    Returns:
        The cube's dimensions and coordinates with the bands cloud, shadow and haze: probabilities
        0..1, float32, NaN for no data; lazy if the cube is.

    Raises:
        BandError: A band that the network needs is missing.
        CubeError: The cube cannot be masked.
        ModelError: The network is unknown or not installed.
        OptionError: An option is unknown or cannot work.
    """
    given = {key: value for key, value in (options or {}).items() if value is not None}
    strange = sorted(set(given) - set(OPTIONS))
    if strange:
        raise OptionError(
            f"options: {', '.join(strange)} cannot be chosen; possible are {', '.join(OPTIONS)}"
        )
    if method is not None and "model" in given:
        raise OptionError(
            f"method={method!r} and the option model are both given; give one of them"
        )
    chosen = given if method is None else given | {"model": method}
    asked = parse_context(chosen | {"layout": "cloud_detection"})
    return mask_clouds(
        data,
        [_installed(model) for model in asked.models] or None,
        preset=asked.numbers,
        bands=asked.bands,
        options=asked.options,
    )


def _installed(name: str) -> str:
    """Refuse paths: users of a back-end must not open its files."""
    available: Sequence[str] = [name for name, entry in known().items() if entry.installed]
    if name not in available:
        raise ModelError(
            f"method {name!r} is not available here; there are {', '.join(available) or 'none'}"
        )
    return name
