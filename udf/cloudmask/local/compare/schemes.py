"""What the codes of other masks mean, in our classes.

A scheme says for each code which of our classes (`cloudmask.classes`) it may stand for: one,
several where the mask does not tell them apart, or none where it says nothing of the pixel.
Evaluation datasets fit in as well as masks. Where a product's own words leave a choice, the
comment beside the code says how it was made. CloudSEN12 (Aybar et al. 2022,
doi:10.1038/s41597-022-01878-2, and its data card) relates KappaMask, Sen2Cor, Fmask, s2cloudless
and QA60 to the same four classes; we differ in that a mask's only cloud class may be thin cloud.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudmask.classes import CLEAR, NO_DATA, SHADOW, THICK, THIN
from cloudmask.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_CODE = 65_535

NOTHING: tuple[int, ...] = ()
"""Says nothing of the pixel: no data, saturated, undefined."""
CLOUD = (THICK, THIN)
NO_CLOUD = (CLEAR, SHADOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """The class codes of a mask or of labels."""

    name: str
    """How it is asked for."""
    title: str
    """What it is, in a few words."""
    codes: Mapping[int, tuple[int, ...]]
    """Code -> our class codes that it may stand for, any of them; empty for no data."""
    source: str
    """Where its makers document it."""
    bands: tuple[str, ...] = ()
    """Names by which its band goes among others, lower case."""
    first_band: bool = False
    """Whether its files have the classes in the first band and other things behind."""
    tokens: tuple[str, ...] = ()
    """Parts of a file's name that mean this and nothing else, lower case."""
    note: str = ""
    """What a reader of scores ought to know."""

    def __post_init__(self) -> None:
        """Refuse what could not be counted."""
        wrong = [code for code in self.codes if not 0 <= code <= LARGEST_CODE]
        if wrong:
            raise OptionError(
                f"scheme {self.name}: codes {wrong}; codes are whole numbers 0 to {LARGEST_CODE}"
            )
        meant = {each for classes in self.codes.values() for each in classes}
        if meant != {CLEAR, THICK, THIN, SHADOW}:
            raise OptionError(
                f"scheme {self.name}: its codes stand for the classes {sorted(meant)}, but every "
                "pixel of the world is one of 0, 1, 2, 3; where the scheme does not tell two "
                "apart, give a code both"
            )


_OUR_CODES = {
    CLEAR: (CLEAR,),
    THICK: (THICK,),
    THIN: (THIN,),
    SHADOW: (SHADOW,),
    NO_DATA: NOTHING,
}
_OF_FOUR = {code: _OUR_CODES[code] for code in (CLEAR, THICK, THIN, SHADOW)}

