"""The benchmarks run, small; what they make of figures is right; nothing here is timed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
# benchmarks/ is no part of the distribution.
sys.path.append(str(ROOT))

for package in ("rasterio", "onnx", "onnxruntime", "ukis_csmask", "openeo"):
    pytest.importorskip(package)

from benchmarks import limit, markdown, projection, run, scaling, speed, tables  # noqa: E402
from benchmarks.contest import Entrant, Found, contest, started  # noqa: E402
from benchmarks.measure import STUDIES  # noqa: E402
from benchmarks.pipelines import PEERS  # noqa: E402
from benchmarks.projection import Assumptions  # noqa: E402
from benchmarks.run import BENCHMARKS, NEEDS_IMAGERY  # noqa: E402

if TYPE_CHECKING:
    from cloudmask.registry import Entry

# These take minutes even if small, as they make networks of the true size; see `make nightly`.
LONG = ("clouds2mask", "omnicloudmask", "limit", "compare")
QUICK = ("cluster", "overhead")
SMALL = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.nightly)
    for name in BENCHMARKS
    if name not in (*NEEDS_IMAGERY, *LONG)
]


def kept() -> dict[Path, bytes]:
    """Read what a full run would write."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    files = [*pages, *(ROOT / "benchmarks").glob("results/*")]
    return {path: path.read_bytes() for path in files if path.is_file()}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_runs_small_and_keeps_nothing(name: str, ukis_4b: Entry) -> None:
    before = kept()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.run", "--smoke", "--only", name],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=880,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "nan" not in done.stdout.replace("granule", "").split()
    assert kept() == before


@pytest.mark.slow
def test_the_inner_functions_run() -> None:
    pytest.importorskip("pytest_benchmark")
    words = [sys.executable, "-m", "pytest", "-q", "benchmarks/inner", "--benchmark-disable"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


def result(edge: int = 872, seconds: float = 2.0) -> dict[str, Any]:
    """Make up what `benchmarks.pipelines` finds, ours being four times as fast."""
    return {
        "measured_on": {"cores": 2, "machine": "any", "python": "3", "packages": {}},
        "edge": edge, "tile": 500, "overlap": 128, "tiles": 4,
        "seconds": {"CloudS2Mask": [4 * seconds], "onnxruntime fp32": [seconds]},
        "times_as_fast": {
            "onnxruntime fp32": {"median": 4.0, "least": 3.5, "greatest": 4.25},
        },
        "same_class_percent": {"CloudS2Mask": 99.5},
        "peak_mib": {"CloudS2Mask": 1200, "onnxruntime fp32": 800},
        "not_measured": {"OpenVINO bf16": "no bf16 in this processor"},
    }  # fmt: skip


# -- sides


def test_a_side_that_ends_is_an_error_with_what_it_said() -> None:
    entrant = Entrant(name="us", module="ours", order={})
    with (
        pytest.raises(RuntimeError, match=r"us: ended \(1\):(.|\n)*KeyError: 'scene'"),
        started(entrant),
    ):
        pass


def test_a_side_without_its_environment_is_left_out_with_the_reason() -> None:
    entrant = Entrant(name="peer", module="ours", order={}, environment="nowhere")
    found = contest([entrant], times=1)
    assert found.obstacles == {"peer": "the environment nowhere is not made"}
    assert found.seconds == {}
    assert found.faster("peer") == {}


def test_what_a_library_prints_does_not_reach_the_other_process() -> None:
    code = (
        "from benchmarks.sides.serving import *\n"
        "def load():\n"
        "    import os; print('loaded'); os.write(1, b'noise'); return Side(lambda: print('x'))\n"
        "serve(load)"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(
        words, cwd=ROOT, input="run\npeak\n", capture_output=True, text=True, check=True
    )
    facts, ran, peaks = done.stdout.splitlines()
    assert facts == "{}"
    assert ran.startswith('{"seconds": ')
    assert peaks.startswith('{"peak_mib": ')


def test_an_answer_of_a_side_arrives(tmp_path: Path) -> None:
    numbers = np.full((4, 40, 50), 0, np.uint16)
    scene = tmp_path / "scene.npz"
    np.savez(scene, numbers=numbers, bands=["B02", "B03", "B04", "B08"])
    order = {"scene": str(scene), "models": ["ukis-4b-l1c"]}
    with started(Entrant(name="us", module="ours", order=order)) as side:
        assert side.run() > 0
        np.testing.assert_array_equal(side.answer(), np.full((40, 50), 255))
        assert 0 < side.peaks()["peak_mib"] < side.peaks()["address_space_mib"]


def test_ratios_are_those_of_neighbouring_runs() -> None:
    found = Found({"slow": [4.0, 8.0, 6.0], "fast": [2.0, 2.0, 2.0]}, {}, {})
    assert found.faster("slow") == {"fast": {"median": 3.0, "least": 2.0, "greatest": 4.0}}


def test_agreement_is_the_share_of_equal_pixels() -> None:
    right, other = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8)
    other[0, :3] = 1
    found = Found({}, {}, {}, {"fp32": right, "int8": other, "cropped": right[1:]})
    assert found.agreement("fp32") == {"int8": 97.0}


# -- lines


def test_a_line_through_the_origin_has_no_intercept() -> None:
    sizes = np.array([1.0, 4.0, 9.0, 100.0])
    found = scaling.fit(sizes, 0.25 * sizes)
    assert found["slope"] == 0.25
    assert found["intercept_percent_of_largest"] == pytest.approx(0)
    assert found["r2"] == found["exponent"] == 1


def test_a_constant_cost_is_the_intercept() -> None:
    sizes = np.array([1.0, 4.0, 9.0, 100.0])
    found = scaling.fit(sizes, 0.25 * sizes + 25)
    assert found["intercept_percent_of_largest"] == 50


def test_a_cost_that_grows_faster_than_the_scene_has_a_greater_exponent() -> None:
    sizes = np.array([1.0, 4.0, 9.0, 100.0])
    assert scaling.fit(sizes, sizes**1.5)["exponent"] == 1.5


# -- tables


def columns(text: str) -> list[set[int]]:
    """Count the columns of each table."""
    parts = [part.splitlines() for part in text.split("\n\n")]
    return [{row.count("|") for row in part} for part in parts if part[0].startswith("|")]


def test_results_that_are_not_there_are_left_out() -> None:
    assert tables.readme({}) == ""


def test_a_side_that_was_not_measured_is_said_to_be_so() -> None:
    text = tables.readme({"clouds2mask": result()})
    assert "| ours, onnxruntime fp32 | 4.00 (3.50 to 4.25) times as fast |" in text
    assert "CloudS2Mask 99.50 % theirs" in text
    speed = tables.everything({"clouds2mask": result()})
    assert "| OpenVINO bf16 | not measured: no bf16 in this processor |" in speed
    assert all(len(counts) == 1 for counts in columns(speed))


def test_a_spread_is_median_least_and_greatest() -> None:
    found = {"median": 2.0, "least": 1.5, "greatest": 3.25}
    assert markdown.spread(found, 1) == "2.0 (1.5 to 3.2)"


def test_the_width_of_a_scene_stands_first() -> None:
    assert markdown.size({"edge": 872, "rows": 500}) == "872 x 500"
    assert markdown.size({"edge": 872.0}) == "872 x 872"


def test_how_long_each_took_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    run.tell({"limit": 12, "shift": 30})
    rows = [line.split() for line in capsys.readouterr().err.splitlines()]
    assert [row[1::2] for row in rows if len(row) == 5] == [
        ["benchmark", "seconds"], ["limit", "12"], ["shift", "30"], ["all", "42"],
    ]  # fmt: skip


def test_studies_and_full_runs_are_no_part_of_what_make_bench_took() -> None:
    took = {"took_seconds": 5}
    results = {"shift": took, "engines": took, "limit": {**took, "full": True}}
    assert "took 5 s: shift 5 s." in speed.markdown(results)


# -- choice


def test_studies_are_run_when_they_are_asked_for() -> None:
    assert not set(STUDIES) & set(run.chosen([], ""))
    assert run.chosen(["overlap"], "") == ["overlap"]
    assert "engines" in run.chosen([], "full")


def test_limits_belong_to_every_network() -> None:
    seconds = {"A: onnxruntime fp32": [1.0], "B: onnxruntime fp32": [2.0], "fp32 product": [3.0]}
    facts: dict[str, Any] = {name: {"flops": 1.0} for name in seconds}
    found = limit._of("B", Found(seconds, {}, facts))
    assert found.seconds == {"onnxruntime fp32": [2.0], "fp32 product": [3.0]}


@pytest.mark.parametrize("name", PEERS)
def test_scenes_of_peers_are_exactly_two_tiles_along_each_axis(name: str) -> None:
    for size in (PEERS[name].size, PEERS[name].full):
        last = size.edge - size.tiling.tile
        assert last == size.tiling.tile - size.tiling.overlap
        assert size.tops == [(0, 0), (0, last), (last, 0), (last, last)]


# -- projection


def hours(text: str, row: str, column: int) -> float:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {row}")]
    return float(line.split("|")[column + 1])


def granule(results: dict[str, Any]) -> str:
    text = projection.markdown(results)
    return text[: text.index("a country")]


def test_a_granule_costs_its_tiles() -> None:
    # 5490 px are ceil((5490 - 500) / 372) + 1 = 15 tiles along an axis, half a second each.
    text = granule({"clouds2mask": result()})
    assert hours(text, "20 m", 1) == 15**2
    assert hours(text, "20 m", 2) == pytest.approx(15**2 * 0.5 * 2 / 3600, abs=6e-4)


def country(**assumed: Any) -> str:
    text = projection.markdown({"clouds2mask": result()}, Assumptions(**assumed))
    return text[text.index("a country") :]


def test_a_year_is_granules_times_dates_times_what_is_not_empty() -> None:
    text = country(granules=10, dates=100, empty=0.5, workers=(4,), gib=3)
    year = 15**2 * 0.5 * 2 * 0.5 * 10 * 100 / 3600
    assert hours(text, "20 m", 2) == pytest.approx(year, abs=0.5)
    assert hours(text, "20 m", 3) == pytest.approx(3 * year, abs=0.5)
    assert hours(text, "20 m", 4) == pytest.approx(year / 4, abs=0.05)


def test_credits_need_a_price() -> None:
    assert "credits" not in country()
    text = country(granules=10, dates=100, empty=0.5, workers=(1,), gib=3, cpu_hour=2, gib_hour=1)
    assert hours(text, "20 m", 5) == pytest.approx((2 + 3) * hours(text, "20 m", 2), rel=0.02)


def test_what_a_back_end_adds_counts() -> None:
    added = {"backend": {"seconds_a_job": 3600.0, "seconds_a_megapixel": 0.0}}
    without = country(granules=1, dates=1, empty=1)
    text = projection.markdown(
        {"clouds2mask": result(), **added}, Assumptions(granules=1, dates=1, empty=1)
    )
    assert hours(without, "20 m", 1) == 0
    assert hours(text[text.index("a country") :], "20 m", 1) == 1


def test_one_core_is_measured_by_itself_where_it_was() -> None:
    seconds = {"onnxruntime fp32": [1.0], "onnxruntime fp32, one thread": [1.5]}
    limit = {"networks": {"CloudS2Mask": {"seconds": seconds, "gflops": {}, "fraction": {}}}}
    text = granule({"clouds2mask": result(), "limit": limit})
    two, one = hours(text, "20 m", 2), hours(text, "20 m", 3)
    assert one / two == pytest.approx(1.5 / 2, rel=0.02)
