"""Files under the ids of collections, and their description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyproj import Transformer

from cloudmask.errors import CubeError
from cloudmask_openeo.local.files import READERS, open_cube
from cloudmask_openeo.local.selection import between, with_bands, within

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Which file a collection id stands for."""

    named: Mapping[str, Path] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()

    @classmethod
    def of(
        cls, collections: str | Path | Sequence[str | Path] | Mapping[str, str | Path]
    ) -> Catalogue:
        """Read the argument of `local_connection`.

        Raises:
            CubeError: A file or folder does not exist.
        """
        if isinstance(collections, Mapping):
            made = cls(named={name: Path(path) for name, path in collections.items()})
        else:
            several = [collections] if isinstance(collections, (str, Path)) else collections
            made = cls(folders=tuple(map(Path, several)))
        for path in (*made.named.values(), *made.folders):
            if not path.exists():
                raise CubeError(f"{path}: there is no such file or folder")
        return made

    @property
    def ids(self) -> list[str]:
        """All collection ids."""
        found = [
            path.as_posix()
            for folder in self.folders
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in READERS
        ]
        return [*self.named, *found]

    def path(self, collection_id: str) -> Path:
        """Find the file of a collection.

        Raises:
            CubeError: There is none.
        """
        candidates = [Path(collection_id), *(folder / collection_id for folder in self.folders)]
        if collection_id in self.named:
            return self.named[collection_id]
        for candidate in candidates:
            if candidate.exists():
                return candidate
        raise CubeError(
            f"collection {collection_id!r} is not known; there are "
            f"{', '.join(self.ids) or 'none'}. Name its file: "
            f"local_connection({{{collection_id!r}: 'scene.nc'}})"
        )

    def load_collection(
        self,
        id: str,  # noqa: A002 - openEO's name
        spatial_extent: Any = None,
        temporal_extent: Any = None,
        bands: Sequence[str] | None = None,
        properties: Any = None,  # noqa: ARG002 - files have none to be chosen by
    ) -> xr.DataArray:
        """Open a collection's file, dimensions (t,) bands, y, x, lazy.

        Args:
            id: Of the collection.
            spatial_extent: A bounding box.
            temporal_extent: Start and end, the end excluded.
            bands: Names, in the wanted order.
            properties: Ignored: files do not have the properties of a catalogue.

        Raises:
            BandError: A band is missing.
            CubeError: There is no such collection, or nothing in the extent.
            OptionError: The extent is no bounding box.
        """
        cube = with_bands(open_cube(self.path(id)), bands)
        return between(within(cube, spatial_extent), temporal_extent)

    def describe(self, collection_id: str) -> dict[str, Any]:
        """Describe a collection as STAC, as back-ends do."""
        path = self.path(collection_id)
        cube = open_cube(path)
        return {
            "stac_version": "1.0.0",
            "type": "Collection",
            "id": collection_id,
            "title": str(cube.attrs.get("title", path.name)),
            "description": str(cube.attrs.get("description", f"The file {path.name}")),
            "license": str(cube.attrs.get("license", "other")),
            "providers": [],
            "links": [],
            "extent": _extent(cube),
            "cube:dimensions": _dimensions(cube),
        }


def _ends(cube: xr.DataArray, name: str) -> list[Any]:
    """Give the first and last coordinate, by value."""
    if name not in cube.coords:
        return [0, cube.sizes[name] - 1]
    values = cube[name].values
    ends = [values.min(), values.max()]
    return [str(end) if values.dtype.kind == "M" else end.item() for end in ends]


def _edges(cube: xr.DataArray, name: str) -> tuple[float, float]:
    """Give the outer edges of the first and last pixel, by value."""
    first, last = _ends(cube, name)
    half = (last - first) / max(1, cube.sizes[name] - 1) / 2
    return first - half, last + half


def _dimensions(cube: xr.DataArray) -> dict[str, Any]:
    crs = cube.rio.crs
    reference = {} if crs is None else {"reference_system": crs.to_wkt()}
    made: dict[str, Any] = {}
    if "t" in cube.dims:
        made["t"] = {"type": "temporal", "extent": _ends(cube, "t")}
    for axis in ("x", "y"):
        made[axis] = {"type": "spatial", "axis": axis, "extent": _ends(cube, axis)} | reference
    if "bands" in cube.coords:
        made["bands"] = {"type": "bands", "values": [str(name) for name in cube["bands"].values]}
    return made


def _extent(cube: xr.DataArray) -> dict[str, Any]:
    made: dict[str, Any] = {"temporal": {"interval": [[None, None]]}}
    if "t" in cube.dims:
        made["temporal"] = {"interval": [_ends(cube, "t")]}
    if cube.rio.crs is not None and {"x", "y"} <= set(cube.coords):
        (west, east), (south, north) = _edges(cube, "x"), _edges(cube, "y")
        transformer = Transformer.from_crs(cube.rio.crs, 4326, always_xy=True)
        bounds = transformer.transform_bounds(west, south, east, north)
        made["spatial"] = {"bbox": [list(bounds)]}
    return made
