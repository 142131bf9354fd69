"""The `cloudmask` command."""

from __future__ import annotations

import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

try:
    import typer
    from rasterio.errors import RasterioError
    from rich.console import Console
    from rich.table import Table
except ImportError as error:  # pragma: no cover - depends on the installation
    sys.exit(f"{error}\nThe command needs more packages: pip install 'openeo-cloudmask[local]'")

from cloudmask import PRESETS, TTA, CloudmaskError, Options, Output, Runtime, __version__, models
from cloudmask.checks import parse_memory
from cloudmask.cube import DEFAULT_MODEL
from cloudmask.engines import PROVIDERS
from cloudmask.local import bundling, exporting
from cloudmask.local.console import say, stop, stoppable

if TYPE_CHECKING:
    from cloudmask.registry import Entry

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
    epilog="Examples: [bold]cloudmask mask S2.tif -o mask.tif[/bold] · "
    "[bold]cloudmask mask S2.tif -o mask.tif -m ukis-6b-l1c --tta 3 --quicklook look.png[/bold] · "
    "[bold]cloudmask mask S2.vrt -o mask.tif -m my.onnx --preset dn_n0400 --dilate 60[/bold]",
)
def mask(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="GeoTIFF or VRT whose bands have names.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="GeoTIFF to make: a class code a pixel.")
    ],
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            help="Network by name (see [bold]cloudmask models[/bold]) or path of an .onnx file; "
            "repeat for an ensemble.",
        ),
    ] = [DEFAULT_MODEL],
    preset: Annotated[
        PresetName,
        typer.Option(
            help="What the numbers mean. dn: reflectance x 10000, 0 = no data, processing "
            "baseline before 04.00; dn_n0400: the same from baseline 04.00 (January 2022) on, "
            "with its offset of -1000; cdse: as openEO at Copernicus Data Space gives them; "
            "reflectance: 0 to 1.",
        ),
    ] = PresetName("dn"),
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
            "--probabilities", help="Write class probabilities too (*_probabilities.tif)."
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
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Mask clouds and shadows in one raster file.

    Writes a Cloud-Optimised GeoTIFF on the input's grid: 0 clear, 1 thick cloud, 2 thin cloud,
    3 cloud shadow, 255 no data, with colours, category names, class shares and the model's name
    and hash inside, and a QGIS style beside it.
    """
    from cloudmask.local.run import FileJob, mask_file

    options = Options(
        stitch=stitch.value,
        tile=tile,
        overlap=overlap,
        tta=None if tta is None and adaptive else TTA(depth=tta or 0, adaptive=adaptive),
        output=Output(dilate=dilate),
        memory=None if memory is None else parse_memory(memory),
        runtime=Runtime(threads=threads, provider=provider),
    )
    chances = output.with_name(f"{output.stem}_probabilities.tif") if probabilities else None
    job = FileJob(
        source=source, output=output, models=tuple(model), preset=preset.value,
        bands=_names(bands), options=options, resolution=_resolution(resolution),
        probabilities=chances, quicklook=quicklook, quiet=quiet,
    )  # fmt: skip
    with stoppable():
        summary = mask_file(job)
    if not quiet:
        say(f"{output}: {summary.sentence()}")


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
    headings = ["name", "installed", "bands", "level", "classes", "pixel", "licence"]
    table = Table(title="networks", title_justify="left", caption=_CAPTION, caption_justify="left")
    tests = {name: _tested(entry) if check else "" for name, entry in models().items()}
    for heading in [*headings, *(["test"] if check else [])]:
        table.add_column(heading, overflow="fold")
    for name, entry in models().items():
        table.add_row(*_row(entry), *([tests[name]] if check else []))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    if any(test.startswith(FAILED) for test in tests.values()):
        raise typer.Exit(code=1)


def _row(entry: Entry) -> tuple[str, ...]:
    spec = entry.spec
    installed = "yes" if entry.installed else entry.how_to_install
    classes, pixel = str(len(spec.classes)), f"{spec.pixel_size:g} m"
    return spec.name, installed, " ".join(spec.bands), spec.level, classes, pixel, spec.licence


FAILED = "FAILED"


def _tested(entry: Entry) -> str:
    """Run a network's own test, and say in a few words how it went."""
    from cloudmask.selftest import self_test

    if not entry.installed:
        return "-"
    try:
        found = self_test(entry)
    except CloudmaskError as error:
        return f"{FAILED}: {error}"
    if found is None:
        return "has none"
    return f"{'good' if found.good else FAILED}: {100 * found.changed:.2f} % differ"


_CAPTION = "Any other ONNX network works too: --model path/to/net.onnx with its manifest net.json"


app.command(epilog=bundling.EXAMPLES)(bundling.bundle)
app.command(epilog=exporting.EXPORT_EXAMPLES)(exporting.export)
app.command(epilog=exporting.FETCH_EXAMPLES)(exporting.fetch)
app.command(epilog=exporting.VERIFY_EXAMPLES)(exporting.verify)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path(
        "demo"
    ),
    model: Annotated[str, typer.Option("--model", "-m", help="Network to use.")] = "ukis-6b-l1c",
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
    typer.echo(f"cloudmask: warning: {message}", err=True)


if __name__ == "__main__":
    main()
