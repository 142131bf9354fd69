"""The documentation site, built and opened as a reader does: from files, without a network."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

for _needed in ("sphinx", "myst_parser", "furo"):
    pytest.importorskip(_needed, reason="the dependency group docs is not installed")

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[1] / "docs"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
LOADING = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
"""Elements that make a browser load something, and the attribute that says what."""

CUT_OFF = """[...document.querySelectorAll("article :is(p, li, img, h1, h2)")]
    .filter(each => !each.closest(".table-wrapper") && each.getBoundingClientRect().right > 390)
    .map(each => each.outerHTML.slice(0, 100))"""
"""What reaches beyond a window of 390 pixels; tables scroll by themselves."""


@dataclass
class Page(HTMLParser):
    """What a page names, loads and leads to."""

    path: Path
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    undescribed: list[str] = field(default_factory=list)
    """Pictures without an alternative text."""

    def __post_init__(self) -> None:
        """Read the file."""
        super().__init__()
        self.feed(self.path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        given = dict(attrs)
        self.anchors |= {given.get("id") or "", given.get("name") or ""}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        if given.get(LOADING.get(tag, "")):
            self.loads.append(given[LOADING[tag]] or "")
        if tag == "img" and not given.get("alt"):
            self.undescribed.append(given.get("src") or "")

    def leads_astray(self, pages: dict[Path, Page]) -> Iterator[str]:
        """Give the links and resources inside the site that are not there."""
        for link in self.links + self.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (self.path.parent / unquote(parts.path)).resolve()
            target = self.path if not parts.path else target
            anchors = pages[target].anchors if target in pages else {""}
            if not target.is_file() or unquote(parts.fragment) not in anchors:
                yield f"{self.path.name}: {link}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    sphinx = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q"]
    done = subprocess.run(
        [*sphinx, "-d", folder / "doctrees", DOCS, folder / "html"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr.splitlines() == []
    assert done.returncode == 0
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path.resolve(): Page(path.resolve()) for path in site.rglob("*.html")}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed: {' or '.join(BROWSERS)}")
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield opened
        opened.close()


@dataclass
class Reader:
    """A window, what it asked for and complained of."""

    window: Any
    complaints: list[str] = field(default_factory=list)
    requests: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Listen."""
        self.window.set_default_timeout(60_000)
        self.window.on("console", self._heard)
        self.window.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.window.on("requestfailed", lambda request: self.complaints.append(request.url))
        self.window.on("request", lambda request: self.requests.add(urlsplit(request.url).scheme))

    def _heard(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{self.window.url}: {message.text}")


@pytest.fixture
def reader(browser: Any) -> Iterator[Reader]:
    reader = Reader(browser.new_page(viewport={"width": 1200, "height": 900}))
    yield reader
    reader.window.close()


def test_each_page_of_the_documentation_is_a_page_of_the_site(
    site: Path, pages: dict[Path, Page]
) -> None:
    written = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert written
    assert {page for page in written if (site / page).resolve() not in pages} == set()


def test_every_link_anchor_and_picture_inside_the_site_is_there(pages: dict[Path, Page]) -> None:
    assert [astray for page in pages.values() for astray in page.leads_astray(pages)] == []


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    named = [load for page in pages.values() for load in page.loads]
    assert named
    assert [load for load in named if urlsplit(load).scheme or urlsplit(load).netloc] == []
    styles = [path.read_text("utf-8") for path in site.rglob("*.css")]
    assert styles
    assert [style for style in styles if "url(http" in style or "@import" in style] == []


def test_every_picture_is_described_in_words(pages: dict[Path, Page]) -> None:
    assert [picture for page in pages.values() for picture in page.undescribed] == []


def test_no_page_makes_the_browser_complain_or_ask_the_network(
    pages: dict[Path, Page], reader: Reader
) -> None:
    for path in pages:
        reader.window.goto(path.as_uri())
    assert reader.complaints == []
    assert reader.requests <= {"file", "data"}


def test_search_finds_pages_in_a_site_that_is_opened_as_a_file(site: Path, reader: Reader) -> None:
    reader.window.goto((site / "search.html").as_uri() + "?q=overlap")
    reader.window.wait_for_selector("#search-results li a")
    found = reader.window.locator("#search-results li a").evaluate_all(
        "links => links.map(link => link.href)"
    )
    assert any("tiling.html" in address for address in found)
    reader.window.goto((site / "search.html").as_uri() + "?q=zyzzogeton")
    reader.window.wait_for_selector("text=did not match any documents")
    assert reader.complaints == []


def test_a_narrow_window_shows_all_text_and_pictures(site: Path, reader: Reader) -> None:
    reader.window.set_viewport_size({"width": 390, "height": 800})
    for page in ("index.html", "five-minutes.html", "how-it-works.html", "guarantees.html"):
        reader.window.goto((site / page).as_uri())
        assert (page, reader.window.evaluate(CUT_OFF)) == (page, [])
