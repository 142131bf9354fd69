"""The page in a real browser."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from cloudmask_export.evaluation.page import Wish, write_page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
def path(tmp_path: Path, two: Any) -> Path:
    path = tmp_path / "page.html"
    write_page(Wish(path=path), two.results, two.dataset, two.predictors)
    return path


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (360, "dark")])
def test_nothing_is_complained_of_asked_for_or_wider_than_the_screen(
    browser: Any, path: Path, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.locator("article").last.scroll_into_view_if_needed()
    assert heard == []
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # Lazy pictures are loaded when they are near; here all at once.
    page.evaluate("for (const each of document.images) each.loading = 'eager'")
    page.wait_for_function("[...document.images].every((each) => each.naturalWidth > 0)")
    page.close()


def test_a_click_on_a_heading_sorts_by_it_and_dashes_stay_last(browser: Any, path: Path) -> None:
    page = browser.new_page()
    page.goto(path.as_uri())
    table = page.locator("table", has=page.locator("caption", has_text="cloud shadow")).first
    for _ in range(2):
        table.get_by_role("button", name="recall").click()
        assert table.locator("tbody th").all_inner_texts() == ["ours", "s2cloudless"]
    assert table.locator("th[aria-sort]").inner_text().startswith("recall")
    page.close()
