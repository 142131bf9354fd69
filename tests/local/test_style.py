from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from cloudmask.classes import CLASSES
from cloudmask.local.style import category_names, colour_table, qgis_style


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
