"""The trial run: an archive's UDF, with our package hidden, must answer as the package does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from cloudmask.chunk import mask_chunk
from cloudmask.context import DEFAULT_FOLDER
from cloudmask.default import BUILT_IN
from cloudmask.errors import CloudmaskError, ModelError
from cloudmask.options import Options
from cloudmask.registry import FOLDER, find
from cloudmask_openeo.bundle import trial
from cloudmask_openeo.bundle.archive import read_zip, unpack
from cloudmask_openeo.bundle.networks import packed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from cloudmask.spec import ModelSpec
    from cloudmask_openeo.bundle.networks import Network

HIDDEN = ("cloudmask", "cloudmask_openeo", "cloudmask_export", "onnxruntime", "ukis_csmask")
"""What a worker does not have until the archive is there."""

VISIBLE = ("numpy", "scipy", "xarray", "pandas", "dask", "openeo")
"""What it does have; their folders are all that the trial sees."""

ROUNDING = 0.005
"""Where the archive has another version of ONNX Runtime: by how much values may differ, and what
share of them by more."""


class TrialError(CloudmaskError):
    """An archive does not work, or does not answer as the installed package does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run of the UDF's text: two chunks of one worker."""

    networks: tuple[Network, ...]
    default: bool = False
    """Whether the context names no network, and the bands of the cube are to choose."""
    lazy: bool = False
    """Whether chunks are dask arrays."""
    vanishing: bool = True
    """Whether the dependencies are deleted after the first chunk, as some back-ends do."""

    @property
    def name(self) -> str:
        """The networks' names."""
        return " + ".join(network.spec.name for network in self.networks)

    def chunks(self) -> list[tuple[xr.DataArray, dict[str, Any]]]:
        """Make the chunks, each with its context; the models' names are those of the archive."""
        cube = _pixels(self.networks[0])
        context: dict[str, Any] = {"preset": "dn", "layout": "probabilities"}
        if self.default:
            cube = cube.sel(bands=list(self.networks[0].spec.bands))
        else:
            context["model"] = [network.spec.name for network in self.networks]
        turned = cube.isel(y=slice(None, None, -1)).copy()
        return [(cube, context), (turned, context)]

    def expected(self) -> list[NDArray[np.float32]]:
        """Answer the chunks with the installed package and the networks as they were given."""
        given = {} if self.default else {"model": [each.given for each in self.networks]}
        return [mask_chunk(cube, {**context, **given}).values for cube, context in self.chunks()]


def _pixels(network: Network) -> xr.DataArray:
    """Take the network's own test image, or invent one: (t, bands, y, x) reflectance x 10000."""
    test, spec = network.spec.test, network.spec
    if test is None:
        return _invented(spec)
    content = network.files[f"{FOLDER}/{test.input}"]
    numbers = np.load(BytesIO(content), allow_pickle=False)
    return _cube(numbers, test.bands)


def _invented(spec: ModelSpec) -> xr.DataArray:
    """Invent bright and dark patches with noise."""
    random = np.random.default_rng(0)
    patches = random.uniform(200, 8000, (1, 12, 12)).repeat(8, axis=1).repeat(8, axis=2)
    noise = random.uniform(0.8, 1.2, (len(spec.bands), *patches.shape[1:]))
    return _cube(patches * noise, spec.bands)


def _cube(numbers: NDArray[Any], bands: Sequence[str]) -> xr.DataArray:
    dims = ("t", "bands", "y", "x")
    return xr.DataArray(numbers[None].astype(np.float32), dims=dims, coords={"bands": list(bands)})


def trials(networks: tuple[Network, ...]) -> Iterator[Trial]:
    """Plan a trial of each network, and of all together if they can be an ensemble.

    Without any, those that come with the package are tried, each on the bands that it is for.
    """
    if not networks:
        yield from (Trial(networks=(packed(name),), default=True) for name in BUILT_IN)
    yield from (Trial(networks=(network,)) for network in networks)
    if len(networks) > 1 and _go_together(networks):
        yield Trial(networks=networks)


