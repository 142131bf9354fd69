"""The `cloudmask` command."""

from __future__ import annotations

import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

try:
    import typer
    from rasterio.errors import RasterioError
except ImportError as error:  # pragma: no cover - depends on the installation
    sys.exit(f"{error}\nThe command needs more packages: pip install 'openeo-cloudmask[local]'")

from cloudmask import PRESETS, TTA, CloudmaskError, Options, Output, Runtime, __version__, models
from cloudmask.checks import parse_memory
from cloudmask.engines import PROVIDERS
from cloudmask.local import bundling, evaluating, exporting, training
from cloudmask.local.compare import command as comparing
from cloudmask.local.console import complain, say, stop, stoppable
from cloudmask.local.report import command as reporting

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Cloud and cloud-shadow masks for Sentinel-2. Start with: [bold]cloudmask demo[/bold]",
)

PresetName = StrEnum("PresetName", list(PRESETS))  # type: ignore[misc]


class StitchName(StrEnum):
    """How tiles are put together."""

    blend = "blend"
    crop = "crop"


def _names(text: str | None) -> tuple[str, ...] | None:
    """Read a comma-separated list."""
    return None if text is None else tuple(name.strip() for name in text.split(","))


def _version(asked: bool) -> None:  # noqa: FBT001 - typer's signature
    if asked:
        typer.echo(f"cloudmask {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    pass


@app.command(
    epilog="Examples: [bold]cloudmask mask S2A_MSIL1C_....SAFE -o mask.tif[/bold] · "
    "[bold]cloudmask mask *.SAFE -o masks/[/bold] · "
    "[bold]cloudmask mask S2.tif -o mask.tif -m ukis-6b-l1c --tta 3 --quicklook look.png[/bold] · "
    "[bold]cloudmask mask S2.vrt -o mask.nc -m my.onnx --preset dn_n0400 --dilate 60[/bold]",
)
def mask(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="What to mask, one or many: Sentinel-2 .SAFE folders or zips, rasters whose "
            "bands have names, folders of bands, netCDF, Zarr, STAC Items or searches "
            "(stac+https://...), patterns such as '*.SAFE'.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="Mask to make, .tif, .nc or .zarr: a class code a pixel. For many scenes, or if "
            "it ends in /: folder of masks, thumbnails, STAC Items and statistics.",
        ),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="Network by name (see [bold]cloudmask models[/bold]) or path of an .onnx file; "
            "repeat for an ensemble. Default: the package's own for the scene's bands.",
        ),
    ] = None,
    preset: Annotated[
        PresetName | None,
        typer.Option(
            help="What the numbers mean. Default: what the scene itself says, else dn. "
            "dn: reflectance x 10000, 0 = no data, processing baseline before 04.00; dn_n0400: "
            "the same from baseline 04.00 (January 2022) on, with its offset of -1000; cdse: as "
            "openEO at Copernicus Data Space gives them; reflectance: 0 to 1.",
        ),
    ] = None,
    bands: Annotated[
        str | None,
        typer.Option(help="Names of the file's bands in order, e.g. B02,B03,B04,B08."),
    ] = None,
    tta: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=7,
            help="Augmentations (rotations, flips) to try where the classes are not yet smooth; "
            "each costs another run. Default: the network's.",
        ),
    ] = None,
    adaptive: Annotated[
        bool, typer.Option(help="Stop augmenting a tile once its classes are smooth.")
    ] = True,
    stitch: Annotated[
        StitchName,
        typer.Option(
            help="blend: mix tiles over their overlap; crop: one tile a pixel, the mask that "
            "openEO and dask give at the same pixel size.",
        ),
    ] = StitchName.blend,
    tile: Annotated[
        int | None, typer.Option(help="Edge of a tile in pixels. Default: the network's.")
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(help="Pixels neighbours share. Default: the network's.")
    ] = None,
    resolution: Annotated[
        str,
        typer.Option(
            metavar="model|native|METRES",
            help="Pixel size to run at: the network's, the file's, or metres. The mask always "
            "has the file's own pixels.",
        ),
    ] = "model",
    dilate: Annotated[
        float, typer.Option(metavar="METRES", help="Grow clouds and shadows by so much.")
    ] = 0.0,
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities",
            help="Write class probabilities too: *_probabilities.tif, or inside a .nc or .zarr.",
        ),
    ] = False,
    quicklook: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw scene and mask side by side.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads. Default: the cores there are.")
    ] = None,
    provider: Annotated[
        str, typer.Option(metavar="NAME", help=f"Engine that runs it: {', '.join(PROVIDERS)}.")
    ] = "cpu",
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="512MiB|1GiB|...",
            help="What the process may take altogether. What cannot be done in it is refused at "
            "once, with what would help.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Mask again what is complete in the folder.")
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Let the workers of a dask scheduler compute, tcp://HOST:8786."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Mask clouds and shadows, in one scene or in many.

    Writes a Cloud-Optimised GeoTIFF on the input's grid: 0 clear, 1 thick cloud, 2 thin cloud,
    3 cloud shadow, 255 no data, with colours, category names, class shares and the model's name
    and hash inside, and a QGIS style beside it. Of many scenes those that fail are listed at the
    end, and the same command again goes on where the last one ended.
    """
    from cloudmask.local.masking import Order, run_mask

    options = Options(
        stitch=stitch.value,
        tile=tile,
        overlap=overlap,
        tta=None if tta is None and adaptive else TTA(depth=tta or 0, adaptive=adaptive),
        output=Output(dilate=dilate),
        memory=None if memory is None else parse_memory(memory),
        runtime=Runtime(threads=threads, provider=provider),
    )
    settings = {
        "models": tuple(model or ()), "preset": preset and preset.value, "bands": _names(bands),
        "options": options, "resolution": _resolution(resolution),
    }  # fmt: skip
    order = Order(
        sources=tuple(sources), output=output, settings=settings, probabilities=probabilities,
        quicklook=quicklook, overwrite=overwrite, scheduler=scheduler, quiet=quiet,
    )  # fmt: skip
    with stoppable():
        good = run_mask(order)
    if not good:
        raise typer.Exit(code=1)


def _resolution(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


@app.command("models")
def list_models(
    check: Annotated[
        bool, typer.Option("--check", help="Run each installed network on its own test image.")
    ] = False,
) -> None:
    """List the networks: what they need, whether they are installed, their licence."""
    from cloudmask.local.listing import print_table

    if not print_table(models(), check=check):
        raise typer.Exit(code=1)


app.command(epilog=bundling.EXAMPLES)(bundling.bundle)
app.command(epilog=exporting.EXPORT_EXAMPLES)(exporting.export)
app.command(epilog=exporting.FETCH_EXAMPLES)(exporting.fetch)
app.command(epilog=exporting.VERIFY_EXAMPLES)(exporting.verify)
app.command(epilog=training.EXAMPLES)(training.train)
app.command(epilog=reporting.EXAMPLES)(reporting.report)
app.command(epilog=comparing.EXAMPLES)(comparing.compare)
app.command(epilog=evaluating.EXAMPLES)(evaluating.evaluate)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path(
        "demo"
    ),
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Network to use. Default: the package's own."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which scene to simulate.")] = 0,
    size: Annotated[int, typer.Option(min=64, max=10980, help="Edge in pixels.")] = 768,
) -> None:
    """Simulate a scene, mask it with a trained network, score and draw it. Needs no network.

    Writes scene.tif, mask.tif with mask.qml and mask.tif.aux.xml, and demo.png.
    """
    from cloudmask.local.demo import run_demo

    with stoppable():
        for line in run_demo(output, model, seed, size):
            say(line)


def main() -> None:
    """Run the command; what went wrong is said in one line, not as a traceback."""
    warnings.showwarning = _warn  # type: ignore[assignment]  # takes all it is given
    try:
        app()
    except CloudmaskError as error:
        stop(2, str(error))
    except (OSError, RasterioError) as error:
        stop(1, str(error))


def _warn(message: Warning | str, *_: object) -> None:
    """Say a warning as a person would; where in the code it arose helps nobody here."""
    complain(f"warning: {message}")


if __name__ == "__main__":
    main()
