"""Make an archive: collect, write beside, try, rename."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudmask.local.beside import beside, sweep
from cloudmask_openeo.bundle.archive import write_zip
from cloudmask_openeo.bundle.contents import collect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloudmask_openeo.bundle.contents import Contents, Order


class BundleWarning(UserWarning):
    """The archive could not be tried here."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """An archive that has been made."""

    path: Path
    contents: Contents
    size: int
    """Bytes of the archive."""
    sha256: str
    """Of the archive, hexadecimal."""
    tried: tuple[str, ...]
    """Networks, or ensembles of them, that the UDF was run with; none if it was not run."""


def make(order: Order, tell: Callable[[str], None] = lambda _: None) -> Bundle:
    """Make an archive; what stood at its place stays until the new one is whole and tried.

    Args:
        order: What to bundle.
        tell: Called with what is being done.

    Raises:
        CloudmaskError: Something cannot be had, must not be unpacked, or does not work.
        OSError: The archive cannot be written.
    """
    sweep(order.output.parent, order.output.stem)
    with beside(order.output) as partial:
        tell("collecting networks and packages")
        contents = collect(order)
        tell("writing the archive")
        write_zip(partial, contents.files)
        tried = tuple(_tried(order, partial, contents, tell))
        content = partial.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return Bundle(order.output, contents, len(content), digest, tried)


def _tried(
    order: Order, archive: Path, contents: Contents, tell: Callable[[str], None]
) -> list[str]:
    if not order.check:
        return []
    target = order.target
    if not target.is_here:
        warnings.warn(
            f"the archive is for Python {target.python} on {target.platform}, not for the Python "
            "that runs here: it has not been tried. Make it with that Python to have it tried",
            BundleWarning,
            stacklevel=2,
        )
        return []
    from cloudmask_openeo.bundle.check import check, trials

    done = []
    for plan in trials(contents.networks):
        tell(f"running the UDF out of the archive with {plan.name}")
        check(archive, plan)
        done.append(plan.name)
    return done
