"""CloudSEN12 (Aybar et al. 2022, doi:10.1038/s41597-022-01878-2) in its folders of GeoTIFF.

Each patch is a folder ROI/SENTINEL-2-ID with `S2L1C.tif`, all 13 bands in the order of the
instrument, reflectance x 10000, 509 x 509 at 10 m, and `labels/manual_hq.tif`. The images are
Earth Engine's of 2018 to 2020, before baseline 04.00: there is no offset. Only the high-quality
labels are read; patches with scribbles (`manual_sc.tif`) or without labels are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudmask_export.evaluation.datasets.layout import Layout, found
from cloudmask_export.evaluation.datasets.rasters import RasterSample, Reading
from cloudmask_export.evaluation.labels import CLOUDSEN12
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = "S2L1C.tif"
LABELS = "labels/manual_hq.tif"
OTHER_LABELS = ("manual_sc.tif",)

DEPTHS = ("", "*/", "*/*/", "*/*/*/")
"""Folders above a patch: none, ROI, high/ROI, cloudSEN12/high/ROI."""

READING = Reading(scheme=CLOUDSEN12, level="L1C")


def _images(path: Path) -> list[Path]:
    return found(path, (f"{depth}{IMAGE}" for depth in DEPTHS))


def _samples(path: Path) -> list[RasterSample]:
    """List the patches with high-quality labels.

    Raises:
        EvaluationError: A patch has a folder for labels but none of the known ones, or there are
            labels without an image.
    """
    images = _images(path)
    patches = {image.parent for image in images}
    for label in found(path, (f"{depth}{LABELS}" for depth in DEPTHS)):
        if label.parents[1] not in patches:
            raise EvaluationError(
                f"{label}: there is no {label.parents[1] / IMAGE}; each patch needs its image"
            )
    return [_sample(image) for image in images if _labelled(image.parent)]


def _labelled(patch: Path) -> bool:
    """Tell whether a patch has high-quality labels, and may lack them."""
    if (patch / LABELS).exists():
        return True
    if any((patch / "labels" / name).exists() for name in OTHER_LABELS):
        return False
    raise EvaluationError(
        f"{patch / IMAGE}: there is no {LABELS} beside it; fetch the labels too, or point to the "
        "folder of the high-quality patches (high) only"
    )


def _sample(image: Path) -> RasterSample:
    patch = image.parent
    return RasterSample(
        name=f"{patch.parent.name}/{patch.name}",
        group=patch.parent.name,
        path=image,
        image_place=str(image),
        label_place=str(patch / LABELS),
        reading=READING,
    )


LAYOUT = Layout(
    name="cloudsen12",
    title="CloudSEN12, high-quality labels (GeoTIFF)",
    licence="CC BY-NC 4.0 (its data card)",
    source=CLOUDSEN12.source,
    folder=f"folders ROI/SENTINEL-2-ID with {IMAGE} and {LABELS}",
    unverified="File names and folders are those that the authors' own scripts read; no page "
    "lists them.",
    scheme=CLOUDSEN12,
    human=True,
    one_size=True,
    fits=lambda path: any(next(path.glob(f"{depth}{IMAGE}"), None) for depth in DEPTHS),
    samples=_samples,
)
