from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

pytest.importorskip("rasterio")

import rasterio

from cloudmask.classes import CLASSES
from cloudmask.local.product import Grid
from cloudmask.local.style import category_names, colour_table, qgis_style
from cloudmask.local.writers import writer_for
from cloudmask.windows import Span


def entries() -> list[dict[str, Any]]:
    return [entry.attrib for entry in ET.fromstring(qgis_style()).iter("paletteEntry")]  # noqa: S314


def test_the_colour_table_has_the_class_colours_opaque() -> None:
    table = colour_table()
    for each in CLASSES:
        assert table[each.code] == (*each.colour, 255)


def test_no_data_is_transparent() -> None:
    assert colour_table()[255][3] == 0


def test_the_style_has_an_entry_a_class_in_its_colour_and_with_its_title() -> None:
    found = {
        int(entry["value"]): (bytes.fromhex(entry["color"][1:]), entry["label"])
        for entry in entries()
    }
    assert found == {each.code: (bytes(each.colour), each.title) for each in CLASSES}


def test_clear_ground_is_seen_through_the_style_and_nothing_else_is() -> None:
    assert {entry["value"]: entry["alpha"] for entry in entries()} == {
        "0": "0", "1": "255", "2": "255", "3": "255",
    }  # fmt: skip


def test_the_style_is_what_qgis_expects_of_a_paletted_raster() -> None:
    root = ET.fromstring(qgis_style())  # noqa: S314
    renderer = root.find("pipe/rasterrenderer")
    assert root.tag == "qgis"
    assert renderer is not None
    assert (renderer.get("type"), renderer.get("band")) == ("paletted", "1")


@pytest.mark.parametrize("text", [qgis_style(), category_names()], ids=["qml", "aux"])
def test_the_files_end_with_a_line_break(text: str) -> None:
    assert text.endswith(">\n")


def test_category_names_stand_in_the_order_of_the_codes() -> None:
    root = ET.fromstring(category_names())  # noqa: S314
    names = [each.text for each in root.findall("PAMRasterBand[@band='1']/CategoryNames/Category")]
    assert names == [each.title for each in sorted(CLASSES, key=lambda each: each.code)]


# -- read by QGIS itself --------------------------------------------------------------------

SYSTEM_PYTHON = Path("/usr/bin/python3")
"""Has QGIS where Debian's python3-qgis is installed."""

QGIS = """
import json, os, sys
from qgis.core import QgsApplication, QgsRasterLayer
application = QgsApplication([], False)
application.initQgis()
layer = QgsRasterLayer(sys.argv[1], "mask")
renderer = layer.renderer()
legend = [(int(e.value), e.label, e.color.getRgb()) for e in renderer.classes()]
image = renderer.block(1, layer.extent(), 5, 1, None)
alpha = [(image.color(0, column) & 0xFFFFFFFF).to_bytes(4, "big")[0] for column in range(5)]
print(json.dumps({
    "valid": layer.isValid(), "kind": renderer.type(), "opacity": renderer.opacity(),
    "legend": legend, "alpha": alpha,
}), flush=True)
os._exit(0)  # the library may crash when it takes itself down
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What QGIS makes of a mask of five pixels, classes 0 to 3 and no data."""
    asked = [str(SYSTEM_PYTHON), "-c", "import qgis.core"]
    if (
        not SYSTEM_PYTHON.exists()
        or subprocess.run(asked, check=False, capture_output=True).returncode
    ):
        pytest.skip("QGIS is not installed (Debian: python3-qgis)")
    path = tmp_path_factory.mktemp("qgis") / "mask.tif"
    place = rasterio.CRS.from_epsg(32633), rasterio.Affine(10, 0, 6e5, 0, -10, 5e6)
    with writer_for(path, Grid(1, 5, *place)) as writer:
        writer.write(Span(0, 1), np.array([[0, 1, 2, 3, 255]], np.uint8))
        writer.finish({}, {})
    settings = {
        "QT_QPA_PLATFORM": "offscreen",
        "XDG_RUNTIME_DIR": str(path.parent),
        "HOME": str(path.parent),
    }
    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", QGIS, path], check=False, capture_output=True, text=True,
        env={**os.environ, **settings},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_qgis_finds_the_style_beside_the_mask(seen: Any) -> None:
    assert seen["valid"]
    assert (seen["kind"], seen["opacity"]) == ("paletted", 0.75)


def test_qgis_shows_the_legend_of_the_classes(seen: Any) -> None:
    assert [(value, label) for value, label, _ in seen["legend"]] == [
        (each.code, each.title) for each in CLASSES
    ]
    assert [colour[:3] for _, _, colour in seen["legend"]] == [
        list(each.colour) for each in CLASSES
    ]


def test_qgis_draws_clear_and_no_data_see_through_and_the_rest_not(seen: Any) -> None:
    clear, *clouds, absent = seen["alpha"]
    assert (clear, absent) == (0, 0)
    assert all(clouds)
