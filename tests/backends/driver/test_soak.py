"""What `make soak` calls flat."""

from __future__ import annotations

import os

import numpy as np
import pytest
from soak_watch import Trend, sample, trend

SECONDS = np.arange(0, 300, 2.0)


def memory(leak: float, seed: int = 0) -> Trend:
    """Judge 1500 MiB that breathe by 30, jump now and then, and grow by some MiB a minute."""
    random = np.random.default_rng(seed)
    seen = 1500 + random.normal(0, 15, SECONDS.size) + leak * SECONDS / 60
    seen[random.integers(0, SECONDS.size, 8)] += 400
    return trend(list(SECONDS), list(seen))


@pytest.mark.parametrize("seed", range(5))
def test_memory_that_breathes_and_jumps_is_flat(seed: int) -> None:
    assert memory(0, seed).flat


@pytest.mark.parametrize("seed", range(5))
def test_a_leak_of_a_twentieth_in_five_minutes_is_found(seed: int) -> None:
    found = memory(20, seed)
    assert not found.flat
    assert found.slope == pytest.approx(20, abs=4)


def test_what_is_taken_while_warming_up_is_no_leak() -> None:
    assert trend(list(SECONDS), list(np.minimum(SECONDS / 80, 1) * 900)).flat


def test_a_few_samples_give_no_verdict() -> None:
    with pytest.raises(ValueError, match="8 samples after the warm-up, a verdict needs 10"):
        trend([float(second) for second in range(12)], [1.0] * 12)


def test_a_process_has_memory_threads_and_files() -> None:
    seen = sample(os.getpid())
    assert seen.server > 10
    assert seen.threads >= 1
    assert seen.files >= 3
    assert os.getpid() in seen.processes
