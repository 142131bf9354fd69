"""The manifest of a network: a STAC MLM Item, read with the standard library.

One Item (STAC 1.1, Machine Learning Model extension 1.5) describes one ONNX file: what to feed
it, what it answers, whose it is. Tiling and augmentation stand under
`mlm:hyperparameters.inference` as defaults that a caller may override
(docs/models.md lists every field).
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, get_args

from cloudmask.augment import TTA
from cloudmask.checks import finite, whole
from cloudmask.errors import ModelError
from cloudmask.fields import band_name, codes, softmax, standardisation
from cloudmask.windows import Tiling

METADATA_KEY = "stac_mlm_item"
"""Key of an ONNX file's metadata_props under which its manifest stands."""

SHA256_MULTIHASH = "1220"
"""What a sha256 starts with as a multihash (function code 0x12, 0x20 bytes), STAC file
extension."""


Resampling = Literal["average", "nearest"]
"""How finer pixels are brought to a network's: their mean, or the one at its pixel's centre."""


@dataclass(frozen=True, slots=True)
class TestFiles:
    """Where a network's own test lies, relative to its manifest (`cloudmask.selftest`)."""

    __test__ = False  # no test case, whatever a test runner makes of the name

    input: str
    """A .npy file: (band, y, x) reflectance x 10000."""
    bands: tuple[str, ...]
    """Names along its first axis."""
    output: str
    """A .npy file: (channel, y, x) probabilities in steps of 1/250."""
    tolerance: float
    """Share of pixels whose class may differ, 0..1."""


