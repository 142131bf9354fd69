"""Masks that are there already, as files: of Fmask, Sen2Cor, KappaMask, a network elsewhere."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.windows import Window

from cloudmask.errors import CloudmaskError
from cloudmask.local.compare.aligned import Layer, aligned
from cloudmask.local.compare.recognise import band_for, scheme_for
from cloudmask.local.compare.schemes import LARGEST_CODE, SCHEMES
from cloudmask.local.readers import gdal, opened
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from cloudmask.local.compare.schemes import Scheme
    from cloudmask_export.evaluation.samples import Sample

ENDINGS = (".tif", ".tiff", ".jp2", ".vrt", ".img")
PREFIX = "files:"
FORM = "files:FOLDER or files:FOLDER:SCHEME"
SHOWN = 3
"""Files that a message names."""


@dataclass(frozen=True, slots=True)
class Files:
    """A folder of masks, one a sample, found by the sample's name."""

    name: str
    folder: Path
    scheme: Scheme
    """With a code for no data, whether or not the files' own scheme has one."""
    no_data: int
    files: Mapping[str, tuple[Path, ...]]
    """Stem, lower case -> the files that have it."""

    @classmethod
    def named(cls, name: str, schemes: Mapping[str, Scheme] = SCHEMES) -> Files:
        """Look into a folder.

        Args:
            name: `files:FOLDER` or `files:FOLDER:SCHEME`.
            schemes: What may be asked for.

        Raises:
            EvaluationError: There is no such folder or scheme, or no mask in it, or the first one
                does not say what its codes mean.

        Warns:
            SchemeWarning: The first one says that its codes are others than those asked for.
        """
        folder, asked = _folder_and_scheme(name, schemes)
        files = sorted(each for each in folder.rglob("*") if each.suffix.lower() in ENDINGS)
        if not files:
            raise EvaluationError(f"{folder}: holds no mask ({', '.join(ENDINGS)})")
        scheme, no_data = with_no_data(_said(files[0], asked, name))
        by_stem: dict[str, tuple[Path, ...]] = {}
        for each in files:
            by_stem[each.stem.lower()] = (*by_stem.get(each.stem.lower(), ()), each)
        return cls(name, folder, scheme, no_data, by_stem)

    @property
    def title(self) -> str:
        """Whose masks they are, as far as the scheme tells."""
        return f"files in {self.folder.name}: {self.scheme.title}"

    def predict(self, sample: Sample) -> NDArray[np.integer]:
        """See `samples.Predictor`."""
        path = self.found(sample)
        try:
            with gdal(), opened(path) as dataset:
                layer = Layer(dataset, band_for(dataset, self.scheme), str(path))
                codes, valid = _on_grid(layer, sample)
        except CloudmaskError as error:
            if isinstance(error, EvaluationError):
                raise
            raise EvaluationError(str(error)) from error
        return self._checked(path, codes, valid)

    def found(self, sample: Sample) -> Path:
        """Find the file of a sample.

        Its stem is the sample's name or begins or ends with it, `NAME_fmask.tif` say.

        Raises:
            EvaluationError: There is none, or there are several.
        """
        name = re.split(r"[/\\]", sample.name)[-1].lower()
        exact = self.files.get(name)
        near = [file for stem, files in self.files.items() if _is_of(stem, name) for file in files]
        some = exact or tuple(near)
        if len(some) == 1:
            return some[0]
        shown = ", ".join(str(each.relative_to(self.folder)) for each in some[:SHOWN])
        why = f"several masks of it ({shown})" if some else "no mask of it"
        raise EvaluationError(
            f"{self.folder}: holds {why}, sample {sample.name}; one file {name}.tif or "
            f"{name}_*.tif is needed"
        )

    def _checked(
        self, path: Path, codes: NDArray[Any], valid: NDArray[np.bool_]
    ) -> NDArray[np.integer]:
        if codes.dtype.kind == "f":
            valid = valid & np.isfinite(codes)
        if codes.dtype.kind not in "iufb":
            raise EvaluationError(f"{path}: holds {codes.dtype}, no class codes")
        known = np.isin(codes, list(self.scheme.codes)) & valid
        if (strange := np.unique(codes[valid & ~known])).size:
            shown = ", ".join(f"{each:g}" for each in strange[:SHOWN])
            raise EvaluationError(
                f"{path}: has the codes {shown}, but {self.scheme.name} ({self.scheme.title}) has "
                f"only {', '.join(map(str, self.scheme.codes))}; say another with {FORM}"
            )
        return np.where(known, np.where(valid, codes, 0), self.no_data).astype(np.int32)


