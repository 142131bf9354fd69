from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fuzz import cubes, patience, tilings
from fuzz.__main__ import main, parsed, run, table, undocumented
from fuzz.cubes import Case, judge
from fuzz.drive import Driven, UndocumentedError
from fuzz.tally import Finding, Tally
from rich.console import Console

from cloudmask.cube import mask_clouds
from cloudmask.errors import CubeError
from cloudmask.options import Options
from cloudmask.strategies import FAULTS, Recipe
from cloudmask.windows import Tiling, plan_axis

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

BANDS = ("B02", "B03", "B04", "B08")


def case(network: str = "brightest", fault: str = "", **how: Any) -> Case:
    recipe = Recipe(
        dims=("t", "bands", "y", "x"),
        shape=(2, 5, 30, 22),
        labels=("blue", "B8", "B04", "B03_10m", "SCL"),
        gaps="swath",
        filler="nan",
        **how,
    )
    return Case(recipe, BANDS, (0, 1, 2, 3), network, Options(stitch="blend"), fault)


# -- a slice of the run ---------------------------------------------------------------------


@pytest.mark.parametrize("target", [*cubes.TARGETS, *tilings.TARGETS], ids=lambda each: each.name)
def test_a_slice_of_the_run_has_documented_outcomes_only(target: Driven) -> None:
    tally = target(60, seed=0, tell=lambda _: None)
    assert tally.findings == []
    assert tally.tried == 60
    assert tally.outcomes["answered"] > 20


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.name)
def test_a_spoilt_cube_is_refused_by_the_right_error(fault: Any) -> None:
    single = Recipe(dims=("t", "y", "x"), shape=(1, 3, 3), labels=("B08",))
    flat = Case(single, ("B08",), (0, 1), "surrounded", Options(), fault.name)
    full = case(fault=fault.name, chunks=((2,), (5,), (15, 15), (22,)))
    refused = f"refused: {fault.error.__name__}"
    assert refused in {judge(full), judge(flat)}


# -- planted bugs are found -----------------------------------------------------------------


def changed(change: Callable[[xr.DataArray, xr.DataArray], Any]) -> cubes.Masker:
    """Mask as the product does, and change the answer."""

    def masker(cube: xr.DataArray, *args: Any, **how: Any) -> xr.DataArray:
        answer = mask_clouds(cube, *args, **how)
        result = change(cube, answer)
        return answer if result is None else result

    return masker


def flip_a_pixel(_: xr.DataArray, answer: xr.DataArray) -> None:
    answer.transpose(..., "bands", "y", "x").values[0, 1, 29, 21] ^= 1


def call_no_data_clear(_: xr.DataArray, answer: xr.DataArray) -> xr.DataArray:
    return answer.where(answer != 255, 0).astype("uint8")


def leave_no_data_usable(_: xr.DataArray, answer: xr.DataArray) -> xr.DataArray:
    usable = (answer.bands == "mask") & (answer.sel(bands="class") == 255)
    return answer.where(~usable, 0).astype("uint8").transpose(*answer.dims)


def drop_a_coordinate(_: xr.DataArray, answer: xr.DataArray) -> xr.DataArray:
    return answer.drop_vars("x")


def shift_a_coordinate(_: xr.DataArray, answer: xr.DataArray) -> xr.DataArray:
    return answer.assign_coords(x=answer.x + 1e-9)


def turn(_: xr.DataArray, answer: xr.DataArray) -> xr.DataArray:
    return answer.transpose("bands", "t", "y", "x")


def widen(_: xr.DataArray, answer: xr.DataArray) -> xr.DataArray:
    return answer.astype("int16")


def spoil_the_input(cube: xr.DataArray, _: xr.DataArray) -> None:
    cube[...] = 1.0


def fail(_: xr.DataArray, __: xr.DataArray) -> None:
    raise IndexError("list index out of range")


