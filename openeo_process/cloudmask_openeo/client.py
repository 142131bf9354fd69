"""Masking in a user's process graph: what the graph needs is added to it, nothing is run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openeo.api.process import Parameter
from openeo.rest._datacube import UDF

from cloudmask import find_model
from cloudmask.bands import positions
from cloudmask.classes import LAYOUT_BANDS
from cloudmask.context import Context, parse_context
from cloudmask.cube import DEFAULT_MODEL
from cloudmask.ensemble import check_alike
from cloudmask.errors import ModelError, OptionError
from cloudmask_openeo import extent
from cloudmask_openeo.neighbourhood import choose
from cloudmask_openeo.text import udf_code

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from openeo.metadata import CubeMetadata
    from openeo.rest.datacube import DataCube

    from cloudmask.spec import ModelSpec
    from cloudmask_openeo.neighbourhood import Neighbourhood
    from cloudmask_openeo.text import Delivery

    SomeModel = str | Sequence[str] | Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """How the back-end is to cut the cube; the defaults suit the network."""

    size: int | None = None
    """Edge of a chunk in pixels, a multiple of the tiles' stride; default about 768."""
    overlap: int | None = None
    """Pixels of the neighbours at each side; default what the tiles need."""
    resample: str | None = "average"
    """How the cube is brought to the network's pixel size first; None if it has it already."""
    border: bool = True
    """Whether to load more than the cube's extent and cut it off again, so that its border is
    masked as if it were none; where the graph says which extent is loaded."""
    delivery: Delivery = "pep723"
    """How our package reaches the workers, see `cloudmask_openeo.text.Delivery`."""


def mask_clouds(
    cube: DataCube,
    model: SomeModel = DEFAULT_MODEL,
    *,
    preset: str | Parameter | None = "cdse",
    layout: str | Parameter = "mask",
    chunks: Chunks = Chunks(),
    **context: Any,
) -> DataCube:
    """Mask clouds and cloud shadows in a cube of a back-end.

    Args:
        cube: Sentinel-2 bands, from `load_collection` or `load_stac`; other bands do no harm.
        model: Name of a network (`cloudmask.models()` lists them) or several: an ensemble. A
            parameter of a user-defined process must list its networks as `enum`.
        preset: What the numbers mean: "cdse" (Copernicus Data Space: reflectance x 10000,
            offset applied, NaN = no data), "dn", "dn_n0400", "reflectance" (titiler-openeo);
            None if `scale`, `offset` and `nodata` are given.
        layout: "mask": bands mask (1 = cloud, shadow or no data, 0 = usable, never NaN) and
            class (0 clear, 1 thick cloud, 2 thin cloud, 3 cloud shadow, 255 no data);
            "probabilities": these and one band a class, 0..1; "cloud_detection": cloud, shadow
            and haze, 0..1.
        chunks: How the back-end is to cut the cube.
        context: What else the UDF can be told, see `cloudmask.context.Context`: tta, stitch,
            dilate, masked, ...

    Returns:
        A float32 cube with the bands of the layout, at the network's pixel size.

    Raises:
        BandError: The collection lacks a band that the network needs.
        OptionError: An option cannot work, or seams would show between chunks.
        ModelError: There is no such network.
    """
    given = {"model": model, "preset": preset, "layout": layout, **context}
    request = _Request.of(given, cube.metadata)
    box = extent.loaded_extent(cube) if chunks.border else None
    around = request.neighbourhood(chunks)
    if box:
        cube = extent.widened(cube, box, (around.overlap + 1) * request.spec.pixel_size)
    prepared = request.prepared(cube, chunks.resample)
    masked = request.applied(prepared, around, udf_code(chunks.delivery))
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
    bands = _named(mask.metadata, "band")
    if bands is not None:
        mask = mask.filter_bands(["mask"])
    # Without a band dimension one mask serves all bands, on every back-end.
    first = mask.reduce_dimension(dimension=bands or "bands", reducer=_first)
    if resample:
        first = first.resample_cube_spatial(cube, method="near")
    return cube.mask(first)


