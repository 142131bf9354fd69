"""The command `cloudmask bundle`; the work is done by `cloudmask_openeo.bundle`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads annotations when the command runs
from typing import Annotated

import typer

from cloudmask.local.console import say, stop, stoppable

EXAMPLES = (
    "Examples: [bold]cloudmask bundle -o deps.zip[/bold] · "
    "[bold]cloudmask bundle -m ukis-6b-l1c -m my.onnx -o deps.zip "
    "--url https://example.org/deps.zip[/bold] · "
    "[bold]cloudmask bundle -m my.onnx -o deps.zip --python 3.12 --onnxruntime 1.31.1[/bold]"
)


def bundle(
    output: Annotated[Path, typer.Option("--output", "-o", help="Archive to make, a .zip.")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="Network by name (see [bold]cloudmask models[/bold]) or path of an .onnx file; "
            "repeat to bring several. The package's own are always there.",
        ),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Address that the archive will have, for the job options.")
    ] = None,
    python: Annotated[str, typer.Option(help="Python of the back-end's workers.")] = "3.11",
    platform: Annotated[
        str, typer.Option(help="Their platform, as wheels name it.")
    ] = "manylinux_2_28_x86_64",
    onnxruntime: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION|installed",
            help="ONNX Runtime to bring. Default: the version installed here, its own files if "
            "they run on the back-end, else fetched with pip.",
        ),
    ] = None,
    wheel: Annotated[
        list[Path] | None,
        typer.Option(help="Wheel to bring; one of onnxruntime saves fetching it. Repeatable."),
    ] = None,
    check: Annotated[
        bool, typer.Option(help="Run the UDF out of the archive before handing it over.")
    ] = True,
) -> None:
    """Bundle networks and all they need for the workers of an openEO back-end.

    Makes the archive for the job option udf-dependency-archives of VITO's back-ends (Copernicus
    Data Space): this package, ONNX Runtime and the networks, the same byte for byte each time.
    It is tried where nothing of it is installed and must give the same mask as here. Put it where
    the back-end can fetch it; the job options to use are printed.
    """
    try:
        from cloudmask_openeo.bundle import Order, Target, run_bundle
    except ImportError as error:
        stop(1, f"{error}; this needs more packages: pip install 'openeo-cloudmask[openeo]'")

    order = Order(
        models=tuple(model or ()), output=output, target=Target(python, platform),
        onnxruntime=onnxruntime, wheels=tuple(wheel or ()), check=check,
    )  # fmt: skip
    with stoppable():
        for line in run_bundle(order, url):
            say(line)
