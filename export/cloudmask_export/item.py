"""Write the manifest of a network: a STAC MLM Item.

STAC 1.1 with the extensions MLM 1.5.1, EO 2.0, classification 2.0, file 2.1, processing 1.2,
scientific 1.0 and version 1.2. `cloudmask.spec` reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudmask.bands import SENTINEL2
from cloudmask.classes import CLASSES
from cloudmask.spec import SHA256_MULTIHASH

if TYPE_CHECKING:
    from cloudmask.spec import ModelSpec

EXTENSIONS = [
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in (
        "mlm/v1.5.1",
        "eo/v2.0.0",
        "classification/v2.0.0",
        "file/v2.1.0",
        "processing/v1.2.0",
        "scientific/v1.0.0",
        "version/v1.2.0",
    )
]
COSTS = ("bytes_per_pixel", "flops_per_pixel")
"""What a call costs; left out where it is not known."""


def item(
    spec: ModelSpec, *, architecture: str, source: str, size: int | None = None
) -> dict[str, Any]:
    """Describe a network.

    Args:
        spec: What it wants and gives.
        architecture: Its usual name in the literature.
        source: Page where it comes from.
        size: Bytes of the ONNX file; default what the spec says.
    """
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": EXTENSIONS,
        "id": spec.name,
        # Networks are for the whole world and for any time.
        "geometry": None,
        "properties": _properties(spec, architecture),
        "links": [{"rel": "about", "href": source, "type": "text/html"}],
        "assets": {
            "model": _asset(spec, spec.size if size is None else size),
            **_test_assets(spec),
        },
    }


def _properties(spec: ModelSpec, architecture: str) -> dict[str, Any]:
    return {
        "title": spec.title,
        "datetime": None,
        "start_datetime": "2015-06-23T00:00:00Z",
        "end_datetime": "9999-12-31T23:59:59Z",
        "license": spec.licence,
        "version": spec.version,
        "sci:citation": spec.citation,
        "processing:level": spec.level,
        "gsd": spec.pixel_size,
        "bands": [_band(name) for name in spec.bands],
        "mlm:name": spec.name,
        **({"cloudmask:family": spec.family} if spec.family else {}),
        "mlm:architecture": architecture,
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:framework": "ONNX",
        "mlm:pretrained": True,
        "mlm:input": [_input(spec)],
        "mlm:output": [_output(spec)],
        "mlm:hyperparameters": {"inference": _inference(spec)},
    }


def _band(name: str) -> dict[str, str]:
    common = SENTINEL2.get(name)
    return {"name": name, "eo:common_name": common[0]} if common else {"name": name}


def _tensor(spec: ModelSpec, channels: int) -> dict[str, Any]:
    edge = spec.tile if spec.fixed_tile else -1
    return {
        "shape": [-1, channels, edge, edge],
        "dim_order": ["batch", "bands", "height", "width"],
        "data_type": "float32",
    }


def _input(spec: ModelSpec) -> dict[str, Any]:
    scaling = [
        {"type": "z-score", "mean": mean, "stddev": std}
        for mean, std in zip(spec.mean, spec.std, strict=True)
    ]
    return {
        "name": spec.input_name,
        "description": "Top-of-atmosphere reflectance (bottom-of-atmosphere for L2A), 0 to 1.",
        "bands": list(spec.bands),
        "input": _tensor(spec, len(spec.bands)),
        **({"value_scaling": scaling} if scaling else {}),
    }


def _output(spec: ModelSpec) -> dict[str, Any]:
    result = _tensor(spec, len(spec.classes))
    result["dim_order"] = ["batch", "classes", "height", "width"]
    known = {each.code: each for each in CLASSES}
    return {
        "name": "output",
        "tasks": ["semantic-segmentation"],
        "result": result,
        "classification:classes": [
            {
                "value": channel,
                "name": known[code].name,
                "description": known[code].title,
                "color_hint": "{:02X}{:02X}{:02X}".format(*known[code].colour),
            }
            for channel, code in enumerate(spec.classes)
        ],
    }


def _inference(spec: ModelSpec) -> dict[str, Any]:
    return {
        "tile_size": spec.tile,
        "overlap": spec.overlap,
        "size_multiple": spec.multiple,
        "tta_depth": spec.tta.depth,
        "activation": "softmax" if spec.softmax else "none",
        **({} if spec.resampling == "average" else {"resampling": spec.resampling}),
        **{name: value for name in COSTS if (value := getattr(spec, name))},
    }


def _test_assets(spec: ModelSpec) -> dict[str, Any]:
    if spec.test is None:
        return {}
    return {
        "test-input": {
            "href": spec.test.input,
            "title": "Test image, (band, y, x) reflectance x 10000",
            "type": "application/x-npy",
            "roles": ["test-input"],
            "bands": [{"name": name} for name in spec.test.bands],
        },
        "test-output": {
            "href": spec.test.output,
            "title": "Its answer, (channel, y, x) probability x 250",
            "type": "application/x-npy",
            "roles": ["test-output"],
            "cloudmask:tolerance": spec.test.tolerance,
        },
    }


def _asset(spec: ModelSpec, size: int) -> dict[str, Any]:
    return {
        "href": spec.file,
        "type": "application/octet-stream; application=onnx",
        "roles": ["mlm:model", "mlm:weights"],
        "mlm:artifact_type": "onnx",
        **({"file:size": size} if size else {}),
        **({"file:checksum": SHA256_MULTIHASH + spec.sha256} if spec.sha256 else {}),
        **({"cloudmask:package": spec.package} if spec.package else {}),
        **({"cloudmask:extra": spec.extra} if spec.extra else {}),
    }
