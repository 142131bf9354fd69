"""The page: scenes, charts and pictures put into its template."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cloudmask.classes import CLASSES, NO_DATA_CLASS
from cloudmask.errors import CloudmaskError, OptionError
from cloudmask.local.beside import beside, sweep
from cloudmask.local.readers import gdal
from cloudmask.local.report import overview, pictures
from cloudmask.local.report.charts import Histogram, histogram, time_line
from cloudmask.local.report.scenes import Masked, Problem, find

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from jinja2 import Environment
    from markupsafe import Markup

    from cloudmask.local.report.pictures import Picture

EMBED_LIMIT = 300
"""Scenes up to which the pictures are inside the page, some 15 MB then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What page to make."""

    folder: Path
    """Where the masks and their Items are."""
    path: Path
    """The page."""
    title: str = "Cloud masks"
    embed_limit: int = EMBED_LIMIT
    """With more scenes than that the pictures lie beside the page."""

    def __post_init__(self) -> None:
        """Refuse a name that no browser takes for a page."""
        if self.path.suffix.lower() not in (".html", ".htm"):
            raise OptionError(f"{self.path}: a page is written, so the name must end in .html")


@dataclass(frozen=True, slots=True)
class Done:
    """What was made."""

    scenes: int
    problems: tuple[Problem, ...]
    pictures: Path | None
    """Folder of the pictures if they are not in the page."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture as the page names it."""

    width: int
    height: int
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A scene as the page shows it."""

    number: int
    scene: Masked
    view: Shown | None
    """The scene itself; None if there is no thumbnail."""
    mask: Shown | None
    """None if it cannot be read."""
    reason: str
    """Why a picture is missing."""
    histogram: Histogram | None
    links: tuple[tuple[str, str], ...]
    """(asset, address) of the files beside it."""


def write_report(wish: Wish) -> Done:
    """Write the page; it appears when all is done.

    Raises:
        OptionError: There is no scene in the folder.
    """
    scenes, problems = find(wish.folder)
    if not wish.path.parent.is_dir():
        raise OptionError(f"{wish.path.parent}: there is no such folder, for {wish.path.name}")
    sweep(wish.path.parent, wish.path.stem)
    apart = _folder_of_pictures(wish, len(scenes))
    if apart:
        apart.mkdir(exist_ok=True)
        sweep(apart)
    maker = _Maker(wish, apart, problems)
    # Piece by piece: only one scene's pictures are in memory at a time.
    pieces = _template().generate(**maker.context(scenes))
    with (
        gdal(),
        beside(wish.path) as partial,
        partial.open("w", encoding="utf-8", newline="") as page,
    ):
        page.writelines(pieces)
    return Done(len(scenes), tuple(problems), apart)


def _folder_of_pictures(wish: Wish, scenes: int) -> Path | None:
    return wish.path.with_name(f"{wish.path.stem}_files") if scenes > wish.embed_limit else None


def _template() -> Any:
    return _environment().get_template("page.html")


def _environment() -> Environment:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:  # pragma: no cover - depends on the installation
        raise OptionError(
            f"a report needs another package ({error}): pip install 'openeo-cloudmask[local]'"
        ) from error
    environment = Environment(
        loader=PackageLoader("cloudmask.local.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"percent": percent, "moment": moment, "breakable": breakable}
    return environment


def percent(share: float | None) -> str:
    """Write a percentage; what is not known is a dash, what is nearly nothing is not nothing."""
    if share is None:
        return "–"  # noqa: RUF001
    return f"{'< 0.1' if 0 < share < 0.05 else f'{share:.1f}'}\u00a0%"  # noqa: PLR2004


def moment(when: Any, form: str = "%Y-%m-%d %H:%M UTC") -> str:
    """Write a time, or a dash."""
    return when.strftime(form) if when else "–"  # noqa: RUF001


def breakable(text: str) -> Markup:
    """Let the long name of a product go on in the next line after an underscore."""
    from markupsafe import Markup, escape

    return Markup("_<wbr>").join(map(escape, text.split("_")))


@dataclass(frozen=True, slots=True)
class _Maker:
    """Gives the template what it shows."""

    wish: Wish
    apart: Path | None
    """Folder for the pictures, None to embed them."""
    problems: list[Problem]
    """Grows while cards are made; the template shows it after them."""

    def context(self, scenes: Sequence[Masked]) -> dict[str, Any]:
        from markupsafe import Markup

        style, script = (_asset(name) for name in ("page.css", "page.js"))
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
        return {
            "title": self.wish.title,
            "style": Markup(style),  # noqa: S704 - our own file
            "script": Markup(script),  # noqa: S704 - our own file
            "script_sha256": digest,
            "classes": CLASSES,
            "no_data": NO_DATA_CLASS,
            "scenes": scenes,
            "totals": overview.totals(scenes),
            "networks": overview.networks(scenes),
            "ways": overview.ways(scenes),
            "line": time_line(scenes),
            "cards": self._cards(scenes),
            "problems": self.problems,
            "years": overview.sentinel_years(scenes),
            "software": sorted({scene.software for scene in scenes} - {""}),
        }

    def _cards(self, scenes: Sequence[Masked]) -> Iterator[Card]:
        for number, scene in enumerate(scenes, 1):
            yield self._card(number, scene)

    def _card(self, number: int, scene: Masked) -> Card:
        mask, why_no_mask = self._picture(scene, "mask")
        view, why_no_view = self._picture(scene, "scene")
        reason = "; ".join(filter(None, (why_no_mask, why_no_view)))
        if reason:
            self.problems.append(Problem(scene.name, reason))
        return Card(
            number=number,
            scene=scene,
            view=view,
            mask=mask,
            reason=reason,
            histogram=histogram(scene.confidence),
            links=tuple((name, self._address(path)) for name, path in self._files(scene)),
        )

    def _picture(self, scene: Masked, what: str) -> tuple[Shown | None, str]:
        """Make a picture, or say why there is none."""
        try:
            if what == "mask":
                picture = pictures.of_mask(scene.mask)
            elif scene.thumbnail:
                picture = pictures.of_scene(scene.thumbnail)
            else:
                return None, "its thumbnail is not there"
        except CloudmaskError as error:
            return None, str(error)
        address = self._stored(f"{scene.item.stem}_{what}", picture) if self.apart else picture.uri
        return Shown(picture.width, picture.height, address), ""

    def _stored(self, name: str, picture: Picture) -> str:
        assert self.apart is not None
        path = self.apart / f"{name}.{picture.kind}"
        with beside(path) as partial:
            partial.write_bytes(picture.data)
        return self._address(path)

    def _files(self, scene: Masked) -> Iterator[tuple[str, Path]]:
        yield from scene.files
        style = scene.mask.with_suffix(".qml")
        if style.is_file():
            yield "QGIS style", style
        yield "STAC Item", scene.item

    def _address(self, path: Path) -> str:
        """Name a file as seen from the page."""
        relative = os.path.relpath(path.resolve(), self.wish.path.parent.resolve())
        # "./" keeps a colon in a name from being taken for a scheme.
        return "./" + quote(relative.replace(os.sep, "/"))


def _asset(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text("utf-8")
