"""A pytest plugin for environments without dask: tests that chunk a cube are skipped, and say so.

Only a test's own call is; where the package chunks what was not chunked, that is a defect, and it
fails as it would for a user.
"""

from __future__ import annotations

import importlib.util
import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest
import xarray as xr

if TYPE_CHECKING:
    from collections.abc import Callable

REASON = "dask is not installed"


def _skipping(chunk: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(chunk)
    def told(*args: Any, **how: Any) -> Any:
        caller = inspect.currentframe()
        caller = caller and caller.f_back
        # The file whose name pytest collects, not the package's that it has called.
        if caller and caller.f_code.co_filename.rpartition("/")[2].startswith("test_"):
            pytest.skip(REASON)
        return chunk(*args, **how)

    return told


def pytest_configure() -> None:
    """Put the skipping method in the place of xarray's."""
    if importlib.util.find_spec("dask") is None:
        for kind in (xr.DataArray, xr.Dataset):
            kind.chunk = _skipping(kind.chunk)  # type: ignore[method-assign]
