from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudmask import process
from cloudmask.checks import parse_memory
from cloudmask.errors import ModelError, OptionError
from cloudmask.memory import (
    BYTES_PER_PIXEL,
    LARGEST_BATCH,
    MIB,
    Choice,
    Run,
    Work,
    fitted,
    largest_tile,
)
from cloudmask.options import Options
from cloudmask.runtime import Runtime
from cloudmask.scene import ROWS_AT_ONCE
from cloudmask.spec import ModelSpec
from cloudmask.testing import constant, fake_spec
from cloudmask.windows import Stitch, Tiling

if TYPE_CHECKING:
    from pathlib import Path

GIB = 2**30
BANDS = tuple(f"B{number:02}" for number in range(1, 14))


def spec(bands: int = 4, tile: int = 512, multiple: int = 32, **more: Any) -> ModelSpec:
    return ModelSpec(
        name="net", bands=BANDS[:bands], classes=(0, 1, 2, 3), tile=tile, overlap=tile // 4,
        multiple=multiple, **{"size": 30 * MIB, "bytes_per_pixel": 400.0, **more},
    )  # fmt: skip


def run_of(
    *specs: ModelSpec,
    shape: tuple[int, int] = (3000, 3000),
    stitch: Stitch = "blend",
    provider: str = "cpu",
    arena: bool | None = None,
) -> Run:
    some = specs or (spec(),)
    work = Work(shape=shape, tiling=some[0].tiling(), stitch=stitch)
    return Run(some, work, Runtime(provider=provider, arena=arena), process=176 * MIB)


def total(run: Run, batch: int = 1, *, arena: bool = True) -> int:
    return run.needs(batch, arena=arena).total


def tiling_of(one: ModelSpec) -> Any:
    return one.tiling


runs = st.builds(
    lambda bands, tiles, size, bytes_a_pixel, count, shape, stitch: run_of(
        *[spec(bands, 32 * tiles, size=size * MIB, bytes_per_pixel=bytes_a_pixel)] * count,
        shape=shape,
        stitch=stitch,
    ),
    bands=st.integers(1, 13),
    tiles=st.integers(1, 40),
    size=st.integers(0, 300),
    bytes_a_pixel=st.just(0.0) | st.floats(1, 5000),
    count=st.integers(1, 3),
    shape=st.tuples(st.integers(1, 12000), st.integers(1, 12000)),
    stitch=st.sampled_from(["crop", "blend"]),
)


# -- the estimate -------------------------------------------------------------------------------


@given(run=runs, more=st.integers(1, 5000), arena=st.booleans())
def test_a_wider_scene_takes_more(run: Run, more: int, *, arena: bool) -> None:
    height, width = run.work.shape
    wider = replace(run, work=replace(run.work, shape=(height, width + more)))
    before, after = (each.needs(1, arena=arena) for each in (run, wider))
    assert after.rows > before.rows
    assert after.total >= before.total


@given(run=runs)
def test_a_higher_scene_takes_no_more_than_a_band_of_it(run: Run) -> None:
    rows = max(ROWS_AT_ONCE, run.work.tiling.tile + 2 * run.work.tiling.overlap)
    high, higher = (
        replace(run, work=replace(run.work, shape=(rows * times, run.work.shape[1])))
        for times in (1, 50)
    )
    assert total(high) == total(higher)


@given(run=runs, steps=st.integers(1, 10), arena=st.booleans())
def test_a_larger_tile_takes_more(run: Run, steps: int, *, arena: bool) -> None:
    tiling = run.work.tiling
    larger = Tiling(tiling.tile + 32 * steps, tiling.overlap, 32)
    grown = replace(run, work=replace(run.work, tiling=larger))
    before, after = (each.needs(1, arena=arena) for each in (run, grown))
    assert after.call > before.call
    assert after.rows >= before.rows
    assert after.total >= before.total


@given(run=runs, batch=st.integers(1, 8), arena=st.booleans())
def test_a_larger_batch_takes_more(run: Run, batch: int, *, arena: bool) -> None:
    before, after = (run.needs(size, arena=arena) for size in (batch, batch + 1))
    assert after.call > before.call
    assert after.tiles > before.tiles


