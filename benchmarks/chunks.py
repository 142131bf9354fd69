"""Does the mask depend on where a back-end cuts its chunks?

The scene goes through openEO's local connection (`apply_neighborhood`, one UDF call a chunk) with
chunks of two sizes (three with `--full`); the answer is compared with that of the whole scene at
once. For contrast a plain UDF as people write them today: the chunk is the network's tile, no data
becomes 0.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openeo
import xarray as xr

from benchmarks import shift
from benchmarks.alone import alone
from cloudmask import Options, find_model, mask_clouds
from cloudmask.classes import NO_DATA
from cloudmask_openeo import Chunks, local_connection
from cloudmask_openeo import mask_clouds as add_mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from cloudmask.windows import Stitch

    Cuts = tuple[tuple[int, int], ...]

SIZES: dict[Stitch, tuple[int, ...]] = {"crop": (192, 768), "blend": (384, 768)}
"""Edges of chunks; the overlap of 256 px that `blend` needs asks for chunks as large."""
FULL = {"sizes": {"crop": (192, 384, 768), "blend": (384, 576, 768)}}
PLAIN = ((256, 0), (224, 16), (192, 32))
"""Size and overlap of the plain UDF's chunks: together they must be the network's 256 px."""

PLAIN_UDF = """
import functools
import numpy as np
import xarray


@functools.lru_cache(maxsize=1)
def session(path):
    import onnxruntime
    return onnxruntime.InferenceSession(path)


def apply_datacube(cube: xarray.DataArray, context: dict) -> xarray.DataArray:
    values = np.nan_to_num(cube.values.astype(np.float32)) * np.float32(1e-4)
    mean, std = (np.array(context[key], np.float32)[:, None, None] for key in ("mean", "std"))
    tile = ((values - mean) / std)[None]
    (answer,) = session(context["path"]).run(None, {context["input"]: tile})
    classes = np.array(context["classes"], np.float32)[answer[0].argmax(axis=0)]
    return xarray.DataArray(classes[None], dims=("bands", "y", "x"), coords={"bands": ["class"]})
"""


def run(sizes: Mapping[Stitch, tuple[int, ...]] = SIZES, plain: Cuts = PLAIN) -> dict[str, Any]:
    """Give the share of pixels (%) whose class differs from the whole scene's.

    Returns:
        method -> chunk size -> per cent; for the plain UDF of the pixels with data, and besides
        how many of them change with the chunk size. And how much no data is given a class.
    """
    numbers = shift.scene() if shift.SCENE.exists() else shift.simulated()
    cube = xr.DataArray(numbers, dims=("bands", "y", "x"), coords={"bands": list(shift.BANDS)})
    known: NDArray[np.bool_] = np.all(numbers > 0, axis=0)
    given: dict[str, float] = {}
    result: dict[str, Any] = {"scene": "real" if shift.SCENE.exists() else "simulated"}
    with tempfile.TemporaryDirectory() as folder:
        start = _collection(cube, Path(folder))
        whole = {stitch: _whole(cube, stitch) for stitch in sizes}
        for stitch, edges in sizes.items():
            found = {edge: _chunked(start, edge, stitch) for edge in edges}
            result[stitch] = {str(n): _differing(f, whole[stitch]) for n, f in found.items()}
            given[stitch] = _given_a_class(found.values(), known)
        simple = {edge: _plain(start, edge, overlap) for edge, overlap in plain}
    one, *others = (answer[known] for answer in simple.values())
    result["plain"] = {
        str(n): _differing(f[known], whole["crop"][known]) for n, f in simple.items()
    }
    result["plain_changes_with_chunks"] = [_differing(other, one) for other in others]
    given["plain"] = _given_a_class(simple.values(), known)
    return {**result, "no_data_given_a_class": given}


def _collection(cube: xr.DataArray, folder: Path) -> Any:
    """Offer the scene as a back-end offers a collection: float32, NaN = no data."""
    stored = cube.where(cube > 0).astype(np.float32)
    height, width = cube.shape[1:]
    place = {"y": 5e6 - 10.0 * np.arange(height), "x": 5e5 + 10.0 * np.arange(width)}
    stored = stored.assign_coords(place)
    stored.attrs["crs"] = "EPSG:32631"
    stored.to_dataset(dim="bands").to_netcdf(folder / "scene.nc")
    return local_connection({"SCENE": folder / "scene.nc"}).load_collection("SCENE")


def _whole(cube: xr.DataArray, stitch: Stitch) -> NDArray[np.uint8]:
    answer = mask_clouds(cube, "ukis-4b-l1c", options=Options(stitch=stitch))
    return answer.sel(bands="class").to_numpy()


def _chunked(start: Any, size: int, stitch: Stitch) -> NDArray[np.float32]:
    chunks = Chunks(size=size, resample=None, border=False)
    return _classes(add_mask(start, "ukis-4b-l1c", chunks=chunks, stitch=stitch))


def _plain(start: Any, size: int, overlap: int) -> NDArray[np.float32]:
    entry = find_model("ukis-4b-l1c")
    spec = entry.spec
    context = {
        "path": str(entry.path),
        "input": spec.input_name,
        "mean": spec.mean,
        "std": spec.std,
        "classes": spec.classes,
    }
    axes = [{"dimension": axis, "unit": "px"} for axis in "xy"]
    masked = start.filter_bands(list(spec.bands)).apply_neighborhood(
        process=openeo.UDF(PLAIN_UDF, runtime="Python", context=context),
        size=[{**axis, "value": size} for axis in axes],
        overlap=[{**axis, "value": overlap} for axis in axes],
    )
    return _classes(masked)


def _classes(masked: Any) -> NDArray[np.float32]:
    answer = masked.execute().compute()
    return answer.sel(bands="class").transpose(..., "y", "x").to_numpy().squeeze()


def _given_a_class(answers: Iterable[NDArray[Any]], known: NDArray[np.bool_]) -> float:
    """Share of no data that has a class, in per cent, the worst of some answers."""
    return max(round(100 * float((each[~known] != NO_DATA).mean()), 1) for each in answers)


def _differing(found: NDArray[Any], expected: NDArray[Any]) -> float:
    return round(100 * float((found != expected).mean()), 4)


if __name__ == "__main__":
    alone(__doc__, run, FULL)
