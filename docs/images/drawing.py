"""What the drawings of the documentation have in common: colours, and how they are saved."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).parent

# Okabe and Ito's colours, which people who see fewer colours can tell apart.
BLUE, ORANGE, GREEN, RED, SKY, PURPLE = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7",
)  # fmt: skip
INK, PALE, NOTHING = "#222222", "#DDDDDD", "#EEEEEE"

plt.rcParams |= {
    "font.size": 11,
    "axes.titlesize": 11,
    "text.color": INK,
    "axes.edgecolor": INK,
    "figure.facecolor": "white",
    "svg.hashsalt": "openeo-cloudmask",
    "hatch.linewidth": 0.6,
}


def save(figure: Figure, name: str) -> None:
    """Write a drawing beside this file; the same drawing gives the same bytes."""
    if name.endswith(".svg"):
        figure.savefig(HERE / name, bbox_inches="tight", metadata={"Date": None})
    else:
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=110, bbox_inches="tight")
        with Image.open(buffer) as image:  # 200 colours are enough, at a third of the bytes
            image.convert("RGB").quantize(200).save(HERE / name, optimize=True)
    plt.close(figure)