@given(run=runs)
def test_more_bands_take_more(run: Run) -> None:
    one, more = (replace(run, specs=(spec(count),)) for count in (3, 13))
    assert total(more) >= total(one)
    assert more.needs(1, arena=True).rows > one.needs(1, arena=True).rows


def test_each_network_of_an_ensemble_is_held() -> None:
    one, two = run_of(spec()).needs(1, arena=False), run_of(spec(), spec()).needs(1, arena=False)
    assert two.networks == 2 * one.networks
    assert two.call == one.call, "without an arena they take turns in the same memory"


def test_an_arena_keeps_what_each_network_took() -> None:
    one, two = (run_of(*[spec()] * count).needs(1, arena=True) for count in (1, 2))
    assert two.call == 2 * one.call


def test_crop_holds_fewer_rows_than_blend() -> None:
    blend, crop = (run_of(stitch=each).needs(1, arena=True).rows for each in ("blend", "crop"))
    assert crop < blend


def test_a_network_that_does_not_say_is_taken_for_a_large_one() -> None:
    unknown, known = (run_of(spec(bytes_per_pixel=size)) for size in (0.0, BYTES_PER_PIXEL))
    assert total(unknown) == total(known)


def test_a_networks_weights_count_even_if_no_call_is_large() -> None:
    light, heavy = (run_of(spec(size=size * MIB)) for size in (0, 500))
    assert total(heavy) - total(light) >= 2 * 500 * MIB


# -- the choice ---------------------------------------------------------------------------------


def chosen(run: Run, memory: int | None, batch: int | None = None) -> Choice:
    return fitted(run, batch=batch, memory=memory, other=tiling_of(run.specs[0]))


@given(run=runs, memory=st.integers(64, 8192).map(lambda size: size * MIB))
def test_what_is_chosen_never_takes_more_than_the_cap(run: Run, memory: int) -> None:
    try:
        choice = chosen(run, memory)
    except OptionError:
        assert total(run, arena=True) > memory
        assert total(run, arena=False) > memory
    else:
        assert choice.needs.total <= memory


def test_one_tile_at_once_on_a_processor() -> None:
    assert chosen(run_of(), 64 * GIB).batch == 1


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_several_tiles_at_once_on_a_card(provider: str) -> None:
    assert chosen(run_of(provider=provider), 64 * GIB).batch == LARGEST_BATCH


def test_fewer_tiles_at_once_if_the_card_may_be_too_small() -> None:
    large = run_of(spec(bytes_per_pixel=6000.0), provider="cuda")
    assert 1 <= chosen(large, 64 * GIB).batch < LARGEST_BATCH


def test_fewer_tiles_at_once_on_a_card_if_memory_is_short() -> None:
    run = run_of(spec(13), provider="cuda")
    memory = total(run, 3)
    assert chosen(run, memory).batch == 3


def test_the_batch_that_was_asked_for_is_kept() -> None:
    assert chosen(run_of(), 64 * GIB, batch=3).batch == 3
    assert chosen(run_of(provider="cuda"), 64 * GIB, batch=3).batch == 3


def test_an_arena_where_there_is_room_for_it_and_none_where_there_is_not() -> None:
    run = run_of(spec(), spec())
    with_arena, without = total(run, arena=True), total(run, arena=False)
    assert without < with_arena
    assert chosen(run, with_arena).arena
    assert not chosen(run, with_arena - 1).arena


@pytest.mark.parametrize("arena", [True, False])
def test_an_arena_that_was_asked_for_or_forbidden_is_left_so(*, arena: bool) -> None:
    assert chosen(run_of(arena=arena), 64 * GIB).arena is arena
    with pytest.raises(OptionError, match="is not enough"):
        chosen(run_of(spec(), spec(), arena=arena), total(run_of(spec(), spec()), arena=arena) - 1)


def test_without_a_cap_the_systems_limit_chooses_but_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cloudmask.process.allowed", lambda: 100 * MIB)
    found = chosen(run_of(spec(), spec()), None)
    assert found.needs.total > 100 * MIB
    assert found.arena is False


def test_without_any_limit_the_fastest_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudmask.process.allowed", lambda: None)
    assert chosen(run_of(spec(), spec()), None).arena is True
    assert chosen(run_of(provider="cuda"), None).batch == LARGEST_BATCH


# -- the refusal --------------------------------------------------------------------------------