CLOUDMASK = Scheme(
    name="cloudmask",
    title="ours, four classes",
    codes=_OUR_CODES,
    source="https://doi.org/10.1038/s41597-022-01878-2",
    bands=("class",),
)
CLOUDMASK_ONE_CLOUD = Scheme(
    name="cloudmask-one-cloud",
    title="ours, of a network with one cloud class",
    # Such a network calls everything cloudy 1, so that 1 may be thin too.
    codes={CLEAR: (CLEAR,), THICK: CLOUD, SHADOW: (SHADOW,), NO_DATA: NOTHING},
    source="https://doi.org/10.1038/s41597-022-01878-2",
    bands=("class",),
)
CLOUDS2MASK = Scheme(
    name="clouds2mask",
    title="CloudS2Mask",
    codes=_OF_FOUR,
    source="https://github.com/DPIRD-DMA/CloudS2Mask",
    first_band=True,
    note="CloudS2Mask writes clear where the scene has no data; these pixels count as clear "
    "unless the other mask has no data there.",
)
OMNICLOUDMASK = Scheme(
    name="omnicloudmask",
    title="OmniCloudMask",
    # No data is 0 as well, but hidden by the file's own mask, which is heeded.
    codes=_OF_FOUR,
    source="https://github.com/DPIRD-DMA/OmniCloudMask",
    first_band=True,
)
SCL = Scheme(
    name="scl",
    title="Sentinel-2 L2A scene classification (Sen2Cor)",
    codes={
        0: NOTHING,  # no data
        1: NOTHING,  # saturated or defective: says nothing of clouds
        2: (CLEAR,),  # dark areas, cast shadows since 2022: no shadow of a cloud
        3: (SHADOW,),
        4: (CLEAR,),  # vegetation
        5: (CLEAR,),  # not vegetated
        6: (CLEAR,),  # water
        7: (CLEAR,),  # unclassified: the product's own cloud cover is 8, 9 and 10 without it
        8: (THICK,),  # cloud, medium probability
        9: (THICK,),  # cloud, high probability
        10: (THIN,),  # thin cirrus
        11: (CLEAR,),  # snow or ice
    },
    source="https://developers.google.com/earth-engine/datasets/catalog/"
    "COPERNICUS_S2_SR_HARMONIZED",
    bands=("scl",),
    tokens=("scl",),
)
S2CLOUDLESS = Scheme(
    name="s2cloudless",
    title="s2cloudless, a mask and not probabilities",
    # 255 is what Sentinel Hub's layer CLM, made with it, has for no data.
    codes={0: NO_CLOUD, 1: CLOUD, 255: NOTHING},
    source="https://github.com/sentinel-hub/sentinel2-cloud-detector",
    bands=("clm",),
)
QA60 = Scheme(
    name="qa60",
    title="Sentinel-2 QA60: bit 10 opaque, bit 11 cirrus",
    codes={0: NO_CLOUD, 1 << 10: (THICK,), 1 << 11: (THIN,), 1 << 10 | 1 << 11: (THICK,)},
    source="https://developers.google.com/earth-engine/datasets/catalog/COPERNICUS_S2_HARMONIZED",
    bands=("qa60", "msk_qa60"),
    tokens=("qa60",),
)
FMASK = Scheme(
    name="fmask",
    title="Fmask 3.2 to 4.7",
    codes={
        0: (CLEAR,),  # land
        1: (CLEAR,),  # water
        2: (SHADOW,),
        3: (CLEAR,),  # snow
        4: CLOUD,
        255: NOTHING,
    },
    source="https://github.com/GERSL/Fmask",
)
PYTHON_FMASK = Scheme(
    name="python-fmask",
    title="python-fmask, which numbers otherwise than Fmask",
    codes={
        0: NOTHING,
        1: (CLEAR,),  # land
        2: CLOUD,
        3: (SHADOW,),
        4: (CLEAR,),  # snow
        5: (CLEAR,),  # water
    },
    source="https://github.com/ubarsc/python-fmask",
)
KAPPAMASK = Scheme(
    name="kappamask",
    title="KappaMask, TIFF",
    codes={
        0: NOTHING,  # undefined
        1: (CLEAR,),
        2: (SHADOW,),
        3: (THIN,),  # semi-transparent, cirrus among it
        4: (THICK,),
        5: NOTHING,  # missing
    },
    source="https://github.com/kappazeta/km_predict",
)
UKIS_CSM = Scheme(
    name="ukis-csm",
    title="ukis-csmask, csm",
    codes={0: (CLEAR,), 1: CLOUD, 2: (SHADOW,)},
    source="https://github.com/dlr-eoc/ukis-csmask",
    bands=("csm",),
)
UKIS_VALID = Scheme(
    name="ukis-valid",
    title="ukis-csmask, valid",
    codes={0: (THICK, THIN, SHADOW), 1: (CLEAR,)},
    source="https://github.com/dlr-eoc/ukis-csmask",
    bands=("valid",),
    note="ukis-csmask's valid has 0 for cloud, shadow, a rim of 4 pixels around them, and no "
    "data; all of it counts as masked unless the other mask has no data there.",
)
MAJAMASK = Scheme(
    name="majamask",
    title="MAJA's masks, merged by majamask",
    codes={
        0: (CLEAR,),
        1: (THIN,),  # cirrus
        2: (THICK,),  # all clouds but cirrus
        3: (SHADOW,),
        4: (CLEAR,),  # snow
        5: (CLEAR,),  # water
        6: (CLEAR,),  # topographic shadow: no shadow of a cloud
        7: NOTHING,  # hidden by terrain
        8: NOTHING,  # tangent or low sun
    },
    source="https://www.cesbio.cnrs.fr/maja/2024/04/16/majamask-a-new-standalone-raster-mask-tool/",
)

SCHEMES: Mapping[str, Scheme] = {
    each.name: each
    for each in (
        CLOUDMASK,
        CLOUDMASK_ONE_CLOUD,
        CLOUDS2MASK,
        OMNICLOUDMASK,
        SCL,
        S2CLOUDLESS,
        QA60,
        FMASK,
        PYTHON_FMASK,
        KAPPAMASK,
        UKIS_CSM,
        UKIS_VALID,
        MAJAMASK,
    )
}
"""Name -> scheme, ours first."""


def scheme_of(asked: str | Scheme) -> Scheme:
    """Find a scheme by name; one's own passes through.

    Raises:
        OptionError: There is none of that name.
    """
    if isinstance(asked, Scheme):
        return asked
    if asked not in SCHEMES:
        raise OptionError(f"scheme {asked!r}: choose among {', '.join(SCHEMES)}")
    return SCHEMES[asked]
