"""The page in a real browser, driven by a real mouse and keyboard."""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pytest

pytest.importorskip("jinja2")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from PIL import Image  # noqa: E402

from cloudmask.local.report.page import Wish, write_report  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser is installed: {' or '.join(NAMES)}")
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield opened
        opened.close()


@pytest.fixture
def report(tmp_path: Path, write_series: Any) -> Path:
    """Write a page of six scenes, the n-th n sixths cloudy from the right."""
    write_series(tmp_path, 6)
    (tmp_path / "foreign.json").write_text("{}")
    path = tmp_path / "report.html"
    write_report(Wish(folder=tmp_path, path=path))
    return path


@dataclass
class Look:
    """An open page, and what it asked for and complained of."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @classmethod
    def at(cls, browser: Any, path: Path, **options: Any) -> Look:
        """Open a page and listen."""
        look = cls(browser.new_page(**{"viewport": {"width": 1200, "height": 900}} | options))
        look.page.set_default_timeout(10_000)
        look.page.on("console", lambda message: look.complaints.append(message.text))
        look.page.on("pageerror", lambda error: look.complaints.append(str(error)))
        look.page.on("requestfailed", lambda request: look.complaints.append(request.url))
        look.page.on("request", lambda request: look.requests.append(request.url))
        look.page.goto(path.as_uri())
        return look

    def card(self, number: int) -> Any:
        """Find a scene's card, and bring it into view."""
        card = self.page.locator(f"#scene-{number}")
        card.scroll_into_view_if_needed()
        return card

    def picture(self, number: int) -> NDArray[np.uint8]:
        """Photograph a scene's picture: (y, x, 3)."""
        self.decoded(number)
        shot = self.card(number).locator(".compare").screenshot()
        with Image.open(io.BytesIO(shot)) as image:
            return np.asarray(image.convert("RGB"))

    def decoded(self, number: int) -> int:
        """Wait until a scene's pictures are decoded; fails if one cannot be. Return how many."""
        all_of_them = "all => Promise.all(all.map(each => each.decode())).then(all => all.length)"
        count: int = self.card(number).locator("img").evaluate_all(all_of_them)
        return count

    def rows(self) -> list[str]:
        """List the scenes in the order of the table."""
        texts: list[str] = self.page.locator("tbody th").all_inner_texts()
        return texts

    def sort_by(self, heading: str) -> None:
        """Click on a heading of the table."""
        self.page.get_by_role("button", name=heading, exact=True).click()

    @property
    def overflow(self) -> int:
        """Pixels that the page is wider than its window."""
        excess: int = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return excess


@pytest.fixture
def look(browser: Any, report: Path) -> Iterator[Look]:
    opened = Look.at(browser, report)
    yield opened
    opened.page.close()


def orange(picture: NDArray[np.uint8]) -> float:
    """Give the share of the picture that thick cloud's colour covers."""
    red, blue = picture[..., 0].astype(int), picture[..., 2].astype(int)
    return float((red - blue > 40).mean())


# -- quiet ----------------------------------------------------------------------------------


def test_the_page_opens_from_a_file_without_a_complaint_or_a_request(look: Look) -> None:
    for number in range(1, 7):
        look.card(number)
    assert look.complaints == []
    assert {urlsplit(url).scheme for url in look.requests} <= {"file", "data"}
    assert len([url for url in look.requests if url.startswith("file:")]) == 1


def test_every_picture_is_decoded(look: Look) -> None:
    for number in range(1, 7):
        assert look.decoded(number) == 2


def test_pictures_beside_the_page_are_loaded_from_there(browser: Any, report: Path) -> None:
    write_report(Wish(folder=report.parent, path=report, embed_limit=0))
    look = Look.at(browser, report)
    assert look.decoded(6) == 2
    assert look.complaints == []
    look.page.close()


# -- the slider -----------------------------------------------------------------------------


def test_a_click_on_the_slider_wipes_the_mask_away(look: Look) -> None:
    # The sixth scene is cloudy in its right five sixths.
    before = orange(look.picture(6))
    box = look.card(6).locator("input[type=range]").bounding_box()
    look.page.mouse.click(box["x"] + 0.95 * box["width"], box["y"] + box["height"] / 2)
    after = orange(look.picture(6))
    assert before > 0.4
    assert after < 0.15


def test_dragging_on_the_picture_moves_the_edge_to_the_pointer(look: Look) -> None:
    box = look.card(6).locator(".compare").bounding_box()
    middle = box["y"] + box["height"] / 3
    look.page.mouse.move(box["x"] + 0.5 * box["width"], middle)
    look.page.mouse.down()
    look.page.mouse.move(box["x"] + 0.8 * box["width"], middle, steps=4)
    look.page.mouse.move(box["x"] + 0.25 * box["width"], middle, steps=4)
    look.page.mouse.up()
    look.page.mouse.move(box["x"] + 0.9 * box["width"], middle)
    assert look.card(6).locator("input[type=range]").input_value() == "25"
    picture = look.picture(6)
    edge = picture.shape[1] // 4
    assert orange(picture[:, : edge - 25]) == 0
    assert orange(picture[:, edge + 25 :]) > 0.95


def test_the_keyboard_moves_the_slider(look: Look) -> None:
    before = orange(look.picture(6))
    look.card(6).locator("input[type=range]").focus()
    look.page.keyboard.press("Home")
    assert orange(look.picture(6)) > before + 0.2
    look.page.keyboard.press("End")
    assert orange(look.picture(6)) < 0.05


def test_only_the_touched_scene_changes(look: Look) -> None:
    before = look.picture(5)
    look.card(6).locator("input[type=range]").fill("0")
    np.testing.assert_array_equal(look.picture(5), before)


