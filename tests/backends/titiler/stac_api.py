"""A STAC API on 127.0.0.1 over a folder: `stac_api.py PORT`, the folder in STAC_FOLDER.

The folder holds `COLLECTION/collection.json` and `COLLECTION/items/*.json`, read at each request,
so that tests can add scenes while it runs. Searching looks at the collection and at the dates.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("STAC_FOLDER", "."))
CONFORMS_TO = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#fields",
]


class Api(BaseHTTPRequestHandler):
    """Answers `/`, `/collections`, `/collections/ID` and `/search`."""

    def do_GET(self) -> None:
        """Answer a landing page or collections."""
        match self.path.strip("/").split("?")[0].split("/"):
            case [""]:
                self._send(self._landing())
            case ["collections"]:
                found = [_read(path) for path in sorted(FOLDER.glob("*/collection.json"))]
                self._send({"collections": found, "links": []})
            case ["collections", name] if (FOLDER / name / "collection.json").exists():
                self._send(_read(FOLDER / name / "collection.json"))
            case _:
                self._send({"code": 404, "description": self.path}, 404)

    def do_POST(self) -> None:
        """Answer a search."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        folders = [FOLDER / name / "items" for name in asked["collections"]]
        items = [_read(path) for folder in folders for path in sorted(folder.glob("*.json"))]
        found = [item for item in items if _within(item, asked.get("datetime", "../.."))]
        self._send({"type": "FeatureCollection", "features": found, "links": []})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""

    def _landing(self) -> dict[str, Any]:
        base = f"http://{self.headers['Host']}"
        return {
            "type": "Catalog",
            "stac_version": "1.0.0",
            "id": "loopback",
            "description": "scenes of a test",
            "conformsTo": CONFORMS_TO,
            "links": [
                {"rel": "self", "href": base, "type": "application/json"},
                {"rel": "root", "href": base, "type": "application/json"},
                {"rel": "data", "href": f"{base}/collections", "type": "application/json"},
                {"rel": "search", "href": f"{base}/search", "method": "POST"},
            ],
        }

    def _send(self, document: object, status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _within(item: dict[str, Any], interval: str) -> bool:
    """Compare days, which ISO 8601 writes in an order that text has too."""
    day = item["properties"]["datetime"][:10]
    start, end = (text[:10] for text in interval.split("/"))
    return (start == ".." or start <= day) and (end == ".." or day <= end)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