_TEXTS = (
    "name", "input_name", "title", "version", "level", "licence", "citation", "sha256", "file",
    "package", "extra", "family",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """All that is needed to run a network, and to say which one ran."""

    name: str
    family: str = ""
    """Name that the networks of one ensemble share, such as "clouds2mask-20m-int8"; empty for
    none. It says the precision, if that is not float32."""
    bands: tuple[str, ...]
    """Input bands in the network's order, Sentinel-2 names where they are such."""
    classes: tuple[int, ...]
    """Class code (`cloudmask.classes`) of each output channel."""
    tile: int
    """Edge of a tile in pixels; part of the model, its answer depends on it."""
    overlap: int
    """Default overlap of neighbouring tiles in pixels."""
    multiple: int = 1
    """The tile must be a multiple of this."""
    fixed_tile: bool = False
    """Whether the network takes `tile` only."""
    mean: tuple[float, ...] = ()
    """Reflectance to subtract, a band each; empty for none."""
    std: tuple[float, ...] = ()
    """Reflectance to divide by after that, a band each; empty for none."""
    softmax: bool = False
    """Whether the output is logits, so that a softmax makes probabilities of them."""
    pixel_size: float = 10.0
    """Metres a pixel that the network was trained on."""
    resampling: Resampling = "average"
    """How its authors brought finer pixels to that size."""
    tta: TTA = TTA()
    """Default test-time augmentation."""
    input_name: str = "input"
    """Name of the ONNX graph's input."""
    title: str = ""
    version: str = ""
    level: str = ""
    """Processing level of the imagery it was trained on, L1C or L2A."""
    licence: str = ""
    """SPDX identifier."""
    citation: str = ""
    sha256: str = ""
    """Of the ONNX file, hexadecimal; empty if the manifest does not pin it and it is not open."""
    file: str = ""
    """The ONNX file, relative to the manifest or to the installed package that holds it."""
    size: int = 0
    """Bytes of that file; 0 if not known."""
    bytes_per_pixel: float = 0.0
    """Working memory of a network call in bytes a pixel of a tile, beside the weights; 0 if not
    known."""
    flops_per_pixel: float = 0.0
    """Floating point operations of a call a pixel of a tile (a multiplication with its addition
    counts 2); 0 if not known."""
    package: str = ""
    """Python package that holds the file, if one does."""
    extra: str = ""
    """Extra of this distribution that installs that package."""
    test: TestFiles | None = None
    """The network's own test, if it has one."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        self._check_texts()
        self._check_names()
        self._check_files()
        self._check_scaling()
        self._check_costs()
        if self.resampling not in get_args(Resampling):
            self._refuse(f"resampling {self.resampling!r} must be average or nearest")
        self.tiling()

    def _check_texts(self) -> None:
        for name in _TEXTS:
            if not isinstance(getattr(self, name), str):
                self._refuse(f"{name} {getattr(self, name)!r} is no text")
        if not all(isinstance(band, str) for band in self.bands):
            self._refuse(f"bands {self.bands} must be names")

    def _check_names(self) -> None:
        if not self.bands or len(set(self.bands)) < len(self.bands):
            self._refuse(f"bands {self.bands} must be some, all different")
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):  # noqa: PLR2004
            self._refuse(f"classes {self.classes} must be two or more, all different")

    def _check_files(self) -> None:
        tests = (self.test.input, self.test.output) if self.test else ()
        for place in (self.file, *tests):
            if not _is_beside(place):
                self._refuse(f"file {place!r} must be a name relative to the manifest, no '..'")
        # "a.b" would be looked for by importing a.
        if self.package and not self.package.isidentifier():
            self._refuse(f"package {self.package!r} must be a package's name, without dots")

    def _check_scaling(self) -> None:
        scaled = bool(self.mean or self.std)
        for name, values in (("mean", self.mean), ("stddev", self.std)):
            if len(values) != len(self.bands) * scaled:
                self._refuse(
                    f"{len(values)} values of {name} for {len(self.bands)} bands; there must be "
                    "one a band, of mean and stddev both"
                )
        if not all(map(math.isfinite, (*self.mean, *self.std, self.pixel_size))):
            self._refuse(
                f"mean {self.mean}, stddev {self.std} and pixel size {self.pixel_size} must be "
                "finite"
            )
        if min((*self.std, self.pixel_size)) <= 0:
            self._refuse(
                f"stddev {self.std} and pixel size {self.pixel_size} must be greater than 0"
            )

    def _check_costs(self) -> None:
        object.__setattr__(self, "size", whole("file:size", self.size, least=0))
        for name in ("bytes_per_pixel", "flops_per_pixel"):
            value = finite(name, getattr(self, name))
            if value < 0:
                self._refuse(f"{name} {value:g} must be 0 (not known) or more")
            object.__setattr__(self, name, float(value))

    def _refuse(self, why: str) -> NoReturn:
        raise ModelError(f"model {self.name!r}: {why}")

    def tiling(self, tile: int | None = None, overlap: int | None = None) -> Tiling:
        """Choose tile and overlap, the defaults being the network's.

        Raises:
            ModelError: The network takes another tile only.
            OptionError: The sizes cannot work.
        """
        if self.fixed_tile and tile not in (None, self.tile):
            raise ModelError(
                f"tile={tile}: model {self.name!r} takes tiles of {self.tile} pixels only; leave "
                "the tile to the model"
            )
        edge = self.tile if tile is None else whole("tile", tile, least=1)
        if overlap is None:
            overlap = (
                self.overlap if edge == self.tile else self.overlap * edge // self.tile // 2 * 2
            )
        return Tiling(edge, overlap, self.multiple)


def _is_beside(place: str) -> bool:
    """Tell whether a file's name cannot leave the folder that it is relative to."""
    parts = place.replace("\\", "/").split("/")
    drive = re.fullmatch("[A-Za-z]:.*", place)
    return not place or (bool(parts[0]) and not drive and not {"..", "\0"} & {*parts, *place})


def parse_manifest(text: str | bytes) -> ModelSpec:
    """Read a STAC MLM Item.

    Raises:
        ModelError: It is no JSON, no such Item, or asks for something unknown.
    """
    try:
        item = json.loads(text)
        return _spec(item)
    except ModelError:
        raise
    except (KeyError, IndexError) as error:
        raise ModelError(f"manifest: {error} is missing; a STAC MLM Item must have it") from error
    except (TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise ModelError(f"manifest: not a readable STAC MLM Item ({error})") from error


def _spec(item: dict[str, Any]) -> ModelSpec:
    properties = item["properties"]
    takes, gives = _only(properties, "mlm:input"), _only(properties, "mlm:output")
    inference = properties["mlm:hyperparameters"]["inference"]
    asset = _model_asset(item["assets"])
    mean, std = standardisation(takes.get("value_scaling") or [])
    return ModelSpec(
        name=properties["mlm:name"],
        family=properties.get("cloudmask:family", ""),
        title=properties.get("title", ""),
        version=str(properties.get("version", "")),
        level=properties.get("processing:level", ""),
        licence=properties.get("license", ""),
        citation=properties.get("sci:citation", ""),
        pixel_size=float(properties["gsd"]),
        resampling=inference.get("resampling", "average"),
        bands=tuple(band_name(band) for band in takes["bands"]),
        mean=mean,
        std=std,
        input_name=takes["name"],
        classes=codes(gives["classification:classes"]),
        softmax=softmax(inference),
        tile=inference["tile_size"],
        overlap=inference["overlap"],
        multiple=inference.get("size_multiple", 1),
        fixed_tile=takes["input"]["shape"][-1] > 0,
        tta=TTA(depth=inference.get("tta_depth", 0)),
        sha256=_sha256(asset.get("file:checksum", "")),
        file=asset["href"],
        size=asset.get("file:size", 0),
        bytes_per_pixel=inference.get("bytes_per_pixel", 0.0),
        flops_per_pixel=inference.get("flops_per_pixel", 0.0),
        package=asset.get("cloudmask:package", ""),
        extra=asset.get("cloudmask:extra", ""),
        test=_test_files(item["assets"]),
    )


def _only(properties: dict[str, Any], key: str) -> dict[str, Any]:
    if len(properties[key]) != 1:
        raise ModelError(f"manifest: {key} has {len(properties[key])} entries; one is supported")
    only: dict[str, Any] = properties[key][0]
    return only


def _model_asset(assets: dict[str, Any]) -> dict[str, Any]:
    for asset in assets.values():
        if "mlm:model" in asset.get("roles", ()):
            found: dict[str, Any] = asset
            return found
    raise ModelError("manifest: no asset has the role mlm:model; the ONNX file must have it")


def _test_files(assets: dict[str, Any]) -> TestFiles | None:
    if "test-input" not in assets or "test-output" not in assets:
        return None
    given, kept = assets["test-input"], assets["test-output"]
    return TestFiles(
        input=str(given["href"]),
        bands=tuple(band_name(band) for band in given["bands"]),
        output=str(kept["href"]),
        tolerance=float(kept["cloudmask:tolerance"]),
    )


def _sha256(multihash: str) -> str:
    if not multihash:
        return ""
    if not re.fullmatch(SHA256_MULTIHASH + "[0-9a-f]{64}", multihash.lower()):
        raise ModelError(
            f"manifest: file:checksum {multihash!r} is no sha256 multihash; it must be "
            f"{SHA256_MULTIHASH} and 64 hexadecimal digits"
        )
    return multihash.lower().removeprefix(SHA256_MULTIHASH)
