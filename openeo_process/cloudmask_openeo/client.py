"""Masking in a user's process graph: what the graph needs is added to it, nothing is run."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudmask.errors import CubeError, OptionError
from cloudmask_openeo import extent
from cloudmask_openeo.request import Request, named

if TYPE_CHECKING:
    from openeo.api.process import Parameter
    from openeo.rest.datacube import DataCube

    from cloudmask.spec import ModelSpec
    from cloudmask_openeo.request import SomeModel
    from cloudmask_openeo.text import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """How the back-end is to cut the cube; the defaults suit the network."""

    size: int | None = None
    """Edge of a chunk in pixels, a multiple of the tiles' stride; default about 768."""
    overlap: int | None = None
    """Pixels of the neighbours at each side; default what the tiles need."""
    resample: str | None = "average"
    """How the cube is brought to the network's pixel size first; None if it has it already.
    Say None on back-ends built on openeo-processes-dask: their resampling adds a border of one
    pixel, which shifts the chunks."""
    border: bool = True
    """Whether to load more than the cube's extent and cut it off again, so that its border is
    masked as if it were none; where the graph says which extent is loaded. A `filter_bbox` of
    your own before the mask undoes it; put it behind."""
    delivery: Delivery = "pep723"
    """How our package reaches the workers, see `cloudmask_openeo.text.Delivery`."""


def mask_clouds(
    cube: DataCube,
    model: SomeModel | None = None,
    *,
    preset: str | Parameter | None = None,
    layout: str | Parameter = "mask",
    chunks: Chunks = Chunks(),
    **context: Any,
) -> DataCube:
    """Mask clouds and cloud shadows in a cube of a back-end.

    Args:
        cube: Sentinel-2 bands, from `load_collection` or `load_stac`; other bands do no harm.
        model: Name of a network (`cloudmask.models()` lists them) or several: an ensemble. A
            parameter of a user-defined process must list its networks as `enum`. By default the
            UDF takes the one that comes with the package for the bands it gets:
            `cloudmask-s2-small` for all 13 of L1C, else `cloudmask-s2-small-4b` for B02, B03,
            B04 and B08, both at 20 m.
        preset: What the numbers mean: "cdse" (Copernicus Data Space: reflectance x 10000,
            offset applied, NaN = no data), "dn", "dn_n0400", "reflectance" (titiler-openeo).
            Default "cdse", unless `scale`, `offset` and `nodata` say it.
        layout: "mask": bands mask (1 = cloud, shadow or no data, 0 = usable, never NaN) and
            class (0 clear, 1 thick cloud, 2 thin cloud, 3 cloud shadow, 255 no data);
            "probabilities": these and one band a class, 0..1; "cloud_detection": cloud, shadow
            and haze, 0..1.
        chunks: How the back-end is to cut the cube.
        context: What else the UDF can be told, see `cloudmask.context.Context`: tta, stitch,
            dilate, masked, provider, memory_mb (MiB that a worker's process may take), ...

    Returns:
        A float32 cube with the bands of the layout, at the network's pixel size.

    Raises:
        CubeError: It is no cube of an openEO connection.
        BandError: The collection lacks a band that the network needs.
        OptionError: An option cannot work, or seams would show between chunks.
        ModelError: There is no such network.

    Warns:
        LevelWarning: The collection's name says another processing level than the network's.
    """
    if not hasattr(cube, "result_node"):
        raise CubeError(
            f"{type(cube).__name__}: a cube of an openEO connection is needed; xarray cubes are "
            "masked by cloudmask.mask_clouds"
        )
    if not isinstance(chunks, Chunks):
        raise OptionError(f"chunks={chunks!r}: must be cloudmask_openeo.Chunks(...)")
    if preset is None and context.get("scale") is None:
        preset = "cdse"
    given = {"model": model, "preset": preset, "layout": layout, **context}
    request = Request.of(given, cube.metadata)
    _compare_levels(request.spec, extent.loaded_collections(cube))
    box = extent.loaded_extent(cube) if chunks.border else None
    around = request.neighbourhood(chunks.size, chunks.overlap)
    if box:
        cube = extent.widened(cube, box, (around.overlap + 1) * request.pixel_size)
    prepared = request.prepared(cube, chunks.resample)
    masked = request.applied(prepared, around, chunks.delivery)
    return masked.filter_bbox(**box) if box else masked


def cloud_free(cube: DataCube, mask: DataCube, *, resample: bool = True) -> DataCube:
    """Take the masked pixels out of a cube.

    Args:
        cube: Any cube of the same place and dates.
        mask: What `mask_clouds` gives, layout "mask" or "probabilities".
        resample: Whether the mask may have other pixels than the cube, so that it has to be
            brought to the cube's (nearest neighbour).

    Returns:
        The cube with no data where the mask is 1, or where there is no mask.
    """
    bands = named(mask.metadata, "band")
    if bands is not None and mask.metadata is not None:
        labels = mask.metadata.band_names
        if "mask" not in labels:
            raise OptionError(
                f"mask has the bands {', '.join(labels)}: one called mask is needed; use "
                'mask_clouds(..., layout="mask") or layout="probabilities"'
            )
        mask = mask.filter_bands(["mask"])
    # Without a band dimension one mask serves all bands, on every back-end.
    first = mask.reduce_dimension(dimension=bands or "bands", reducer=_first)
    if resample:
        first = first.resample_cube_spatial(cube, method="near")
    return cube.mask(first)


def _first(values: Any) -> Any:
    return values.array_element(index=0)


class LevelWarning(UserWarning):
    """A network is asked about imagery of another processing level than it was trained on."""


def _compare_levels(spec: ModelSpec, collections: list[str]) -> None:
    """Warn of what will work, but worse; a collection's name is all there is to go by."""
    other = {"L1C": "L2A", "L2A": "L1C"}.get(spec.level)
    found = [name for name in collections if other and other in name.upper()]
    if found:
        warnings.warn(
            f"model {spec.name!r} was trained on {spec.level}, {found[0]} is {other}: choose a "
            "network of that level (`cloudmask models` lists them)",
            LevelWarning,
            stacklevel=3,
        )
