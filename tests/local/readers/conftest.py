"""Products written by the tests, and a server on loopback that gives them away."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

pytest.importorskip("rasterio")

from cloudmask.local.product import Wanted
from cloudmask.windows import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from cloudmask.local.product import Product, Scene

BANDS = ("B02", "B04", "B11", "B01")
"""One of each pixel size, not in their order."""


@pytest.fixture(scope="session")
def trees() -> Any:
    """Give the module that writes products: Safe, write_safe, zipped, shifted, ..."""
    path = Path(__file__).parents[1] / "safe_trees.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def images(trees: Any) -> Any:
    """Band -> (y, x) numbers as stored: simulated clouds, some no data."""
    return trees.simulated_images(1200)


@pytest.fixture(scope="session")
def expected(trees: Any, images: Any) -> NDArray[Any]:
    """(band, y, x) numbers of BANDS on the grid of the finest."""
    return np.asarray(trees.on_finest_grid(images, BANDS))


@pytest.fixture(scope="session")
def truth(expected: NDArray[Any]) -> NDArray[np.float32]:
    """(band, y, x) reflectance of BANDS, NaN where a band has no data."""
    return np.where((expected == 0).any(axis=0), np.nan, expected * 1e-4).astype(np.float32)


def reflectance(product: Product) -> NDArray[np.float32]:
    """Read all of a product, NaN where a band has no data."""
    numbers = product.raster.read(Span(0, product.raster.shape[1]))
    found = product.preset.reflectance(numbers)
    found[:, ~product.preset.valid(numbers)] = np.nan
    return found


@pytest.fixture(scope="session")
def seen() -> Callable[..., NDArray[np.float32]]:
    """Give the function that opens a scene and reads its reflectance, (band, y, x)."""

    def see(scene: Scene, bands: tuple[str, ...] = BANDS, **options: Any) -> NDArray[np.float32]:
        with scene.opened(Wanted(bands=bands, **options)) as product:
            return reflectance(product)

    return see


@dataclass
class Web:
    """A server of files with byte ranges, as COG readers need, and of answers to searches."""

    folder: Path
    url: str = ""
    answers: dict[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    """Path -> what makes an answer of a request's JSON."""
    asked: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """Answers requests; a class of its own for each server."""

    protocol_version = "HTTP/1.1"
    web: Web

    def do_GET(self) -> None:
        """Give a file, a part of it, or an answer."""
        path = unquote(urlsplit(self.path).path)
        self.web.asked.append(path)
        file = self.web.folder / path.lstrip("/")
        if path in self.web.answers:
            self._json(self.web.answers[path]({}))
        elif not file.is_file():
            self._reply(404, b"")
        else:
            self._part(file.read_bytes(), self.headers.get("Range", ""))

    do_HEAD = do_GET  # noqa: N815 - http.server's names

    def do_POST(self) -> None:
        """Answer a search."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._json(self.web.answers[urlsplit(self.path).path](asked))

    def _part(self, data: bytes, wanted: str) -> None:
        if not wanted.startswith("bytes="):
            self._reply(200, data)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last or len(data)) + 1, len(data))
        where = {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}
        self._reply(206, data[start:stop], **where)

    def _json(self, answer: Any) -> None:
        self._reply(200, json.dumps(answer).encode(), **{"Content-Type": "application/json"})

    def _reply(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Accept-Ranges": "bytes", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    made = Web(tmp_path)
    handler = type("HandlerOfOne", (Handler,), {"web": made})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def stac_item(trees: Any) -> Callable[..., dict[str, Any]]:
    """Give the function that makes a STAC 1.0 Item of GeoTIFFs at `base`, which it writes."""

    def make(
        folder: Path, images: Mapping[str, NDArray[Any]], base: str, **properties: Any
    ) -> dict[str, Any]:
        assets = {}
        for band, image in images.items():
            trees.write_image(folder / f"{band}.tif", image, trees.METRES[band], nodata=0)
            assets[band] = {
                "href": f"{base}/{band}.tif",
                "type": "image/tiff; application=geotiff",
                "roles": ["data"],
                "eo:bands": [{"name": band}],
                "raster:bands": [{"nodata": 0, "scale": 0.0001, "offset": 0}],
            }
        corners = [[1.7, 42.3], [1.9, 42.3], [1.9, 42.5], [1.7, 42.5], [1.7, 42.3]]
        return {
            "type": "Feature",
            "stac_version": "1.0.0",
            "stac_extensions": [],
            "id": "S2A_31TCJ_20200101_0_L1C",
            "collection": "sentinel-2-l1c",
            "geometry": {"type": "Polygon", "coordinates": [corners]},
            "bbox": [1.7, 42.3, 1.9, 42.5],
            "properties": {
                "datetime": trees.SENSED,
                "platform": "sentinel-2a",
                "updated": "2020-02-01T00:00:00Z",
                **properties,
            },
            "links": [],
            "assets": assets,
        }

    return make
