"""What a user asks of a network, checked before a job is paid for, and put into the graph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openeo.api.process import Parameter
from openeo.rest._datacube import UDF
from openeo.rest.connection import Connection

from cloudmask.bands import positions
from cloudmask.checks import choice
from cloudmask.classes import LAYOUT_BANDS
from cloudmask.context import Context, parse_context
from cloudmask.cube import DIMENSIONS
from cloudmask.default import built_in, default_model
from cloudmask.ensemble import check_alike
from cloudmask.errors import ModelError, OptionError
from cloudmask.registry import find, meant
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


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, and what is known of the cube without asking the back-end."""

    context: Mapping[str, Any]
    """As it is sent; may hold parameters of a user-defined process."""
    parsed: Context
    spec: ModelSpec
    """Of the network, the first one if there are several, the one that the bands will choose."""
    metadata: CubeMetadata | None
    extras: frozenset[str] = frozenset()
    """Of our package, with which the networks are installed."""

    @classmethod
    def of(cls, given: Mapping[str, Any], metadata: CubeMetadata | None) -> Request:
        """Check what can be checked before a job is paid for."""
        context = {key: value for key, value in given.items() if value is not None}
        open_ones = {key for key, value in context.items() if isinstance(value, Parameter)}
        for key in sorted(_SHAPING & (open_ones | {"chunk_overlap"}) & set(context)):
            raise OptionError(
                f"{key}={context[key]!r}: chunks are chosen by it, so it cannot be left open in a "
                "user-defined process; chunk_overlap itself is given as chunks=Chunks(overlap=...)"
            )
        for key in sorted(_OF_CHUNKS & set(context)):
            raise OptionError(f"{key}={context[key]!r}: is given as chunks=Chunks({key}=...)")
        if "model" in context:
            specs = _specs(context["model"])
        else:
            specs = [_by_bands(context.get("bands"), metadata)]
        fixed = {key: context[key] for key in set(context) - open_ones - {"model"}}
        parsed = parse_context({"pixel_size": specs[0].pixel_size, **fixed})
        _ = parsed.numbers  # raises what is wrong with the preset
        tile = parsed.options.tiling(specs[0]).tile
        for spec in specs:
            spec.tiling(tile)  # raises if an ensemble's networks cannot share a tile
        extras = frozenset(spec.extra for spec in specs if spec.extra)
        return cls(context, parsed, specs[0], metadata, extras)

    def neighbourhood(self, size: int | None, overlap: int | None) -> Neighbourhood:
        """Choose chunks for the network."""
        options = self.parsed.options
        grow = math.ceil(options.dilation(self.spec))
        return choose(options.tiling(self.spec), options.stitch, grow, size, overlap)

    def prepared(self, cube: DataCube, resample: str | None) -> DataCube:
        """Keep the bands that are needed, at the pixel size that the network knows."""
        if named(self.metadata, "band") is not None:
            assert self.metadata is not None, "a dimension has a name"
            labels = self.metadata.band_names
            names = _checked(self.parsed.bands or labels, labels)
            wanted = positions(names, self.spec.bands)
            if len(wanted) < len(labels) or self.parsed.bands:
                cube = cube.filter_bands([labels[number] for number in wanted])
        if resample:
            if self.pixel_size != self.spec.pixel_size:
                raise OptionError(
                    f"pixel_size={self.pixel_size:g}: the cube is brought to the network's "
                    f"{self.spec.pixel_size:g} m first; leave it out, or say "
                    "chunks=Chunks(resample=None) if the cube shall stay as it is"
                )
            method = choice("resample", resample, RESAMPLING)
            cube = cube.resample_spatial(resolution=self.spec.pixel_size, method=method)
        return cube

    def applied(self, cube: DataCube, around: Neighbourhood, delivery: Delivery) -> DataCube:
        """Add the UDF, and tell the client what it answers."""
        x, y, t = self._dimensions
        code = udf_code(delivery, self.extras)
        context = {**self.context, "chunk_overlap": around.overlap}
        if "model" in context:
            context["model"] = _as_workers_know(context["model"], cube.connection, delivery)
        if self.parsed.dilate:
            context["pixel_size"] = self.pixel_size
        if self.parsed.bands and self.metadata is not None:
            context["bands"] = list(self.spec.bands)  # those that are left, in this order
        masked = cube.apply_neighborhood(
            process=UDF(code, runtime="Python", context=context),
            size=around.sizes(x, y, t),
            overlap=around.overlaps(x, y),
        )
        masked.metadata = self._labelled(masked.metadata)
        return masked

    def _labelled(self, metadata: Any) -> Any:
        """Name the bands of the answer; the client does not know what a UDF does to labels."""
        if named(self.metadata, "band") is None:
            return None  # nothing is better than the empty metadata that resampling makes of it
        labels = LAYOUT_BANDS[self.parsed.options.output.layout]
        return metadata.rename_labels(metadata.band_dimension.name, target=list(labels))

    @property
    def _dimensions(self) -> tuple[str, str, str | None]:
        """Names of x, y and time; the usual ones if the collection does not tell."""
        if self.metadata is None:
            return "x", "y", "t"
        names = [dimension.name for dimension in self.metadata.spatial_dimensions]
        x, y = (
            next((name for name in DIMENSIONS[axis] if name in names), axis) for axis in ("x", "y")
        )
        return x, y, named(self.metadata, "temporal")

    @property
    def pixel_size(self) -> float:
        """Metres a pixel of the cube that the UDF sees."""
        return self.parsed.pixel_size or self.spec.pixel_size


