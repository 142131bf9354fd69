"""A cluster of two worker processes on this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


@pytest.fixture(scope="session")
def client() -> Iterator[Any]:
    """A client of two workers with a thread each; one that is killed is started anew."""
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    options = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": "1GiB"}
    with (
        distributed.LocalCluster(**options, dashboard_address=":0") as cluster,
        distributed.Client(cluster, set_as_default=False) as one,
    ):
        yield one


@pytest.fixture
def active(client: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The same, as the one that computes; functions of the test's module travel by value."""
    import cloudpickle

    module: ModuleType = sys.modules[request.module.__name__]
    cloudpickle.register_pickle_by_value(module)
    client.wait_for_workers(2, timeout=60)
    with client.as_current():
        yield client
    cloudpickle.unregister_pickle_by_value(module)