def _first(values: Any) -> Any:
    return values.array_element(index=0)


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked for, and what is known of the cube without asking the back-end."""

    context: Mapping[str, Any]
    """As it is sent; may hold parameters of a user-defined process."""
    parsed: Context
    spec: ModelSpec
    metadata: CubeMetadata | None

    @classmethod
    def of(cls, given: Mapping[str, Any], metadata: CubeMetadata | None) -> _Request:
        """Check what can be checked before a job is paid for."""
        context = {key: value for key, value in given.items() if value is not None}
        open_ones = {key for key, value in context.items() if isinstance(value, Parameter)}
        for key in sorted(_SHAPING & (open_ones | {"chunk_overlap"}) & set(context)):
            raise OptionError(
                f"{key}={context[key]!r}: chunks are chosen by it, so it cannot be left open in a "
                "user-defined process; chunk_overlap itself is given as chunks=Chunks(overlap=...)"
            )
        spec = _common_spec(context["model"])
        fixed = {key: context[key] for key in set(context) - open_ones - {"model"}}
        parsed = parse_context({"pixel_size": spec.pixel_size, **fixed})
        _ = parsed.numbers  # raises what is wrong with the preset
        return cls(context, parsed, spec, metadata)

    def neighbourhood(self, chunks: Chunks) -> Neighbourhood:
        """Choose chunks for the network."""
        options = self.parsed.options
        grow = math.ceil(options.dilation(self.spec))
        return choose(options.tiling(self.spec), options.stitch, grow, chunks.size, chunks.overlap)

    def prepared(self, cube: DataCube, resample: str | None) -> DataCube:
        """Keep the bands that are needed, at the pixel size that the network knows."""
        if self.metadata is not None and self.metadata.has_band_dimension():
            labels = self.metadata.band_names
            wanted = positions(labels, self.spec.bands)
            if len(wanted) < len(labels):
                cube = cube.filter_bands([labels[number] for number in wanted])
        if resample:
            cube = cube.resample_spatial(resolution=self.spec.pixel_size, method=resample)
        return cube

    def applied(self, cube: DataCube, around: Neighbourhood, code: str) -> DataCube:
        """Add the UDF, and tell the client what it answers."""
        x, y, t = self._dimensions
        context = {**self.context, "chunk_overlap": around.overlap}
        if self.parsed.dilate:
            context["pixel_size"] = self.spec.pixel_size
        masked = cube.apply_neighborhood(
            process=UDF(code, runtime="Python", context=context),
            size=around.sizes(x, y, t),
            overlap=around.overlaps(x, y),
        )
        masked.metadata = self._labelled(masked.metadata)
        return masked

    def _labelled(self, metadata: Any) -> Any:
        """Name the bands of the answer; the client does not know what a UDF does to labels."""
        if _named(self.metadata, "band") is None:
            return None  # nothing is better than the empty metadata that resampling makes of it
        labels = LAYOUT_BANDS[self.parsed.options.output.layout]
        return metadata.rename_labels(metadata.band_dimension.name, target=list(labels))

    @property
    def _dimensions(self) -> tuple[str, str, str | None]:
        """Names of x, y and time; the usual ones if the collection does not tell."""
        if self.metadata is None:
            return "x", "y", "t"
        names = [dimension.name for dimension in self.metadata.spatial_dimensions]
        x, y = (name if name in names else short for name, short in (("x", "x"), ("y", "y")))
        return x, y, _named(self.metadata, "temporal")


def _named(metadata: CubeMetadata | None, kind: str) -> str | None:
    """Name the dimension of a kind, if the metadata know one."""
    if metadata is None or not getattr(metadata, f"has_{kind}_dimension")():
        return None
    return str(getattr(metadata, f"{kind}_dimension").name)


_SHAPING = {"stitch", "tile", "overlap", "dilate", "pixel_size", "chunk_overlap"}
"""What the sizes of chunks follow from."""


def _common_spec(model: SomeModel) -> ModelSpec:
    """Find what the networks share: the members of an ensemble, or the values of a parameter."""
    alternatives = isinstance(model, Parameter)
    specs = [find_model(name).spec for name in _names(model)]
    if not specs:
        raise ModelError("no model given: name one, `cloudmask models` lists them")
    chunking = ("tile", "overlap", "multiple") if alternatives else ()
    check_alike(specs, ("bands", "classes", "pixel_size", *chunking))
    return specs[0]


def _names(model: SomeModel) -> list[str]:
    if not isinstance(model, Parameter):
        return [model] if isinstance(model, str) else list(model)
    schema: Any = model.schema
    names = schema.get("enum") if isinstance(schema, dict) else None
    if not names:
        raise OptionError(
            f"model parameter {model.name!r} names no networks: give its schema an enum, so that "
            "chunks can be chosen for them"
        )
    return list(names)
