"""Farmland: rectangular parcels in blocks of differing orientation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cloudmask.local.simulator.fields import Field

BLOCK = 850.0
"""Mean distance of the centres of the blocks that share one orientation, metres."""
TRACK = 5.0
"""Half the width of the tracks and hedges between parcels, metres."""

Mixture = dict[str, float]
"""Material to share; shares add up to 1."""

CROPS: tuple[tuple[float, Mixture], ...] = (
    (0.26, {"crop": 0.85, "dark soil": 0.15}),
    (0.17, {"crop": 0.45, "dark soil": 0.40, "straw": 0.15}),
    (0.13, {"grass": 0.80, "crop": 0.20}),
    (0.14, {"straw": 0.80, "light soil": 0.20}),
    (0.12, {"dark soil": 0.85, "straw": 0.15}),
    (0.10, {"light soil": 0.70, "dark soil": 0.30}),
    (0.08, {"straw": 0.45, "grass": 0.55}),
)
"""Share of the parcels under each crop stage, and what it is mixed from (round values)."""


@dataclass(frozen=True, slots=True)
class Parcels:
    """The parcels of a scene."""

    number: NDArray[np.int32]
    """Parcel of every pixel (y, x), an index into tables of `TABLE` random values."""
    along: Field
    """Position along the short side (y, x), metres: machines drive across it."""
    border: Field
    """Distance to the border of the parcel (y, x), metres."""


TABLE = 4096


def parcels(rng: np.random.Generator, shape: tuple[int, int], pixel_size: float) -> Parcels:
    """Divide a scene into parcels."""
    block = _blocks(rng, shape, pixel_size)
    count = int(block.max()) + 1
    turn = rng.uniform(0.0, np.pi, count).astype(np.float32)[block]
    wide = rng.uniform(70.0, 230.0, count).astype(np.float32)[block]
    long = wide * rng.uniform(1.3, 3.5, count).astype(np.float32)[block]
    north = np.arange(shape[0], dtype=np.float32)[:, None] * np.float32(pixel_size)
    east = np.arange(shape[1], dtype=np.float32)[None, :] * np.float32(pixel_size)
    along = east * np.cos(turn) + north * np.sin(turn)
    across = north * np.cos(turn) - east * np.sin(turn)
    row, from_row = _strip(across / long, long)
    column, from_column = _strip(along / wide + row * np.float32(0.37), wide)
    number = block * 7919 + row.astype(np.int32) * 104_729 + column.astype(np.int32) * 1_299_709
    return Parcels(number % TABLE, along, np.minimum(from_row, from_column))


def _strip(position: Field, width: Field) -> tuple[Field, Field]:
    """Return the strip number and the distance to the strip's edges in metres."""
    number = np.floor(position)
    share = position - number
    return number, np.minimum(share, 1.0 - share) * width


def _blocks(
    rng: np.random.Generator, shape: tuple[int, int], pixel_size: float
) -> NDArray[np.int32]:
    """Return the number of the nearest of many random centres, for every pixel (y, x)."""
    count = max(4, round(shape[0] * shape[1] * (pixel_size / BLOCK) ** 2))
    far = np.ones(shape, dtype=bool)
    centre = rng.integers(0, shape[0] * shape[1], count)
    far.flat[centre] = False
    number = np.zeros(shape, dtype=np.int32)
    number.flat[centre] = np.arange(count, dtype=np.int32)
    nearest = ndimage.distance_transform_edt(far, return_distances=False, return_indices=True)
    return np.asarray(number[nearest[0], nearest[1]], dtype=np.int32)


def crop_tables(rng: np.random.Generator) -> dict[str, Field]:
    """Return for every material its share in each of the `TABLE` parcels."""
    share = np.array([weight for weight, _ in CROPS])
    stage = rng.choice(len(CROPS), TABLE, p=share / share.sum())
    vigour = rng.uniform(0.75, 1.0, TABLE).astype(np.float32)
    table: dict[str, Field] = {}
    for index, (_, mixture) in enumerate(CROPS):
        for material, part in mixture.items():
            grown = (stage == index) * np.float32(part) * vigour
            table[material] = table.get(material, np.zeros(TABLE, np.float32)) + grown
    table["dark soil"] = table["dark soil"] + (1.0 - vigour)
    return table