def divide(_: xr.DataArray, __: xr.DataArray) -> None:
    warnings.warn("invalid value encountered in divide", RuntimeWarning, stacklevel=2)


def refuse(_: xr.DataArray, __: xr.DataArray) -> None:
    raise CubeError("this cube has an odd number of pixels, which we do not like")


def never_end(_: xr.DataArray, __: xr.DataArray) -> None:
    while True:
        pass


def depend_on_chunks(cube: xr.DataArray, answer: xr.DataArray) -> xr.DataArray | None:
    return None if cube.chunks is None else (answer * 0).astype("uint8")


def depend_on_order(cube: xr.DataArray, answer: xr.DataArray) -> xr.DataArray | None:
    standard = cube.dims == ("t", "bands", "y", "x") or cube.chunks is not None
    return None if standard else answer.isel(y=slice(None, None, -1)).assign_coords(y=answer.y)


@pytest.mark.parametrize(
    ("bug", "sentence"),
    [
        (flip_a_pixel, "mask is not|class is not"),
        (call_no_data_clear, "255 is not exactly where"),
        (leave_no_data_usable, "no data is usable"),
        (drop_a_coordinate, "coordinates"),
        (shift_a_coordinate, "coordinate x has changed"),
        (turn, r"dims .* became"),
        (widen, "dtype int16"),
        (spoil_the_input, "the cube has changed"),
        (fail, "IndexError: list index out of range"),
        (divide, "warns: invalid value"),
        (refuse, "a sound cube is refused: CubeError"),
        (depend_on_chunks, "dask changes the mask"),
        (depend_on_order, "the order of dimensions or bands changes the mask"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_planted_bug_is_found(bug: Any, sentence: str) -> None:
    with pytest.raises(UndocumentedError, match=sentence):
        judge(case(), changed(bug))


def test_a_masker_that_never_ends_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "COMPUTING", 0.2)
    with pytest.raises(UndocumentedError, match=r"it computes for 0\.2 s"):
        judge(case(), changed(never_end))


def test_a_spoilt_cube_that_is_answered_is_found() -> None:
    with pytest.raises(UndocumentedError, match="y is empty: it was answered"):
        judge(case(fault="y is empty"), lambda cube, *_, **__: cube)


def test_a_spoilt_cube_that_is_refused_by_another_error_is_found() -> None:
    def masker(*_: Any, **__: Any) -> Any:
        raise CubeError("something is wrong with this cube, but what?")

    with pytest.raises(UndocumentedError, match="a band is missing: CubeError"):
        judge(case(fault="a band is missing"), masker)


def test_bands_taken_by_their_position_are_found() -> None:
    def masker(cube: xr.DataArray, *args: Any, **how: Any) -> xr.DataArray:
        labels = ["B02", "B03", "B04", "B08", "SCL"]
        return mask_clouds(cube, *args, bands=labels, **how)

    with pytest.raises(UndocumentedError, match=r"(255|mask|class) is not"):
        judge(case(one_band=True), masker)


# -- plans of tiles -------------------------------------------------------------------------


@pytest.mark.parametrize("stitch", ["crop", "blend"])
def test_a_plan_that_forgets_a_tile_is_found(stitch: Any) -> None:
    from dataclasses import replace

    tiling = Tiling(16, 4)
    plan = plan_axis(50, tiling, stitch)
    tilings.check_plan(plan, 50, tiling)
    holed = replace(plan, placements=plan.placements[:1] + plan.placements[2:])
    with pytest.raises(UndocumentedError, match="tiles of their own"):
        tilings.check_plan(holed, 50, tiling)


# -- the driver -----------------------------------------------------------------------------


def odd_above_ten(number: int) -> str:
    if number > 10 and number % 2:
        raise UndocumentedError(f"{number} is odd")
    if number % 7 == 0:
        return "refused: CubeError"
    return "answered"


def driven(judge: Any = odd_above_ten) -> Driven:
    from hypothesis import strategies as st

    return Driven("numbers", "numbers", 300, st.integers(0, 10_000), judge, "look at {case}")


def test_a_finding_is_made_small_and_says_how_to_see_it_again() -> None:
    findings = driven()(300, seed=1, tell=lambda _: None).findings
    assert findings[0] == Finding("11 is odd", "look at 11")


def test_every_trial_is_counted_and_told() -> None:
    told: list[int] = []
    tally = driven(lambda number: "answered" if number % 3 else "refused: BandError")(
        120, seed=1, tell=told.append
    )
    assert tally.tried == sum(told) == 120
    assert set(tally.outcomes) == {"answered", "refused: BandError"}


def test_a_seed_repeats_a_run() -> None:
    def seen(seed: int) -> list[int]:
        numbers: list[int] = []

        def keep(number: int) -> str:
            numbers.append(number)
            return "answered"

        driven(keep)(50, seed=seed, tell=lambda _: None)
        return numbers

    assert seen(3) == seen(3)
    assert seen(3) != seen(4)


def test_a_check_that_fails_itself_is_a_finding() -> None:
    def broken(_: int) -> str:
        raise ZeroDivisionError("division by zero")

    findings = driven(broken)(5, seed=1, tell=lambda _: None).findings
    assert findings[0].what == "the check itself fails with ZeroDivisionError: division by zero"


def test_a_finding_that_does_not_come_again_is_kept() -> None:
    count = iter(range(10_000))

    def once(_: int) -> str:
        if next(count) == 3:
            raise UndocumentedError("it happened")
        return "answered"

    findings = driven(once)(50, seed=1, tell=lambda _: None).findings
    assert [each.what for each in findings] == ["it happened"]


# -- the command ----------------------------------------------------------------------------


def test_the_table_says_how_trials_ended() -> None:
    tally = Tally("cubes", "cubes")
    tally.outcomes.update({"answered": 1200, "refused: BandError": 30, "again: there": 2})
    tally.findings.append(Finding("wrong", "so"))
    console = Console(file=io.StringIO(), width=120, record=True)
    console.print(table([tally]))
    row = console.export_text().splitlines()[-2]
    assert [cell.strip() for cell in row.split("│")[1:-1]] == [
        "cubes", "cubes", "1,233", "1,200", "30", "BandError 30", "3",
    ]  # fmt: skip


def test_what_happens_again_is_undocumented_too() -> None:
    tally = Tally("files", "files")
    tally.outcomes["again: there"] = 2
    assert undocumented(tally) == 2


def test_a_share_of_the_trials_is_tried() -> None:
    tallies = run([driven(lambda _: "answered")], 0.1, 0, Console(file=io.StringIO()))
    assert tallies[0].tried == 30


def test_the_exit_code_tells_of_findings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fuzz.targets.TARGETS", (driven(),))
    assert main(["--seed", "1"]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "numbers, finding 1: 11 is odd" in told
    assert "python -m fuzz --seed 1 --only 'numbers'" in told


def test_a_run_without_findings_exits_with_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz.targets.TARGETS", (driven(lambda _: "answered"),))
    assert main(["--share", "0.01"]) == 0


def test_targets_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fuzz.targets.TARGETS", (driven(),))
    assert main(["--list"]) == 0
    assert capsys.readouterr().out == "numbers: 300 numbers\n"


@pytest.mark.parametrize("share", ["0", "-1", "nan", "inf"])
def test_a_share_that_is_none_is_refused(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parsed(["--share", share], [driven()])
    assert "must be above 0" in capsys.readouterr().err


def test_an_array_compares_with_nan_as_equal() -> None:
    from fuzz.checks import check_equal

    recipe = Recipe(dims=("y", "x"), shape=(2, 2), labels=("B08",), gaps="all", filler="nan")
    cube = recipe.cube()
    assert np.isnan(cube.values).all()
    check_equal(cube, cube.transpose(), "nothing")
