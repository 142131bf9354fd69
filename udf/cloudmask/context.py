"""The context of an openEO UDF: plain JSON that says what to run, turned into frozen options.

Configuration reaches a worker in this one dictionary, never by changing the UDF's text
(docs/openeo.md lists the keys).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from reprlib import repr as _shown  # of bounded length, however deep a value is nested
from typing import Any

import numpy as np

from cloudmask.augment import TTA
from cloudmask.bands import Preset, find_preset
from cloudmask.checks import finite, whole
from cloudmask.classes import MASKED_BY_DEFAULT, Output, code_of
from cloudmask.errors import OptionError
from cloudmask.memory import MIB
from cloudmask.options import Options
from cloudmask.runtime import Runtime

DEFAULT_FOLDER = "cloudmask_deps"
"""Where a dependency archive is unpacked, relative to the worker's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the context may hold, as it is written in JSON; None stands for "not given"."""

    model: str | tuple[str, ...] | None = None
    """Name of a network, or several: an ensemble; None for what `cloudmask.default` chooses by the
    cube's bands."""
    preset: str | None = None
    """What the numbers mean; "cdse" if not given."""
    scale: float | None = None
    """With `offset` and `nodata` instead of a preset: (number + offset) * scale."""
    offset: float | None = None
    nodata: tuple[float, ...] | None = None
    bands: tuple[str, ...] | None = None
    """Names of the cube's bands in its order, if it has no labels."""
    layout: str = "mask"
    masked: tuple[str, ...] | None = None
    """Names of the classes to hide."""
    dilate: float = 0.0
    """Metres."""
    pixel_size: float | None = None
    """Metres a pixel of the chunk; needed with `dilate`."""
    stitch: str = "crop"
    tile: int | None = None
    overlap: int | None = None
    """Of tiles, in pixels."""
    tta: int | None = None
    """Augmentations beyond the plain one, 0..7."""
    adaptive: bool = True
    batch: int | None = None
    threads: int | None = None
    provider: str = "cpu"
    """Engine that runs the networks, see `cloudmask.engines.PROVIDERS`."""
    memory_mb: int | None = None
    """MiB that the worker's process may take altogether."""
    chunk_overlap: int | tuple[int, int] = 0
    """Pixels at each side of the chunk (along y and x) that belong to its neighbours."""
    deps: tuple[str, ...] = (DEFAULT_FOLDER,)
    """Folders for `sys.path`; read by the UDF's text, before this package can be imported."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself; single values are checked where they are used."""
        explicit = [
            name for name in ("scale", "offset", "nodata") if getattr(self, name) is not None
        ]
        if explicit and self.preset is not None:
            raise OptionError(
                f"context: preset={self.preset!r} and {', '.join(explicit)} are both given; a "
                "preset says all three, so give one or the other"
            )
        if explicit and self.scale is None:
            raise OptionError(f"context: {', '.join(explicit)} without scale; give scale, too")
        if not isinstance(self.adaptive, bool):
            raise OptionError(f"context: adaptive={self.adaptive!r}: must be true or false")
        if self.dilate and self.pixel_size is None:
            raise OptionError(
                f"context: dilate={self.dilate} metres, but pixel_size is not given; a worker "
                "cannot rely on coordinates, say how many metres a pixel is"
            )

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the networks; none if the cube's bands are to decide."""
        return (self.model,) if isinstance(self.model, str) else self.model or ()

    @property
    def numbers(self) -> Preset:
        """What the numbers in the cube mean."""
        if self.scale is None:
            return find_preset(self.preset or "cdse")
        scale, offset = finite("scale", self.scale), finite("offset", self.offset or 0.0)
        return Preset("of the context", scale, offset, self.nodata or ())

    @property
    def carried(self) -> tuple[int, int]:
        """Pixels along y and along x, at both ends, that belong to the chunk's neighbours."""
        given = self.chunk_overlap
        both = given if isinstance(given, tuple) else (given, given)
        if len(both) != 2:  # noqa: PLR2004 - y and x
            raise OptionError(f"context: chunk_overlap={given!r}: give one number, or [y, x]")
        y, x = (whole("chunk_overlap", value, least=0) for value in both)
        return y, x

    @property
    def options(self) -> Options:
        """How to run the networks."""
        return Options(
            stitch=self.stitch,  # type: ignore[arg-type] # Options checks the word
            tile=self.tile,
            overlap=self.overlap,
            tta=None if self.tta is None else TTA(depth=self.tta, adaptive=self.adaptive),
            batch=self.batch,
            memory=self._memory,
            pixel_size=self.pixel_size,
            output=self._output,
            runtime=Runtime(threads=self.threads, provider=self.provider),
        )

    @property
    def _memory(self) -> int | None:
        """Bytes."""
        if self.memory_mb is None:
            return None
        return whole("memory_mb", self.memory_mb, least=1) * MIB

    @property
    def _output(self) -> Output:
        masked = MASKED_BY_DEFAULT if self.masked is None else tuple(map(_code, self.masked))
        layout: Any = self.layout
        return Output(layout=layout, masked=masked, dilate=self.dilate)


def _code(name: str) -> int:
    code = code_of(str(name))
    if code is None:
        raise OptionError(
            f"context: masked: {name!r} is no class; choose among thick_cloud, thin_cloud and "
            "cloud_shadow"
        )
    return code


KEYS = tuple(field.name for field in fields(Context))
_ALL = ", ".join(KEYS)


def parse_context(given: Mapping[str, Any] | None) -> Context:
    """Read a UDF's context; it is not changed.

    Back-ends hand over numbers as they like (2.0 for 2) and null for what is not set.

    Raises:
        OptionError: A key is unknown or a value cannot work.
    """
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise OptionError(f"context: {_shown(given)} is no dictionary; known keys are {_ALL}")
    known = {key: _plain(value) for key, value in given.items() if value is not None}
    strange = sorted(map(str, set(known) - set(KEYS)))
    if strange:
        raise OptionError(f"context: unknown key {', '.join(strange)}; known are {_ALL}")
    lists = {key: _listed(key, known[key]) for key in _LISTS if key in known}
    if isinstance(known.get("model"), str):
        lists.pop("model")
    return Context(**{**known, **lists})


_LISTS = ("model", "bands", "masked", "deps", "nodata")
"""Keys that hold names, and one that holds numbers; a single one may stand alone."""


def _listed(key: str, value: Any) -> tuple[Any, ...]:
    items = value if isinstance(value, tuple) else (value,)
    if key == "nodata":
        return tuple(each if isinstance(each, float) else finite(key, each) for each in items)
    if not all(isinstance(each, str) for each in items):
        raise OptionError(f"context: {key}={_shown(value)}: must be a word or a list of words")
    return items


def _plain(value: Any) -> Any:
    """Turn JSON's lists into tuples, whole floats into integers, numpy's numbers into Python's."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    return tuple(map(_single, value)) if isinstance(value, (list, tuple)) else _single(value)


def _single(value: Any) -> Any:
    """Let pass what no key has lists of."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise OptionError(
        f"context: {_shown(value)} is neither a number, a word nor a list of them; a parameter of "
        "a process is to be resolved by the back-end"
    )