def refused(run: Run, memory: int, batch: int | None = None) -> str:
    with pytest.raises(OptionError, match="is not enough") as found:
        chosen(run, memory, batch)
    return str(found.value)


def test_a_refusal_says_what_takes_how_much() -> None:
    run = run_of()
    message = refused(run, 300 * MIB)
    needs = run.needs(1, arena=False) if total(run, arena=False) < total(run) else None
    for word in (
        "memory of 300 MiB",
        "176 MiB by Python",
        "by net",
        "tiles of 512 px",
        "rows of 3000",
    ):
        assert word in message
    assert needs is None or f"about {-(-needs.total // MIB)} MiB are needed" in message


def test_a_refusal_says_what_is_only_assumed() -> None:
    assert f"assuming {BYTES_PER_PIXEL} bytes a pixel" in refused(
        run_of(spec(bytes_per_pixel=0.0)), 300 * MIB
    )
    assert "assuming" not in refused(run_of(), 300 * MIB)


@given(run=runs, memory=st.integers(64, 8192).map(lambda size: size * MIB))
def test_what_a_refusal_proposes_does_fit(run: Run, memory: int) -> None:
    try:
        chosen(run, memory)
    except OptionError as error:
        message = str(error)
    else:
        return
    proposed = re.search(r"Possible are: .*?memory of (\d+) MiB", message)
    assert proposed
    amount = int(proposed[1])
    assert chosen(run, amount * MIB).needs.total <= amount * MIB
    if "stitch 'crop'" in message:
        crop = replace(run, work=replace(run.work, stitch="crop"))
        assert chosen(crop, memory).needs.total <= memory


@given(run=runs, memory=st.integers(64, 8192).map(lambda size: size * MIB))
def test_the_largest_tile_that_fits_does_fit_and_the_next_one_does_not(
    run: Run, memory: int
) -> None:
    one = run.specs[0]
    tile = largest_tile(run, memory, one.tiling)

    def fits(edge: int) -> bool:
        smaller = replace(run, work=replace(run.work, tiling=one.tiling(edge)))
        return min(total(smaller, arena=each) for each in (True, False)) <= memory

    if tile is None:
        assert not fits(one.multiple) or one.multiple >= one.tile
    else:
        assert tile % one.multiple == 0
        assert tile < one.tile
        assert fits(tile)
        assert tile + one.multiple >= one.tile or not fits(tile + one.multiple)


def test_a_tile_is_proposed_that_the_network_takes() -> None:
    run = run_of(spec(bytes_per_pixel=2500.0))
    message = refused(run, 800 * MIB)
    proposed = re.search(r"Possible are: .*tile (\d+), the largest", message)
    assert proposed
    named = int(proposed[1])
    assert named % 32 == 0
    work = replace(run.work, tiling=run.specs[0].tiling(named))
    assert chosen(replace(run, work=work), 800 * MIB).needs.total <= 900 * MIB


def test_no_tile_is_proposed_to_a_network_of_one_tile_only() -> None:
    fixed = run_of(spec(bytes_per_pixel=2500.0, fixed_tile=True))
    assert ", the largest that fits" not in refused(fixed, 800 * MIB)


def test_a_smaller_batch_goes_before_all_else() -> None:
    message = refused(run_of(), total(run_of()), batch=6)
    assert "Possible are: a batch of 1; " in message


def test_a_smaller_batch_is_not_proposed_if_it_does_not_fit_either() -> None:
    assert "a batch of 1" not in refused(run_of(), 200 * MIB, batch=6)


# -- amounts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MiB", 512 * 2**20),
        ("1GiB", 2**30),
        ("1.5 GiB", 3 * 2**29),
        ("2GB", 2 * 10**9),
        ("700 mb", 700 * 10**6),
        (" 1gib ", 2**30),
    ],
)
def test_an_amount_of_memory_has_a_unit(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    "text", ["1073741824", "1G", "1 KiB", "GiB", "-1GiB", "1,5GiB", "1e3MiB", ""]
)
def test_an_amount_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"write a number and MiB, GiB, MB or GB"):
        parse_memory(text)


# -- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [1024, 2**20 - 1])
def test_a_number_of_mebibytes_is_not_taken_for_bytes(memory: int) -> None:
    with pytest.raises(OptionError, match=rf"memory={memory}: is a number of bytes.*2\*\*20"):
        Options(memory=memory)


