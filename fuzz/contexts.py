"""The context of a UDF: values of any wrong type, size and depth, and chunks that come with it."""

from __future__ import annotations

import copy
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from cloudmask import udf
from cloudmask.context import KEYS, Context, parse_context
from cloudmask.errors import CloudmaskError
from fuzz.manifests import NETWORK, small
from fuzz.mutations import DEEP, LONG, ODD, jsoned, mutated_value
from fuzz.trials import Subject, Trials, WrongError

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from pathlib import Path

    from cloudmask.options import Options

SOUND: tuple[dict[str, Any], ...] = (
    {},
    {"model": "cloudmask-s2-small", "preset": "dn", "tta": 3.0, "adaptive": False},
    {"model": ["a", "b"], "scale": 0.0001, "offset": -1000, "nodata": [0, 65535], "batch": 2},
    {"layout": "probabilities", "masked": ["thick_cloud", "cloud_shadow"], "memory_mb": 2048},
    {"dilate": 60, "pixel_size": 10, "stitch": "blend", "tile": 64, "overlap": 16},
    {"chunk_overlap": [16, 32], "bands": ["B02", "B03"], "threads": 1, "provider": "cpu"},
    {"deps": "cloudmask_deps", "chunk_overlap": 16, "nodata": None, "model": None},
)


def _deep(depth: int) -> Any:
    value: Any = 0
    for number in range(depth):
        value = [value] if number % 2 else {"x": value} if number % 3 else [value, 1]
    return value


def _nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


CONTEXT_ODD: tuple[Any, ...] = (
    *(each for each in ODD if each not in (DEEP, LONG)), _nested(40), _deep(40), np.float64(2),
    np.int64(-(2**63)), np.float32("nan"), np.array([1, 2]), np.array(3), np.array([]),
    np.array(["a"]), np.datetime64("2020-01-01"), b"x", 1j, (), ("x",), {1, 2}, "mask", "crop",
    "cdse", "cpu", "cuda", "thick cloud", {"from_parameter": "x"}, 7, 8, 64, 0.5, "B02", object(),
)  # fmt: skip
"""JSON's values, and what back-ends or Python users may put in their place."""
NOT_A_CONTEXT: tuple[Any, ...] = (
    None, [], [1], "x", 5, 2.5, True, [["model", "x"]], ("x",), {1: 2}, {None: 1, "x": 2},
    {(): 1}, {"x": 1, 2: 3}, np.array([1]),
)  # fmt: skip
_ENDLESS = _nested(20_000)
"""Deeper than Python follows; not copied, as copying follows it."""


def make(rng: random.Random, sound: Sequence[dict[str, Any]] = SOUND) -> Any:
    """Damage a context."""
    if rng.random() < 0.02:
        return copy.copy(rng.choice(NOT_A_CONTEXT))
    given = mutated_value(rng.choice(sound), rng, CONTEXT_ODD)
    if isinstance(given, dict):
        if rng.random() < 0.5:
            given[rng.choice(KEYS)] = copy.copy(rng.choice(CONTEXT_ODD))
        if rng.random() < 0.01:
            given[rng.choice(KEYS)] = rng.choice((_ENDLESS, {"x": _ENDLESS}))
    return given


def take(given: Any) -> None:
    """Parse a context, and all that is made of it."""
    before = list(given) if isinstance(given, dict) else None
    context = parse_context(given)
    judge(context, context.options)
    if before is not None and list(given) != before:
        raise WrongError("the context was changed")


def judge(context: Context, options: Options) -> None:
    """Hold a context that was accepted to what `Context` promises."""
    numbers, carried = context.numbers, context.carried
    if not (np.isfinite([numbers.scale, numbers.offset]).all() and numbers.scale > 0):
        raise WrongError(f"{numbers}")
    if not all(type(pixels) is int and pixels >= 0 for pixels in carried):
        raise WrongError(f"carried {carried}")
    if not all(type(name) is str for name in (*context.models, *(context.bands or ()))):
        raise WrongError(f"models {context.models}, bands {context.bands}")
    if options.tta and not 0 <= options.tta.depth <= 7:
        raise WrongError(f"{options.tta}")
    # Caches are told by options.
    hash((options, numbers))


def _parsed(_: Path) -> Subject:
    def warm() -> None:
        for each in SOUND:
            take(each)

    return Subject(make=make, take=take, warm=warm)


# -- chunks ---------------------------------------------------------------------------------


class Labels:
    """Stands for the metadata of a cube in a back-end."""

    class _Dimension:
        name = "bands"

    band_dimension = _Dimension()

    def rename_labels(self, dimension: str, target: list[str]) -> list[str]:
        """Give the new labels."""
        assert dimension == "bands"
        return target


def _dictionary(rng: random.Random, sound: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Damage a context into another dictionary with words for keys, as JSON's all are."""
    given = make(rng, sound)
    whole = isinstance(given, dict) and all(isinstance(key, str) for key in given)
    return given if whole else dict(sound[0])


def _chunks(folder: Path) -> Subject:
    """Prepare a network that answers at once, and a chunk of 6 x 5 pixels with two bands."""
    network = folder / "net.onnx"
    network.write_bytes(NETWORK)
    network.with_suffix(".json").write_bytes(jsoned(small()))
    numbers = np.arange(60, dtype=np.float32).reshape(1, 2, 6, 5) * 100
    bands = {"bands": ["B02", "B03"]}
    cube = xr.DataArray(numbers, dims=("t", "bands", "y", "x"), coords=bands)
    sound = [{**each, "model": str(network)} for each in SOUND]

    def run(given: Any) -> str | None:
        path = list(sys.path)
        try:
            answer = udf.apply_datacube(cube, given)
            labels = udf.apply_metadata(Labels(), given)
        except CloudmaskError as error:
            if "\n" in str(error):
                raise WrongError(f"of several lines: {error}") from error
            raise
        finally:
            sys.path[:] = path
        if answer.dims != cube.dims or list(answer["bands"].values) != labels:
            raise WrongError(f"{answer.dims}, {labels}")
        return None

    def warm() -> None:
        with suppress(ImportError):
            # Where the client is installed a worker tells it of warnings.
            import openeo.udf.debug  # noqa: F401
        for layout in ("mask", "probabilities"):
            run({"model": str(network), "layout": layout, "preset": "dn"})

    return Subject(make=lambda rng: _dictionary(rng, sound), take=run, warm=warm)


TARGETS = (
    Trials(
        name="contexts",
        kind="contexts",
        trials=30_000,
        refusals=(CloudmaskError,),
        prepare=_parsed,
    ),
    Trials(
        name="contexts of chunks",
        kind="contexts",
        trials=2_000,
        refusals=(CloudmaskError,),
        prepare=_chunks,
        hungry=True,  # a chunk may want more than there is, which is told
    ),
)
