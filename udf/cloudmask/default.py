"""Which network is used if none is named: the best of the package's own that the bands allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudmask.bands import positions
from cloudmask.errors import AmbiguousBandError, BandError
from cloudmask.registry import known

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudmask.registry import Entry
    from cloudmask.spec import ModelSpec

    Check = Callable[[ModelSpec], object]

BUILT_IN = ("cloudmask-s2-small", "cloudmask-s2-small-4b")
"""Networks that come with the package, the best one first: for all 13 bands, which only L1C has,
and for the four of 10 m, L1C or L2A. They share tile, overlap, pixel size and classes."""


def built_in() -> tuple[Entry, ...]:
    """Look `BUILT_IN` up."""
    return tuple(known()[name] for name in BUILT_IN)


def default_model(labels: Sequence[object]) -> str:
    """Choose among `BUILT_IN` for a cube.

    Args:
        labels: Names of its bands.

    Raises:
        BandError: None of them can do with these bands; the message says what is missing, and
            which other networks could.
        AmbiguousBandError: A band is there twice.
    """
    return first_fitting(lambda spec: positions(labels, spec.bands))


def first_fitting(check: Check) -> str:
    """Choose among `BUILT_IN` for anything that has bands.

    Args:
        check: Raises a BandError if a band that the network needs is not there. It is asked about
            one network after the other until it does not, and no further.

    Raises:
        BandError: See `default_model`.
        AmbiguousBandError: See there.
    """
    fault = None
    for entry in built_in():
        fault = _fault(entry, check)
        if fault is None:
            return entry.spec.name
    fitting = [
        each.spec.name
        for each in known().values()
        if each.installed and each.spec.name not in BUILT_IN and _fault(each, check) is None
    ]
    others = f"it can be masked by {', '.join(fitting)}" if fitting else "no other network fits"
    raise BandError(
        f"no network is named, and {BUILT_IN[-1]}, which would do with the fewest bands, cannot "
        f"be used: {str(fault).rstrip('.')}. Of the networks that are installed here, {others}."
    )


def _fault(entry: Entry, check: Check) -> BandError | None:
    try:
        check(entry.spec)
    except AmbiguousBandError:
        raise
    except BandError as error:
        return error
    return None
