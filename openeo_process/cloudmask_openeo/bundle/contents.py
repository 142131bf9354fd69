"""What goes into an archive, and what its bundle.json says about it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudmask import __version__
from cloudmask.errors import OptionError
from cloudmask.registry import meant
from cloudmask_openeo.bundle.archive import merged
from cloudmask_openeo.bundle.networks import packed
from cloudmask_openeo.bundle.runtime import third_party
from cloudmask_openeo.bundle.target import Target
from cloudmask_openeo.bundle.wheels import own_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cloudmask_openeo.bundle.networks import Network

DESCRIPTION = "bundle.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to bundle, for where."""

    models: tuple[str, ...] = ()
    """Names of networks or paths of .onnx files; the package's own are always there."""
    output: Path
    """The archive to make, a .zip."""
    target: Target = field(default_factory=Target)
    onnxruntime: str | None = None
    """Version, or "installed"; default see `cloudmask_openeo.bundle.runtime.third_party`."""
    wheels: tuple[Path, ...] = ()
    """Wheels to take along; one of ONNX Runtime stands in for the download."""
    check: bool = True
    """Whether to run the UDF out of the archive before handing it over."""

    def __post_init__(self) -> None:
        """Refuse what cannot be an archive, and to write over what is read."""
        if self.output.suffix != ".zip":
            raise OptionError(
                f"output {self.output}: must end in .zip, back-ends unpack by the ending"
            )
        if not self.output.parent.is_dir():
            raise OptionError(
                f"{self.output.parent}: there is no such folder, for {self.output.name}"
            )
        if self.output.resolve() in {path.resolve() for path in self.wheels}:
            raise OptionError(f"output {self.output}: is a wheel to be read; choose another name")


@dataclass(frozen=True, slots=True)
class Contents:
    """All files of an archive."""

    files: Mapping[str, bytes]
    """By name."""
    networks: tuple[Network, ...]
    packages: tuple[str, ...]
    """Name and version of each third-party package."""

    @property
    def unpacked(self) -> int:
        """Bytes on disk once unpacked."""
        return sum(map(len, self.files.values()))


def collect(order: Order) -> Contents:
    """Bring together what an archive holds.

    Raises:
        ModelError: A network is unknown, absent or damaged.
        OptionError: Two networks have one name, or ONNX Runtime cannot be had for the target.
        ArchiveError: A wheel has entries that must not be unpacked.
    """
    networks = tuple(packed(each) for given in order.models for each in meant(given))
    _check_names(networks)
    packages = third_party(order.target, order.wheels, order.onnxruntime)
    wheel, content = own_wheel()
    described = _described(order.target, packages, networks)
    files = merged(
        {
            "the package": {wheel: content, DESCRIPTION: described},
            **packages,
            **{f"model {each.spec.name}": each.files for each in networks},
        }
    )
    return Contents(files, networks, tuple(packages))


def core_wheel() -> bytes:
    """Make a small wheel of our core, to stand in a UDF's text: without networks."""
    return own_wheel(compressed=True, networks=False)[1]


def _check_names(networks: tuple[Network, ...]) -> None:
    names = [network.spec.name for network in networks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OptionError(f"model {', '.join(twice)} is given twice; a name can be there once")


def _described(target: Target, packages: Iterable[str], networks: Iterable[Network]) -> bytes:
    """Say what is inside: versions, target, networks with their hashes and licences."""
    described: dict[str, Any] = {
        "cloudmask": __version__,
        "target": {"python": target.python, "platform": target.platform},
        "packages": dict(sorted(each.split() for each in packages)),
        "models": [network.description for network in networks],
    }
    return (json.dumps(described, indent=2, ensure_ascii=False) + "\n").encode()
