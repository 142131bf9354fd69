"""Sentinel-2 products at true naming, with the metadata that readers need, in a few kilobytes."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import rasterio
from rasterio.transform import Affine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

METRES = {
    "B01": 60, "B02": 10, "B03": 10, "B04": 10, "B05": 20, "B06": 20, "B07": 20, "B08": 10,
    "B8A": 20, "B09": 60, "B10": 60, "B11": 20, "B12": 20,
}  # fmt: skip
BANDS = tuple(METRES)
CRS = "EPSG:32631"
LEFT, TOP = 399_960, 4_693_200
SENSED = "2020-01-01T10:54:41.024Z"

Images = dict[str, Any]
"""Band -> (y, x) uint16 at its own pixel size."""


def simulated_images(metres: int = 1200, seed: int = 3) -> Images:
    """Simulate smooth numbers with clouds and no data, each band at its own pixel size."""
    from cloudmask.local.simulator import SceneSettings, simulate

    scene = simulate(SceneSettings(shape=(metres // 10, metres // 10), seed=seed))
    images = {}
    for band, numbers in zip(scene.bands, scene.reflectance_dn, strict=True):
        step = METRES[band] // 10
        images[band] = np.ascontiguousarray(numbers[step // 2 :: step, step // 2 :: step])
    images["B02"][:20, :30] = 0  # no data in one band only
    return images


def real_images(shared_data: Path) -> Images:
    """Read the clear clip of S2A beside the project, 3 x 3 km."""
    images = {}
    for path in sorted((shared_data / "safe_like" / "IMG_DATA").glob("*.jp2")):
        with rasterio.open(path) as dataset:
            images[path.stem.rpartition("_")[2]] = dataset.read(1)
    return images


def shifted(images: Mapping[str, NDArray[np.uint16]], by: int = 1000) -> Images:
    """Store numbers as products from baseline 04.00 on do: no data stays 0."""
    return {band: np.where(image == 0, 0, image + by) for band, image in images.items()}


def on_finest_grid(images: Mapping[str, NDArray[Any]], bands: tuple[str, ...]) -> NDArray[Any]:
    """Bring bands to the grid of the finest by repeating pixels: (band, y, x)."""
    size = max(len(images[band]) for band in bands)
    factors = {band: size // len(images[band]) for band in bands}
    return np.stack(
        [images[band].repeat(factors[band], 0).repeat(factors[band], 1) for band in bands]
    )


@dataclass(frozen=True, kw_only=True)
class Naming:
    """How a product and its files are called."""

    product: str
    metadata: str
    granule: str
    image: str
    """Of a band; {band} and {metres} are filled in."""


def naming(level: str, baseline: str, era: Literal["old", "new"]) -> Naming:
    """Give the names before and after December 2016."""
    number = baseline.replace(".", "")
    suffix = "R{metres}m/" if level == "L2A" else ""
    tail = "_{metres}m" if level == "L2A" else ""
    if era == "new":
        return Naming(
            product=f"S2A_MSI{level}_20200101T105441_N{number}_R051_T31TCJ_20200101T112014",
            metadata=f"MTD_MSI{level}.xml",
            granule=f"{level}_T31TCJ_A023658_20200101T105441",
            image=f"{suffix}T31TCJ_20200101T105441_{{band}}{tail}.jp2",
        )
    who = "OPER" if level == "L1C" else "USER"
    times = "PDMC_20160126T101525_R051_V20160125T105441_20160125T105441"
    tile = f"S2A_{who}_MSI_{level}_TL_EPA__20160125T130052_A003100_T31TCJ"
    return Naming(
        product=f"S2A_{who}_PRD_MSI{level}_{times}",
        metadata=f"S2A_{who}_MTD_SAF{level}_{times}.xml",
        granule=f"{tile}_N{baseline}",
        image=f"{suffix}{tile}_{{band}}{tail}.jp2",
    )


@dataclass(frozen=True, kw_only=True)
class Safe:
    """What product to write."""

    level: Literal["L1C", "L2A"] = "L1C"
    baseline: str = "02.08"
    era: Literal["old", "new"] = "new"
    offsets: tuple[int, ...] = ()
    """One a band of the instrument, from baseline 04.00 on."""
    spacecraft: str = "Sentinel-2A"

    @property
    def naming(self) -> Naming:
        """How it is called."""
        return naming(self.level, self.baseline, self.era)

    @property
    def bands(self) -> tuple[str, ...]:
        """The bands that such a product has."""
        return tuple(band for band in BANDS if self.level == "L1C" or band != "B10")


N0400 = {"baseline": "04.00", "offsets": (-1000,) * 13}


def write_safe(folder: Path, images: Mapping[str, NDArray[Any]], safe: Safe | None = None) -> Path:
    """Write a product.

    Args:
        folder: Where the .SAFE folder goes.
        images: Band -> (y, x) numbers as stored; bands that the level lacks are left out.
        safe: What product; an L1C of 2020 by default.

    Returns:
        The .SAFE folder.
    """
    safe = safe or Safe()
    root = folder / f"{safe.naming.product}.SAFE"
    granule = root / "GRANULE" / safe.naming.granule
    for band in safe.bands:
        name = safe.naming.image.format(band=band, metres=METRES[band])
        write_image(granule / "IMG_DATA" / name, images[band], METRES[band])
    if safe.level == "L2A":  # the finer bands are there again at 20 m
        name = safe.naming.image.format(band="B02", metres=20)
        write_image(granule / "IMG_DATA" / name, images["B02"][::2, ::2], 20)
        scl = safe.naming.image.format(band="SCL", metres=20)
        write_image(granule / "IMG_DATA" / scl, np.full_like(images["B05"], 4), 20)
    (root / safe.naming.metadata).write_text(metadata(safe), "utf-8")
    (granule / "MTD_TL.xml").write_text("<Tile/>", "utf-8")
    (root / "manifest.safe").write_text("<xfdu/>", "utf-8")
    return root


def write_image(path: Path, image: NDArray[Any], metres: float, **options: Any) -> None:
    """Write a band without loss; GeoTIFF if `path` says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lossless = {"QUALITY": "100", "REVERSIBLE": "YES"}
    driver = {"driver": "JP2OpenJPEG", **lossless} if path.suffix == ".jp2" else {}
    profile: dict[str, Any] = {
        "driver": "GTiff", "height": image.shape[0], "width": image.shape[1], "count": 1,
        "dtype": image.dtype, "crs": CRS, "transform": Affine(metres, 0, LEFT, 0, -metres, TOP),
    }  # fmt: skip
    with rasterio.open(path, "w", **{**profile, **driver, **options}) as dataset:
        dataset.write(image, 1)


