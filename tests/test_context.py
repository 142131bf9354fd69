from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from cloudmask.augment import TTA
from cloudmask.bands import PRESETS, Preset
from cloudmask.classes import Output
from cloudmask.context import KEYS, Context, parse_context
from cloudmask.errors import OptionError
from cloudmask.options import Options
from cloudmask.runtime import Runtime

EVERY_KEY: dict[str, Any] = {
    "model": ["ukis-4b-l1c", "ukis-4b-l2a"],
    "scale": 0.0002,
    "offset": -5,
    "nodata": [0, 7],
    "bands": ["B02", "B03"],
    "layout": "probabilities",
    "masked": ["thick_cloud", "cloud_shadow"],
    "dilate": 40,
    "pixel_size": 10,
    "stitch": "blend",
    "tile": 256,
    "overlap": 64,
    "tta": 3,
    "adaptive": False,
    "batch": 2,
    "threads": 1,
    "provider": "openvino",
    "memory_mb": 2048,
    "chunk_overlap": [32, 64],
    "deps": ["here"],
}


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_context_means_the_defaults(nothing: Any) -> None:
    found = parse_context(nothing)
    assert found == Context()
    assert found.numbers == PRESETS["cdse"]
    assert found.options == Options()
    assert found.carried == (0, 0)


def test_every_key_reaches_the_options() -> None:
    found = parse_context(EVERY_KEY)
    assert set(EVERY_KEY) | {"preset"} == set(KEYS)
    assert found.model == ("ukis-4b-l1c", "ukis-4b-l2a")
    assert found.numbers == Preset("of the context", 0.0002, -5, (0, 7))
    assert found.bands == ("B02", "B03")
    assert found.carried == (32, 64)
    assert found.options == Options(
        stitch="blend",
        tile=256,
        overlap=64,
        tta=TTA(depth=3, adaptive=False),
        batch=2,
        pixel_size=10,
        output=Output(layout="probabilities", masked=(1, 3), dilate=40),
        memory=2 * 2**30,
        runtime=Runtime(threads=1, provider="openvino"),
    )


def test_a_context_is_not_changed_for_the_next_chunk() -> None:
    given = copy.deepcopy(EVERY_KEY)
    parse_context(given)
    assert given == EVERY_KEY


def test_null_means_not_given() -> None:
    assert parse_context(dict.fromkeys(KEYS)) == Context()


def test_whole_numbers_may_come_as_floats() -> None:
    # JSON has one kind of number, and some back-ends make floats of them all.
    assert parse_context({"tta": 2.0, "chunk_overlap": [32.0, 32.0]}).carried == (32, 32)


def test_arrays_of_numpy_are_lists() -> None:
    found = parse_context({"bands": np.array(["B02", "B03"]), "chunk_overlap": np.array([4, 8])})
    assert found.bands == ("B02", "B03")
    assert found.carried == (4, 8)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_presets_are_named(preset: str) -> None:
    assert parse_context({"preset": preset}).numbers == PRESETS[preset]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"modle": "x"}, "unknown key modle; known are model, preset"),
        ({"preset": "dn", "scale": 1}, "preset='dn' and scale are both given"),
        ({"nodata": [0]}, "nodata without scale"),
        ({"adaptive": "yes"}, "adaptive='yes': must be true or false"),
        ({"dilate": 20}, "pixel_size is not given"),
    ],
)
def test_what_contradicts_itself_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        parse_context(given)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"layout": "scl"}, "layout='scl': choose one of"),
        ({"masked": ["rain"]}, "masked: 'rain' is no class"),
        ({"stitch": "glue"}, "stitch='glue': choose one of crop, blend"),
        ({"tta": 8}, "tta depth=8: must be from 0"),
        ({"batch": 0}, "batch=0: must be 1 or more"),
        ({"provider": "tpu"}, "provider='tpu': choose one of cpu, cuda"),
        ({"memory_mb": 0}, "memory_mb=0: must be 1 or more"),
        ({"memory_mb": "1GiB"}, "memory_mb='1GiB': must be a whole number"),
    ],
)
def test_a_value_that_cannot_work_is_named(given: dict[str, Any], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        _ = parse_context(given).options


@pytest.mark.parametrize(
    ("given", "why"),
    [(-1, "chunk_overlap=-1"), (1.5, "must be a whole number"), ([1, 2, 3], "give one number")],
)
def test_a_chunk_overlap_that_cannot_be_is_refused(given: Any, why: str) -> None:
    with pytest.raises(OptionError, match=why):
        _ = parse_context({"chunk_overlap": given}).carried


@pytest.mark.parametrize("key", ["bands", "masked", "deps"])
def test_one_name_may_stand_alone(key: str) -> None:
    assert getattr(parse_context({key: "thick_cloud"}), key) == ("thick_cloud",)


@pytest.mark.parametrize("given", [{"from_parameter": "model"}, [{"from_parameter": "one"}]])
def test_a_parameter_that_no_one_resolved_is_no_value(given: Any) -> None:
    with pytest.raises(OptionError, match=r"from_parameter.*is to be resolved by the back-end"):
        parse_context({"model": given})


@pytest.mark.parametrize("given", [{"scale": "1e-4"}, {"scale": 1, "offset": "0"}])
def test_numbers_are_no_words(given: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="must be a number"):
        _ = parse_context(given).numbers


def test_a_scale_of_nothing_is_refused() -> None:
    with pytest.raises(OptionError, match="scale=0"):
        _ = parse_context({"scale": 0}).numbers


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(OptionError, match="preset='sentinel': choose one of cdse"):
        _ = parse_context({"preset": "sentinel"}).numbers


@pytest.mark.parametrize("given", [[], [["model", "x"]], "x", 5, True])
def test_what_is_no_dictionary_is_no_context(given: Any) -> None:
    with pytest.raises(OptionError, match="is no dictionary; known keys are model, "):
        parse_context(given)


def test_a_key_that_is_no_word_is_unknown() -> None:
    odd: Any = {3: 1, None: 2}
    with pytest.raises(OptionError, match="unknown key 3, None; known are"):
        parse_context(odd)


def test_lists_in_lists_are_refused_however_deep() -> None:
    deep: Any = 0
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(OptionError, match="neither a number, a word nor a list of them") as caught:
        parse_context({"bands": deep})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("key", ["model", "bands", "masked", "deps"])
@pytest.mark.parametrize("given", [5, 2.5, True, [None], ["x", 1]])
def test_names_are_words(key: str, given: Any) -> None:
    with pytest.raises(OptionError, match=f"context: {key}=.*must be a word or a list of words"):
        parse_context({key: given})


@pytest.mark.parametrize("given", ["x", ["x"], [None], [True]])
def test_no_data_are_numbers(given: Any) -> None:
    with pytest.raises(OptionError, match=r"nodata=.*must be a number"):
        parse_context({"scale": 1, "nodata": given})


def test_one_number_may_stand_alone() -> None:
    assert parse_context({"scale": 1, "nodata": 0}).numbers.nodata == (0.0,)


@pytest.mark.parametrize("given", [np.array(3), np.int64(3), np.float32(3)])
def test_a_number_of_numpy_is_a_number(given: Any) -> None:
    tta = parse_context({"tta": given}).options.tta
    assert tta is not None
    assert tta.depth == 3


@pytest.mark.parametrize("key", ["scale", "offset"])
def test_a_whole_number_beyond_any_float_is_refused(key: str) -> None:
    with pytest.raises(OptionError, match=f"{key}=1000.*must be finite"):
        _ = parse_context({"scale": 1, key: 10**400}).numbers
