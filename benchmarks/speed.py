"""What docs/speed.md shows: peers, engines against the machine's limit, sizes, chunks."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from benchmarks.markdown import paragraphs, size, spread, table
from benchmarks.measure import STUDIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    Results = Mapping[str, Any]

TITLES = {"clouds2mask": "CloudS2Mask", "omnicloudmask": "OmniCloudMask V4"}


def markdown(results: Results) -> str:
    """Write all tables."""
    whole = [_pipeline(name, results[name]) for name in TITLES if name in results]
    limits = results.get("limit", {}).get("networks", {})
    return paragraphs(
        [
            _machine(results),
            *whole,
            _peaks(limits),
            *(_limit(name, found) for name, found in limits.items()),
            _scaling(results.get("scaling", {})),
            _granule(results.get("granule_one-convolution", {})),
            _granule_of_v4(results.get("granule_v4", {})),
            _caps(results.get("memory", {})),
            _plain(results.get("plain_udf", {})),
            _backend(results.get("backend", {})),
            _took(results),
        ]
    )


def _machine(results: Results) -> str:
    found = next((each["measured_on"] for each in results.values() if "measured_on" in each), None)
    if not found:
        return ""
    packages = ", ".join(f"{name} {number}" for name, number in found["packages"].items())
    features = ", ".join(found.get("instructions", ()))
    return (
        f"Measured on {found['cores']} cores ({found['machine']}; {features}), Python "
        f"{found['python']}, {packages}."
    )


def _pipeline(name: str, found: Mapping[str, Any]) -> str:
    rows = [
        [
            f"{TITLES[name]}, {size(found)} px", "seconds", "times as fast",
            "same class as onnxruntime fp32", "peak memory",
        ]
    ]  # fmt: skip
    for who, seconds in found["seconds"].items():
        gain = found["times_as_fast"].get(who)
        same = found["same_class_percent"].get(who)
        rows.append(
            [
                who,
                f"{statistics.median(seconds):.2f}",
                spread(gain) if gain else "1" if found["times_as_fast"] else "-",
                f"{same:.2f} %" if same is not None else "-",
                f"{found['peak_mib'][who]:.0f} MiB",
            ]
        )
    rows += [[who, f"not measured: {why}", "", "", ""] for who, why in _absent(found)]
    return table(rows)


def _absent(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    return list(found.get("not_measured", {}).items())


def _peaks(limits: Results) -> str:
    """Tell the greatest rates of the machine, of all runs."""
    from benchmarks.limit import PEAKS

    rows = [["the machine's limit, measured by turns with the networks", "GFLOP/s"]]
    for kind in PEAKS:
        rates = [each["gflops"][kind] for each in limits.values() if kind in each["gflops"]]
        if rates:
            median = statistics.median(each["median"] for each in rates)
            best = max(each["greatest"] for each in rates)
            rows.append([kind, f"{median:.0f} (greatest {best:.0f})"])
    return table(rows) if len(rows) > 1 else ""


def _limit(name: str, found: Mapping[str, Any]) -> str:
    from benchmarks.limit import ENGINES, TORCH

    head = f"{name}, {found['gflop_per_megapixel']:.0f} GFLOP a megapixel"
    rows = [[head, "seconds a tile", "GFLOP/s", "% of the limit", "held against"]]
    against = {TORCH: "fp32 product"} | {each: row[3] for each, row in ENGINES.items()}
    for who, limit in against.items():
        if who in found["seconds"]:
            share = found["fraction"].get(who)
            rows.append(
                [
                    who,
                    f"{statistics.median(found['seconds'][who]):.3f}",
                    f"{found['gflops'][who]['median']:.0f}",
                    spread(share, 0) if share else "-",
                    limit or "-",
                ]
            )
    rows += [[who, f"not measured: {why}", "", "", ""] for who, why in _absent(found)]
    return table(rows)


def _scaling(found: Mapping[str, Any]) -> str:
    rows, lines = [["network", "edge", "tiles", "seconds", "peak memory", "runs"]], []
    for name, each in found.items():
        if not isinstance(each, dict) or "points" not in each:
            continue
        rows += [
            [
                name, f"{p['edge']} px", str(p["tiles"]), f"{p['seconds']:.2f}",
                f"{p['peak_mib']} MiB", str(p["runs"]),
            ]
            for p in each["points"]
        ]  # fmt: skip
        tiles, area = each["by_tiles"], each["by_megapixels"]
        lines.append(
            f"{name}: a straight line through seconds against tiles meets the axis "
            f"at {tiles['intercept_percent_of_largest']:.1f} % of the largest "
            f"(R² {tiles['r2']:.4f}), against pixels at "
            f"{area['intercept_percent_of_largest']:.1f} % (R² {area['r2']:.4f})."
        )
    return paragraphs([table(rows), " ".join(lines)]) if lines else ""


def _granule(found: Mapping[str, Any]) -> str:
    theirs = found.get("OmniCloudMask", {})
    if "peak_mib" not in theirs:
        return ""
    return (
        f"A {found['edge']} x {found['edge']} granule of three bands through a network of one "
        f"convolution peaks at {theirs['peak_mib']:.0f} MiB in OmniCloudMask's package and at "
        f"{found['ours']['peak_mib']:.0f} MiB in our command, files read and written."
    )


def _granule_of_v4(found: Mapping[str, Any]) -> str:
    if not found:
        return ""
    return (
        f"With the two networks of OmniCloudMask V4 (`python -m benchmarks.granule --networks "
        f"v4 --alone --memory {found['memory']}`) our command peaks at "
        f"{found['ours']['peak_mib']:.0f} MiB over such a granule."
    )


def _caps(found: Mapping[str, Any]) -> str:
    """Tell what became of each cap."""
    rows = [["memory cap", "network", "scene's width", "peak", "estimate"]]
    for name, cases in found.items():
        for each in cases if isinstance(cases, list) else ():
            cap = "none" if each["cap_mib"] is None else f"{each['cap_mib']} MiB"
            if "peak_mib" in each:
                sizes = [f"{each[what]} MiB" for what in ("peak_mib", "estimate_mib")]
            else:
                sizes = ["refused before the start", f"{each['refused_needs_mib']} MiB"]
            rows.append([cap, name, f"{each['width']} px", *sizes])
    return table(rows) if len(rows) > 1 else ""


def _plain(found: Mapping[str, Any]) -> str:
    rows = [["CloudS2Mask's network, chunk of", "seconds", "resident", "address space"]]
    for edge, each in found.items():
        if edge.isdecimal():
            rows += [
                [
                    f"{edge} px, {_UDFS[who]}",
                    f"{statistics.median(each['seconds'][who]):.2f}",
                    f"{each['peak_mib'][who]:.0f} MiB",
                    f"{each['address_space_mib'][who]:.0f} MiB",
                ]
                for who in each["seconds"]
            ]
    return table(rows) if len(rows) > 1 else ""


_UDFS = {"plain": "plain UDF", "ours": "ours"}


def _backend(found: Mapping[str, Any]) -> str:
    if "seconds_a_job" not in found:
        return ""
    return (
        f"A batch job of the back-end that the tests run on 127.0.0.1 adds "
        f"{found['seconds_a_job']:.1f} s a job and {found['seconds_a_chunk']:.2f} s a chunk of "
        f"{found['chunk']} px to the work itself."
    )


def _took(results: Results) -> str:
    took = {
        name: each["took_seconds"]
        for name, each in results.items()
        if "took_seconds" in each and name not in STUDIES and not each.get("full")
    }
    if not took:
        return ""
    each = ", ".join(f"{name} {seconds} s" for name, seconds in sorted(took.items()))
    return f"The benchmarks of `make bench` that were run took {sum(took.values())} s: {each}."
