from __future__ import annotations

import copy
import json
from dataclasses import replace
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudmask.augment import TTA
from cloudmask.errors import CloudmaskError, ModelError, OptionError
from cloudmask.spec import ModelSpec, TestFiles, parse_manifest
from cloudmask_export import ukis
from cloudmask_export.item import item

COMMITTED = sorted(
    file.name
    for file in (resources.files("cloudmask") / "models").iterdir()
    if file.name.endswith(".json")
)


def committed(name: str) -> dict[str, Any]:
    text = (resources.files("cloudmask") / "models" / name).read_text("utf-8")
    manifest: dict[str, Any] = json.loads(text)
    return manifest


def spec(**changes: Any) -> ModelSpec:
    plain = ModelSpec(
        name="net",
        bands=("B02", "B03"),
        classes=(0, 1, 3),
        tile=64,
        overlap=16,
        sha256="ab" * 32,
        file="net.onnx",
    )
    return replace(plain, **changes)


def manifest(**changes: Any) -> dict[str, Any]:
    return item(spec(**changes), architecture="none", source="https://example.org")


def changed(path: str, value: object) -> str:
    """Give a manifest with the value at a path like `properties/mlm:input/0/name` replaced."""
    made = manifest(mean=(0.1, 0.2), std=(0.3, 0.4))
    *way, last = path.split("/")
    inner: Any = made
    for key in way:
        inner = inner[int(key) if key.isdigit() else key]
    inner[int(last) if last.isdigit() else last] = value
    return json.dumps(made)


# -- what is committed ----------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMITTED)
def test_a_committed_manifest_is_readable_and_pins_its_file(name: str) -> None:
    found = parse_manifest(json.dumps(committed(name)))
    assert found.name + ".json" == name
    assert len(found.sha256) == 64
    assert found.licence
    assert found.citation
    assert 0 in found.classes
    assert min(found.size, found.bytes_per_pixel, found.flops_per_pixel) > 0


@pytest.mark.parametrize("name", ukis.NAMES)
def test_a_committed_manifest_is_what_the_installed_networks_give(name: str) -> None:
    pytest.importorskip("ukis_csmask", reason="ukis-csmask is not installed")
    made = ukis.manifest(name)
    assert json.loads(json.dumps(made)) == committed(f"{made['id']}.json")


@pytest.mark.parametrize("name", COMMITTED)
def test_a_committed_manifest_follows_the_mlm_extension(name: str) -> None:
    schema = pytest.importorskip("stac_model.schema")
    properties = committed(name)["properties"]
    read = schema.MLModelProperties.model_validate(properties)
    ours = parse_manifest(json.dumps(committed(name)))
    assert read.name == ours.name
    assert read.input[0].input.shape[1] == len(ours.bands)
    assert read.output[0].result.shape[1] == len(ours.classes)
    scaled = read.input[0].value_scaling or []
    assert [scaling.mean for scaling in scaled] == list(ours.mean)


@pytest.mark.parametrize("name", COMMITTED)
def test_a_committed_manifest_is_a_stac_item(name: str) -> None:
    pystac = pytest.importorskip("pystac")
    read = pystac.Item.from_dict(committed(name))
    assert read.id + ".json" == name
    assert read.assets["model"].href.endswith(".onnx")
    assert read.to_dict(include_self_link=False)["properties"] == committed(name)["properties"]


# -- round trip -----------------------------------------------------------------------------


