"""Wheels: our own made from the installed package, others read, fetched or taken as installed."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tempfile
from importlib import metadata, resources
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.tags import Tag, parse_tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from cloudmask import __version__
from cloudmask.errors import OptionError
from cloudmask_openeo.bundle.archive import ArchiveError, read_zip, write_zip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution
    from importlib.resources.abc import Traversable

    from cloudmask_openeo.bundle.target import Target

DISTRIBUTION = "openeo-cloudmask"
_INFO = f"openeo_cloudmask-{__version__}.dist-info"

_KINDS = (".py", ".json", ".typed", ".onnx")
# A person's tools (they need more packages), and tests of networks that are not in the wheel.
_NOT_FOR_WORKERS = (
    "cloudmask/local/",
    "cloudmask/strategies/",
    "cloudmask/__main__.py",
    "cloudmask/testing.py",
)


def own_wheel(*, compressed: bool = False, networks: bool = True) -> tuple[str, bytes]:
    """Make a wheel of the core, as it is installed, for workers.

    It is pure Python and can be imported as it is, by zipimport.

    Args:
        compressed: Less than half the size; else the bytes depend on nothing but the package.
        networks: Whether to take the package's own along.

    Returns:
        Its file name and its content.
    """
    core = _walk(resources.files("cloudmask"), "cloudmask")
    kinds = _KINDS if networks else tuple(kind for kind in _KINDS if kind != ".onnx")
    files = {name: content for name, content in core if _is_for_workers(name, kinds)}
    files |= _licences()
    files[f"{_INFO}/METADATA"] = _metadata().encode()
    files[f"{_INFO}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: cloudmask bundle\nRoot-Is-Purelib: true\n"
        b"Tag: py3-none-any\n"
    )
    record = f"{_INFO}/RECORD"
    lines = [f"{name},{_digest(files[name])},{len(files[name])}" for name in sorted(files)]
    files[record] = "".join(f"{line}\n" for line in [*lines, f"{record},,"]).encode()
    made = BytesIO()
    write_zip(made, files, compressed=compressed)
    return f"openeo_cloudmask-{__version__}-py3-none-any.whl", made.getvalue()


def _walk(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for each in folder.iterdir():
        inside = f"{name}/{each.name}"
        if each.is_dir():
            yield from _walk(each, inside)
        elif each.is_file():
            yield inside, each.read_bytes()


def _is_for_workers(name: str, kinds: tuple[str, ...]) -> bool:
    return (
        name.endswith(kinds)
        and "__pycache__" not in name
        and not name.startswith(_NOT_FOR_WORKERS)
    )


def _installed(name: str) -> Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def _metadata() -> str:
    """Say what the wheel is; without the extras, whose code is not in it."""
    found = _installed(DISTRIBUTION)
    requires = sorted(
        each for each in (found.requires if found else None) or [] if ";" not in each
    )
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {DISTRIBUTION}",
        f"Version: {__version__}",
        "Summary: Cloud and cloud-shadow masks for Sentinel-2: what an openEO worker needs.",
        "License: MIT",
        "Requires-Python: >=3.11",
        *(f"Requires-Dist: {each}" for each in requires),
    ]
    return "".join(f"{line}\n" for line in lines)


def _licences() -> dict[str, bytes]:
    texts = licence_texts(DISTRIBUTION)
    return {f"{_INFO}/licenses/{name}": text for name, text in texts.items()}


def licence_texts(distribution: str) -> dict[str, bytes]:
    """Find the licence files of an installed distribution, by file name; there may be none."""
    found = _installed(distribution)
    files = (found.files or []) if found else []
    texts = [
        file
        for file in files
        if any(part.endswith((".dist-info", ".egg-info")) for part in file.parts)
        and file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE"))
    ]
    return {file.name: Path(str(file.locate())).read_bytes() for file in texts}


def _digest(content: bytes) -> str:
    plain = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return "sha256=" + plain.rstrip(b"=").decode()


def read_wheel(path: Path, target: Target) -> tuple[str, dict[str, bytes]]:
    """Read a wheel's files, where an import would look for them.

    Returns:
        Name and version ("onnxruntime 1.32.0"), and the files by name.

    Raises:
        OptionError: It is no wheel, or not for the target.
        ArchiveError: It has entries that must not be unpacked.
    """
    try:
        name, version, _, tags = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise OptionError(
            f"wheel {path}: {error}; give the file as pip download made it"
        ) from None
    _check_tags(str(path), tags, target)
    return f"{name} {version}", _importable(read_zip(path))


def _check_tags(what: str, tags: frozenset[Tag], target: Target) -> None:
    if not target.takes(tags):
        raise OptionError(
            f"{what} is for {', '.join(sorted(map(str, tags)))}, not for Python {target.python} "
            f"on {target.platform}; give another wheel, or --python and --platform"
        )


def _importable(files: dict[str, bytes]) -> dict[str, bytes]:
    """Put the parts of NAME.data where installing would; leave out commands and headers."""
    result = {}
    for name, content in files.items():
        top, _, rest = name.partition("/")
        if top.endswith(".data"):
            scheme, _, inside = rest.partition("/")
            if scheme in ("purelib", "platlib"):
                result[inside] = content
        else:
            result[name] = content
    return result


def installed_wheel(name: str, target: Target) -> tuple[str, dict[str, bytes]]:
    """Take the files of an installed distribution, as its wheel has brought them.

    Returns:
        As `read_wheel`.

    Raises:
        OptionError: It is not installed, or not for the target.
        ArchiveError: A file is not the one that was installed.
    """
    found = _installed(name)
    if found is None:
        raise OptionError(f"{name} is not installed here; give its version, or a wheel")
    _check_tags(f"the installed {name}", _tags_of(found), target)
    return f"{name} {found.version}", dict(_pristine(found))


def fits(name: str, target: Target) -> bool:
    """Whether a distribution is installed whose files run on the target."""
    found = _installed(name)
    return found is not None and target.takes(_tags_of(found))


def installed_version(name: str) -> str | None:
    """Tell the version of an installed distribution; None if it is not installed."""
    found = _installed(name)
    return found.version if found else None


def _tags_of(found: Distribution) -> frozenset[Tag]:
    lines = (found.read_text("WHEEL") or "").splitlines()
    tags = [parse_tag(line.removeprefix("Tag: ")) for line in lines if line.startswith("Tag: ")]
    return frozenset().union(*tags)


def _pristine(found: Distribution) -> Iterator[tuple[str, bytes]]:
    """Give the files that came with the wheel, not those made after it: they have no hash."""
    for file in found.files or []:
        # Commands lie outside, in the environment's bin folder.
        if file.hash is None or ".." in file.parts:
            continue
        content = Path(str(file.locate())).read_bytes()
        if _digest(content) != f"{file.hash.mode}={file.hash.value}":
            raise ArchiveError(
                f"the installed {found.name}: {file} is not the file that was installed; install "
                "it again, or give a wheel"
            )
        # Written by the installer.
        if file.name not in ("INSTALLER", "REQUESTED", "direct_url.json"):
            yield file.as_posix(), content


def download(name: str, version: str | None, target: Target) -> tuple[str, dict[str, bytes]]:
    """Fetch a wheel for the target from the package index, with pip and as it is configured.

    Returns:
        As `read_wheel`.

    Raises:
        OptionError: There is none, or no index.
    """
    wanted = f"{name}=={version}" if version else name
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 - our own arguments, no shell
            [
                sys.executable, "-m", "pip", "--disable-pip-version-check", "download",
                "--no-deps", "--only-binary=:all:", "--no-input", "--quiet",
                "--python-version", target.python, "--implementation", "cp",
                *(f"--platform={platform}" for platform in target.platforms),
                "--dest", folder, "--", wanted,
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
            raise OptionError(
                f"{wanted} for Python {target.python} on {target.platform} cannot be fetched "
                f"({said[-1].removeprefix('ERROR: ') if said else done.stderr.strip()}); choose "
                "another version, or give a wheel that you have with --wheel"
            )
        return read_wheel(wheels[0], target)
