"""The commands `cloudmask export`, `fetch` and `verify`; `cloudmask_export` does the work."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cloudmask.bands import PRESETS
from cloudmask.local.console import say, stop, stoppable
from cloudmask.local.progress import byte_bars, spinner
from cloudmask.registry import home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PresetName = StrEnum("PresetName", list(PRESETS))  # type: ignore[misc]

EXPORT_EXAMPLES = (
    "Examples: [bold]cloudmask export v3.44_regnety_006_4C_Dice_1_20m.pkl -o networks[/bold] · "
    "[bold]cloudmask export weights/ --family omnicloudmask-v4 --all -o networks[/bold] · "
    "[bold]cloudmask export mine.pth --family clouds2mask-20m --precision int8 --check "
    "--imagery scene.tif -o networks[/bold]"
)
FETCH_EXAMPLES = (
    "Examples: [bold]cloudmask fetch[/bold] (lists what there is) · "
    "[bold]cloudmask fetch clouds2mask-20m[/bold] · "
    "[bold]cloudmask fetch omnicloudmask-v4 --precision fp16 -o networks[/bold]"
)
VERIFY_EXAMPLES = "Examples: [bold]cloudmask verify networks[/bold]"
WEIGHTS = "weights"
"""Folder within that of the networks where fetched weights are kept."""
DEFAULT_THRESHOLD = 99.0
"""Per cent of pixels."""
MISSING = "this needs more packages: pip install 'openeo-cloudmask[local,export]'"


class PrecisionName(StrEnum):
    """How a network's weights are stored and computed with."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


_Precision = Annotated[
    PrecisionName,
    typer.Option(
        help="fp32; fp16: half the size, the same speed, hardly a pixel differs; int8: a quarter "
        "of the size at best, faster where the processor has 8-bit instructions, some pixels "
        "differ (the report says how many)."
    ),
]
_Imagery = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="RASTER",
        help="Sentinel-2 raster to calibrate int8 with and to compare on; repeatable. Default: "
        "simulated scenes.",
    ),
]
_Preset = Annotated[PresetName, typer.Option(help="What the rasters' numbers mean.")]
_Check = Annotated[
    bool,
    typer.Option(
        "--check", help="Refuse a network whose classes are not those of its weights in fp32."
    ),
]
_Threshold = Annotated[
    float | None,
    typer.Option(min=0, max=100, help="The same, and how many per cent of pixels must agree: 99."),
]
_Force = Annotated[bool, typer.Option("--force", help="Replace existing files.")]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]


def export(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Weights: .pkl, .pth or .safetensors; a folder with --all."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    family: Annotated[
        str | None,
        typer.Option(
            help="What the weights are (see [bold]cloudmask fetch[/bold]). Default: told by the "
            "file's name, or by its tensors."
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option("--all", help="Export all files of the family, found in the given folders."),
    ] = False,
    precision: _Precision = PrecisionName.fp32,
    imagery: _Imagery = None,
    preset: _Preset = PresetName("dn"),
    check: _Check = False,
    threshold: _Threshold = None,
    force: _Force = False,
    quiet: _Quiet = False,
) -> None:
    """Turn trained weights into ONNX networks with manifest, test and report.

    Reads the weights of CloudS2Mask and OmniCloudMask as published, without torch, and never
    executes anything that stands in them. Writes NAME.onnx, NAME.json (its manifest, a STAC MLM
    Item), a small test of its own, and NAME.report.md and .json: hashes, how far it agrees with
    the network as its authors wrote it, and how fast it is here.
    """
    try:
        from cloudmask_export.commands import Order, export_files
    except ImportError as error:
        stop(1, f"{error}; {MISSING}")
    order = Order(
        folder=output, family=family, precision=precision.value, imagery=tuple(imagery or ()),
        preset=preset.value, threshold=_asked(threshold, check=check), force=force,
    )  # fmt: skip
    with stoppable(), spinner(quiet=quiet) as tell:
        _export(export_files(files, order, every=every, tell=tell), tell, quiet=quiet)


def _asked(threshold: float | None, *, check: bool) -> float | None:
    """Say which agreement is asked for: none, the usual one, or what the user says."""
    return DEFAULT_THRESHOLD if check and threshold is None else threshold


def _export(lines: Iterable[str], tell: Callable[[str], None], *, quiet: bool) -> None:
    for line in lines:
        if not quiet:
            tell("")  # hides the spinner, else both stand on one line
            say(line)


def fetch(
    name: Annotated[
        str | None, typer.Argument(metavar="FAMILY", help="What to fetch; none lists all.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for the networks; the weights go into its folder weights. Default: the "
            "folder whose networks are known by name, CLOUDMASK_MODELS if that is set.",
        ),
    ] = None,
    precision: _Precision = PrecisionName.fp32,
    imagery: _Imagery = None,
    preset: _Preset = PresetName("dn"),
    check: _Check = False,
    threshold: _Threshold = None,
    lock: Annotated[
        Path | None,
        typer.Option(
            metavar="JSON", help="Hashes that downloads must have, besides those shipped."
        ),
    ] = None,
    pin: Annotated[
        bool,
        typer.Option("--pin", help="Write the hashes of what is fetched into the --lock file."),
    ] = False,
    force: _Force = False,
    quiet: _Quiet = False,
) -> None:
    """Download published weights and export them.

    Files that lie in the folder weights already are not fetched again: without a way to the
    Internet, put them there yourself; the message says which, and where they come from.
    """
    try:
        from cloudmask_export.commands import (
            AFTER_CATALOGUE,
            Locks,
            Order,
            catalogue,
            export_files,
            fetched,
        )
    except ImportError as error:
        stop(1, f"{error}; {MISSING}")
    if name is None:
        for line in (*catalogue(), AFTER_CATALOGUE):
            say(line)
        return
    if pin and lock is None:
        stop(2, "--pin: say which file with --lock FILE; it is made if absent")
    order = Order(
        folder=_folder(output), precision=precision.value, imagery=tuple(imagery or ()),
        preset=preset.value, threshold=_asked(threshold, check=check), force=force,
    )  # fmt: skip
    with stoppable():
        with byte_bars(quiet=quiet) as bars:
            files = fetched(name, order.folder / WEIGHTS, Locks(lock, pin=pin), bars)
        with spinner(quiet=quiet) as tell:
            order = replace(order, family=name)
            _export(export_files(files, order, resume=True, tell=tell), tell, quiet=quiet)


def _folder(output: Path | None) -> Path:
    found = output or home()
    if found is None:
        stop(2, "CLOUDMASK_MODELS is empty, so there is no folder of your own; say --output DIR")
    return found


def verify(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with networks, or one .onnx file.")
    ],
) -> None:
    """Check networks: hash, manifest against graph, their own test on each provider here.

    Ends with status 1 if one is not what its manifest says.
    """
    try:
        from cloudmask_export.verify import verify as verdicts
    except ImportError as error:
        stop(1, f"{error}; {MISSING}")
    failed = 0
    with stoppable():
        for verdict in verdicts(folder):
            failed += not verdict.good
            where = f" on {verdict.provider}" if verdict.provider else ""
            say(f"{'good  ' if verdict.good else 'FAILED'} {verdict.name}{where}: {verdict.words}")
    if failed:
        raise typer.Exit(code=1)
