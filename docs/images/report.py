"""Make docs/images/report.png: simulated scenes, masked and photographed in Chromium.

python docs/images/report.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from cloudmask.local.demo import write_scene
from cloudmask.local.simulator import SceneSettings, simulate

HERE = Path(__file__).parent
COVERS = ((0.06, 0.05), (0.3, 0.15), (0.55, 0.1))
"""Thick and thin cloud in each scene."""


def main() -> None:
    """Make the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for day, (thick, thin) in enumerate(COVERS):
            settings = SceneSettings(
                shape=(512, 640), seed=day, thick_cover=thick, thin_cover=thin
            )
            write_scene(folder / f"field-{day + 1}.tif", simulate(settings))
        _cloudmask(folder, "mask", "field-*.tif", "-m", "ukis-6b-l1c", "-o", "out/", "-q")
        _cloudmask(folder, "report", "out/")
        _photograph(folder / "out" / "report.html", HERE / "report.png")


def _cloudmask(folder: Path, *words: str) -> None:
    command = [sys.executable, "-m", "cloudmask", *words]
    subprocess.run(command, cwd=folder, check=True)


def _photograph(page: Path, picture: Path) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        window = browser.new_page(viewport={"width": 1280, "height": 800})
        window.goto(page.as_uri())
        window.evaluate("document.querySelector('#pictures').scrollIntoView()")
        decoded = "all => Promise.all(all.map(each => each.decode()))"
        window.locator("#scene-1 img").evaluate_all(decoded)
        window.screenshot(path=picture)


if __name__ == "__main__":
    main()
