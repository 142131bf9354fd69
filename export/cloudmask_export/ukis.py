"""Make the manifests of the networks in the installed `ukis-csmask` package.

Run `python -m cloudmask_export.ukis FOLDER`; the results are committed in `cloudmask/models/`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import load_from_string

from cloudmask.bands import SENTINEL2, canonical
from cloudmask.classes import CLEAR, SHADOW, THICK
from cloudmask.local.simulator import SceneSettings, simulate
from cloudmask.model import load_onnx
from cloudmask.runtime import Runtime
from cloudmask.selftest import answer
from cloudmask.spec import ModelSpec, TestFiles, parse_manifest
from cloudmask_export.graph.cost import cost
from cloudmask_export.item import item

if TYPE_CHECKING:
    from numpy.typing import NDArray

SOURCE = "https://github.com/dlr-eoc/ukis-csmask"
NAMES = ("4b_l1c", "4b_l2a", "6b_l1c", "6b_l2a")
PIXEL_SIZE = {"4b": 10.0, "6b": 20.0}
"""Metres: of the coarsest band that each takes. The authors advise about 30 m for six bands; see
docs/decisions/0005-pixel-size.md for what was measured."""
CITATION = (
    "Wieland, M.; Fichtner, F.; Martinis, S. (2022): UKIS-CSMASK: a Python package for "
    "multi-sensor cloud and cloud shadow segmentation. ISPRS Archives XLIII-B3-2022, 217-222. "
    "https://doi.org/10.5194/isprs-archives-XLIII-B3-2022-217-2022"
)


def manifest(name: str) -> dict[str, Any]:
    """Describe one of `NAMES` from the package's own files."""
    bands, level = name.split("_")
    folder = _folder()
    onnx = (folder / f"model_{name}.onnx").read_bytes()
    facts = json.loads((folder / f"model_{name}.json").read_text("utf-8"))
    price = cost(load_from_string(onnx), facts["data"]["target_size"][0])
    mean, std = facts["data"]["dataset_statistics"]["img"]
    spec = ModelSpec(
        name=f"ukis-{bands}-{level}",
        title=f"DLR ukis-csmask, {len(mean)} bands, {level.upper()}",
        version=facts["model"]["version"].split("-")[0],
        level=level.upper(),
        licence="Apache-2.0",
        citation=CITATION,
        bands=tuple(canonical(b) or b for b in facts["data"]["dataset_statistics"]["band_names"]),
        mean=tuple(mean),
        std=tuple(std),
        classes=(CLEAR, THICK, SHADOW),
        softmax=True,
        pixel_size=PIXEL_SIZE[bands],
        tile=facts["data"]["target_size"][0],
        overlap=64,
        fixed_tile=True,
        sha256=hashlib.sha256(onnx).hexdigest(),
        file=f"model_{name}.onnx",
        package="ukis_csmask",
        extra="ukis",
        size=len(onnx),
        bytes_per_pixel=round(price.bytes),
        flops_per_pixel=round(price.flops),
        test=TestFiles(
            input="test-input.npy",
            bands=tuple(SENTINEL2),
            output=f"ukis-{bands}-{level}.test-output.npy",
            tolerance=0.005,
        ),
    )
    return item(spec, architecture="U-Net, EfficientNet-B4", source=SOURCE)


def _folder() -> Path:
    found = find_spec("ukis_csmask")
    if found is None or not found.submodule_search_locations:
        sys.exit("ukis-csmask is not installed: pip install 'openeo-cloudmask[ukis]'")
    return Path(found.submodule_search_locations[0])


def test_image() -> NDArray[np.uint16]:
    """Simulate the image that networks are tested on: (13, 64, 64), all classes in it."""
    scene = simulate(SceneSettings(shape=(64, 64), seed=5, thick_cover=0.3, no_data_edge=False))
    return scene.reflectance_dn


def main(folder: Path) -> None:
    """Write all manifests and their tests."""
    image = test_image()
    np.save(folder / "test-input.npy", image)
    for name in NAMES:
        made = manifest(name)
        text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
        (folder / f"{made['id']}.json").write_text(text, "utf-8")
        spec = parse_manifest(text)
        model = load_onnx(_folder() / spec.file, spec, Runtime())
        np.save(
            folder / made["assets"]["test-output"]["href"], answer(model, image, tuple(SENTINEL2))
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