@pytest.mark.parametrize("memory", ["1GiB", 1.5e9, True])
def test_memory_is_a_whole_number(memory: Any) -> None:
    with pytest.raises(OptionError, match="memory="):
        Options(memory=memory)


def fitted_options(options: Options, some: tuple[ModelSpec, ...]) -> Options:
    shape = (100, 100)
    work = options.work(some[0], shape, itemsize=2, fixed=0, per_row=0)
    return options.fitted(some, work)


def test_fitted_options_say_batch_and_arena() -> None:
    found = fitted_options(Options(memory=64 * GIB), (fake_spec(),))
    assert (found.batch, found.runtime.arena) == (1, True)


def test_without_a_cap_the_runtime_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    # Else a network would be opened a second time.
    monkeypatch.setattr("cloudmask.process.allowed", lambda: None)
    assert fitted_options(Options(), (fake_spec(),)).runtime == Runtime()


def test_memory_too_small_is_refused_before_a_network_is_opened(
    monkeypatch: pytest.MonkeyPatch, tiny_network: Path
) -> None:
    def opened(*_: object) -> None:
        pytest.fail("a network was opened")

    monkeypatch.setattr("cloudmask.registry.load_onnx", opened)
    options = Options(memory=64 * MIB)
    specs = options.specs(tiny_network)
    with pytest.raises(OptionError, match="memory of 64 MiB is not enough"):
        fitted_options(options, specs)


def test_a_network_whose_manifest_lacks_the_size_is_looked_at(
    tiny_network: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "net.onnx"
    copy.write_bytes(tiny_network.read_bytes())
    manifest = json.loads(tiny_network.with_suffix(".json").read_text())
    manifest["assets"]["model"].pop("file:size")
    copy.with_suffix(".json").write_text(json.dumps(manifest))
    (found,) = Options().specs(copy)
    assert found.size == copy.stat().st_size


def test_opened_networks_are_counted_by_what_they_say() -> None:
    model = constant(0)
    assert Options().specs([model, model]) == (model.spec, model.spec)


@pytest.mark.parametrize("models", [[], ()])
def test_no_network_is_no_plan(models: Any) -> None:
    with pytest.raises(ModelError, match="no model given"):
        Options().specs(models)


# -- the process --------------------------------------------------------------------------------


def write_group(root: Path, place: str, name: str, text: str) -> None:
    folder = root / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text + "\n")


def groups(tmp_path: Path, membership: str) -> list[int]:
    file = tmp_path / "membership"
    file.write_text(membership)
    return process._control_groups(tmp_path, file)


def test_control_groups_above_count_too(tmp_path: Path) -> None:
    write_group(tmp_path, "a/b", "memory.max", "max")
    write_group(tmp_path, "a", "memory.max", str(GIB))
    assert groups(tmp_path, "0::/a/b\n") == [GIB]


def test_a_containers_own_group_is_the_root(tmp_path: Path) -> None:
    write_group(tmp_path, ".", "memory.max", str(GIB))
    assert groups(tmp_path, "0::/of/the/host\n") == [GIB]


def test_control_groups_of_the_first_version(tmp_path: Path) -> None:
    write_group(tmp_path, "memory/job", "memory.limit_in_bytes", str(GIB))
    write_group(tmp_path, "memory", "memory.limit_in_bytes", "9223372036854771712")
    assert groups(tmp_path, "9:cpu:/job\n4:memory:/job\n") == [GIB]


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert process._control_groups(tmp_path, tmp_path / "absent") == []


def test_the_least_limit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "address_space", lambda: 3 * GIB)
    monkeypatch.setattr(process, "_control_groups", lambda: [2 * GIB, 5 * GIB])
    assert process.allowed() == 2 * GIB


def test_no_limit_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "address_space", lambda: None)
    monkeypatch.setattr(process, "_control_groups", list)
    assert process.allowed() is None


def test_what_the_process_holds_is_looked_up_before_networks_are_open() -> None:
    process.held.cache_clear()
    first = process.held()
    ballast = bytearray(64 * MIB)
    ballast[::4096] = b"1" * len(ballast[::4096])
    assert process.held() == first
    assert first >= process.BASE


def test_giving_back_is_harmless() -> None:
    process.give_back()
    process.return_large_blocks()
