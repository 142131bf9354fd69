"""How a mask looks in QGIS and to GDAL: colours, category names, a style file."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from cloudmask.classes import CLASSES, NO_DATA


def colour_table() -> dict[int, tuple[int, int, int, int]]:
    """Give red, green, blue, alpha for each class code, no data transparent."""
    table = {each.code: (*each.colour, 255) for each in CLASSES}
    return table | {NO_DATA: (0, 0, 0, 0)}


def qgis_style() -> str:
    """Write a QGIS layer style (.qml): paletted colours with labels, clear see-through.

    QGIS applies it by itself when it lies beside the raster under the same name.
    """
    root = ET.Element("qgis", version="3.22", styleCategories="Symbology")
    pipe = ET.SubElement(root, "pipe")
    renderer = ET.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="0.75", alphaBand="-1",
        nodataColor="",
    )  # fmt: skip
    palette = ET.SubElement(renderer, "colorPalette")
    for each in CLASSES:
        ET.SubElement(
            palette,
            "paletteEntry",
            value=str(each.code),
            color="#{:02x}{:02x}{:02x}".format(*each.colour),
            alpha="0" if each.code == 0 else "255",
            label=each.title,
        )
    ET.SubElement(root, "blendMode").text = "0"
    ET.indent(root)
    return "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + _text(root) + "\n"


def category_names() -> str:
    """Write GDAL's sidecar (.aux.xml) with the names of the classes.

    GeoTIFF itself has no place for category names; GDAL and QGIS read them from here.
    """
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", band="1")
    names = ET.SubElement(band, "CategoryNames")
    for each in CLASSES:
        ET.SubElement(names, "Category").text = each.title
    ET.indent(root)
    return _text(root) + "\n"


def _text(root: ET.Element) -> str:
    return ET.tostring(root, encoding="unicode")
