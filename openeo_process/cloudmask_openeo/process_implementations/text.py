"""The border to openEO's client, which finds and runs the function in a UDF's text."""

from __future__ import annotations

from copy import deepcopy
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudmask.errors import CubeError, OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray


_loading = Lock()


def check_runtime(runtime: object) -> None:
    """Refuse languages that are not here.

    Raises:
        OptionError: It is none of Python's names ("Python", "python3", ...).
    """
    if not str(runtime).lower().startswith("python"):
        raise OptionError(f"runtime={runtime!r}: only 'Python' is available")


def checked_text(udf: object) -> str:
    """Refuse what is no source text.

    Raises:
        OptionError: It is something else, a path or a URL.
    """
    if not isinstance(udf, str) or "\n" not in udf:
        raise OptionError(
            f"udf={str(udf)[:80]!r}: must be the UDF's source text, not a path or URL; "
            "openeo.UDF.from_file and openeo.UDF.from_url put the text into the graph"
        )
    return udf


def run_text(code: str, cube: xr.DataArray, context: Mapping[str, Any]) -> xr.DataArray:
    """Run a UDF's text on a cube, as a back-end does.

    Args:
        code: The text; its function is found by name and annotations.
        cube: What the function gets.
        context: The same; a copy, which the function may change.

    Raises:
        CubeError: It does not answer exactly one cube.
    """
    from openeo.udf.run_code import run_udf_code
    from openeo.udf.udf_data import UdfData
    from openeo.udf.xarraydatacube import XarrayDataCube

    _module(code)
    given = UdfData(datacube_list=[XarrayDataCube(cube)], user_context=deepcopy(dict(context)))
    cubes = run_udf_code(code, given).get_datacube_list() or []
    if len(cubes) != 1:
        raise CubeError(f"the UDF answers {len(cubes)} cubes; it must answer exactly one")
    return cubes[0].get_array()


def promised_bands(
    code: str, context: Mapping[str, Any], bands: NDArray[Any] | None, count: int
) -> list[str] | None:
    """Ask a UDF's text for the labels of the bands that it is going to answer.

    Args:
        code: The text.
        context: Of the UDF; a copy is handed on.
        bands: Labels of the cube's bands, if they have any.
        count: How many there are.

    Returns:
        The labels, or None if the text has no function `apply_metadata`.

    Raises:
        CubeError: `apply_metadata` does not answer metadata with bands.
    """
    from openeo.metadata import CubeMetadata

    function = _module(code).get("apply_metadata")
    if not callable(function):
        return None
    labels = [f"band_{number}" for number in range(count)] if bands is None else bands
    answer = function(_metadata(labels), deepcopy(dict(context)))
    if not isinstance(answer, CubeMetadata) or not answer.has_band_dimension():
        raise CubeError(
            f"apply_metadata of the UDF answers {answer!r}; it must answer metadata with a "
            "dimension of bands, as metadata.rename_labels('bands', target=[...]) does"
        )
    return list(answer.band_names)


def _module(code: str) -> dict[str, Any]:
    """Run a text's top level, once a process: the client, which keeps it, does not wait for it.

    The threads of a worker would else each have a module of their own, with its networks.
    """
    from openeo.udf.run_code import load_module_from_string

    with _loading:
        return load_module_from_string(code)


def _metadata(bands: Any) -> Any:
    """Describe the chunk as the client describes cubes."""
    from openeo.metadata import (
        Band,
        BandDimension,
        CubeMetadata,
        SpatialDimension,
        TemporalDimension,
    )

    names = [str(name) for name in np.asarray(bands).tolist()]
    return CubeMetadata(
        dimensions=[
            TemporalDimension("t", extent=[]),
            BandDimension("bands", [Band(name) for name in names]),
            SpatialDimension("y", extent=[]),
            SpatialDimension("x", extent=[]),
        ]
    )
