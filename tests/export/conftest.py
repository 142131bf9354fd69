"""What the tests of export share."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType


def _loaded(path: Path) -> ModuleType:
    # Tests are collected by path, so no folder of theirs is importable.
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def weight_files() -> Any:
    """Give the module that writes weight files: write_safetensors, write_pth, write_pkl, ..."""
    return _loaded(Path(__file__).with_name("weight_files.py"))


@pytest.fixture(scope="session")
def random_weights() -> Any:
    """Give the function that draws the values of an architecture's tensors."""
    return _loaded(Path(__file__).with_name("random_weights.py")).random_weights
