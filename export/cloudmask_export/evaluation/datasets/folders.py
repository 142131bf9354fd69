"""Folders of GeoTIFF: pairs of one's own, and images with a derived reference mask.

Integers are reflectance x 10000, the offset of baseline 04.00 already taken off, and 0 is no data;
floats are reflectance. A file may say otherwise by GDAL's scale and offset of its bands: 0.0001
and -0.1 for numbers from baseline 04.00 on. Bands are those that the files' descriptions name,
else all 13 in the order of the instrument.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from cloudmask_export.evaluation.datasets.layout import Layout
from cloudmask_export.evaluation.datasets.rasters import RasterSample, Reading
from cloudmask_export.evaluation.labels import CLOUDMASK, PAIRS
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from pathlib import Path

_PATCH = re.compile(r"(.+)_p\d+")


def _fits(image: str, label: str, path: Path) -> bool:
    return any(path.glob(f"*{label}")) and any(path.glob(f"*{image}"))


def _samples(image: str, label: str, reading: Reading, path: Path) -> list[RasterSample]:
    """Pair the files of a folder by their names without the endings.

    Raises:
        EvaluationError: One has no partner.
    """
    names = {
        end: {file.name.removesuffix(end) for file in path.glob(f"*{end}")}
        for end in (image, label)
    }
    alone = sorted(names[image] ^ names[label])
    if alone:
        has, lacks = (image, label) if alone[0] in names[image] else (label, image)
        raise EvaluationError(
            f"{path / (alone[0] + has)}: there is no {alone[0]}{lacks} beside it; each image "
            "needs its labels, and the other way round"
        )
    return [
        RasterSample(
            name=name,
            group=region(name),
            path=path / f"{name}{image}",
            image_place=str(path / f"{name}{image}"),
            label_place=str(path / f"{name}{label}"),
            reading=reading,
        )
        for name in sorted(names[image])
    ]


def region(name: str) -> str:
    """Find the region that a patch is of: its name up to `_p<number>`, or all of it."""
    match = _PATCH.fullmatch(name)
    return match[1] if match else name


GEOTIFF = Layout(
    name="geotiff",
    title="GeoTIFF pairs with our own class codes",
    licence="that of the files",
    source=CLOUDMASK.source,
    folder="a folder with NAME_image.tif and NAME_label.tif for each NAME",
    scheme=CLOUDMASK,
    human=False,
    fits=partial(_fits, "_image.tif", "_label.tif"),
    samples=partial(_samples, "_image.tif", "_label.tif", Reading(scheme=CLOUDMASK)),
)
REFERENCES = Layout(
    name="pairs",
    title="Cloudy images of SEN12MS-CR with reference masks derived from a clear partner",
    licence="contains modified Copernicus Sentinel data; not verified beyond that",
    source=PAIRS.source,
    folder="a folder with NAME_cloudy.tif and NAME_ref.tif for each NAME (REGION_p<number>)",
    scheme=PAIRS,
    human=False,
    fits=partial(_fits, "_cloudy.tif", "_ref.tif"),
    samples=partial(_samples, "_cloudy.tif", "_ref.tif", Reading(scheme=PAIRS, level="L1C")),
)
