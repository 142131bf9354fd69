from __future__ import annotations

import json
import platform
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import onnxruntime
import pytest

from cloudmask_export.parity import Answers, Parity, compare
from cloudmask_export.report import Report, Result, Source, machine, markdown

REWRITES = Parity(tiles=6, pixels=393216, largest=2.5e-6, mean=3e-8, equal=0.99999, worst=0.9998)
COST = Parity(tiles=6, pixels=393216, largest=0.42, mean=0.0031, equal=0.9912, worst=0.9)
REPORT = Report(
    name="net-int8", family="nets", architecture="unet", activation="Mish",
    bands=("B04", "B8A"), classes=("clear", "cloud"),
    source=Source(
        file="w.pkl", sha256="ab" * 32, bytes=1234567, format="pkl", stored="bf16",
        published=None,
    ),
    result=Result(
        file="net-int8.onnx", sha256="cd" * 32, bytes=7654321, precision="int8",
        seconds_per_megapixel=1.237,
    ),
    tensors_used=421, tensors_unused=("a.num_batches_tracked", "b.num_batches_tracked"),
    rewrites=REWRITES, precision=COST, imagery="scene.tif", licence="MIT",
    training_data="labels CC BY-NC 4.0", citation="Somebody (2024)", page="https://example.org/n",
)  # fmt: skip


def rows(report: Report) -> dict[str, str]:
    """Read the table of a report for people."""
    lines = [line for line in markdown(report).splitlines() if line.startswith("| ")][1:]
    return dict(line.strip("| ").split(" | ") for line in lines)


def test_the_report_names_what_was_read_and_what_was_written() -> None:
    found = rows(REPORT)
    assert found["weights"] == "`w.pkl` (pkl, bf16, 1,234,567 bytes)"
    assert found["sha256 of the weights"].startswith(f"`{'ab' * 32}`")
    assert found["ONNX"] == "`net-int8.onnx` (int8, 7,654,321 bytes)"
    assert found["sha256 of the ONNX"] == f"`{'cd' * 32}`"


@pytest.mark.parametrize(
    ("published", "words"),
    [
        (True, "`, the published file"),
        (False, "`, **not** the published file of that name"),
        (None, "`, not known to be a published file"),
    ],
)
def test_the_report_says_whether_the_weights_are_the_authors(
    published: bool | None,  # noqa: FBT001 - a fact
    words: str,
) -> None:
    source = replace(REPORT.source, published=published)
    assert rows(replace(REPORT, source=source))["sha256 of the weights"].endswith(words)


def test_the_report_says_how_far_the_network_agrees() -> None:
    found = rows(REPORT)
    assert found["rewritten against as written"] == (
        "99.999 % of pixels have the same class (99.980 % in the worst tile); probabilities "
        "differ by 2.5e-06 at most, 3.0e-08 on average"
    )
    assert found["int8 against fp32"].startswith("99.120 % of pixels have the same class (90.000")
    assert found["compared on"] == "scene.tif: 6 tiles of 256 pixels"
    assert found["speed here"] == "1.24 s per megapixel"


def test_a_network_in_float32_is_compared_with_the_authors_only() -> None:
    assert not any("fp32" in what for what in rows(replace(REPORT, precision=None)))


def test_the_report_says_whose_it_is_and_what_it_was_trained_on() -> None:
    found = rows(REPORT)
    assert (found["licence"], found["cite"]) == ("MIT", "Somebody (2024)")
    assert (found["training data"], found["from"]) == (
        "labels CC BY-NC 4.0",
        "https://example.org/n",
    )


def test_the_report_names_the_network() -> None:
    found = rows(REPORT)
    assert markdown(REPORT).startswith("# net-int8\n")
    assert found["network"] == "nets, unet, decoder with Mish"
    assert (found["bands"], found["classes"]) == ("B04 B8A", "clear, cloud")


def test_a_decoder_without_a_choice_is_not_mentioned() -> None:
    assert rows(replace(REPORT, activation=""))["network"] == "nets, unet"


@pytest.mark.parametrize(
    ("unused", "words"),
    [((), "421 used"), (("a", "b"), "421 used; 2 unused, all counters of training steps")],
)
def test_tensors_are_counted(unused: tuple[str, ...], words: str) -> None:
    assert rows(replace(REPORT, tensors_unused=unused))["tensors"] == words


def test_a_bar_in_a_text_does_not_break_the_table() -> None:
    assert rows(replace(REPORT, imagery="a|b.tif"))["compared on"].startswith("a/b.tif")


def test_the_report_for_programs_holds_everything_and_the_machine() -> None:
    found = json.loads(json.dumps(REPORT.as_json()))
    assert found.pop("machine") == machine()
    assert set(found) == set(Report.__slots__)
    assert (found["source"]["sha256"], found["precision"]["equal"]) == ("ab" * 32, 0.9912)
    assert found["tensors_unused"] == ["a.num_batches_tracked", "b.num_batches_tracked"]


def test_the_machine_is_told_with_the_versions_that_matter() -> None:
    found = machine()
    assert found["python"] == platform.python_version()
    assert found["onnxruntime"] == onnxruntime.__version__
    assert found["openeo-cloudmask"] == version("openeo-cloudmask")
    assert int(found["threads"]) >= 1


def test_agreement_is_that_of_what_is_shipped() -> None:
    assert REPORT.agreement == pytest.approx(99.12)
    assert replace(REPORT, precision=None).agreement == pytest.approx(99.999)


# -- what the figures are -------------------------------------------------------------------


def said(*tiles: list[list[float]]) -> Answers:
    """Make answers of two classes from the probability of the first, (tile, pixel, 1)."""
    return Answers(tuple(np.array([[row], [[1 - each for each in row]]], np.float32)
                         for tile in tiles for row in tile), 1.0)  # fmt: skip


def test_parity_counts_pixels_and_differences_by_hand() -> None:
    found = compare(said([[0.9, 0.6, 0.2, 0.1]], [[1.0, 0.0, 1.0, 0.0]]),
                    said([[0.9, 0.4, 0.2, 0.1]], [[1.0, 0.0, 1.0, 0.0]]))  # fmt: skip
    assert (found.tiles, found.pixels) == (2, 8)
    assert found.largest == pytest.approx(0.2)
    assert found.mean == pytest.approx(0.2 / 8)
    assert (found.equal, found.worst) == (7 / 8, 3 / 4)


def test_the_largest_difference_may_lie_in_any_tile() -> None:
    same, other = [[0.5, 0.5]], [[0.5, 0.8]]
    for order in ((same, other), (other, same)):
        assert compare(said(*order), said(same, same)).largest == pytest.approx(0.3)


def test_networks_that_answered_to_other_tiles_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        compare(said([[0.5]], [[0.5]]), said([[0.5]]))
