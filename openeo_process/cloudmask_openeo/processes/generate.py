"""Write the published processes: `python -m cloudmask_openeo.processes.generate`.

A process is published in the layout of the APEx algorithm catalogue: `openeo_udp/ID.json` with
its README, `records/ID.json`, `benchmark_scenarios/ID.json`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from openeo.api.process import Parameter
from openeo.internal.graph_building import PGNode
from openeo.metadata import CollectionMetadata
from openeo.rest.datacube import DataCube
from openeo.rest.udp import build_process_dict

from cloudmask import find_model
from cloudmask.bands import PRESETS
from cloudmask.classes import LAYOUT_BANDS
from cloudmask_openeo.client import mask_clouds
from cloudmask_openeo.jobs import job_options

ID = "sentinel2_cloud_mask"
TITLE = "Cloud and cloud-shadow mask for Sentinel-2"
ADDRESS = "https://example.org/openeo-cloudmask"
"""Where the files are published; a release gives its own with --address."""
MODELS = ("ukis-4b-l1c", "ukis-4b-l2a")
"""Networks to choose from; they cut the cube alike."""
BACKEND = "openeofed.dataspace.copernicus.eu"
DAY = "2026-11-23T00:00:00Z"


def parameters() -> dict[str, Parameter]:
    """List the parameters of the process by name."""
    listed = [
        Parameter.bounding_box(
            name="spatial_extent",
            description="The area to mask: west, south, east, north, and crs if not EPSG:4326.",
        ),
        Parameter.temporal_interval(
            name="temporal_extent",
            description="The dates to mask: from, and up to but not including.",
        ),
        _choice(
            "collection",
            "The collection to load: level-1C, or level-2A with a network for it.",
            ("SENTINEL2_L1C", "SENTINEL2_L2A"),
        ),
        _choice("model", "The network; its name tells the level it was trained on.", MODELS),
        _choice("layout", "Which bands the result has, see the description.", LAYOUT_BANDS),
        _choice(
            "preset",
            "What the numbers in the collection mean: cdse, reflectance x 10000 with the offset "
            "applied and no data empty; dn and dn_n0400, product numbers before and from baseline "
            "04.00; reflectance, 0 to 1.",
            PRESETS,
        ),
        Parameter(
            "tta",
            "Test-time augmentations beyond the plain one, 0 to 7, where the answer is ragged.",
            schema={"type": "integer", "minimum": 0, "maximum": 7},
            default=0,
            optional=True,
        ),
    ]
    return {each.name: each for each in listed}


def _choice(name: str, description: str, values: Any) -> Parameter:
    """Make an optional parameter that is one of some words, the first if it is not given."""
    schema = {"type": "string", "enum": list(values)}
    return Parameter(name, description, schema=schema, default=next(iter(values)), optional=True)


def process() -> dict[str, Any]:
    """Build the user-defined process."""
    asked = parameters()
    masked = mask_clouds(
        _loaded(asked),
        asked["model"],
        preset=asked["preset"],
        layout=asked["layout"],
        tta=asked["tta"],
    )
    made: dict[str, Any] = build_process_dict(
        process_graph=masked,
        process_id=ID,
        summary=TITLE,
        description=_readme(),
        parameters=list(asked.values()),
        returns={
            "description": "A cube with the bands of the layout, float32, at 10 m.",
            "schema": {"type": "object", "subtype": "datacube"},
        },
        categories=["sentinel-2", "clouds", "masks"],
        links=_models_links(),
        default_job_options=job_options(),
    )
    return made


def _loaded(asked: dict[str, Parameter]) -> DataCube:
    bands = list(find_model(MODELS[0]).spec.bands)
    arguments = {
        "id": asked["collection"],
        "spatial_extent": asked["spatial_extent"],
        "temporal_extent": asked["temporal_extent"],
        "bands": bands,
    }
    dimensions = {
        "x": {"type": "spatial", "axis": "x"},
        "y": {"type": "spatial", "axis": "y"},
        "t": {"type": "temporal"},
        "bands": {"type": "bands", "values": bands},
    }
    metadata = CollectionMetadata({"cube:dimensions": dimensions})
    return DataCube(PGNode("load_collection", arguments), connection=None, metadata=metadata)


def _models_links() -> list[dict[str, str]]:
    cited = dict.fromkeys(find_model(name).spec.citation for name in MODELS)
    return [
        {"rel": "about", "href": "https://github.com/dlr-eoc/ukis-csmask", "title": text}
        for text in cited
    ]


def _folder() -> Path:
    return Path(__file__).parent / ID


def _readme() -> str:
    """Take the description from the README, without its title."""
    text = (_folder() / "openeo_udp" / "README.md").read_text("utf-8")
    return text.split("\n", 1)[1].strip() + "\n"


def record(address: str) -> dict[str, Any]:
    """Describe the process for a catalogue, as an OGC API record."""
    return {
        "id": ID,
        "type": "Feature",
        "conformsTo": [
            "http://www.opengis.net/spec/ogcapi-records-1/1.0/req/record-core",
            "https://apex.esa.int/core/openeo-udp",
        ],
        "geometry": None,
        "properties": _properties(),
        "linkTemplates": [],
        "links": _links(f"{address}/{ID}/openeo_udp/{ID}.json"),
    }


def _properties() -> dict[str, Any]:
    english = {"code": "en-US", "name": "English (United States)"}
    scheme = "https://gcmd.earthdata.nasa.gov/kms/concepts/concept_scheme/sciencekeywords"
    return {
        "created": DAY,
        "updated": DAY,
        "type": "service",
        "title": TITLE,
        "description": _readme().split("\n## ", maxsplit=1)[0].strip(),
        # Not known before it has run on a back-end that charges for it.
        "cost_estimate": 0,
        "cost_unit": "platform credits per km2, not measured yet",
        "keywords": ["Sentinel-2"],
        "language": english,
        "languages": [english],
        "contacts": [{"name": "The openeo-cloudmask developers", "roles": ["processor"]}],
        "themes": [{"concepts": [{"id": "CLOUDS"}, {"id": "Sentinel-2 MSI"}], "scheme": scheme}],
        "formats": [{"name": "GeoTIFF"}, {"name": "netCDF"}],
        "license": "MIT",
    }


def _links(process: str) -> list[dict[str, str]]:
    return [
        {
            "rel": "application",
            "type": "application/vnd.openeo+json;type=process",
            "title": "openEO process definition",
            "href": process,
        },
        {
            "rel": "service",
            "type": "application/json",
            "title": "Copernicus Data Space openEO federation",
            "href": f"https://{BACKEND}",
        },
    ]


def benchmark_scenarios(address: str) -> list[dict[str, Any]]:
    """Describe a run by which a catalogue watches the process."""
    arguments = {
        "spatial_extent": {"west": 5.05, "south": 51.2, "east": 5.1, "north": 51.23},
        "temporal_extent": ["2023-06-01", "2023-06-15"],
        "layout": "probabilities",
    }
    masked = {
        "process_id": ID,
        "namespace": f"{address}/{ID}/openeo_udp/{ID}.json",
        "arguments": arguments,
    }
    save = {"data": {"from_node": "mask"}, "format": "GTiff"}
    return [
        {
            "id": f"{ID}_farmland",
            "type": "openeo",
            "description": "Two weeks of farmland in Flanders, 3.5 km x 3.3 km.",
            "backend": BACKEND,
            "process_graph": {
                "mask": masked,
                "save": {"process_id": "save_result", "arguments": save, "result": True},
            },
            "job_options": job_options(),
            # Filled by the first run on a real back-end.
            "reference_data": {},
        }
    ]


def files(address: str = ADDRESS) -> dict[str, str]:
    """Give the content of every generated file by its path in the folder of the processes."""
    made = {
        f"{ID}/openeo_udp/{ID}.json": process(),
        f"{ID}/records/{ID}.json": record(address),
        f"{ID}/benchmark_scenarios/{ID}.json": benchmark_scenarios(address),
    }
    return {path: json.dumps(content, indent=2) + "\n" for path, content in made.items()}


def main() -> None:
    """Write the files beside this script, or where told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    parser.add_argument("--address", default=ADDRESS, help="where the files will be published")
    asked = parser.parse_args()
    for path, text in files(asked.address.rstrip("/")).items():
        target = asked.output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        print(target)  # noqa: T201 - tells what was written


if __name__ == "__main__":
    main()
