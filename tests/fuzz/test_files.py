"""Files, manifests, archives and contexts: a slice of the fuzzing, and that it would notice."""

from __future__ import annotations

import io
import os
import pickle
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
# fuzz/ is no part of the distribution.
sys.path.append(str(ROOT))

for package in ("rasterio", "packaging"):
    pytest.importorskip(package)

from fuzz import archives, contexts, manifests, weights  # noqa: E402
from fuzz.guards import ExecutedError, guarded, watched  # noqa: E402
from fuzz.mutations import jsoned, mutated, mutated_headers, mutated_value  # noqa: E402
from fuzz.pickles import mutated_opcodes  # noqa: E402
from fuzz.trials import Subject, Trials, WrongError  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from fuzz.tally import Tally

    from cloudmask.spec import ModelSpec

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="timers and limits are set as Linux has them"
)

TARGETS = (
    *weights.TARGETS, *manifests.TARGETS, *archives.TARGETS, *contexts.TARGETS,
)  # fmt: skip
SLICE = 60
"""Of a whole run: every so many-th number of trials."""


def numbers(seed: int) -> Random:
    """Give random numbers that are the same every time."""
    return Random(seed)  # noqa: S311


def silent(_: int) -> None:
    """Take the number of trials done."""


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_slice_of_the_trials_ends_as_documented(target: Trials) -> None:
    count = target.trials // SLICE

    tally = target(count, 5, silent)

    assert not tally.findings
    assert tally.tried == count
    assert any(outcome.startswith("refused") for outcome in tally.outcomes)


def test_a_whole_run_has_a_hundred_thousand_trials() -> None:
    assert sum(target.trials for target in TARGETS) >= 100_000
    assert len({target.name for target in TARGETS}) == len(TARGETS)


# -- the same numbers make the same damage --------------------------------------------------


@pytest.mark.parametrize("damage", [mutated, mutated_headers, mutated_opcodes, mutated_value])
def test_damage_is_the_same_for_the_same_numbers(damage: Callable[..., Any]) -> None:
    sound: dict[Any, Any] = {
        mutated: bytes(range(256)),
        mutated_headers: archives.zipped({"x": b"y"}),
        mutated_opcodes: pickle.dumps({"a": [1, 2, 3]}, 2),
        mutated_value: {"a": [1, "b", {"c": None}], "d": 2.5},
    }
    made = [[repr(damage(sound[damage], numbers(seed))) for seed in range(50)] for _ in range(2)]

    assert made[0] == made[1]
    assert len(set(made[0])) > 25


def test_a_trial_can_be_repeated_by_seed_and_index() -> None:
    seen: list[float] = []
    target = planted(seen.append, make=lambda rng: rng.random())

    target(4, 7, silent)
    target.again(7, 2)

    assert seen[-1] == seen[2]
    assert len(set(seen[:4])) == 4


def test_the_value_that_is_damaged_stays_as_it_is() -> None:
    sound = {"a": [1, {"b": [2]}]}
    for seed in range(200):
        mutated_value(sound, numbers(seed))

    assert sound == {"a": [1, {"b": [2]}]}


def test_text_may_hold_what_json_cannot_write() -> None:
    assert jsoned(["@long"]).count(b"9") == 5000
    assert jsoned(["@deep"]).count(b"[") == 100_001


# -- what is planted is found ---------------------------------------------------------------


def planted(
    take: Callable[[Any], Any],
    make: Callable[[Random], Any] = lambda rng: rng.randrange(1000),
    **facts: Any,
) -> Trials:
    """Make a target of a reader with a defect; a ValueError is its refusal."""
    limits = {key: facts.pop(key) for key in ("seconds", "hungry") if key in facts}
    return Trials(
        name="planted",
        kind="files",
        trials=1,
        refusals=(ValueError,),
        prepare=lambda _: Subject(make=make, take=lambda given: take(given) and None, **facts),
        **limits,
    )


def found(target: Trials, trials: int = 20) -> str:
    """Run a target and give its only finding."""
    tally: Tally = target(trials, 1, silent)
    assert tally.tried == trials
    assert len(tally.findings) == 1
    return tally.findings[0].what


def test_another_error_than_the_documented_is_found_once_for_a_place() -> None:
    def take(_: int) -> None:
        raise KeyError("x")

    tally = planted(take)(20, 1, silent)

    assert len(tally.findings) == 1
    assert tally.findings[0].what.startswith("KeyError at ")
    assert "seed 1, index 0" in tally.findings[0].how
    assert tally.tried == 20


def test_errors_of_two_places_are_two_findings() -> None:
    def take(given: int) -> None:
        if given % 2:
            raise KeyError("x")
        raise KeyError("x")

    assert len(planted(take)(20, 1, silent).findings) == 2


def test_what_recurses_without_end_is_found() -> None:
    def take(given: int) -> None:
        take(given)

    assert "RecursionError" in found(planted(take), 1)


def test_what_hangs_is_found_even_if_it_catches_everything() -> None:
    def take(_: int) -> None:
        while True:
            try:
                time.sleep(0.01)
            except Exception:  # noqa: BLE001, S112 - such a reader is what is planted
                continue

    assert "HangError" in found(planted(take, seconds=0.2), 1)


def test_the_watch_gives_the_timer_back_that_it_took() -> None:
    import signal

    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: rung.append(number))
    timer = signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with watched(60):
            time.sleep(0.1)
        time.sleep(0.1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before)

    assert rung == [signal.SIGALRM]


def test_what_takes_all_memory_is_found() -> None:
    assert "MemoryError" in found(planted(lambda _: bytearray(2**31)))


