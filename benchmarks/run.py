"""Run the benchmarks, keep their results, write the README's table.

`python -m benchmarks.run` measures; `--smoke` runs everything small, to see that it still runs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import chunks, compare, export, overhead, shift, streaming, worker
from benchmarks.measure import save

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- benchmarks: start -->", "<!-- benchmarks: end -->"


def measure(*, smoke: bool) -> dict[str, Any]:
    """Run every benchmark."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        say("same weights, us and ukis-csmask")
        small = {"edge": 320, "times": 1} if smoke else {}
        results["compare"] = compare.run(**small, folder=Path(folder))
    say("time besides the network")
    results["overhead"] = overhead.run(**({"edge": 320, "times": 1} if smoke else {}))
    say("memory over a whole granule")
    results["streaming"] = streaming.run(**({"edge": 1100} if smoke else {}))
    say("a back-end's chunks against the whole scene")
    one: dict[str, Any] = {
        "sizes": {"crop": (384,), "blend": (384,)},
        "plain": ((256, 0), (192, 32)),
    }
    results["chunks"] = chunks.run(**(one if smoke else {}))
    say("an export of CloudS2Mask's weights")
    with tempfile.TemporaryDirectory() as folder:
        little = {"times": 1, "edge": 128} if smoke else {}
        results["export"] = export.run(Path(folder), **little)
    say("a back-end's worker in 3 GiB")
    results["worker"] = worker.run(**({"sizes": (192,)} if smoke else {}))
    if shift.SCENE.exists():
        say("shift of the tile grid")
        few = {name: shift.MASKERS[name] for name in list(shift.MASKERS)[: 2 if smoke else None]}
        results["shift"] = shift.run(few)
    return results


def table(results: dict[str, Any]) -> str:
    """Write the comparison as Markdown."""
    peer, ours = "ukis-csmask", ("blend", "crop")
    found, speed = results["compare"], results["compare"]["speed"]
    rows = [["", "ukis-csmask 1.0", "ours, `blend`", "ours, `crop`"], ["---"] * 4]
    if found["accuracy"]:
        for each in ("cloud", "shadow"):
            scores = [f"{found['accuracy'][name][f'{each}_f1']:.3f}" for name in (peer, *ours)]
            rows.append([f"{each} F1, human labels, 512 x 512", *scores])
    if "shift" in results:
        names = ["ukis-csmask (20 % overlap)", "blend, overlap 64", "crop, overlap 64"]
        moved = [" / ".join(f"{v:.1f}" for v in results["shift"][n].values()) for n in names]
        rows.append(["% of classes that change when the grid moves 32 / 64 / 102 px", *moved])
    ratios = [_spread(speed["times_faster_than_peer"][name]) for name in ours]
    edge = speed["edge"]
    rows.append([f"times as fast, {edge} x {edge} px (median, range)", "1", *ratios])
    memory = [f"{found['peak_mib'][name]:.0f} MiB" for name in (peer, *ours)]
    rows.append(["peak memory on that", *memory])
    strip = found["no_data_called_usable"]
    lost = [f"{100 * strip[name]:.0f} %" for name in ("ukis-csmask", "ours", "ours")]
    rows.append(["no data (marked by 0.1) called usable", *lost])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def openeo_table(results: dict[str, Any]) -> str:
    """Write what concerns back-ends as Markdown."""
    found, workers = results["chunks"], results["worker"]
    header = ["in an openEO back-end", "plain UDF", "ours, `crop`", "ours, `blend`"]
    rows = [header, ["---"] * 4]
    differing = [" / ".join(f"{v:.2g}" for v in found[name].values()) for name in _UDFS]
    rows.append([f"% of classes unlike the whole scene's, {_sizes(found)}", *differing])
    lost = [f"{found['no_data_given_a_class'][name]:.0f} %" for name in _UDFS]
    rows.append(["no data given a class", *lost])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    peaks = ", ".join(
        f"{each['address_space_mib']} MiB ({each['resident_mib']} resident) at {size} px"
        for size, each in workers.items()
    )
    return (
        f"{table}\n\nA worker limited to 3 GiB of address space runs two networks on one chunk "
        f"with a peak of {peaks}."
    )


_UDFS = ("plain", "crop", "blend")


def _sizes(found: dict[str, Any]) -> str:
    """Say which chunks were cut."""
    return "chunks of " + "; ".join(f"{'/'.join(found[name])} px" for name in _UDFS)


def _spread(found: dict[str, float]) -> str:
    return f"{found['median']:.2f} ({found['least']:.2f} to {found['greatest']:.2f})"


def sentences(results: dict[str, Any]) -> str:
    """Say the rest in words."""
    besides, granule, exported = (results[name] for name in ("overhead", "streaming", "export"))
    faster = _spread(exported["times_as_fast_as_written"])
    return (
        f"Besides the network a run spends {besides['blend']['median']:.0f} % of its time "
        f"(`blend`; `crop` {besides['crop']['median']:.0f} %) on reading, cutting, stitching and "
        f"writing. A 3-band {granule['edge']:.0f} x {granule['edge']:.0f} GeoTIFF with a "
        f"one-convolution network peaks at {granule['blend_peak_mib']:.0f} MiB (`blend`) and "
        f"{granule['crop_peak_mib']:.0f} MiB (`crop`) resident. Exporting a CloudS2Mask pickle of "
        f"{exported['weights_mb']:.0f} MB takes {exported['export_seconds']:.0f} s and "
        f"{exported['export_peak_mib']} MiB; the network is {faster} times as fast as its graph "
        "as written, in ONNX Runtime both."
    )


def update_readme(text: str) -> None:
    """Put text between the marks in the README."""
    readme = README.read_text("utf-8")
    before, rest = readme.split(START)
    _, after = rest.split(END)
    README.write_text(f"{before}{START}\n{text}\n{END}{after}", "utf-8")


def say(text: str) -> None:
    """Tell what is going on."""
    print(f"... {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small sizes; nothing is kept")
    smoke = parser.parse_args().smoke
    results = measure(smoke=smoke)
    if smoke and "shift" in results:
        del results["shift"]
    text = f"{table(results)}\n\n{sentences(results)}\n\n{openeo_table(results)}"
    print(text)
    if smoke:
        return
    for name, result in results.items():
        save(name, result)
    if "shift" in results:
        update_readme(text)
    else:
        say("the README's table is left alone: the shared imagery is not here")


if __name__ == "__main__":
    main()
