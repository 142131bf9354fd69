from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING

import pytest

from cloudmask import runtime as module
from cloudmask.engines import PROVIDERS
from cloudmask.errors import OptionError
from cloudmask.runtime import ARENA_WANTS, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(("value", "threads"), [("3", 3), ("2,4", 2), (" 5 ", 5)])
def test_threads_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, value: str, threads: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert Runtime().intra_op_threads == threads
    assert Runtime(threads=7).intra_op_threads == 7


@pytest.mark.parametrize(
    "value", [None, "", "0", "many", "-1", "1.5", "²", "1025", "9999", "9" * 5000]
)
def test_without_a_number_there_threads_are_the_usable_cores(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if value is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", value)
    monkeypatch.setattr(module, "_usable_cores", lambda: 11)
    assert Runtime().intra_op_threads == 11


def test_usable_cores_are_those_this_process_is_bound_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 9}, raising=False)
    assert Runtime().intra_op_threads == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert Runtime().intra_op_threads == 64


@pytest.mark.parametrize("threads", [0, -1, 2.5, "2", True, 1025, 10**12])
def test_a_number_of_threads_that_cannot_be_is_refused(threads: object) -> None:
    with pytest.raises(OptionError, match="threads="):
        Runtime(threads=threads)  # type: ignore[arg-type]


@pytest.mark.parametrize("provider", ["gpu", "", "CPU", "CPUExecutionProvider", None])
def test_an_unknown_provider_is_refused_with_those_there_are(provider: object) -> None:
    with pytest.raises(OptionError, match=r"provider=.*: choose one of cpu, cuda, .*-bf16"):
        Runtime(provider=provider)  # type: ignore[arg-type]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_may_be_chosen(provider: str) -> None:
    assert Runtime(provider=provider).provider == PROVIDERS[provider].name == provider


def test_the_processor_is_the_default() -> None:
    assert Runtime().provider == "cpu"


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Limit the address space, as far as this process can see."""
    resource = pytest.importorskip("resource", reason="no address space limits here")

    def limited(number: int) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (number, number))

    return limited


@pytest.mark.parametrize(
    ("bound", "allowed"), [(ARENA_WANTS - 1, False), (ARENA_WANTS, True), (-1, True)]
)
def test_the_arena_is_left_out_where_address_space_is_short(
    limit: Callable[[int], None], bound: int, *, allowed: bool
) -> None:
    limit(bound)
    assert Runtime().arena_allowed is allowed


@pytest.mark.parametrize("arena", [True, False])
def test_the_arena_may_be_chosen_whatever_the_address_space(
    limit: Callable[[int], None], *, arena: bool
) -> None:
    for bound in (ARENA_WANTS - 1, -1):
        limit(bound)
        assert Runtime(arena=arena).arena_allowed is arena


def test_equal_runtimes_are_one_key() -> None:
    runtime = Runtime(threads=2, provider="openvino", arena=False)
    assert pickle.loads(pickle.dumps(runtime)) == runtime  # noqa: S301 - our own bytes
    assert len({runtime, Runtime(threads=2, provider="openvino", arena=False), Runtime()}) == 2


@pytest.mark.parametrize("provider", ["cpu", "openvino"])
def test_what_means_the_same_is_the_same_once_decided(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloudmask.runtime._room_for_arena", lambda: True)
    open_, given = Runtime(provider=provider), Runtime(provider=provider, arena=True)
    assert open_.decided == given.decided
    other = Runtime(provider=provider, arena=False).decided
    assert (other == given.decided) == (provider == "openvino")
