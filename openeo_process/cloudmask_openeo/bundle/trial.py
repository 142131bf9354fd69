"""Run the UDF's text where nothing of ours is installed, as a back-end's worker would.

A script of its own, started by `cloudmask_openeo.bundle.check`:

    python -I -S trial.py REQUEST.json

It imports nothing of this package: that must come out of the archive.
"""

from __future__ import annotations

import json
import shutil
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    import xarray as xr


class Hiding(PathFinder):
    """Python's finder, but some installed packages are as if they were not there."""

    names: ClassVar[frozenset[str]] = frozenset()
    """Top-level packages to hide."""
    places: ClassVar[frozenset[str]] = frozenset()
    """Folders they are hidden in; elsewhere on `sys.path` they are found."""

    @classmethod
    def find_spec(
        cls,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """See `PathFinder`."""
        if path is None and fullname in cls.names:
            path = [place for place in sys.path if place not in cls.places]
        return super().find_spec(fullname, path, target)


def main(request: dict[str, Any]) -> None:
    """Answer each chunk of a request, and say where the modules came from."""
    Hiding.names, Hiding.places = frozenset(request["hidden"]), frozenset(request["places"])
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Hiding]
    sys.path.extend(request["places"])
    import numpy as np

    text = Path(request["text"]).read_text("utf-8")
    for number, chunk in enumerate(request["chunks"]):
        answer = run(text, cube_of(chunk, lazy=request["lazy"]), chunk["context"])
        np.save(chunk["answer"], answer.transpose("t", "bands", "y", "x").values)
        if number == 0 and request["vanishing"]:
            shutil.rmtree(request["dependencies"])
    print(json.dumps({name: origin(name) for name in request["hidden"]}))  # noqa: T201


def cube_of(chunk: dict[str, Any], *, lazy: bool) -> xr.DataArray:
    """Read (t, bands, y, x) as a back-end gives it: float32, no coordinates but the bands."""
    import numpy as np
    import xarray as xr

    numbers = np.load(chunk["numbers"], allow_pickle=False)
    cube = xr.DataArray(numbers, dims=("t", "bands", "y", "x"), coords={"bands": chunk["bands"]})
    return cube.chunk() if lazy else cube


def run(text: str, cube: xr.DataArray, context: dict[str, Any]) -> xr.DataArray:
    """Run the text as the openEO client does, or plainly where that is not installed."""
    try:
        from openeo.udf.run_code import run_udf_code
        from openeo.udf.udf_data import UdfData
        from openeo.udf.xarraydatacube import XarrayDataCube
    except ImportError:
        names: dict[str, Any] = {}
        exec(text, names)  # noqa: S102 - the UDF of our own wheel
        plain: xr.DataArray = names["apply_datacube"](cube, context)
        return plain
    data = UdfData(datacube_list=[XarrayDataCube(cube)], user_context=context)
    answers: Any = run_udf_code(text, data).get_datacube_list()
    array: xr.DataArray = answers[0].get_array()
    return array


def origin(name: str) -> str:
    """Tell where a module came from; nothing if it was not imported."""
    module = sys.modules.get(name)
    return str(getattr(module, "__file__", "")) if module else ""


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text("utf-8")))