@st.composite
def specs(draw: st.DrawFn) -> ModelSpec:
    bands = draw(st.lists(st.sampled_from(["B02", "B8A", "B11", "dem", "B04"]),
                          min_size=1, max_size=5, unique=True))  # fmt: skip
    numbers = st.floats(0.01, 2)
    scaled = draw(st.booleans())
    multiple = draw(st.sampled_from([1, 8, 32]))
    tile = multiple * draw(st.integers(1, 8))
    return ModelSpec(
        name=draw(st.text(min_size=1, max_size=8)),
        title=draw(st.text(max_size=8)),
        bands=tuple(bands),
        classes=tuple(
            draw(st.lists(st.sampled_from([0, 1, 2, 3]), min_size=2, max_size=4, unique=True))
        ),
        tile=tile,
        overlap=2 * draw(st.integers(0, (tile - 1) // 2)),
        multiple=multiple,
        fixed_tile=draw(st.booleans()),
        mean=tuple(draw(numbers) for _ in bands) if scaled else (),
        std=tuple(draw(numbers) for _ in bands) if scaled else (),
        softmax=draw(st.booleans()),
        pixel_size=draw(st.sampled_from([10.0, 20.0, 30.0])),
        resampling=draw(st.sampled_from(["average", "nearest"])),
        tta=TTA(depth=draw(st.integers(0, 7))),
        input_name=draw(st.sampled_from(["input", "x"])),
        licence="MIT",
        level="L1C",
        version="1.0",
        sha256=draw(st.sampled_from(["0f" * 32, ""])),
        file="net.onnx",
        package=draw(st.sampled_from(["", "some_package"])),
        extra=draw(st.sampled_from(["", "some"])),
        family=draw(st.sampled_from(["", "nets-int8"])),
        size=draw(st.sampled_from([0, 1, 2**31])),
        bytes_per_pixel=draw(st.floats(0, 1e5)),
        flops_per_pixel=draw(st.floats(0, 1e8)),
    )


@given(specs())
def test_a_manifest_read_back_is_the_spec_it_was_made_of(written: ModelSpec) -> None:
    made = item(written, architecture="none", source="https://example.org")
    assert parse_manifest(json.dumps(made)) == written


def test_what_is_not_known_is_not_written() -> None:
    made = manifest()
    inference = made["properties"]["mlm:hyperparameters"]["inference"]
    assert not {"bytes_per_pixel", "flops_per_pixel", "resampling"} & inference.keys()
    assert "file:size" not in made["assets"]["model"]
    assert "cloudmask:family" not in made["properties"]


def test_a_manifest_that_says_nothing_of_resampling_means_the_mean() -> None:
    assert parse_manifest(json.dumps(manifest())).resampling == "average"


def test_the_size_of_a_file_may_be_told_beside_the_spec() -> None:
    made = item(spec(), architecture="none", source="https://example.org", size=7)
    assert parse_manifest(json.dumps(made)).size == 7


def test_a_manifest_may_come_as_bytes() -> None:
    assert parse_manifest(json.dumps(manifest()).encode()) == spec()


def test_band_names_of_a_manifest_may_be_any_alias_or_objects() -> None:
    text = changed("properties/mlm:input/0/bands", ["blue", {"name": "B03_10m"}])
    assert parse_manifest(text).bands == ("B02", "B03")


# -- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"a"', b"\xff\xfe", b"\x80\x04."])
def test_what_is_no_manifest_is_refused(text: str | bytes) -> None:
    with pytest.raises(ModelError, match="manifest: "):
        parse_manifest(text)


@pytest.mark.parametrize(
    "key", ["mlm:name", "mlm:input", "mlm:output", "mlm:hyperparameters", "gsd"]
)
def test_a_missing_property_is_named(key: str) -> None:
    made = manifest()
    del made["properties"][key]
    with pytest.raises(ModelError, match=f"'{key}' is missing"):
        parse_manifest(json.dumps(made))


REFUSED = {
    "properties/mlm:input": ([], "mlm:input has 0 entries; one is supported"),
    "properties/mlm:input/0/bands": (["B02", "blue"], "must be some, all different"),
    "properties/mlm:input/0/value_scaling": ([{"type": "min-max"}], "value_scaling of type"),
    "properties/mlm:input/0/value_scaling/0/stddev": (0, "must be greater than 0"),
    "properties/mlm:output/0/classification:classes/0/value": (1, "must be the output channels"),
    "properties/mlm:output/0/classification:classes/0/name": ("snow", "unknown class name snow"),
    "properties/mlm:output/0/classification:classes/1/name": ("clear", "two or more, all diff"),
    "properties/mlm:hyperparameters/inference/activation": ("sigmoid", "activation 'sigmoid'"),
    "properties/mlm:hyperparameters/inference/tile_size": (0, "tile=0"),
    "properties/mlm:hyperparameters/inference/overlap": (3, "must be even"),
    "properties/mlm:hyperparameters/inference/tta_depth": (8, "from 0 .* to 7"),
    "properties/mlm:hyperparameters/inference/resampling": ("cubic", "'cubic' must be average or"),
    "properties/mlm:hyperparameters/inference/bytes_per_pixel": (-1, "bytes_per_pixel -1 must be"),
    "properties/mlm:hyperparameters/inference/flops_per_pixel": ("many", "must be a number"),
    "properties/cloudmask:family": (3, "family 3 is no text"),
    "assets/model/file:size": (-1, "file:size=-1: must be 0 or more"),
    "properties/gsd": (0, "must be greater than 0"),
    "properties/mlm:input/0/bands/0": ({"name": {"x": 1}}, "bands must be names"),
    "assets/model/roles": (["data"], "no asset has the role mlm:model"),
    "assets/model/file:checksum": ("1220abc", "is no sha256 multihash"),
}


@pytest.mark.parametrize("path", REFUSED)
def test_a_manifest_that_cannot_be_run_is_refused(path: str) -> None:
    value, match = REFUSED[path]
    with pytest.raises(ModelError, match=match):
        parse_manifest(changed(path, value))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("path", ["value_scaling/0/mean", "value_scaling/0/stddev"])
def test_scaling_that_is_not_finite_is_refused(path: str, value: float) -> None:
    with pytest.raises(ModelError, match=r"mean|stddev|finite"):
        parse_manifest(changed(f"properties/mlm:input/0/{path}", value))


def test_scaling_for_another_number_of_bands_is_refused() -> None:
    with pytest.raises(ModelError, match="1 values of mean for 2 bands"):
        spec(mean=(0.1,), std=(0.1,))


@pytest.mark.parametrize("half", [{"mean": (0.1, 0.2)}, {"std": (0.1, 0.2)}])
def test_half_a_standardisation_is_refused(half: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"mean|stddev"):
        spec(**half)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[Any, ...]] = []
    for key, child in inner:
        found.append((*path, key))
        if isinstance(child, (dict, list)):
            found += leaves(child, (*path, key))
    return found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
FULL = manifest(
    mean=(0.1, 0.2),
    std=(0.3, 0.4),
    package="a_package",
    extra="an_extra",
    family="a-family",
    size=5,
    bytes_per_pixel=1000.0,
    flops_per_pixel=2000.0,
    resampling="nearest",
)


@given(st.sampled_from(leaves(FULL)), JSON)
def test_any_damage_gives_a_sound_spec_or_a_model_error(path: tuple[Any, ...], value: Any) -> None:
    made = copy.deepcopy(FULL)
    inner: Any = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    try:
        read = parse_manifest(json.dumps(made))
    except ModelError:
        return
    hash(read)  # sessions are kept by it
    texts = (read.name, read.title, read.level, read.licence, read.citation, read.input_name)
    assert [type(text) for text in (*texts, read.file, read.package, read.extra)] == [str] * 9
    assert type(read.family) is str
    assert read.resampling in {"average", "nearest"}
    assert {type(band) for band in read.bands} == {str}
    assert [type(read.size), type(read.bytes_per_pixel)] == [int, float]
    assert min(read.size, read.bytes_per_pixel, read.flops_per_pixel) >= 0


@pytest.mark.parametrize(
    "path",
    [
        "properties/gsd",
        "properties/mlm:input/0/value_scaling/0/mean",
        "properties/mlm:hyperparameters/inference/flops_per_pixel",
    ],
)
def test_a_whole_number_beyond_any_float_is_refused(path: str) -> None:
    with pytest.raises(ModelError, match=r"manifest: not a readable .*(too large|finite)"):
        parse_manifest(changed(path, 10**400))


def test_the_bands_of_a_test_image_must_be_names() -> None:
    item = json.loads(changed("properties/gsd", 10))
    tests = {"href": "x.npy", "bands": ["B02", {"name": ["B03"]}], "cloudmask:tolerance": 0.1}
    item["assets"] |= {"test-input": tests, "test-output": tests}
    with pytest.raises(ModelError, match=r"bands must be names, \['B03'\] is none"):
        parse_manifest(json.dumps(item))


def test_json_too_deep_is_refused() -> None:
    with pytest.raises(ModelError, match="manifest"):
        parse_manifest("[" * 100_000)


# -- tiling ---------------------------------------------------------------------------------


def test_the_tiling_is_the_networks_by_default() -> None:
    tiling = spec(multiple=32).tiling()
    assert (tiling.tile, tiling.overlap, tiling.multiple) == (64, 16, 32)


def test_another_tile_is_refused_by_a_network_of_fixed_tiles() -> None:
    with pytest.raises(ModelError, match="tile=32: model 'net' takes tiles of 64 pixels only"):
        spec(fixed_tile=True).tiling(32)


def test_a_network_of_fixed_tiles_takes_its_own() -> None:
    assert spec(fixed_tile=True).tiling(64, 32).overlap == 32


def test_a_tile_that_is_no_multiple_is_refused() -> None:
    with pytest.raises(OptionError, match="needs a multiple of 32"):
        spec(multiple=32).tiling(48)


@given(st.integers(1, 500))
def test_every_tile_has_a_default_overlap_that_works(tile: int) -> None:
    assert 0 <= spec().tiling(tile).overlap < tile


@pytest.mark.parametrize(
    "changes", [{"bands": ()}, {"bands": ("B02", "B02")}, {"classes": (0,)}, {"classes": (1, 1)},
                {"tile": 0}, {"overlap": 64}, {"pixel_size": -10.0}, {"multiple": 48}]
)  # fmt: skip
def test_a_spec_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CloudmaskError, match=r"must|needs|pixels an edge"):
        spec(**changes)


