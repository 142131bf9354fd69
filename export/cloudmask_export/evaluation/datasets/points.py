"""The table of PixBox-S2-CMIX: a row for each point."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from cloudmask_export.evaluation.labels import IN_SHADOW, PIXBOX
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CLOUD_SHADOW = 3
"""SHADOW_ID of the shadow of a cloud; 1 none, 2 of terrain, 4 above a cloud."""

SHADOW_IDS = range(5)

COLUMNS = ("PRODUCT_ID", "PIXEL_X", "PIXEL_Y", "CLOUD_CHARACTERISTICS_ID", "SHADOW_ID")
PLACE = ("LATITUDE", "LONGITUDE")


@dataclass(frozen=True, slots=True)
class Point:
    """A row of the table."""

    product: int
    row: int
    column: int
    code: int
    """See `labels.PIXBOX`."""
    place: tuple[float, float] | None
    """Latitude and longitude, degrees."""


def product_names() -> Mapping[int, str]:
    """Read which product each PRODUCT_ID is: id -> name without .SAFE."""
    text = files(__package__).joinpath("pixbox_products.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return {int(row["PRODUCT_ID"]): row["product"] for row in rows}


def read_points(table: Path) -> list[Point]:
    """Read the table.

    Raises:
        EvaluationError: A column is missing, or a row has no whole numbers or an unknown code.
    """
    with table.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.DictReader(stream)
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise EvaluationError(
                f"{table}: has no column {', '.join(missing)}; it is not PixBox-S2-CMIX"
            )
        return [_point(table, number, row) for number, row in enumerate(rows, 2)]


def _point(table: Path, line: int, row: Mapping[str, str]) -> Point:
    try:
        product, column, above, cloud, shadow = (int(row[name]) for name in COLUMNS)
        said = [row.get(name) for name in PLACE]
        place = (float(said[0]), float(said[1])) if said[0] and said[1] else None
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"{table}: line {line} cannot be read ({error})") from error
    if cloud not in range(IN_SHADOW) or cloud not in PIXBOX.codes or shadow not in SHADOW_IDS:
        raise EvaluationError(
            f"{table}: line {line} has CLOUD_CHARACTERISTICS_ID {cloud} and SHADOW_ID {shadow}; "
            "0 to 12 and 0 to 4 are known"
        )
    if column < 0 or above < 0:
        raise EvaluationError(
            f"{table}: line {line} has PIXEL_X {column}, PIXEL_Y {above} below 0"
        )
    return Point(product, above, column, cloud + IN_SHADOW * (shadow == CLOUD_SHADOW), place)