def named(metadata: CubeMetadata | None, kind: str) -> str | None:
    """Name the dimension of a kind, if the metadata know one."""
    if metadata is None or not getattr(metadata, f"has_{kind}_dimension")():
        return None
    return str(getattr(metadata, f"{kind}_dimension").name)


_SHAPING = {"stitch", "tile", "overlap", "dilate", "pixel_size", "chunk_overlap"}
"""What the sizes of chunks follow from."""

_OF_CHUNKS = {"size", "resample", "border", "delivery"}
"""What belongs into `Chunks`; its overlap is another than that of tiles."""

RESAMPLING = (
    "average", "bilinear", "cubic", "cubicspline", "lanczos", "max", "med", "min", "mode", "near",
    "q1", "q3", "rms", "sum",
)  # fmt: skip
"""Methods of openEO's `resample_spatial`."""


def _checked(names: Sequence[str], labels: Sequence[str]) -> Sequence[str]:
    """Refuse names that are not one for each band of the cube."""
    if len(names) != len(labels):
        raise OptionError(
            f"bands={', '.join(names)}: {len(names)} names for the {len(labels)} bands of "
            f"the cube: {', '.join(labels)}; name each in its order"
        )
    return names


def _by_bands(names: Any, metadata: CubeMetadata | None) -> ModelSpec:
    """Find the network that the UDF will choose by the bands it gets.

    Where these are not known it is one for any level; the others cut the cube just so.
    """
    given = [names] if isinstance(names, str) else names
    known = None if named(metadata, "band") is None else list(getattr(metadata, "band_names", ()))
    if isinstance(given, (list, tuple)):
        labels = given if known is None else _checked(given, known)
    elif known is None:
        return built_in()[-1].spec
    else:
        labels = known
    return find(default_model(labels)).spec


def _specs(model: SomeModel) -> list[ModelSpec]:
    """Find the networks, the members of an ensemble or the values of a parameter, much alike."""
    specs = _meant(model)
    if not specs:
        raise ModelError("no model given: name one, `cloudmask models` lists them")
    chunking = ("tile", "overlap", "multiple") if isinstance(model, Parameter) else ()
    check_alike(specs, ("bands", "classes", "pixel_size", *chunking))
    return specs


def _meant(model: SomeModel) -> list[ModelSpec]:
    """Look networks up; the name of a family means all its members."""
    return [find(each).spec for name in _names(model) for each in meant(name)]


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


def _as_workers_know(model: SomeModel, connection: Any, delivery: Delivery) -> Any:
    """Name networks as they are known where the UDF runs: in an archive by their names."""
    at_home = connection is not None and not isinstance(connection, Connection)
    if isinstance(model, Parameter) or at_home:
        return model
    if delivery == "archive":
        names = [spec.name for spec in _meant(model)]
        return names[0] if isinstance(model, str) and len(names) == 1 else names
    files = [name for name in _names(model) if name.endswith(".onnx")]
    if files and isinstance(connection, Connection):
        raise OptionError(
            f"model {files[0]}: the back-end cannot read files of this computer; put it into an "
            "archive (`cloudmask bundle`) and say chunks=Chunks(delivery='archive')"
        )
    return model
