"""One row of statistics a scene, from the STAC Items of a folder."""

from __future__ import annotations

import csv
import hashlib
import json
import warnings
from typing import TYPE_CHECKING, Any

from cloudmask.classes import CLASSES
from cloudmask.errors import OptionError
from cloudmask.local.beside import beside
from cloudmask.local.item import is_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

Row = dict[str, Any]

COLUMNS: Mapping[str, str] = {
    "name": "string",
    "datetime": "string",
    "platform": "string",
    "level": "string",
    **{f"{each.name}_percent": "float" for each in CLASSES},
    "cloud_percent": "float",
    "valid_percent": "float",
    "mean_confidence": "float",
    "model": "string",
    "options": "string",
    "seconds": "float",
}
"""Column -> type. Percentages of classes are of valid pixels, `valid_percent` is of all;
`mean_confidence` is 0..1, true to half a bin of `cloudmask:confidence`; `options` is a short hash,
alike for scenes masked alike. What is not known is empty."""


FORMULA = ("=", "+", "-", "@")
"""How what spreadsheets compute begins."""


class UnreadableItem(UserWarning):
    """A file that looks like an Item of a mask but cannot be read; its scene has no row."""


def write_statistics(folder: Path, path: Path | None = None) -> Path:
    """Write a row for each scene of a folder, sorted by time and name.

    Args:
        folder: Holds the Items that `cloudmask.local.item.write_item` wrote; JSON files that are
            something else are passed over.
        path: Ends in .csv or .parquet; default `statistics.csv` in the folder.

    Returns:
        What was written.

    Raises:
        OptionError: Another ending, or pyarrow is not installed.
    """
    path = path or folder / "statistics.csv"
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise OptionError(f"{path}: the name of the statistics must end in .csv or .parquet")
    found = rows(folder)
    with beside(path) as partial:
        write(partial, found)
    return path


def rows(folder: Path) -> list[Row]:
    """Read the statistics of each scene of a folder, sorted by time and name.

    Warns:
        UnreadableItem: A JSON file that cannot be read, or an Item whose fields are amiss.
    """
    found = [row for path in folder.glob("*.json") if (row := _row_of(path)) is not None]
    return sorted(found, key=lambda row: (row["datetime"] or "", row["name"]))


def _row_of(path: Path) -> Row | None:
    try:
        item = json.loads(path.read_text("utf-8"))
        return _row(item) if is_ours(item) else None
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        warnings.warn(
            f"{path}: has no row of statistics ({error!r})", UnreadableItem, stacklevel=4
        )
        return None


def _row(item: Mapping[str, Any]) -> Row:
    said = item["properties"]
    shares: Mapping[str, float] = said["cloudmask:shares"]
    clouds = [shares[name] for name in ("thick_cloud", "thin_cloud") if name in shares]
    absent = float(shares["no_data"])
    seen = absent < 100  # noqa: PLR2004  # else no pixel tells a share
    known = {f"{name}_percent": share for name, share in shares.items() if name != "no_data"}
    known |= {"cloud_percent": sum(clouds)} if clouds else {}
    row: Row = {
        "name": item["id"],
        "datetime": said["datetime"] if said.get("cloudmask:sensed", True) else None,
        "platform": said.get("platform"),
        "level": said.get("processing:level"),
        **{key: round(share, 4) for key, share in known.items() if seen and key in COLUMNS},
        "valid_percent": round(100 - absent, 4),
        "mean_confidence": _mean(said["cloudmask:confidence"]),
        "model": "; ".join(said["cloudmask:model"]),
        "options": _short_hash(said["cloudmask:options"]),
        "seconds": said["cloudmask:seconds"],
    }
    return {name: row.get(name) for name in COLUMNS}


def _mean(counts: Sequence[int]) -> float | None:
    """Give the mean of values 0..1 counted in equal bins, as if each lay in its bin's middle."""
    total = sum(counts)
    if not total:
        return None
    middles = ((number + 0.5) / len(counts) for number in range(len(counts)))
    return round(sum(a * b for a, b in zip(middles, counts, strict=True)) / total, 4)


def _short_hash(options: Mapping[str, Any]) -> str:
    text = json.dumps(options, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _write_csv(path: Path, found: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _plain(value) for name, value in row.items()} for row in found)


def _plain(value: Any) -> Any:
    """Keep a text, which may be somebody else's, in its cell, and from being a formula there."""
    if not isinstance(value, str):
        return value
    text = " ".join(value.splitlines())
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text


def _write_parquet(path: Path, found: Sequence[Row]) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise OptionError(
            "statistics as Parquet need pyarrow; pip install 'openeo-cloudmask[parquet]', or let "
            "the name end in .csv"
        ) from error
    kinds = {"string": pa.string(), "float": pa.float64()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    parquet.write_table(pa.Table.from_pylist(list(found), schema=schema), path)


_WRITERS: Mapping[str, Callable[[Path, Sequence[Row]], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