def with_no_data(scheme: Scheme) -> tuple[Scheme, int]:
    """Give a scheme that has a code for no data, and that code."""
    for code, meant in scheme.codes.items():
        if not meant:
            return scheme, code
    free = next(code for code in (255, LARGEST_CODE) if code not in scheme.codes)
    return replace(scheme, codes={**scheme.codes, free: ()}), free


def _folder_and_scheme(name: str, schemes: Mapping[str, Scheme]) -> tuple[Path, Scheme | None]:
    place = name.removeprefix(PREFIX)
    folder, colon, asked = place.rpartition(":")
    if colon and asked in schemes:
        place = folder
    if place and Path(place).is_dir():
        return Path(place), schemes.get(asked) if colon else None
    if folder and Path(folder).is_dir():
        raise EvaluationError(f"{name}: scheme {asked!r}: choose among {', '.join(schemes)}")
    raise EvaluationError(f"{name}: there is no such folder; the form is {FORM}")


def _said(path: Path, asked: Scheme | None, name: str) -> Scheme:
    """Take the scheme that was asked for, else let a file say what its codes mean."""
    try:
        with gdal(), opened(path) as dataset:
            return scheme_for(dataset, asked, f"{name}:SCHEME")
    except CloudmaskError as error:
        raise EvaluationError(str(error)) from error


def _is_of(stem: str, name: str) -> bool:
    """Tell whether a name stands at a stem's beginning or end, and is not part of a longer one."""
    begins = stem.startswith(name) and not stem[len(name) :][:1].isalnum()
    ends = stem.endswith(name) and not stem[: -len(name)][-1:].isalnum()
    return begins or ends


def _on_grid(layer: Layer, sample: Sample) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read codes and validity (y, x) on a sample's grid, the nearest pixel for each."""
    shape = sample.image().shape
    with _placed(sample, shape) as own:
        if own is not None and layer.dataset.crs is not None:
            with aligned(Layer(own, 1, str(sample.path)), layer) as pair:
                return pair.b.read(Window(0, 0, own.width, own.height))
    codes, valid = layer.read(Window(0, 0, layer.dataset.width, layer.dataset.height))
    steps = [
        want // have if want % have == 0 else 0
        for want, have in zip(shape, codes.shape, strict=True)
    ]
    if 0 in steps or steps[0] != steps[1]:
        raise EvaluationError(
            f"{layer.place}: is {codes.shape[0]} x {codes.shape[1]} pixels, but sample "
            f"{sample.name} has {shape[0]} x {shape[1]}, which is no multiple; cut it out of its "
            "scene on the sample's grid"
        )
    return codes.repeat(steps[0], 0).repeat(steps[0], 1), valid.repeat(steps[0], 0).repeat(
        steps[0], 1
    )


@contextmanager
def _placed(sample: Sample, shape: tuple[int, int]) -> Iterator[Any]:
    """Open the sample's own file if that says where on Earth its grid is, else give None."""
    if sample.path.is_file() and sample.path.suffix.lower() in ENDINGS:
        with opened(sample.path) as dataset:
            yield dataset if dataset.crs is not None and dataset.shape == shape else None
    else:
        yield None