def _go_together(networks: tuple[Network, ...]) -> bool:
    try:
        Options().ensemble([find(network.given).load() for network in networks])
    except ModelError:
        return False
    return True


def check(archive: Path, plan: Trial) -> None:
    """Unpack an archive into a fresh folder and run its UDF there.

    Raises:
        TrialError: It fails, takes a module from elsewhere, or answers otherwise than the
            installed package.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        files = read_zip(archive)
        unpack(files, folder / DEFAULT_FOLDER)
        request = _request(folder, plan)
        origins = _run(request, folder, plan)
        answers = [np.load(chunk["answer"]) for chunk in request["chunks"]]
        _check_origins(origins, folder, plan)
    _compare(answers, plan, exact=_same_runtime(files))


def _request(folder: Path, plan: Trial) -> dict[str, Any]:
    """Put the UDF's text and the chunks into the folder, and say so as `trial` understands."""
    text = folder / "udf.py"
    text.write_bytes((resources.files("cloudmask") / "udf.py").read_bytes())
    chunks = []
    for number, (cube, context) in enumerate(plan.chunks()):
        numbers, answer = folder / f"chunk-{number}.npy", folder / f"answer-{number}.npy"
        np.save(numbers, cube.values)
        bands = cube.bands.values.tolist()
        chunks.append(
            {"numbers": str(numbers), "answer": str(answer), "bands": bands, "context": context}
        )
    return {
        "text": str(text), "chunks": chunks, "lazy": plan.lazy, "vanishing": plan.vanishing,
        "dependencies": str(folder / DEFAULT_FOLDER), "hidden": HIDDEN, "places": _places(),
    }  # fmt: skip


def _places() -> list[str]:
    """Find the folders that the visible packages are installed in."""
    specs = (find_spec(name) for name in VISIBLE)
    found = [spec.submodule_search_locations for spec in specs if spec is not None]
    return list(dict.fromkeys(str(Path(each[0]).parent) for each in found if each))


def _run(request: dict[str, Any], folder: Path, plan: Trial) -> dict[str, str]:
    paper = folder / "request.json"
    paper.write_text(json.dumps(request), "utf-8")
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-I", "-S", trial.__file__, str(paper)],
        cwd=folder, env=clean, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise TrialError(
            f"the archive's UDF fails with model {plan.name} where nothing is installed: "
            f"{said[-1] if said else f'exit code {done.returncode}'}"
        )
    origins: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return origins


def _check_origins(origins: dict[str, str], folder: Path, plan: Trial) -> None:
    inside = str(folder / DEFAULT_FOLDER)
    for name in ("cloudmask", "onnxruntime"):
        if not origins[name].startswith(inside):
            raise TrialError(
                f"the trial of model {plan.name} took {name} from {origins[name] or 'nowhere'}, "
                "not out of the archive"
            )


def _same_runtime(files: dict[str, bytes]) -> bool:
    import onnxruntime

    packages = json.loads(files["bundle.json"])["packages"]
    return bool(packages.get("onnxruntime") == onnxruntime.__version__)


def _compare(answers: list[NDArray[np.float32]], plan: Trial, *, exact: bool) -> None:
    allowed = 0.0 if exact else ROUNDING
    for number, (answer, wanted) in enumerate(zip(answers, plan.expected(), strict=True), 1):
        differing = _differing(answer, wanted, allowed)
        if differing > allowed:
            raise TrialError(
                f"the archive's UDF answers chunk {number} otherwise than the installed package: "
                f"{100 * differing:.2f} % of values differ with model {plan.name}"
            )


def _differing(
    answer: NDArray[np.float32], wanted: NDArray[np.float32], tolerance: float
) -> float:
    """Share of values that differ by more than the tolerance, 0..1; NaN equals NaN."""
    if answer.shape != wanted.shape:
        return 1.0
    same = np.isclose(answer, wanted, rtol=0, atol=tolerance, equal_nan=True)
    return float(np.mean(~same))
