"""Manifests as they stand in files: STAC MLM Items, whole and damaged."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from cloudmask.classes import CLASSES
from cloudmask.spec import SHA256_MULTIHASH
from cloudmask.strategies.specs import specs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudmask.spec import ModelSpec

Json = Any

WRONG: tuple[Json, ...] = (
    None, True, False, 0, 1, -1, 2, 10**30, -0.5, 1e308, float("nan"), float("inf"), "", "x", "0",
    "../../etc/passwd", "\x00", "NaN", [], [[]], [None], {}, {"": None}, ["B02", "B02"],
)  # fmt: skip
"""What may stand where something else belongs."""


def as_item(spec: ModelSpec) -> dict[str, Json]:
    """Write a `ModelSpec` as the STAC MLM Item that `cloudmask.spec.parse_manifest` reads."""
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": ["https://stac-extensions.github.io/mlm/v1.5.1/schema.json"],
        "id": spec.name,
        "geometry": None,
        "properties": _properties(spec),
        "links": [],
        "assets": _assets(spec),
    }


def _properties(spec: ModelSpec) -> dict[str, Json]:
    return {
        "datetime": None,
        "mlm:name": spec.name,
        "cloudmask:family": spec.family,
        "title": spec.title,
        "version": spec.version,
        "processing:level": spec.level,
        "license": spec.licence,
        "sci:citation": spec.citation,
        "gsd": spec.pixel_size,
        "mlm:input": [_takes(spec)],
        "mlm:output": [_gives(spec)],
        "mlm:hyperparameters": {"inference": _inference(spec)},
    }


def _takes(spec: ModelSpec) -> dict[str, Json]:
    edge = spec.tile if spec.fixed_tile else -1
    scaling = [
        {"type": "z-score", "mean": mean, "stddev": std}
        for mean, std in zip(spec.mean, spec.std, strict=True)
    ]
    return {
        "name": spec.input_name,
        "bands": list(spec.bands),
        "input": {"shape": [-1, len(spec.bands), edge, edge], "data_type": "float32"},
        "value_scaling": scaling or None,
    }


def _gives(spec: ModelSpec) -> dict[str, Json]:
    names = {each.code: each.name for each in CLASSES}
    return {
        "name": "output",
        "classification:classes": [
            {"value": number, "name": names[code]} for number, code in enumerate(spec.classes)
        ],
    }


def _inference(spec: ModelSpec) -> dict[str, Json]:
    return {
        "tile_size": spec.tile,
        "overlap": spec.overlap,
        "size_multiple": spec.multiple,
        "tta_depth": spec.tta.depth,
        "activation": "softmax" if spec.softmax else "none",
        "resampling": spec.resampling,
        "bytes_per_pixel": spec.bytes_per_pixel,
        "flops_per_pixel": spec.flops_per_pixel,
    }


def _assets(spec: ModelSpec) -> dict[str, Json]:
    model: dict[str, Json] = {
        "href": spec.file,
        "roles": ["mlm:model"],
        "file:size": spec.size,
        "cloudmask:package": spec.package,
        "cloudmask:extra": spec.extra,
    }
    if spec.sha256:
        model["file:checksum"] = SHA256_MULTIHASH + spec.sha256
    if spec.test is None:
        return {"model": model}
    bands = [{"name": band} for band in spec.test.bands]
    tolerance = {"cloudmask:tolerance": spec.test.tolerance}
    return {
        "model": model,
        "test-input": {"href": spec.test.input, "bands": bands},
        "test-output": {"href": spec.test.output, **tolerance},
    }


def manifests() -> st.SearchStrategy[dict[str, Json]]:
    """Draw manifests that can be read."""
    return specs().map(as_item)


@st.composite
def damaged_manifests(draw: st.DrawFn, most: int = 3) -> dict[str, Json]:
    """Draw manifests in which up to `most` things are gone, doubled, or something else.

    Some can still be read: what is damaged may be something that nobody asks for.
    """
    item = copy.deepcopy(draw(manifests()))
    for _ in range(draw(st.integers(1, most))):
        places = list(_places(item))
        if places:
            _damage(draw, *draw(st.sampled_from(places)))
    return item


def _places(node: Json) -> Iterator[tuple[Json, Any]]:
    """List all (container, key or index)."""
    keys: Any = node if isinstance(node, dict) else range(len(node))
    for key in keys:
        yield node, key
        if isinstance(node[key], (dict, list)):
            yield from _places(node[key])


def _damage(draw: st.DrawFn, node: Json, key: Any) -> None:
    what = draw(st.sampled_from(["wrong", "gone", "doubled"]))
    if what == "gone":
        del node[key]
    elif what == "doubled" and isinstance(node, list):
        node.append(copy.deepcopy(node[key]))
    else:
        node[key] = copy.deepcopy(draw(st.sampled_from(WRONG)))
