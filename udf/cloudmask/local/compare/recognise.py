"""Which scheme a file's codes have, if the file itself says so, and in which band they are."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rasterio.enums import ColorInterp

from cloudmask.errors import BandError, OptionError
from cloudmask.local.compare.schemes import (
    CLOUDMASK,
    CLOUDMASK_ONE_CLOUD,
    OMNICLOUDMASK,
    SCHEMES,
    scheme_of,
)

if TYPE_CHECKING:
    from cloudmask.local.compare.schemes import Scheme

SHOWN = 8
"""Bands that a message names."""


class SchemeWarning(UserWarning):
    """A file says that its codes are others than those it is read as."""


def scheme_for(dataset: Any, asked: str | Scheme | None, option: str) -> Scheme:
    """Find the scheme of an open raster: the one asked for, else what the file says.

    Args:
        dataset: Open rasterio dataset.
        asked: Name, scheme, or None to look.
        option: What to say where the file says nothing, "--a" or "--b".

    Raises:
        OptionError: The file does not say it, or says several.
    """
    found = _said(dataset)
    if asked is not None:
        return _as_asked(dataset, scheme_of(asked), found)
    if len(found) == 1:
        return found[0]
    says = (
        f"could be {' or '.join(each.name for each in found)}"
        if found
        else "does not say what its codes mean"
    )
    raise OptionError(f"{dataset.name}: {says}; say it with {option}: {', '.join(SCHEMES)}")


def _as_asked(dataset: Any, asked: Scheme, found: list[Scheme]) -> Scheme:
    """Do as told, but say so where the file says otherwise: most codes mean something in both."""
    if found and asked not in found:
        warnings.warn(
            f"{dataset.name}: says that its codes are {' or '.join(each.name for each in found)}; "
            f"read as {asked.name}, as asked",
            SchemeWarning,
            stacklevel=4,
        )
    return asked


def band_for(dataset: Any, scheme: Scheme) -> int:
    """Find the 1-based band that has a scheme's codes.

    Raises:
        BandError: There are several, and none has a name that the scheme's band goes by.
    """
    kinds = zip(dataset.indexes, dataset.colorinterp, strict=True)
    bands = [band for band, kind in kinds if kind != ColorInterp.alpha]
    named = [band for band in bands if _names(dataset)[band - 1] in scheme.bands]
    if named or scheme.first_band or len(bands) == 1:
        return int((named or bands)[0])
    names = ", ".join(_names(dataset)[band - 1] or "(no name)" for band in bands[:SHOWN])
    wanted = " or ".join(scheme.bands) or "so that it could be told"
    raise BandError(
        f"{dataset.name}: has {len(bands)} bands ({names}{', ...' * (len(bands) > SHOWN)}), none "
        f"called {wanted}; give the one with the codes of {scheme.name} as a file of its own"
    )


def _said(dataset: Any) -> list[Scheme]:
    """List the schemes that a file claims to have."""
    tags, names = dataset.tags(), _names(dataset)
    if "class" in names and tags.get("TIFFTAG_SOFTWARE", "").startswith("openeo-cloudmask"):
        # A network with one cloud class leaves the share of thin cloud out of its tags.
        one = "PERCENT_THICK_CLOUD" in tags and "PERCENT_THIN_CLOUD" not in tags
        return [CLOUDMASK_ONE_CLOUD if one else CLOUDMASK]
    if names[:2] == ["mask", "class"]:
        return [CLOUDMASK]
    if names[0].startswith("ocm class"):
        return [OMNICLOUDMASK]
    sure = [each for each in SCHEMES.values() if each.tokens]
    by_band = [each for each in sure if set(each.bands) & set(names)]
    parts = set(re.split(r"[^a-z0-9]+", Path(dataset.name).stem.lower()))
    return by_band or [each for each in sure if set(each.tokens) & parts and dataset.count == 1]


def _names(dataset: Any) -> list[str]:
    return [(name or "").strip().lower() for name in dataset.descriptions]