# -- files that a manifest names ------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        "/etc/passwd",
        "../net.onnx",
        "a/../../net.onnx",
        "..\\net.onnx",
        "C:/net.onnx",
        "a\0b",
        "\\x",
    ],
)
def test_a_manifest_that_names_a_file_elsewhere_is_refused(place: str) -> None:
    with pytest.raises(ModelError, match="must be a name relative to the manifest"):
        spec(file=place)


@pytest.mark.parametrize("key", ["input", "output"])
def test_a_manifest_whose_test_is_a_file_elsewhere_is_refused(key: str) -> None:
    files = {"input": "a.npy", "output": "b.npy", key: "/etc/passwd"}
    with pytest.raises(ModelError, match="must be a name relative to the manifest"):
        spec(test=TestFiles(bands=("B02",), tolerance=0.0, **files))


@pytest.mark.parametrize("place", ["", "net.onnx", "inner/net.onnx", "my..net.onnx"])
def test_a_file_beside_the_manifest_may_be_named(place: str) -> None:
    assert spec(file=place).file == place


@pytest.mark.parametrize("package", ["this.x", "a b", "../a", ".a"])
def test_a_package_that_would_have_to_be_imported_to_be_found_is_refused(package: str) -> None:
    with pytest.raises(ModelError, match="must be a package's name, without dots"):
        spec(package=package)
