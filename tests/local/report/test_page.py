from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

pytest.importorskip("jinja2")

from cloudmask.errors import OptionError
from cloudmask.local.product import Facts
from cloudmask.local.report.page import Wish, percent, write_report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Page(HTMLParser):
    """A page taken apart by Python's own parser."""

    text: str
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        self.words.append(data)

    def every(self, tag: str) -> list[dict[str, str | None]]:
        """List the attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]

    def values(self, attribute: str) -> Iterator[str]:
        """List the values of an attribute, whatever the tag."""
        for _, attributes in self.tags:
            value = attributes.get(attribute)
            if value is not None:
                yield value


def made(folder: Path, path: Path | None = None, **wishes: Any) -> Page:
    path = path or folder / "report.html"
    write_report(Wish(folder=folder, path=path, **wishes))
    return Page(path.read_text("utf-8"))


@pytest.fixture
def series(tmp_path: Path, write_series: Any) -> Path:
    write_series(tmp_path / "out", 5)
    return tmp_path / "out"


# -- self-contained -------------------------------------------------------------------------


def test_nothing_in_the_page_asks_for_anything_outside_it(series: Path) -> None:
    page = made(series)
    assert all(value.startswith("data:") for value in page.values("src"))
    assert all(value.startswith(("#", "./", "data:,")) for value in page.values("href"))
    assert not [attributes for attributes in page.every("script") if "src" in attributes]
    assert "@import" not in page.text
    assert "url(" not in page.text


def test_the_page_allows_no_script_but_its_own(series: Path) -> None:
    page = made(series)
    script = page.text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (each["content"] for each in page.every("meta") if "http-equiv" in each)
    assert policy
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_links_within_the_page_lead_to_something_in_it(series: Path) -> None:
    page = made(series)
    places = list(page.values("id"))
    assert len(places) == len(set(places))
    inner = {value[1:] for value in page.values("href") if value.startswith("#")}
    assert inner == {f"scene-{number}" for number in range(1, 6)}
    assert inner <= set(places)


@pytest.mark.parametrize("name", ["plain", "with space", "100%25", "a#b?c", "S2:colon", "'\"&<"])
def test_links_to_the_files_lead_there_from_wherever_the_page_is(
    tmp_path: Path, sample: Any, name: str
) -> None:
    sample(name=name).write(tmp_path / "out")
    (tmp_path / "pages").mkdir()
    page = made(tmp_path / "out", tmp_path / "pages" / "look.html")
    files = [value for value in page.values("href") if value.startswith("./")]
    assert len(files) == 3
    assert all((tmp_path / "pages" / unquote(each)).is_file() for each in files)


# -- what it shows --------------------------------------------------------------------------


def test_each_scene_has_a_row_a_card_a_point_and_two_pictures(series: Path) -> None:
    page = made(series)
    assert len(page.every("tr")) == 1 + 5
    assert len([each for each in page.every("article") if each.get("class") == "card"]) == 5
    assert len([each for each in page.every("circle") if each.get("class") == "dot"]) == 5
    assert len(page.every("img")) == 10


def test_pictures_and_sliders_say_what_they_are(series: Path) -> None:
    page = made(series)
    assert all("scene-00" in (each["alt"] or "") for each in page.every("img"))
    sliders = [each for each in page.every("input") if each["type"] == "range"]
    assert len(sliders) == 5
    assert all("scene-00" in (each["aria-label"] or "") for each in sliders)


def test_pictures_are_decoded_when_they_are_looked_at(series: Path) -> None:
    assert all(
        (each["loading"], each["decoding"]) == ("lazy", "async")
        for each in made(series).every("img")
    )


def test_the_title_networks_licence_citation_and_notice_are_there(series: Path) -> None:
    words = " ".join(" ".join(made(series, title="June").words).split())
    assert "June" in words
    assert "5 scenes with ukis-4b-l1c: stitch crop" in words
    assert "Apache-2.0" in words
    assert "Wieland" in words
    assert "Contains modified Copernicus Sentinel data 2021." in words


def test_a_scene_of_which_nothing_is_known_has_a_page_too(tmp_path: Path, sample: Any) -> None:
    wrote = sample(facts=Facts(), options={}, confidence=(), models=())
    page = made(replace(wrote, codes=wrote.codes * 0 + 255).write(tmp_path).parent)
    assert len(page.every("article")) == 1
    assert "No valid pixel." in page.words


def test_a_class_that_the_network_does_not_know_is_a_dash_not_a_zero(
    tmp_path: Path, sample: Any
) -> None:
    item = sample().write(tmp_path)
    item.write_text(item.read_text("utf-8").replace('"thin_cloud":', '"unknown":'), "utf-8")
    page = made(tmp_path)
    cells = [each for each in page.every("td") if each.get("class") == "number"]
    assert cells[2]["data-value"] == ""


EVIL = "<img src=x onerror=alert(1)>\"'`&{{7*7}}</script>"


def test_what_items_say_is_shown_as_text_never_as_markup(tmp_path: Path, sample: Any) -> None:
    wrote = sample(name="plain", facts=Facts(platform=EVIL, product=EVIL), options={EVIL: EVIL})
    model = replace(wrote.models[0], name=EVIL, version=EVIL, licence=EVIL, sha256=EVIL)
    item = replace(wrote, models=(model,)).write(tmp_path)
    escaped = item.read_text("utf-8").replace('"id": "plain"', '"id": "<script>x</script>"')
    item.write_text(escaped, "utf-8")
    page = made(tmp_path, title=EVIL)
    assert len(page.every("script")) == 1
    assert len(page.every("img")) == 2
    assert not list(page.values("onerror"))
    assert page.words.count(EVIL) >= 3


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.0"), (0.04, "< 0.1"), (12.345, "12.3"), (100, "100.0")],
)
def test_a_trace_of_a_class_is_not_written_as_nothing(share: float, text: str) -> None:
    assert percent(share) == f"{text}\u00a0%"


# -- what is broken -------------------------------------------------------------------------


def test_items_that_cannot_be_read_are_told_at_the_end(series: Path) -> None:
    (series / "catalog.json").write_text('{"type": "Catalog"}')
    page = made(series)
    assert "catalog.json" in page.words
    assert len(page.every("article")) == 5


def test_a_scene_without_a_thumbnail_shows_its_mask_and_says_so(series: Path) -> None:
    (series / "scene-003_thumbnail.png").unlink()
    page = made(series)
    assert len(page.every("img")) == 9
    assert "Not shown: its thumbnail is not there." in page.words
    assert page.words.count("scene-003") >= 3


def test_a_mask_that_cannot_be_read_costs_only_its_own_picture(series: Path) -> None:
    (series / "scene-003_mask.tif").write_bytes(b"broken")
    done = write_report(Wish(folder=series, path=series / "report.html"))
    page = Page((series / "report.html").read_text("utf-8"))
    assert len(page.every("img")) == 9
    assert len([each for each in page.every("input") if each["type"] == "range"]) == 4
    assert [problem.name for problem in done.problems] == ["scene-003"]


def test_the_page_of_before_stays_when_there_is_nothing_to_show(series: Path) -> None:
    before = made(series).text
    for item in series.glob("*.json"):
        item.unlink()
    with pytest.raises(OptionError, match="holds no masks"):
        made(series)
    assert (series / "report.html").read_text("utf-8") == before


def test_a_page_that_fails_half_way_leaves_nothing(
    series: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cloudmask.local.report.page.pictures.of_scene", full)
    before = sorted(series.iterdir())
    with pytest.raises(OSError, match="No space left"):
        made(series)
    assert sorted(series.iterdir()) == before


@pytest.mark.parametrize(
    ("path", "message"),
    [("look.pdf", r"look\.pdf: a page is written.*\.html"), ("no/look.html", "there is no such")],
)
def test_a_place_where_no_page_can_be_is_an_error(series: Path, path: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        made(series, series / path)


# -- size -----------------------------------------------------------------------------------


def test_the_same_folder_gives_the_same_bytes(series: Path) -> None:
    assert made(series).text == made(series).text


def test_only_the_page_is_added_to_the_folder(series: Path) -> None:
    before = set(series.iterdir())
    made(series)
    assert set(series.iterdir()) - before == {series / "report.html"}


def test_above_the_limit_the_pictures_lie_beside_the_page(series: Path) -> None:
    page = made(series, embed_limit=4)
    sources = list(page.values("src"))
    assert len(sources) == 10
    assert all((series / unquote(each)).is_file() for each in sources)
    assert {unquote(each).split("/")[1] for each in sources} == {"report_files"}


def test_at_the_limit_they_are_still_inside(series: Path) -> None:
    assert all(each.startswith("data:") for each in made(series, embed_limit=5).values("src"))
    assert not (series / "report_files").exists()
