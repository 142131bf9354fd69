"""The UDF's text out of an archive, with our package and ONNX Runtime hidden."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask import udf
from cloudmask.default import BUILT_IN
from cloudmask_openeo.bundle import Order, make, trial
from cloudmask_openeo.bundle.archive import read_zip, write_zip
from cloudmask_openeo.bundle.check import (
    HIDDEN,
    Trial,
    TrialError,
    _check_origins,
    _differing,
    _places,
    check,
    trials,
)
from cloudmask_openeo.bundle.networks import packed

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from cloudmask.registry import Entry
    from cloudmask_openeo.bundle import Target
    from cloudmask_openeo.bundle.networks import Network

    Rewrite = Callable[[dict[str, bytes]], object]

NAN = float("nan")


@pytest.fixture(scope="session")
def networks(archive: Path) -> tuple[Network, Network]:
    """The networks of the archive, as they were given."""
    one, two = (packed(str(archive.parent / name / f"{name}.onnx")) for name in ("one", "two"))
    return one, two


@pytest.fixture
def rewritten(archive: Path, tmp_path: Path) -> Callable[[Rewrite], Path]:
    """Change the files of the archive."""

    def rewrite(change: Rewrite) -> Path:
        files = read_zip(archive)
        change(files)
        path = tmp_path / "changed.zip"
        write_zip(path, files, compressed=False)
        return path

    return rewrite


@pytest.mark.parametrize("lazy", [False, True], ids=["numpy", "dask"])
@pytest.mark.parametrize("vanishing", [False, True], ids=["archive", "zip"])
def test_the_udf_answers_out_of_the_archive_as_the_package_does(
    archive: Path, networks: tuple[Network, Network], *, lazy: bool, vanishing: bool
) -> None:
    check(archive, Trial(networks=networks[:1], lazy=lazy, vanishing=vanishing))


@pytest.mark.parametrize("number", range(len(BUILT_IN)), ids=BUILT_IN)
def test_the_packages_own_networks_answer_out_of_an_archive_that_names_none(
    archive: Path, number: int
) -> None:
    plans = list(trials(()))
    assert [plan.name for plan in plans] == list(BUILT_IN)
    assert all("model" not in context for _, context in plans[number].chunks())
    check(archive, plans[number])


@pytest.mark.parametrize("vanishing", [False, True], ids=["archive", "zip"])
def test_an_ensemble_answers_out_of_the_archive(
    archive: Path, networks: tuple[Network, Network], *, vanishing: bool
) -> None:
    check(archive, Trial(networks=networks, vanishing=vanishing))


@pytest.mark.nightly
def test_a_real_network_answers_out_of_the_archive(
    ukis_4b: Entry, here: Target, runtime_wheel: Path, tmp_path: Path
) -> None:
    order = Order(
        models=("ukis-4b-l1c",), output=tmp_path / "deps.zip", target=here,
        wheels=(runtime_wheel,),
    )  # fmt: skip
    bundle = make(order)
    assert bundle.tried == ("ukis-4b-l1c",)
    check(bundle.path, Trial(networks=bundle.contents.networks, lazy=True, vanishing=False))


def test_the_packages_are_hidden_in_the_trial(tmp_path: Path) -> None:
    code = (
        "import importlib.util, sys, runpy\n"
        f"names = runpy.run_path({trial.__file__!r})\n"
        f"hide, places = names['Hiding'], {_places()!r}\n"
        f"hide.names, hide.places = frozenset({HIDDEN!r}), frozenset(places)\n"
        "sys.meta_path[:] = [*sys.meta_path[:2], hide]\n"
        "sys.path.extend(places)\n"
        f"print([importlib.util.find_spec(name) for name in {HIDDEN!r}])\n"
        "import numpy, xarray"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str([None] * len(HIDDEN))


def test_each_network_is_tried_and_all_together_if_they_fit(
    networks: tuple[Network, Network], ukis_4b: Entry
) -> None:
    assert [plan.name for plan in trials(networks)] == ["one", "two", "one + two"]
    strange = (networks[0], packed("ukis-4b-l1c"))
    assert [plan.name for plan in trials(strange)] == ["one", "ukis-4b-l1c"]


def test_the_trial_shows_more_than_one_class(networks: tuple[Network, Network]) -> None:
    first, turned = Trial(networks=networks[:1]).expected()
    assert len(set(first[0, 1].ravel().tolist())) > 1
    assert (first != turned).any()
    assert first.shape[1] == 6


def remove_wheel(files: dict[str, bytes]) -> None:
    del files[next(name for name in files if name.endswith(".whl"))]


def remove_runtime(files: dict[str, bytes]) -> None:
    for name in [name for name in files if name.startswith("onnxruntime/")]:
        del files[name]


def remove_network(files: dict[str, bytes]) -> None:
    del files["cloudmask_models/one.onnx"]


def damage_network(files: dict[str, bytes]) -> None:
    files["cloudmask_models/one.onnx"] += b"0"


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (remove_wheel, "No module named 'cloudmask'"),
        (remove_runtime, "No module named 'onnxruntime'"),
        (remove_network, "'one' is known but not installed: put one.onnx beside its manifest"),
        (damage_network, "sha256 is .* the manifest says"),
    ],
)
def test_an_archive_that_lacks_something_fails_with_the_worker_s_message(
    rewritten: Callable[[Rewrite], Path],
    networks: tuple[Network, Network],
    damage: Rewrite,
    why: str,
) -> None:
    with pytest.raises(TrialError, match=why):
        check(rewritten(damage), Trial(networks=networks[:1]))


def swap_classes(files: dict[str, bytes]) -> None:
    item = json.loads(files["cloudmask_models/one.json"])
    clear, cloud, _ = item["properties"]["mlm:output"][0]["classification:classes"]
    clear["name"], cloud["name"] = cloud["name"], clear["name"]
    files["cloudmask_models/one.json"] = json.dumps(item).encode()


def test_another_answer_than_the_package_s_is_refused(
    rewritten: Callable[[Rewrite], Path], networks: tuple[Network, Network]
) -> None:
    with pytest.raises(
        TrialError, match=r"chunk \d otherwise than the installed package: [\d.]+ %"
    ):
        check(rewritten(swap_classes), Trial(networks=networks[:1]))


def test_another_network_s_answer_is_refused(
    archive: Path, networks: tuple[Network, Network]
) -> None:
    one, two = networks
    with pytest.raises(TrialError, match="otherwise than the installed package"):
        check(archive, Trial(networks=(replace(one, given=two.given),)))


def nudge(files: dict[str, bytes]) -> None:
    """Let rounding differ a little, as another version of ONNX Runtime would."""
    item = json.loads(files["cloudmask_models/one.json"])
    scaling = [{"type": "z-score", "mean": 0.0, "stddev": 1.0001}] * 2
    item["properties"]["mlm:input"][0]["value_scaling"] = scaling
    files["cloudmask_models/one.json"] = json.dumps(item).encode()


def other_runtime(files: dict[str, bytes]) -> None:
    said = json.loads(files["bundle.json"])
    said["packages"]["onnxruntime"] = "0.1"
    files["bundle.json"] = json.dumps(said).encode()


def test_the_smallest_difference_is_refused_with_the_same_onnx_runtime(
    rewritten: Callable[[Rewrite], Path], networks: tuple[Network, Network]
) -> None:
    with pytest.raises(TrialError, match="otherwise than the installed package"):
        check(rewritten(nudge), Trial(networks=networks[:1]))


def test_rounding_may_differ_with_another_onnx_runtime(
    rewritten: Callable[[Rewrite], Path], networks: tuple[Network, Network]
) -> None:
    def change(files: dict[str, bytes]) -> None:
        nudge(files)
        other_runtime(files)

    check(rewritten(change), Trial(networks=networks[:1]))


def test_classes_may_not_differ_with_another_onnx_runtime(
    rewritten: Callable[[Rewrite], Path], networks: tuple[Network, Network]
) -> None:
    def change(files: dict[str, bytes]) -> None:
        swap_classes(files)
        other_runtime(files)

    with pytest.raises(TrialError, match="otherwise than the installed package"):
        check(rewritten(change), Trial(networks=networks[:1]))


@pytest.mark.parametrize(
    ("answer", "share"),
    [([0, 1, NAN], 0), ([0, 1, 0], 1 / 3), ([0, NAN, NAN], 1 / 3), ([0, 1], 1), ([1, 0, 0], 1)],
)
def test_the_share_of_differing_values_takes_nan_for_equal_to_nan(
    answer: list[float], share: float
) -> None:
    wanted = np.array([0, 1, NAN], np.float32)
    assert _differing(np.array(answer, np.float32), wanted, 0.0) == pytest.approx(share)


class TwoLater(Trial):
    """Asks for the second network when the dependencies may be gone."""

    def chunks(self) -> list[tuple[xr.DataArray, dict[str, Any]]]:
        """See `Trial`."""
        first, second = super().chunks()
        return [first, (second[0], {**second[1], "model": ["two"]})]


def test_the_dependencies_are_gone_after_the_first_chunk(
    archive: Path, networks: tuple[Network, Network]
) -> None:
    with pytest.raises(TrialError, match="unknown model 'two'"):
        check(archive, TwoLater(networks=networks[:1], vanishing=True))
    with pytest.raises(TrialError, match="answers chunk 2 otherwise"):
        check(archive, TwoLater(networks=networks[:1], vanishing=False))


@pytest.mark.parametrize("lazy", [False, True])
def test_chunks_are_numpy_or_dask_float32_without_coordinates(
    tmp_path: Path, *, lazy: bool
) -> None:
    np.save(tmp_path / "a.npy", np.zeros((1, 2, 4, 4), np.float32))
    chunk = {"numbers": str(tmp_path / "a.npy"), "bands": ["B02", "B03"]}
    cube = trial.cube_of(chunk, lazy=lazy)
    assert (cube.chunks is not None) == lazy
    assert set(cube.coords) == {"bands"}
    assert cube.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "origin", "why"),
    [
        ("cloudmask", "/usr/lib/cloudmask.py", "took cloudmask from /usr/lib/cloudmask.py"),
        ("onnxruntime", "", "took onnxruntime from nowhere"),
    ],
)
def test_a_trial_that_took_a_module_from_elsewhere_is_refused(
    networks: tuple[Network, Network], tmp_path: Path, name: str, origin: str, why: str
) -> None:
    inside = str(tmp_path / "cloudmask_deps" / "there.py")
    origins = {"cloudmask": inside, "onnxruntime": inside}
    _check_origins(origins, tmp_path, Trial(networks=networks[:1]))
    with pytest.raises(TrialError, match=why):
        _check_origins({**origins, name: origin}, tmp_path, Trial(networks=networks[:1]))


def test_the_text_runs_without_the_openeo_client_too(
    networks: tuple[Network, Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Trial(networks=networks[:1])
    cube, context = plan.chunks()[0]
    text = Path(udf.__file__).read_text("utf-8")
    asked = {**context, "model": [networks[0].given], "deps": []}
    monkeypatch.setitem(sys.modules, "openeo.udf.run_code", None)
    np.testing.assert_array_equal(trial.run(text, cube, asked).values, plan.expected()[0])