def zipped(root: Path) -> Path:
    """Pack a product as it is delivered, and return the archive."""
    path = root.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(root.rglob("*")):
            archive.write(file, file.relative_to(root.parent))
    return path


def metadata(safe: Safe) -> str:
    """Write the product metadata."""
    kind = f"Level-{safe.level[1:]}"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:{kind}_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_{kind}.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>{SENSED}</PRODUCT_START_TIME>
      <PRODUCT_URI>{safe.naming.product}.SAFE</PRODUCT_URI>
      <PROCESSING_LEVEL>{kind}</PROCESSING_LEVEL>
      <PROCESSING_BASELINE>{safe.baseline}</PROCESSING_BASELINE>
      <Datatake datatakeIdentifier="GS2A_20200101T105441_023658_N{safe.baseline}">
        <SPACECRAFT_NAME>{safe.spacecraft}</SPACECRAFT_NAME>
        <DATATAKE_SENSING_START>2020-01-01T10:54:30.000Z</DATATAKE_SENSING_START>
      </Datatake>
    </Product_Info>
    <Product_Image_Characteristics>
      <Special_Values>
        <SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>
        <SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX>
      </Special_Values>
      <Special_Values>
        <SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT>
        <SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX>
      </Special_Values>
      {_scaling(safe)}
    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:{kind}_User_Product>
"""


def _scaling(safe: Safe) -> str:
    """Write quantification and offsets, which have other names in each level and era."""
    if safe.level == "L1C":
        value = '<QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>'
        inside, name = "Radiometric_Offset_List", "RADIO_ADD_OFFSET"
    else:
        tag = "L2A_BOA" if safe.era == "old" else "BOA"
        value = (
            "<QUANTIFICATION_VALUES_LIST>"
            f'<{tag}_QUANTIFICATION_VALUE unit="none">10000</{tag}_QUANTIFICATION_VALUE>'
            '<AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE>'
            "</QUANTIFICATION_VALUES_LIST>"
        )
        inside, name = "BOA_ADD_OFFSET_VALUES_LIST", "BOA_ADD_OFFSET"
    if not safe.offsets:
        return value
    lines = "".join(
        f'<{name} band_id="{number}">{offset}</{name}>'
        for number, offset in enumerate(safe.offsets)
    )
    return f"{value}<{inside}>{lines}</{inside}>"