def test_want_of_memory_is_found_behind_a_polite_refusal() -> None:
    def take(_: int) -> None:
        try:
            bytearray(2**31)
        except MemoryError as error:
            raise ValueError("it is too large") from error

    assert found(planted(take)).startswith("a bomb, however politely told")
    assert not planted(take, hungry=True)(3, 1, silent).findings


def test_a_refusal_that_does_not_name_the_file_is_found() -> None:
    def take(_: int) -> None:
        raise ValueError("it is damaged")

    assert "does not name 'net.pth'" in found(planted(take, named="net.pth"))
    assert not planted(take, named="damaged")(3, 1, silent).findings


def test_a_wrong_answer_is_found() -> None:
    def check(given: int) -> None:
        if given > 500:
            raise WrongError("it is not what was written")

    assert "it is not what was written" in found(planted(lambda _: None, check=check))


class Payload:
    """Runs a harmless function when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.getpid, ()


UNSAFE: dict[str, Callable[[], object]] = {
    "pickle": lambda: pickle.loads(pickle.dumps(Payload())),  # noqa: S301
    "numpy's pickle": lambda: np.load(object_array(), allow_pickle=True),
    "eval": lambda: eval("1 + 1"),  # noqa: S307
    "exec": lambda: exec("x = 1"),  # noqa: S102
    "compile": lambda: compile("x = 1", "x", "exec"),
    "shell": lambda: os.system("true"),  # noqa: S605
    "subprocess": lambda: __import__("subprocess").run(["true"], check=False),
    "import": lambda: __import__("xml.dom.pulldom"),
    "import of a parent": lambda: __import__("importlib.util").util.find_spec("this.x"),
    "socket": lambda: __import__("socket").socket(),
    "write": lambda: Path(os.devnull).open("w"),  # noqa: SIM115
    "remove": lambda: Path("there is no such file").unlink(missing_ok=True),
    "folder": lambda: Path("there/is/no/such/folder").mkdir(),
}


def object_array() -> io.BytesIO:
    """Write an array that holds a pickle."""
    made = io.BytesIO()
    np.save(made, np.array([Payload()], object), allow_pickle=True)
    made.seek(0)
    return made


@pytest.mark.parametrize("unsafe", UNSAFE.values(), ids=UNSAFE.keys())
def test_an_unsafe_reader_is_found_even_if_it_hides_it(unsafe: Callable[[], object]) -> None:
    def take(_: int) -> None:
        try:
            unsafe()
        except BaseException as error:
            raise ValueError("damaged") from error

    assert "ExecutedError" in found(planted(take), 1)


def test_what_is_forbidden_is_not_done(tmp_path: Path) -> None:
    with pytest.raises(ExecutedError, match="open"), guarded():
        (tmp_path / "x").write_bytes(b"")

    assert not (tmp_path / "x").exists()


def test_nothing_is_forbidden_after_a_trial(tmp_path: Path) -> None:
    with guarded():
        pass
    (tmp_path / "x").write_bytes(b"")

    assert eval("1 + 1") == 2  # noqa: S307


def test_only_below_its_folder_may_be_written(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with guarded(inside):
        (inside / "x").write_bytes(b"")
    with pytest.raises(ExecutedError, match="open"), guarded(inside):
        (inside / ".." / "y").write_bytes(b"")

    assert not (tmp_path / "y").exists()


def test_reading_python_s_notation_of_data_is_no_execution() -> None:
    import ast

    with guarded():
        assert ast.literal_eval("{'a': (1, 2)}") == {"a": (1, 2)}


# -- the targets notice a broken product ---------------------------------------------------


def target(name: str) -> Trials:
    """Find a target by its name."""
    return next(each for each in TARGETS if each.name == name)


def test_weights_that_are_read_wrong_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudmask_export.weights import tensors, torchfile

    right = tensors.strided

    def turned(storage: Any, offset: int, shape: Any, strides: Any) -> Any:
        found = right(storage, offset, shape, strides)
        return found[::-1] if len(shape) == 1 else found

    monkeypatch.setattr(torchfile, "strided", turned)
    tally = target("weight files")(400, 1, silent)

    assert any("is not what stands in the file" in each.what for each in tally.findings)


def test_a_pickle_that_is_loaded_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "follow", pickle.loads)
    tally = target("pickles")(100, 1, silent)

    assert any("pickle.find_class" in each.what for each in tally.findings)


def test_an_archive_that_leaves_its_folder_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudmask_openeo.bundle import archive

    monkeypatch.setattr(archive, "_check_name", lambda *_: None)
    tally = target("unpacked archives")(50, 1, silent)

    assert any("ExecutedError" in each.what for each in tally.findings)


def test_a_checksum_that_nobody_compares_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    import zipfile

    monkeypatch.setattr(zipfile.ZipExtFile, "_update_crc", lambda *_: None)
    tally = target("wheels and dependency archives")(200, 1, silent)

    assert any("has another content" in each.what for each in tally.findings)


def test_a_manifest_that_may_import_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.util import find_spec

    from cloudmask import registry

    def found(spec: ModelSpec) -> None:
        if spec.package == "somewhere":
            find_spec("this.x")

    monkeypatch.setattr(registry, "_in_package", found)
    text = manifests.small()
    text["assets"]["model"]["cloudmask:package"] = "somewhere"
    monkeypatch.setattr(manifests, "texts", lambda *_: jsoned(text))
    tally = target("folders of networks")(1, 1, silent)

    assert any("import ('this'" in each.what for each in tally.findings)


def test_a_context_of_wrong_types_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudmask import context

    monkeypatch.setattr(context, "_listed", lambda _, value: value)
    tally = target("contexts")(500, 1, silent)

    assert tally.findings
