"""What to make of one scene, and where to put it."""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudmask.default import first_fitting
from cloudmask.errors import OptionError
from cloudmask.local.product import Wanted
from cloudmask.local.readers import find_scenes, gdal
from cloudmask.local.writers import CUBES, GEOTIFF
from cloudmask.options import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudmask.bands import Preset
    from cloudmask.local.product import Product, Scene
    from cloudmask.spec import ModelSpec

_MASKS = ("a mask", (*GEOTIFF, *CUBES))
_PNG = ("a PNG", (".png",))
_ITEM = ("a STAC Item", (".json",))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileJob:
    """What to make of one scene."""

    scene: Any
    """A `cloudmask.local.product.Scene`; or path or address of one, which becomes it."""
    output: Path
    """GeoTIFF, netCDF or Zarr of class codes."""
    models: tuple[Any, ...] = ()
    """Names or paths of networks, or opened ones; several make an ensemble. None for what
    `cloudmask.default` chooses by the scene's bands."""
    preset: str | Preset | None = None
    """What the numbers mean; None for what the scene says, "dn" where it says nothing."""
    bands: tuple[str, ...] | None = None
    """Names of the scene's bands in their order; None to read them off the scene."""
    options: Options = field(default_factory=Options)
    resolution: str | float = "model"
    """Pixel size to run at: "model" for the network's own, "native" for the scene's, or metres."""
    probabilities: Path | None = None
    """File of class probabilities to make as well; netCDF and Zarr may hold both."""
    quicklook: Path | None = None
    """PNG of scene and mask to make as well."""
    thumbnail: Path | None = None
    """PNG of the scene alone to make as well."""
    item: Path | None = None
    """STAC Item of all this to make as well, the last of all."""
    quiet: bool = False

    def __post_init__(self) -> None:
        """Find the scene; refuse to write over what is read or written, and strange sizes.

        Raises:
            OptionError: See there.
            CubeError: There is no such scene, or there are several.
        """
        if isinstance(self.scene, (str, Path)):
            object.__setattr__(self, "scene", _only(self.scene))
        self._check_places()
        if isinstance(self.resolution, str):
            if self.resolution not in ("model", "native"):
                raise OptionError(
                    f"resolution={self.resolution!r}: 'model', 'native' or a number of metres"
                )
        elif not self.resolution > 0 or self.resolution == math.inf:
            raise OptionError(
                f"resolution={self.resolution}: must be greater than 0 metres, and finite"
            )

    def wanted(self, spec: ModelSpec) -> Wanted:
        """Say what a network wants of the scene."""
        metres = spec.pixel_size if isinstance(self.resolution, str) else self.resolution
        return Wanted(bands=spec.bands, pixel_size=metres, preset=self.preset, names=self.bands)

    @contextmanager
    def opened(self) -> Iterator[tuple[FileJob, Product]]:
        """Open the scene for its networks.

        Yields:
            This job, with the network that its bands allow if it names none; the open scene.

        Raises:
            BandError: A band is missing.
            CubeError: The scene cannot be read.
            ModelError: A network is unknown.
        """
        with ExitStack() as stack:
            stack.enter_context(gdal())
            products: list[Product] = []

            def enter(spec: ModelSpec) -> None:
                products.append(stack.enter_context(self.scene.opened(self.wanted(spec))))

            if self.models:
                enter(self.options.specs(self.models)[0])
                yield self, products[-1]
            else:
                job = replace(self, models=(first_fitting(enter),))
                yield job, products[-1]

    def _check_places(self) -> None:
        source = Path(self.scene.place).resolve()
        taken = {source: "the input"}
        taken |= {path.resolve(): "a file of the input" for path in self.scene.sources()}
        for path, (kind, suffixes) in self._outputs:
            real = path.resolve()
            if path.suffix.lower() not in suffixes:
                ends = ", ".join(suffixes)
                raise OptionError(f"{path}: {kind} is written, so the name must end in {ends}")
            if not path.parent.is_dir():
                raise OptionError(f"{path.parent}: there is no such folder, for {path.name}")
            if real in taken:
                raise OptionError(f"{path}: is {taken[real]} too; choose another name")
            if source in real.parents:
                raise OptionError(f"{path}: lies inside the input; choose another place")
            taken[real] = "another output"
        if self.quicklook and self.output.suffix.lower() in CUBES:
            raise OptionError(
                f"{self.quicklook}: a picture is drawn of a GeoTIFF mask; let the name of "
                f"{self.output.name} end in .tif"
            )

    @property
    def _outputs(self) -> list[tuple[Path, tuple[str, tuple[str, ...]]]]:
        """The files to make, with their format, less what always lies beside the mask."""
        both = self.output.suffix.lower() in CUBES and self.output == self.probabilities
        some = (
            (self.output, _MASKS),
            (None if both else self.probabilities, _MASKS),
            (self.quicklook, _PNG),
            (self.thumbnail, _PNG),
            (self.item, _ITEM),
        )
        return [(path, kind) for path, kind in some if path is not None]


def _only(source: str | Path) -> Scene:
    found = find_scenes(source)
    if len(found) != 1:
        names = ", ".join(scene.name for scene in found[:3]) + ", ..." * (len(found) > 3)  # noqa: PLR2004
        raise OptionError(
            f"{source}: one scene is wanted here, there are {len(found)} ({names}); for several "
            "say a folder to write to, such as -o masks/"
        )
    return found[0]
