"""What a simulated scene is asked to be."""

from dataclasses import dataclass
from typing import Final

RANGES: Final[dict[str, tuple[float, float, str]]] = {
    "pixel_size": (1.0, 60.0, "metres; Sentinel-2 has 10, 20 and 60"),
    "sun_zenith": (
        0.0,
        75.0,
        "degrees from the vertical; below 15 degrees of sun is not modelled",
    ),
    "sun_azimuth": (0.0, 360.0, "degrees clockwise from north; add 360 to negative angles"),
    "thick_cover": (0.0, 1.0, "a share; divide percentages by 100"),
    "thin_cover": (0.0, 1.0, "a share; divide percentages by 100"),
    "cloud_height": (500.0, 6_000.0, "metres above sea level; use cirrus_height for higher ones"),
    "cirrus_height": (
        5_000.0,
        16_000.0,
        "metres above sea level; use cloud_height for lower ones",
    ),
    "water_vapour": (0.0, 7.0, "centimetres; divide kg/m2 by 10"),
    "aerosol": (0.0, 1.5, "optical depth at 550 nm; thicker haze needs multiple scattering"),
    "relief": (0.0, 3_000.0, "metres from the lowest to the highest place"),
    "snow_line": (0.0, 5_000.0, "metres above sea level, or None for no snow"),
    "offset": (0, 10_000, "digital numbers; 1000 from processing baseline 04.00, 0 before"),
    "seed": (0, 2**63 - 1, "any whole number that is not negative"),
}
"""Lowest and highest value of each number, and what to do about others."""
SMALLEST: Final = 16
"""Fewest rows and columns."""
AXES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSettings:
    """What a simulated scene is asked to be; wrong values raise on construction.

    Raises:
        TypeError: A number or a flag is of another type.
        ValueError: A value lies outside its range, or two contradict each other.
    """

    shape: tuple[int, int] = (768, 768)
    """Rows and columns (y, x)."""
    pixel_size: float = 10.0
    """Metres."""
    seed: int = 0
    """The same seed and settings give the same bytes."""
    sun_zenith: float = 40.0
    """Degrees from the vertical."""
    sun_azimuth: float = 150.0
    """Degrees clockwise from north: 150 is south-south-east, shadows fall north-north-west."""
    thick_cover: float = 0.18
    """Wanted share of thick cloud among the valid pixels."""
    thin_cover: float = 0.12
    """Wanted share of thin cloud. The soft edges of thick clouds count as thin, so with thick
    clouds a few hundredths are the least that can be had."""
    cloud_height: float = 1_800.0
    """Base of the water clouds, metres above sea level."""
    cirrus_height: float = 9_500.0
    """Metres above sea level."""
    no_data_edge: bool = True
    """Whether a slanted edge of the swath cuts the scene."""
    offset: int = 0
    """Digital numbers added to valid pixels: 1000 as from processing baseline 04.00."""
    water_vapour: float = 2.0
    """Column above sea level, cm of precipitable water."""
    aerosol: float = 0.12
    """Optical depth at 550 nm above sea level."""
    relief: float = 120.0
    """Metres between the lowest and the highest place; the lowest lies at 100 m."""
    snow_line: float | None = None
    """Metres above sea level above which snow lies; `None` for no snow."""

    def __post_init__(self) -> None:
        self._check_shape()
        for name in RANGES:
            self._check_number(name)
        if not isinstance(self.no_data_edge, bool):
            raise TypeError(f"no_data_edge={self.no_data_edge!r} is not a flag: use True or False")
        if self.thick_cover + self.thin_cover > 1.0:
            raise ValueError(
                f"thick_cover={self.thick_cover} and thin_cover={self.thin_cover} exceed 1 "
                "together: lower one of them"
            )
        if self.cirrus_height < self.cloud_height + 2_000.0:
            raise ValueError(
                f"cirrus_height={self.cirrus_height} is less than 2000 m above "
                f"cloud_height={self.cloud_height}: raise the cirrus or lower the clouds"
            )

    def _check_shape(self) -> None:
        shape: object = self.shape
        if not isinstance(shape, tuple) or not all(type(n) is int for n in shape):
            raise TypeError(f"shape={shape!r} is not a tuple of int: use (rows, columns)")
        if len(shape) != AXES or min(shape) < SMALLEST:
            raise ValueError(
                f"shape={shape!r} is not two numbers of at least {SMALLEST}: use (rows, columns)"
            )

    def _check_number(self, name: str) -> None:
        value, (low, high, remedy) = getattr(self, name), RANGES[name]
        if value is None and name == "snow_line":
            return
        whole = isinstance(low, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            kind = "a whole number" if whole else "a number"
            raise TypeError(f"{name}={value!r} is not {kind}: give {remedy}")
        if not low <= value <= high:
            raise ValueError(f"{name}={value!r} is outside {low:g} to {high:g}: give {remedy}")
