"""What the command says: progress while it works, then what is inside and how to use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cloudmask import __version__
from cloudmask.default import BUILT_IN
from cloudmask_openeo.bundle.make import make

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudmask_openeo.bundle.contents import Order
    from cloudmask_openeo.bundle.make import Bundle

MEGA = 1e6

PLACEHOLDER = "https://example.org/put/it/here/{name}"
"""Where an archive lies as long as nobody has said so."""


def run_bundle(order: Order, url: str | None = None) -> Iterator[str]:
    """Make an archive, with a spinner on a terminal.

    Args:
        order: What to bundle.
        url: Address that it will have.

    Yields:
        What has been made, a line each; last the job options as JSON.

    Raises:
        OptionError: The address is none that a back-end can fetch.
    """
    from rich.console import Console

    from cloudmask_openeo.jobs import job_options

    options = job_options(url or PLACEHOLDER.format(name=order.output.name))
    with Console(stderr=True).status("starting") as status:
        bundle = make(order, status.update)
    yield from summary(bundle)
    where = "" if url else f" once {order.output.name} lies where the back-end can fetch it"
    yield f'job options, for mask_clouds(..., chunks=Chunks(delivery="archive")){where}:'
    yield json.dumps(options, indent=2)


def summary(bundle: Bundle) -> Iterator[str]:
    """Tell what is inside and how large it is."""
    contents = bundle.contents
    yield (
        f"{bundle.path}: {bundle.size / MEGA:.1f} MB, {contents.unpacked / MEGA:.1f} MB unpacked, "
        f"sha256 {bundle.sha256}"
    )
    for network in contents.networks:
        said = network.description
        licence = said["licence"] or "no licence stated"
        yield (
            f"  model {said['name']}: {said['bytes'] / MEGA:.1f} MB, {licence}, "
            f"sha256 {said['sha256']}"
        )
    yield (
        f"  {', '.join(contents.packages)}; openeo-cloudmask {__version__} with its own "
        f"{' and '.join(BUILT_IN)}"
    )
    if bundle.tried:
        yield (
            "  tried with nothing of it installed, it gives the same mask: "
            f"{', '.join(bundle.tried)}"
        )
    else:
        yield "  not tried"
