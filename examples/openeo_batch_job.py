"""A cloud-free cube of the Copernicus Data Space, as one batch job.

Without an account this prints the process graph and the job options; with one,

    python examples/openeo_batch_job.py --submit --archive https://example.org/deps.zip

runs it. The archive is what `cloudmask bundle -o deps.zip` made, at an address of yours.
"""

from __future__ import annotations

import argparse
import json

import openeo

from cloudmask_openeo import Chunks, cloud_free, job_options, mask_clouds

BACKEND = "openeofed.dataspace.copernicus.eu"
FIELD = {"west": 5.05, "south": 51.20, "east": 5.10, "north": 51.23}
JUNE = ["2023-06-01", "2023-07-01"]
BANDS = ["B02", "B03", "B04", "B08"]


def masked(connection: openeo.Connection | None) -> openeo.DataCube:
    """Load a month, take the clouds out, keep the median."""
    cube = openeo.DataCube.load_collection(
        "SENTINEL2_L1C",
        connection=connection,
        spatial_extent=FIELD,
        temporal_extent=JUNE,
        bands=BANDS,
        fetch_metadata=connection is not None,
    )
    mask = mask_clouds(cube, chunks=Chunks(delivery="archive"))
    return cloud_free(cube, mask).reduce_dimension(dimension="t", reducer="median")


def main() -> None:
    """Print the job, or run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submit", action="store_true", help="needs an account")
    parser.add_argument("--archive", default="https://example.org/deps.zip")
    asked = parser.parse_args()
    options = job_options(asked.archive)
    if asked.submit:
        connection = openeo.connect(BACKEND).authenticate_oidc()
        job = masked(connection).create_job(
            title="cloud-free June", out_format="GTiff", job_options=options
        )
        job.start_and_wait().get_results().download_files("cloud-free-june")
        return
    graph = masked(None).flat_graph()
    for name, node in graph.items():
        text = json.dumps(node["arguments"])
        print(f"{name:24} {text if len(text) < 200 else text[:200] + ' ...'}")
    print(json.dumps(options, indent=2))


if __name__ == "__main__":
    main()
