"""Reflectance of the pure materials that a landscape is mixed from.

The numbers are round values typical of temperate landscapes, chosen for the shape of each
spectrum (green peak, red edge at B05 to B07, soil rising into the short-wave infrared, water
black and snow dark there). They are not taken from a particular spectral library.
"""

from typing import Final

import numpy as np

from cloudmask.local.simulator.fields import Field

# fmt: off
SPECTRA: Final[dict[str, tuple[float, ...]]] = {
    #               B01   B02   B03   B04   B05   B06   B07   B08   B8A   B09   B10   B11   B12
    "broadleaf":  (.015, .018, .042, .024, .070, .215, .275, .285, .305, .300, .200, .150, .065),
    "conifer":    (.013, .015, .030, .019, .046, .140, .177, .185, .200, .198, .130, .098, .044),
    "crop":       (.018, .022, .060, .028, .095, .310, .410, .425, .445, .430, .270, .190, .085),
    "grass":      (.025, .034, .068, .050, .110, .235, .285, .295, .315, .310, .250, .215, .120),
    "straw":      (.045, .065, .105, .140, .170, .210, .240, .260, .280, .290, .310, .330, .240),
    "dark soil":  (.032, .042, .062, .082, .097, .112, .122, .132, .142, .147, .180, .205, .170),
    "light soil": (.065, .085, .125, .170, .195, .215, .230, .245, .260, .270, .320, .350, .310),
    "sand":       (.120, .160, .230, .285, .315, .335, .350, .365, .375, .380, .420, .450, .410),
    "rock":       (.085, .100, .120, .138, .150, .160, .168, .176, .182, .186, .215, .235, .210),
    "asphalt":    (.060, .066, .074, .080, .085, .090, .094, .098, .102, .104, .118, .125, .120),
    "roof":       (.110, .130, .165, .220, .235, .245, .255, .265, .275, .280, .305, .320, .290),
    "clear water":(.032, .030, .024, .011, .009, .006, .005, .004, .004, .003, .002, .002, .001),
    "muddy water":(.050, .062, .085, .058, .050, .026, .024, .020, .017, .011, .003, .003, .002),
    "snow":       (.950, .950, .940, .930, .920, .910, .900, .880, .860, .800, .300, .090, .060),
}
# fmt: on
MATERIALS: Final = tuple(SPECTRA)
REFLECTANCE: Final[Field] = np.array(list(SPECTRA.values()), dtype=np.float32)
"""(material, band)"""
