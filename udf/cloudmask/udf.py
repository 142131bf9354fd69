# /// script
# requires-python = ">=3.11"
# dependencies = ["openeo-cloudmask"]
# ///
"""Masks clouds and cloud shadows in a chunk of a Sentinel-2 cube, inside an openEO back-end.

This text is sent to the back-end as it is; what it shall do stands in `context`. It imports
nothing but xarray until a chunk comes, since some back-ends also run it where nothing else is.
Annotations are evaluated on purpose: openEO recognises the function by them.
"""

import os
import sys
from pathlib import Path
from typing import Any

import xarray

LABELS = {
    "mask": ["mask", "class"],
    "probabilities": ["mask", "class", "clear", "thick_cloud", "thin_cloud", "cloud_shadow"],
    "cloud_detection": ["cloud", "shadow", "haze"],
}


def add_dependencies(folders: list) -> None:
    """Let Python find an unpacked archive: our wheel first, all else behind the back-end's own."""
    # Path.is_dir fails where os.path.isdir says no: of what can be no name.
    there = [name for name in folders if os.path.isdir(name)]  # noqa: PTH112
    for folder in [Path(name).resolve() for name in there]:
        wheels = [str(wheel) for wheel in sorted(folder.glob("openeo_cloudmask-*.whl"))]
        sys.path[:0] = [wheel for wheel in wheels if wheel not in sys.path]
        if str(folder) not in sys.path:
            sys.path.append(str(folder))


def apply_datacube(cube: xarray.DataArray, context: dict) -> xarray.DataArray:
    """Answer (t,) bands, y, x float32 with the bands of the layout."""
    given = (context or {}).get("deps")
    given = "cloudmask_deps" if given is None else given
    names = given if isinstance(given, (list, tuple)) else [given]
    folders = [name for name in names if isinstance(name, str)]
    add_dependencies(folders)
    try:
        from cloudmask.chunk import mask_chunk
    except ImportError as error:
        message = (
            f"{error}: neither installed nor in {', '.join(folders)} of {Path.cwd()}. Give the "
            "archive of `cloudmask bundle` in the job option udf-dependency-archives, as "
            '"https://.../deps.zip#cloudmask_deps"; too little python-memory shows like this, too'
        )
        raise ImportError(message) from None
    return mask_chunk(cube, context)


def apply_metadata(metadata: Any, context: dict) -> Any:
    """Name the bands of the answer."""
    layout = (context or {}).get("layout") or "mask"
    return metadata.rename_labels(dimension=metadata.band_dimension.name, target=LABELS[layout])
