"""The file that says what a training is to be, and what its network is to be called.

TOML: the keys of `Recipe` at the top, then the tables [network] (`Card`), [sources] (`Sources`),
[augment] (`Augment`), and one [[stage]] (`Stage`) after the other. Paths are relative to the file.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from cloudmask.spec import Resampling  # noqa: TC001 - `tables` reads annotations
from cloudmask_export.errors import ExportError
from cloudmask_export.families.family import Level  # noqa: TC001
from cloudmask_export.training import tables
from cloudmask_export.training.bank import EDGE, FINE
from cloudmask_export.training.recipe import HALVED, Augment, Recipe, Sources, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TABLES = ("network", "sources", "augment", "stage")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is said of the network that comes of a training, and how it is to be used."""

    title: str = ""
    """Its name's own, if empty."""
    licence: str = "other"
    """SPDX identifier of the weights' licence, or "other"."""
    citation: str = ""
    page: str = "https://pypi.org/project/openeo-cloudmask/"
    """Where to read about it."""
    training_data: str = ""
    """What it was trained on and that data's licence, in words; the recipe's sources, if empty."""
    level: Level = "L1C"
    """Processing level of the images; "" where both work."""
    tile: int = 256
    """Pixels along an edge that it is given at a time."""
    overlap: int = 64
    """Pixels that neighbouring tiles share."""
    resampling: Resampling = "average"
    """How finer pixels are brought to its size."""

    def __post_init__(self) -> None:
        """Refuse tiles that encoders cannot halve."""
        if self.tile < 1 or self.tile % HALVED:
            raise ExportError(
                f"[network] tile = {self.tile}: a multiple of {HALVED} pixels, as encoders halve "
                "pictures"
            )
        if not 0 <= self.overlap < self.tile:
            raise ExportError(
                f"[network] overlap = {self.overlap}: 0 or more, below the tile's {self.tile} px"
            )
        if not self.licence:
            raise ExportError('[network] licence: an SPDX identifier, or "other"')


@dataclass(frozen=True, slots=True)
class Config:
    """A training and its network."""

    recipe: Recipe
    card: Card = Card()


def read_config(path: Path) -> Config:
    """Read a file.

    Raises:
        ExportError: There is none, it is no TOML, a key or a value cannot be, or a folder that it
            names is not there; names file, key and remedy.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path}: cannot be read ({error})") from error
    try:
        config = parse(text, path.parent)
        _check_folders(config.recipe.sources)
    except ExportError as error:
        raise ExportError(f"{path}: {error}") from error
    return config


def parse(text: str, base: Path) -> Config:
    """Read the text of a file that lies in the folder `base`.

    Raises:
        ExportError: It is no TOML, or a key or a value cannot be.
    """
    try:
        top = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ExportError(f"is no TOML: {error}") from error
    own = [
        each.name for each in fields(Recipe) if each.name not in ("sources", "augment", "stages")
    ]
    tables.refuse_unknown(top, dict.fromkeys((*own, *TABLES)), "")
    card = tables.read(Card, _table(top, "network"), "[network]", base)
    if "sources" not in top:
        raise ExportError("[sources] is missing: it says where images come from")
    recipe = tables.read(
        Recipe,
        {key: value for key, value in top.items() if key not in TABLES},
        "",
        base,
        sources=tables.read(Sources, _table(top, "sources"), "[sources]", base),
        augment=tables.read(Augment, _table(top, "augment"), "[augment]", base),
        stages=_stages(top, base),
    )
    _check_crop(recipe)
    return Config(recipe, card)


def as_text(config: Config) -> str:
    """Write a file that `parse` reads as the same; paths are as they are, not relative."""
    recipe = config.recipe
    nested = frozenset({"sources", "augment", "stages"})
    parts = {
        "": tables.written(recipe, nested),
        "[network]": tables.written(config.card),
        "[sources]": tables.written(recipe.sources),
        "[augment]": tables.written(recipe.augment),
    }
    blocks = [[head, *lines] for head, lines in parts.items()]
    blocks += [["[[stage]]", *tables.written(stage)] for stage in recipe.stages]
    return "\n".join("\n".join(filter(None, block)) + "\n" for block in blocks)


def _table(top: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = top.get(name, {})
    if not isinstance(found, dict):
        raise ExportError(f"{name}: write it as a table, [{name}], with its keys below")
    return found


def _stages(top: Mapping[str, Any], base: Path) -> tuple[Stage, ...]:
    found = top.get("stage", [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ExportError("stage: write [[stage]] with two brackets, one for each stage")
    return tuple(
        tables.read(Stage, each, f"[[stage]] {number}:", base)
        for number, each in enumerate(found, start=1)
    )


def _check_crop(recipe: Recipe) -> None:
    room = int(EDGE * FINE / recipe.pixel_size)
    if recipe.crop > room:
        raise ExportError(
            f"crop = {recipe.crop}: images are {EDGE} pixels of {FINE:g} m, so {room} of "
            f"{recipe.pixel_size:g} m at most"
        )


def _check_folders(sources: Sources) -> None:
    for key in ("pairs", "labelled"):
        for path in getattr(sources, key):
            if not path.exists():
                raise ExportError(f"[sources] {key}: {path} is not there")
    for folder in sources.pairs:
        if not any(folder.glob("*_cloudy.tif")):
            raise ExportError(
                f"[sources] pairs: {folder} has no NAME_cloudy.tif; pairs are NAME_cloudy.tif and "
                "NAME_clear.tif of 13 bands"
            )
