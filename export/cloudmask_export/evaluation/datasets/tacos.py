"""CloudSEN12+ (CC0, doi:10.57760/sciencedb.17702) in its files `cloudsen12-l1c.*.part.taco`.

A .taco is a file of files, after the TACO specification's format "tortilla": two magic bytes, then
offset and length of a Parquet table, little-endian 64-bit each. The table has a row for each item,
with `tortilla:id`, `tortilla:offset` and `tortilla:length`. Items of CloudSEN12+ are such files
again, with an image (13 bands, reflectance x 10000) and its labels, both GeoTIFF, offsets counted
from where the inner file begins. The patches come from Earth Engine's harmonised collection: the
offset of baseline 04.00 is taken off. Patches of 509 x 509 are padded to 512 with zeros, and these
have no label. Read are those with `label_type` "high" and `real_proj_shape` 509, of all splits; a
sample's name begins with its split. The older .mlstac files cannot be read.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudmask_export.evaluation.datasets.layout import Layout, found
from cloudmask_export.evaluation.datasets.rasters import RasterSample, Reading
from cloudmask_export.evaluation.labels import CLOUDSEN12_PLUS
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from pathlib import Path

    from cloudmask_export.evaluation.samples import Image, Truth

MAGIC = (b"#y", b"WX")
HEADER = 18
"""Bytes up to the end of the table's length."""

LARGEST_TABLE = 2**31
SIZE = 509
"""Edge in pixels of the patches that are read."""

OTHER_KINDS = ("-l2a.", "-extra.")
NEEDED = ("tortilla:id", "tortilla:offset", "tortilla:length")
DESCRIBED = ("tortilla:data_split", "label_type", "real_proj_shape", "roi_id")
READING = Reading(scheme=CLOUDSEN12_PLUS, level="L1C", padded=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TacoPatch:
    """One patch in a .taco; see `Sample`. Its inner table is read when it is needed."""

    name: str
    group: str
    path: Path
    offset: int
    """Where the patch's own file begins, in bytes."""

    def shape(self) -> tuple[int, int]:
        """Rows and columns, padding and all."""
        return self._sample().shape()

    def image(self) -> Image:
        """Read the image; see `Sample`.

        Raises:
            EvaluationError: It cannot be read, or is not as the layout says.
        """
        return self._sample().image()

    def truth(self) -> Truth:
        """Read the labels; see `Sample`.

        Raises:
            EvaluationError: They cannot be read, or are not as the layout says.
        """
        return self._sample().truth()

    def _sample(self) -> RasterSample:
        """Find image and labels: by their ids if these are known, else the first two items."""
        rows = table(self.path, self.offset, NEEDED)
        if len(rows) < 2:  # noqa: PLR2004 - an image and its labels
            raise EvaluationError(
                f"{self.path}: {self.name} has {len(rows)} items; image and labels are needed"
            )
        target = next((row for row in rows if row["tortilla:id"] == "target"), rows[1])
        image = next(row for row in rows if row is not target)
        return RasterSample(
            name=self.name,
            group=self.group,
            path=self.path,
            image_place=self._place(image),
            label_place=self._place(target),
            reading=READING,
        )

    def _place(self, row: dict[str, Any]) -> str:
        """Name a part of the file for GDAL."""
        start = self.offset + row["tortilla:offset"]
        return f"/vsisubfile/{start}_{row['tortilla:length']},{self.path}"


def table(path: Path, start: int, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Read the table of a tortilla.

    Args:
        path: The file that it is in.
        start: Where it begins, in bytes.
        columns: Those wanted.

    Raises:
        EvaluationError: It is none, is damaged, or lacks a column.
    """
    with path.open("rb") as stream:
        stream.seek(start)
        head = stream.read(HEADER)
        offset, length = (int.from_bytes(head[at : at + 8], "little") for at in (2, 10))
        if head[:2] not in MAGIC or len(head) < HEADER or length > LARGEST_TABLE:
            raise EvaluationError(
                f"{path}: at byte {start} is no file of the format tortilla, which begins with "
                "#y or WX; fetch it again"
            )
        stream.seek(start + offset)
        text = stream.read(length)
    return _parsed(path, text, columns)


def _parsed(path: Path, text: bytes, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise EvaluationError(
            f"{path}: reading .taco needs pyarrow: pip install 'openeo-cloudmask[parquet]'"
        ) from error
    try:
        file = ParquetFile(io.BytesIO(text))
        missing = [each for each in columns if each not in file.schema_arrow.names]
        if missing:
            raise EvaluationError(
                f"{path}: its table has no column {', '.join(missing)}; it is not CloudSEN12+"
            )
        rows: list[dict[str, Any]] = file.read(columns=list(columns)).to_pylist()
    except (ArrowException, OSError) as error:
        raise EvaluationError(
            f"{path}: its table cannot be read ({error}); fetch it again"
        ) from error
    return rows


def _samples(path: Path) -> list[TacoPatch]:
    return [
        TacoPatch(
            name=f"{row['tortilla:data_split']}/{row['roi_id']}/{row['tortilla:id']}",
            group=row["roi_id"],
            path=file,
            offset=row["tortilla:offset"],
        )
        for file in _files(path)
        for row in table(file, 0, (*NEEDED, *DESCRIBED))
        if row["label_type"] == "high" and int(row["real_proj_shape"]) == SIZE
    ]


def _files(path: Path) -> list[Path]:
    """List the .taco files.

    Raises:
        EvaluationError: One holds something else than L1C with labels.
    """
    files = found(path, ("*.taco",)) if path.is_dir() else [path]
    for file in files:
        if any(kind in file.name for kind in OTHER_KINDS):
            raise EvaluationError(
                f"{file}: is not L1C; only cloudsen12-l1c.*.part.taco can be read, so keep the "
                "others elsewhere"
            )
    return files


LAYOUT = Layout(
    name="cloudsen12plus",
    title="CloudSEN12+, high-quality labels of 509 x 509 pixels",
    licence="CC0 1.0 (its data card)",
    source=CLOUDSEN12_PLUS.source,
    folder="cloudsen12-l1c.*.part.taco, one or a folder of them",
    unverified="Names of the columns, and that inner offsets count from the inner file, are those "
    "that others read; the padding is found by its zeros, as sources disagree on its sides.",
    scheme=CLOUDSEN12_PLUS,
    human=True,
    one_size=True,
    fits=lambda path: path.suffix == ".taco" or any(path.glob("*.taco")),
    samples=_samples,
)
