"""A real titiler-openeo with the plugin, a STAC API beside it, and scenes to put there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest
import rasterio
import xarray as xr
from openeo.rest.connection import connect
from rasterio.warp import transform_bounds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from openeo.rest.connection import Connection
    from openeo.rest.datacube import DataCube

    class Server(Protocol):
        """What the fixture `serve` gives."""

        url: str
        log: Path

    class Serve(Protocol):
        """The fixture `serve`."""

        def __call__(
            self, backend: str, script: Path, env: Mapping[str, str], health: str = "/"
        ) -> Server:
            """Run a script in a back-end's environment."""

    class StartTitiler(Protocol):
        """The fixture `start_titiler`."""

        def __call__(self, *, run_udf: bool) -> Titiler:
            """Start one."""


HERE = Path(__file__).parent
PIXEL = 10
WEST, NORTH = 600_000, 5_200_000
CRS = "EPSG:32632"
YEARS = ["2015-01-01", "2035-01-01"]


@dataclass(frozen=True)
class Scene:
    """A scene in the STAC API."""

    collection: str
    bands: tuple[str, ...]
    height: int
    width: int

    @property
    def extent(self) -> dict[str, Any]:
        """What load_collection takes as `spatial_extent`."""
        east, south = WEST + PIXEL * self.width, NORTH - PIXEL * self.height
        return {"west": WEST, "south": south, "east": east, "north": NORTH, "crs": CRS}


@dataclass(frozen=True)
class Picture:
    """A GeoTIFF that titiler made."""

    values: NDArray[np.float32]
    """(bands, y, x); titiler writes no band names."""
    crs: str
    transform: Any


@dataclass(frozen=True)
class Titiler:
    """The running back-end and the folder that its STAC API serves."""

    url: str
    log: Path
    folder: Path
    numbers: count[int]

    def connect(self) -> Connection:
        """Connect as a user with a password."""
        return connect(self.url).authenticate_basic("test", "test")

    def put(
        self, cube: xr.DataArray, *, dates: Sequence[str] = ("2024-06-01",), scale: float = 1e-4
    ) -> Scene:
        """Write (t, bands, y, x) or (bands, y, x) uint16, 0 = no data, as a new collection."""
        collection = f"scene{next(self.numbers)}"
        folder = self.folder / collection
        (folder / "items").mkdir(parents=True)
        layers = cube if "t" in cube.dims else cube.expand_dims("t")
        bands = [str(name) for name in cube["bands"].values]
        scene = Scene(collection, tuple(bands), cube.sizes["y"], cube.sizes["x"])
        for date, layer in zip(dates, layers.values, strict=True):
            item = _item(folder, scene, date, layer, scale)
            (folder / "items" / f"{date}.json").write_text(json.dumps(item))
        (folder / "collection.json").write_text(json.dumps(_collection(scene)))
        return scene

    def load(
        self, scene: Scene, *, native: bool = True, bands: Sequence[str] | None = None
    ) -> DataCube:
        """Load a scene; at its own resolution if `native`, else as titiler likes."""
        cube = self.connect().load_collection(
            scene.collection, scene.extent, YEARS, list(bands or scene.bands)
        )
        if native:
            # null means the scene's own pixels, leaving it out a picture of 1024 x 1024.
            cube.result_node().update_arguments(width=None, height=None)
        return cube

    def download(self, cube: DataCube) -> Picture:
        """Download a single date as GeoTIFF."""
        path = self.folder / f"download{next(self.numbers)}.tif"
        cube.save_result("GTiff").download(path)
        with rasterio.open(path) as file:
            return Picture(file.read(), str(file.crs), file.transform)


def _item(
    folder: Path, scene: Scene, date: str, layer: NDArray[np.uint16], scale: float
) -> dict[str, Any]:
    assets = {}
    for name, band in zip(scene.bands, layer, strict=True):
        path = folder / f"{date}_{name}.tif"
        _write(path, band)
        assets[name] = _asset(path, name, scale)
    extent = scene.extent
    box = [extent["west"], extent["south"], extent["east"], extent["north"]]
    west, south, east, north = transform_bounds(CRS, "EPSG:4326", *box)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": ["https://stac-extensions.github.io/projection/v2.0.0/schema.json"],
        "id": f"{scene.collection}-{date}",
        "collection": scene.collection,
        "bbox": [west, south, east, north],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "datetime": f"{date}T10:00:00Z",
            "proj:code": CRS,
            "proj:shape": [scene.height, scene.width],
            "proj:transform": [PIXEL, 0, WEST, 0, -PIXEL, NORTH],
        },
        "assets": assets,
        "links": [],
    }


def _write(path: Path, band: NDArray[np.uint16]) -> None:
    height, width = band.shape
    grid = rasterio.Affine(PIXEL, 0, WEST, 0, -PIXEL, NORTH)
    profile = {"driver": "COG", "dtype": "uint16", "nodata": 0, "crs": CRS, "transform": grid}
    with rasterio.open(path, "w", height=height, width=width, count=1, **profile) as file:
        file.write(band, 1)


def _asset(path: Path, name: str, scale: float) -> dict[str, Any]:
    return {
        "href": str(path),
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data"],
        "nodata": 0,
        "bands": [{"name": name}],
        "raster:scale": scale,
        "raster:offset": 0,
    }


def _collection(scene: Scene) -> dict[str, Any]:
    data = {"roles": ["data"], "type": "image/tiff"}
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": scene.collection,
        "description": "a scene of a test",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["2015-06-23T00:00:00Z", None]]},
        },
        "item_assets": {name: {**data, "bands": [{"name": name}]} for name in scene.bands},
        "links": [],
    }


@pytest.fixture(scope="session")
def start_titiler(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> StartTitiler:
    """Start a titiler-openeo with the plugin; UDFs run if its operator says so."""
    folder = tmp_path_factory.mktemp("stac")
    catalogue = serve("titiler", HERE / "stac_api.py", {"STAC_FOLDER": str(folder)})
    numbers = count()

    def start(*, run_udf: bool) -> Titiler:
        store = folder / f"store{next(numbers)}.json"
        store.write_text("{}")
        settings = {
            "TITILER_OPENEO_STAC_API_URL": catalogue.url,
            "TITILER_OPENEO_STORE_URL": str(store),
            "RUN_UDF": "yes" if run_udf else "no",
        }
        server = serve("titiler", HERE / "titiler_server.py", settings)
        return Titiler(server.url, server.log, folder, numbers)

    return start


@pytest.fixture(scope="session")
def titiler(start_titiler: StartTitiler) -> Titiler:
    """titiler-openeo whose operator trusts the users."""
    return start_titiler(run_udf=True)


@pytest.fixture(scope="session")
def public_titiler(start_titiler: StartTitiler) -> Titiler:
    """titiler-openeo as the plugin leaves it if nothing is said."""
    return start_titiler(run_udf=False)


@pytest.fixture(scope="session")
def numbers() -> xr.DataArray:
    """(bands, y, x) uint16 without no data, smooth in no way, 150 x 210."""
    values = np.random.default_rng(7).integers(1, 10_000, (4, 150, 210)).astype(np.uint16)
    return xr.DataArray(values, {"bands": ["B02", "B03", "B04", "B08"]}, ("bands", "y", "x"))