def test_fading_shows_the_whole_mask_fainter(look: Look) -> None:
    look.page.get_by_label("fades it").check()
    look.card(6).locator("input[type=range]").fill("0")
    full = look.picture(6)
    look.card(6).locator("input[type=range]").fill("100")
    none = look.picture(6)
    look.card(6).locator("input[type=range]").fill("50")
    half = look.picture(6).astype(float)
    covered = slice(full.shape[1] // 4, None)
    assert orange(full[:, covered]) > 0.95
    assert orange(none) == 0
    assert abs(half - (full.astype(float) + none) / 2).max() < 4


# -- table and time line --------------------------------------------------------------------


def test_a_click_on_a_heading_sorts_and_another_turns_the_order(look: Look) -> None:
    by_time = look.rows()
    look.sort_by("scene")
    assert look.rows() == sorted(by_time) != by_time
    look.sort_by("scene")
    assert look.rows() == sorted(by_time, reverse=True)


def test_numbers_are_sorted_as_numbers_from_the_greatest(
    browser: Any, report: Path, sample: Any
) -> None:
    # 0.0625 % and 0.125 %: as names are sorted the first would be the greater.
    for pixels in (1, 2):
        codes = np.zeros((40, 40), np.uint8)
        codes[0, :pixels] = 1
        sample(name=f"trace-{pixels}", codes=codes).write(report.parent)
    write_report(Wish(folder=report.parent, path=report))
    look = Look.at(browser, report)
    look.sort_by("thick cloud")
    assert look.rows() == [
        *[f"scene-00{n}" for n in range(1, 6)],
        "trace-2",
        "trace-1",
        "scene-006",
    ]
    look.page.close()


def test_the_sorted_heading_says_so(look: Look) -> None:
    look.sort_by("clear")
    sorted_by = look.page.locator("th[aria-sort]")
    assert sorted_by.all_inner_texts() == ["clear"]
    assert sorted_by.get_attribute("aria-sort") == "descending"


@pytest.mark.parametrize("way", ["hover", "focus"])
def test_a_point_tells_what_it_is_when_pointed_at_or_focused(look: Look, way: str) -> None:
    tip = look.page.locator(".tip")
    assert tip.is_hidden()
    getattr(look.page.locator(".plot a").nth(2), way)()
    assert tip.inner_text().startswith("scene-004: 67.5")


def test_a_point_leads_to_its_scene(look: Look) -> None:
    look.page.locator(".plot a").nth(5).click()
    sync_api.expect(look.page.locator("#scene-6")).to_be_in_viewport()
    assert look.page.url.endswith("#scene-6")


# -- screens --------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [320, 390, 768, 1200])
def test_no_screen_scrolls_sideways(browser: Any, report: Path, width: int) -> None:
    look = Look.at(browser, report, viewport={"width": width, "height": 800})
    for number in range(1, 7):
        look.card(number)
    assert look.overflow <= 0
    look.page.close()


@pytest.mark.parametrize("width", [320, 1200])
def test_no_word_of_the_time_line_lies_outside_its_frame(
    browser: Any, report: Path, width: int
) -> None:
    look = Look.at(browser, report, viewport={"width": width, "height": 800})
    frame = look.page.locator(".timeline").bounding_box()
    words = look.page.locator(".timeline text:visible, .timeline figcaption").all()
    boxes = [word.bounding_box() for word in words]
    assert len(boxes) > 5
    assert min(box["x"] for box in boxes) > frame["x"]
    assert max(box["x"] + box["width"] for box in boxes) < frame["x"] + frame["width"]
    look.page.close()


@pytest.mark.parametrize("width", [320, 1200])
def test_the_sliders_knob_lies_where_the_edge_does(browser: Any, report: Path, width: int) -> None:
    look = Look.at(browser, report, viewport={"width": width, "height": 800})
    picture = look.card(6).locator(".compare").bounding_box()
    slider = look.card(6).locator("input[type=range]").bounding_box()
    for end in (0, 1):
        assert (
            abs(slider["x"] + end * slider["width"] - picture["x"] - end * picture["width"]) < 12
        )
    look.page.close()


def test_a_finger_moves_the_edge(browser: Any, report: Path) -> None:
    look = Look.at(browser, report, viewport={"width": 390, "height": 800}, has_touch=True)
    box = look.card(6).locator(".compare").bounding_box()
    look.page.touchscreen.tap(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
    assert look.card(6).locator("input[type=range]").input_value() == "75"
    look.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_the_light_and_in_the_dark(
    browser: Any, report: Path, scheme: str
) -> None:
    look = Look.at(browser, report, color_scheme=scheme)
    for selector in ("h1", ".card .soft", "thead button", "footer", ".card a"):
        assert contrast(look.page, selector) >= 4.5, selector
    dark_ground = look.page.evaluate(GROUND, "h1")[0] < 100
    assert dark_ground == (scheme == "dark")
    look.page.close()


def test_paper_shows_what_cannot_be_clicked_there(look: Look) -> None:
    look.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    look.page.emulate_media(media="print")
    assert look.card(1).locator(".facts").is_visible()
    assert look.page.locator(".slide").first.is_hidden()


GROUND = """selector => {
  let each = document.querySelector(selector);
  for (; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return colour.match(/[\\d.]+/g).map(Number);
  }
}"""
INK = """selector => getComputedStyle(document.querySelector(selector)).color
  .match(/[\\d.]+/g).map(Number)"""


def contrast(page: Any, selector: str) -> float:
    """Give the ratio of WCAG 2.2 between a text and what it stands on."""
    low, high = sorted(luminance(page.evaluate(code, selector)) for code in (GROUND, INK))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: list[float]) -> float:
    """Give the relative luminance of sRGB as WCAG 2.2 defines it."""
    parts = np.array(colour[:3]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
