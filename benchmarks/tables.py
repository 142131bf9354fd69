"""The results in words and tables: for the README, and for the pages of docs/.

What has not been measured is left out, or said not to be.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import engines, overlap, projection, speed
from benchmarks.documents import fill_in
from benchmarks.markdown import paragraphs, size, spread, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    Results = Mapping[str, Any]

ROOT = Path(__file__).parents[1]
PEER = "ukis-csmask"
PACKAGES = {"clouds2mask": "CloudS2Mask", "omnicloudmask": "OmniCloudMask"}
PAGES = {
    "engines": (engines.DOCUMENT, engines.table),
    "overlap": (overlap.PAGE, overlap.markdown),
}
"""Results that their modules write into a page of their own."""


def write(results: Results) -> None:
    """Put all into the README and the pages of docs/."""
    fill_in(ROOT / "README.md", "benchmarks", readme(results))
    fill_in(ROOT / "docs" / "speed.md", "speed", speed.markdown(results))
    fill_in(ROOT / "docs" / "projection.md", "projection", projection.markdown(results))
    for name, (page, text) in PAGES.items():
        if name in results:
            fill_in(page, name, text(_bare(results[name])))


def everything(results: Results) -> str:
    """Write all one below the other, as `write` would."""
    pages = [text(_bare(results[n])) for n, (_, text) in PAGES.items() if n in results]
    texts = [readme(results), speed.markdown(results), projection.markdown(results), *pages]
    return paragraphs(texts)


def _bare(result: Results) -> dict[str, Any]:
    """Leave out what `benchmarks.measure.save` and `benchmarks.run` add."""
    added = ("measured_on", "took_seconds", "full")
    return {name: each for name, each in result.items() if name not in added}


def readme(results: Results) -> str:
    """Write what the README shows."""
    return paragraphs(
        (packages(results), ukis(results), sentences(results), openeo(results), workers(results))
    )


def packages(results: Results) -> str:
    """Compare with the packages that the larger networks come from."""
    found = {name: results[name] for name in PACKAGES if name in results}
    if not found:
        return ""
    rows = [["the authors' package = 1; median (range)", *(PACKAGES[name] for name in found)]]
    engines = dict.fromkeys(name for each in found.values() for name in each["peak_mib"])
    rows += [
        [f"ours, {engine}", *(_gain(each, engine) for each in found.values())]
        for engine in engines
        if engine not in PACKAGES.values()
    ]
    rows.append(["peak memory, theirs / ours (onnxruntime fp32)", *map(_memory, found.values())])
    scenes = "; ".join(
        f"{PACKAGES[name]}: {size(each)} px in {each['tiles']} tiles of {each['tile']} px"
        for name, each in found.items()
    )
    return f"{table(rows)}\n\n{scenes}. {_same_classes(found)}"


def _gain(found: Mapping[str, Any], engine: str) -> str:
    if engine not in found["peak_mib"]:
        return found["not_measured"].get(engine, "-")
    if engine not in found["times_as_fast"]:
        return "not measured"
    return f"{spread(found['times_as_fast'][engine])} times as fast"


def _memory(found: Mapping[str, Any]) -> str:
    peer = next(
        (found["peak_mib"][name] for name in PACKAGES.values() if name in found["peak_mib"]), None
    )
    return f"{peer or '-'} / {found['peak_mib']['onnxruntime fp32']} MiB"


def _same_classes(found: Mapping[str, Any]) -> str:
    said = [
        f"{PACKAGES[name]} "
        + ", ".join(
            f"{share:.2f} % {'theirs' if who in PACKAGES.values() else who}"
            for who, share in each["same_class_percent"].items()
        )
        for name, each in found.items()
    ]
    return f"Pixels with the class that onnxruntime fp32 gives: {'; '.join(said)}."


def ukis(results: Results) -> str:
    """Compare with ukis-csmask, whose trained weights come with it."""
    if "compare" not in results:
        return ""
    ours = ("blend", "crop")
    found, speeds = results["compare"], results["compare"]["speed"]
    rows = [["", "ukis-csmask 1.0", "ours, `blend`", "ours, `crop`"]]
    for each in ("cloud", "shadow") if found["accuracy"] else ():
        scores = [f"{found['accuracy'][name][f'{each}_f1']:.3f}" for name in (PEER, *ours)]
        rows.append([f"{each} F1, human labels, 512 x 512", *scores])
    if "shift" in results:
        rows.append(
            ["% of classes that change when the grid moves 32 / 64 / 102 px", *_moved(results)]
        )
    gains, edge = speeds["times_faster_than_peer"], speeds["edge"]
    rows.append(
        [
            f"times as fast, {edge} x {edge} px (median, range)",
            "1",
            *(spread(gains[n]) for n in ours),
        ]
    )
    equal = "blend, their overlap"
    if equal in gains:
        rows.append(["the same with their overlap, 20 %", "1", spread(gains[equal]), "-"])
    rows.append(
        ["peak memory on that", *(f"{found['peak_mib'][n]:.0f} MiB" for n in (PEER, *ours))]
    )
    strip = found["no_data_called_usable"]
    lost = [f"{100 * strip[name]:.0f} %" for name in (PEER, "ours", "ours")]
    rows.append(["no data (marked by 0.1) called usable", *lost])
    return table(rows)


def _moved(results: Results) -> list[str]:
    names = ["ukis-csmask (20 % overlap)", "blend, overlap 64", "crop, overlap 64"]
    return [" / ".join(f"{v:.1f}" for v in results["shift"][name].values()) for name in names]


def sentences(results: Results) -> str:
    """Say the rest in words."""
    return " ".join(
        filter(None, (_besides(results), _granule(results), _cloudless(results), _export(results)))
    )


def _besides(results: Results) -> str:
    if "overhead" not in results:
        return ""
    shares = [
        f"{case} {each['blend']['median']:.0f} % (`blend`) and {each['crop']['median']:.0f} % "
        "(`crop`)"
        for case, each in results["overhead"].items()
        if isinstance(each, dict) and "blend" in each
    ]
    return (
        "Share of a run's time that is not the network's but reading's, resampling's, cutting's, "
        f"stitching's and writing's: {'; '.join(shares)}."
    )


def _granule(results: Results) -> str:
    if "streaming" not in results:
        return ""
    found = results["streaming"]
    return (
        f"A 3-band {size(found)} GeoTIFF with a one-convolution "
        f"network peaks at {found['blend_peak_mib']:.0f} MiB (`blend`) and "
        f"{found['crop_peak_mib']:.0f} MiB (`crop`) resident."
    )


def _cloudless(results: Results) -> str:
    found = results.get("s2cloudless", {})
    if not found.get("times_as_fast"):
        return ""
    name = "ukis-6b-l1c"
    return (
        f"On {found['edge']} x {found['edge']} px s2cloudless, another model, takes "
        f"{statistics.median(found['seconds']['s2cloudless']):.1f} s and "
        f"{found['peak_mib']['s2cloudless']:.0f} MiB, ours with `{name}` "
        f"{statistics.median(found['seconds'][name]):.1f} s and {found['peak_mib'][name]:.0f} MiB."
    )


def _export(results: Results) -> str:
    if "export" not in results:
        return ""
    found = results["export"]
    return (
        f"Exporting a CloudS2Mask pickle of {found['weights_mb']:.0f} MB takes "
        f"{found['export_seconds']:.0f} s and {found['export_peak_mib']} MiB; the network is "
        f"{spread(found['times_as_fast_as_written'])} times as fast as its graph as written, in "
        "ONNX Runtime both."
    )


_UDFS = ("plain", "crop", "blend")


def openeo(results: Results) -> str:
    """Write what concerns back-ends' chunks."""
    if "chunks" not in results:
        return ""
    found = results["chunks"]
    rows = [["in an openEO back-end", "plain UDF", "ours, `crop`", "ours, `blend`"]]
    sizes = "; ".join(f"{'/'.join(found[name])} px" for name in _UDFS)
    differing = [" / ".join(f"{v:.2g}" for v in found[name].values()) for name in _UDFS]
    rows.append([f"% of classes unlike the whole scene's, chunks of {sizes}", *differing])
    lost = [f"{found['no_data_given_a_class'][name]:.0f} %" for name in _UDFS]
    rows.append(["no data given a class", *lost])
    return table(rows)


def workers(results: Results) -> str:
    """Say what a worker needs."""
    if "worker" not in results:
        return ""
    found = results["worker"]
    said = [f"A worker limited to 3 GiB of address space runs two small networks {_chunks(found)}"]
    said += [
        f"one limited to {each['limit_gib']} GiB runs {name} {_chunks(each)}"
        for name, each in found.items()
        if isinstance(each, dict) and "limit_gib" in each
    ]
    return f"{'; '.join(said)}."


def _chunks(found: Results) -> str:
    """Say what chunks of each size need."""
    peaks = ", ".join(
        f"{each['address_space_mib']} MiB ({each['resident_mib']} resident) at {size} px"
        for size, each in found.items()
        if size.isdecimal()
    )
    return f"on one chunk with a peak of {peaks}"
