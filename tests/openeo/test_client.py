"""The graph that a user sends, and what is refused before a job is paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("openeo", reason="the openeo client is not installed")
from openeo.api.process import Parameter
from openeo.internal.graph_building import PGNode
from openeo.metadata import CollectionMetadata
from openeo.rest.connection import Connection
from openeo.rest.datacube import DataCube

from cloudmask.classes import LAYOUT_BANDS
from cloudmask.context import parse_context
from cloudmask.default import built_in
from cloudmask.errors import BandError, CubeError, ModelError, OptionError
from cloudmask_openeo import Chunks, LevelWarning, cloud_free, mask_clouds, udf_code

if TYPE_CHECKING:
    from pathlib import Path

MSI = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"]
TEN_METRES = ["B02", "B03", "B04", "B08"]
FIELD = {"west": 5.0, "south": 51.0, "east": 5.1, "north": 51.1}


def nodes(cube: DataCube, process: str) -> list[dict[str, Any]]:
    """The arguments of all nodes of a process."""
    graph = cube.flat_graph()
    return [node["arguments"] for node in graph.values() if node["process_id"] == process]


def node(cube: DataCube, process: str) -> dict[str, Any]:
    (only,) = nodes(cube, process)
    return only


def udf(cube: DataCube) -> dict[str, Any]:
    """The arguments of the run_udf inside apply_neighborhood."""
    callback = node(cube, "apply_neighborhood")["process"]["process_graph"]
    (run_udf,) = callback.values()
    assert run_udf["process_id"] == "run_udf"
    return run_udf["arguments"]


def bands(cube: DataCube) -> list[str]:
    assert cube.metadata is not None
    return list(cube.metadata.band_names)


def sizes(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {entry["dimension"]: entry["value"] for entry in entries}


def called(x: str, y: str, t: str, band: str) -> DataCube:
    """Load a collection whose dimensions have such names."""
    dimensions = {
        x: {"type": "spatial", "axis": "x"},
        y: {"type": "spatial", "axis": "y"},
        t: {"type": "temporal"},
        band: {"type": "bands", "values": ["B02", "B03", "B04", "B08"]},
    }
    metadata = CollectionMetadata({"cube:dimensions": dimensions})
    return DataCube(PGNode("load_collection", {"id": "S2"}), connection=None, metadata=metadata)


# -- the graph ------------------------------------------------------------------------------


def test_one_call_adds_all_that_the_mask_needs(load_collection: Any) -> None:
    cube = load_collection(bands=[*TEN_METRES, "SCL"])
    graph = mask_clouds(cube).flat_graph()
    assert [step["process_id"] for step in graph.values()] == [
        "load_collection", "filter_bands", "resample_spatial", "apply_neighborhood",
    ]  # fmt: skip


def test_only_the_bands_that_the_network_needs_are_sent_to_it(load_collection: Any) -> None:
    masked = mask_clouds(load_collection(), "ukis-4b-l1c")
    assert node(masked, "filter_bands")["bands"] == TEN_METRES


def test_bands_are_named_as_the_collection_names_them(load_collection: Any) -> None:
    labels = ["B08_b1", "B04_b1", "B03_b1", "B02_b1", "B11_b1"]
    masked = mask_clouds(load_collection(bands=labels))
    assert node(masked, "filter_bands")["bands"] == ["B02_b1", "B03_b1", "B04_b1", "B08_b1"]


def test_bands_that_are_all_needed_are_not_filtered(load_collection: Any) -> None:
    masked = mask_clouds(load_collection(bands=["B08", "B04", "B03", "B02"]))
    assert nodes(masked, "filter_bands") == []


@pytest.mark.parametrize(("model", "metres"), [("ukis-4b-l1c", 10), ("ukis-6b-l1c", 20)])
def test_the_cube_is_brought_to_the_pixels_of_the_network(
    load_collection: Any, model: str, metres: float
) -> None:
    resampled = node(mask_clouds(load_collection(), model), "resample_spatial")
    assert (resampled["resolution"], resampled["method"]) == (metres, "average")


def test_a_cube_that_has_the_pixels_of_the_network_needs_no_resampling(
    load_collection: Any,
) -> None:
    masked = mask_clouds(load_collection(), chunks=Chunks(resample=None))
    assert nodes(masked, "resample_spatial") == []


def test_chunks_are_whole_strides_with_half_a_tiles_overlap(load_collection: Any) -> None:
    around = node(mask_clouds(load_collection()), "apply_neighborhood")
    assert sizes(around["size"]) == {"x": 768, "y": 768, "t": "P1D"}
    assert sizes(around["overlap"]) == {"x": 32, "y": 32}
    assert 768 % (256 - 64) == 0


def test_blending_carries_more_of_the_neighbours(load_collection: Any) -> None:
    masked = mask_clouds(load_collection(), stitch="blend")
    assert sizes(node(masked, "apply_neighborhood")["overlap"]) == {"x": 256, "y": 256}


def test_growing_classes_carry_more_of_the_neighbours(load_collection: Any) -> None:
    masked = mask_clouds(load_collection(), dilate=400)
    assert sizes(node(masked, "apply_neighborhood")["overlap"]) == {"x": 224, "y": 224}
    assert udf(masked)["context"]["pixel_size"] == 20


def test_a_cube_without_dates_is_not_asked_for_dates(load_collection: Any) -> None:
    around = node(mask_clouds(load_collection(dated=False)), "apply_neighborhood")
    assert sizes(around["size"]) == {"x": 768, "y": 768}


def test_dimensions_are_called_as_the_collection_calls_them() -> None:
    masked = mask_clouds(called("longitude", "latitude", "time", "spectral"))
    around = node(masked, "apply_neighborhood")
    assert sizes(around["size"]) == {"longitude": 768, "latitude": 768, "time": "P1D"}
    assert sizes(around["overlap"]) == {"longitude": 32, "latitude": 32}


def test_chunks_without_overlap_of_tiles_still_see_the_next_tile_if_blended(
    load_collection: Any,
) -> None:
    # The last tile of a scene is pulled inside, over its neighbour.
    masked = mask_clouds(load_collection(), stitch="blend", overlap=0)
    assert sizes(node(masked, "apply_neighborhood")["overlap"]) == {"x": 256, "y": 256}


def test_chunks_are_not_smaller_than_what_they_carry(load_collection: Any) -> None:
    # Back-ends shift the result silently where the overlap is larger than the chunk.
    around = node(mask_clouds(load_collection(), "ukis-4b-l1c", dilate=8000), "apply_neighborhood")
    assert sizes(around["overlap"])["x"] == 5 * 192 + 32
    assert sizes(around["size"])["x"] == 6 * 192


def test_an_overlap_as_large_as_the_chunk_is_allowed(load_collection: Any) -> None:
    masked = mask_clouds(load_collection(), chunks=Chunks(size=192, overlap=192))
    assert sizes(node(masked, "apply_neighborhood")["overlap"]) == {"x": 192, "y": 192}


def test_distances_are_in_pixels_of_a_cube_that_stays_as_it_is(load_collection: Any) -> None:
    masked = mask_clouds(
        load_collection(), "ukis-4b-l1c", dilate=6000, pixel_size=20, chunks=Chunks(resample=None)
    )
    assert udf(masked)["context"]["pixel_size"] == 20
    # 300 pixels are two strides of 192 pixels.
    assert sizes(node(masked, "apply_neighborhood")["overlap"]) == {"x": 416, "y": 416}


def test_what_is_none_is_not_sent(load_collection: Any) -> None:
    context = udf(mask_clouds(load_collection(), preset=None, scale=1e-4, tta=None))["context"]
    assert set(context) == {"layout", "scale", "chunk_overlap"}


def test_no_overlap_is_an_empty_list_as_none_crashes_back_ends(load_collection: Any) -> None:
    masked = mask_clouds(load_collection(), overlap=0)
    assert node(masked, "apply_neighborhood")["overlap"] == []


def test_both_axes_overlap_as_back_ends_ignore_one_alone(load_collection: Any) -> None:
    overlap = sizes(node(mask_clouds(load_collection()), "apply_neighborhood")["overlap"])
    assert all(overlap[axis] > 0 for axis in "xy")


def test_the_udf_gets_its_whole_configuration_in_the_context(load_collection: Any) -> None:
    masked = mask_clouds(
        load_collection(), "ukis-6b-l1c", preset="dn", layout="probabilities", tta=3, threads=2
    )
    arguments = udf(masked)
    assert arguments["udf"].strip() == udf_code(extras=["ukis"]).strip()
    assert arguments["context"] == {
        "model": "ukis-6b-l1c", "preset": "dn", "layout": "probabilities", "tta": 3,
        "threads": 2, "chunk_overlap": 32,
    }  # fmt: skip
    parse_context(arguments["context"])


def test_engine_and_memory_reach_the_udf(load_collection: Any) -> None:
    masked = mask_clouds(load_collection(), provider="openvino", memory_mb=1500)
    context = udf(masked)["context"]
    assert (context["provider"], context["memory_mb"]) == ("openvino", 1500)
    assert parse_context(context).options.memory == 1500 * 2**20


@pytest.mark.parametrize(
    ("given", "why"),
    [({"provider": "tpu"}, "provider='tpu'"), ({"memory_mb": "1GiB"}, "must be a whole number")],
)
def test_engine_and_memory_are_checked_before_a_job_is_paid_for(
    load_collection: Any, given: dict[str, Any], why: str
) -> None:
    with pytest.raises(OptionError, match=why):
        mask_clouds(load_collection(), **given)


def test_the_context_stands_in_run_udf_where_it_reaches_the_udf(load_collection: Any) -> None:
    # The context of apply_neighborhood reaches a UDF only if run_udf asks for it.
    masked = mask_clouds(load_collection(), "ukis-4b-l1c")
    assert "context" not in node(masked, "apply_neighborhood")
    assert udf(masked)["context"]["model"] == "ukis-4b-l1c"


@pytest.mark.parametrize("layout", list(LAYOUT_BANDS))
def test_the_client_knows_the_bands_of_the_answer(load_collection: Any, layout: str) -> None:
    masked = mask_clouds(load_collection(), layout=layout)
    assert bands(masked) == list(LAYOUT_BANDS[layout])
    last = LAYOUT_BANDS[layout][-1]
    # Without the right metadata the client itself refuses this.
    assert bands(masked.filter_bands([last])) == [last]


def test_the_users_cube_keeps_its_bands(load_collection: Any) -> None:
    cube = load_collection()
    mask_clouds(cube)
    assert "B12" in cube.metadata.band_names


def test_a_cube_of_which_nothing_is_known_is_masked_all_the_same(load_collection: Any) -> None:
    masked = mask_clouds(load_collection(told=False))
    assert sizes(node(masked, "apply_neighborhood")["size"]) == {"x": 768, "y": 768, "t": "P1D"}


def test_the_way_of_delivery_chooses_the_text(load_collection: Any) -> None:
    masked = mask_clouds(load_collection(), chunks=Chunks(delivery="archive"))
    assert "/// script" not in udf(masked)["udf"]


def test_a_network_in_an_archive_is_called_by_its_name(
    load_collection: Any, tiny_network: Path
) -> None:
    # The folder it lies in here is not there where the UDF runs.
    by_archive = Chunks(delivery="archive")
    alone = mask_clouds(load_collection(), str(tiny_network), chunks=by_archive)
    assert udf(alone)["context"]["model"] == "tiny"
    both = mask_clouds(load_collection(), [str(tiny_network)] * 2, chunks=by_archive)
    assert udf(both)["context"]["model"] == ["tiny", "tiny"]
    with pytest.raises(ModelError, match="unknown model 'tiny'"):
        mask_clouds(load_collection(), "tiny", chunks=by_archive)


def test_a_network_of_this_computer_alone_is_not_sent_to_a_back_end(
    load_collection: Any, tiny_network: Path
) -> None:
    cube = load_collection()
    cube._connection = Connection.__new__(Connection)  # making one asks a back-end
    with pytest.raises(OptionError, match=r"tiny\.onnx: the back-end cannot read files of this"):
        mask_clouds(cube, [str(tiny_network)])
    assert udf(mask_clouds(load_collection(), str(tiny_network)))["context"]["model"] == str(
        tiny_network
    )


# -- a cloud-free cube ----------------------------------------------------------------------


def test_a_mask_without_band_dimension_serves_every_band(load_collection: Any) -> None:
    # A mask of two bands against thirteen is an error on some back-ends.
    cube = load_collection()
    free = cloud_free(cube, mask_clouds(cube))
    assert node(free, "reduce_dimension")["dimension"] == "bands"
    assert nodes(free, "filter_bands")[-1]["bands"] == ["mask"]
    assert free.flat_graph()[node(free, "mask")["mask"]["from_node"]]["process_id"] == (
        "resample_cube_spatial"
    )


def test_the_cloud_free_cube_has_the_bands_of_the_cube(load_collection: Any) -> None:
    cube = load_collection()
    assert bands(cloud_free(cube, mask_clouds(cube))) == bands(cube)


def test_a_mask_keeps_its_values_on_the_grid_of_the_cube(load_collection: Any) -> None:
    cube = load_collection()
    resampled = node(cloud_free(cube, mask_clouds(cube)), "resample_cube_spatial")
    assert resampled["method"] == "near"


def test_the_bands_of_a_mask_may_be_called_otherwise() -> None:
    cube = called("x", "y", "time", "spectral")
    free = cloud_free(cube, mask_clouds(cube))
    assert node(free, "reduce_dimension")["dimension"] == "spectral"


@pytest.mark.parametrize("layout", ["mask", "probabilities"])
def test_layouts_with_a_mask_hide_clouds(load_collection: Any, layout: str) -> None:
    cube = load_collection()
    free = cloud_free(cube, mask_clouds(cube, layout=layout))
    assert nodes(free, "filter_bands")[-1]["bands"] == ["mask"]


def test_a_layout_without_a_mask_hides_nothing_and_is_refused(load_collection: Any) -> None:
    cube = load_collection()
    with pytest.raises(OptionError, match="mask has the bands cloud, shadow, haze: one called"):
        cloud_free(cube, mask_clouds(cube, layout="cloud_detection"))


def test_a_mask_on_the_cubes_own_grid_needs_no_resampling(load_collection: Any) -> None:
    cube = load_collection()
    free = cloud_free(cube, mask_clouds(cube), resample=False)
    assert nodes(free, "resample_cube_spatial") == []


def test_a_mask_of_which_nothing_is_known_is_used_by_its_first_band(load_collection: Any) -> None:
    cube = load_collection(told=False)
    free = cloud_free(cube, mask_clouds(cube))
    assert node(free, "reduce_dimension")["dimension"] == "bands"
    assert nodes(free, "filter_bands") == []


# -- the borders of the cube ----------------------------------------------------------------


def test_a_known_extent_is_loaded_larger_and_cut_off_again(load_collection: Any) -> None:
    masked = mask_clouds(load_collection(extent=FIELD))
    loaded = node(masked, "load_collection")["spatial_extent"]
    # 33 pixels of 20 m are 0.006 degrees of latitude and 0.0095 of longitude at 51 degrees.
    assert loaded["south"] == pytest.approx(51 - 0.00594, abs=2e-5)
    assert loaded["east"] == pytest.approx(5.1 + 0.00946, abs=2e-5)
    assert node(masked, "filter_bbox")["extent"] == FIELD


def test_an_extent_in_metres_is_widened_in_metres(load_collection: Any) -> None:
    extent = {"west": 6e5, "south": 5e6, "east": 61e4, "north": 501e4, "crs": "EPSG:32631"}
    loaded = node(mask_clouds(load_collection(extent=extent)), "load_collection")["spatial_extent"]
    assert (loaded["west"], loaded["north"]) == (6e5 - 660, 501e4 + 660)
    assert loaded["crs"] == "EPSG:32631"


def test_the_whole_world_is_not_widened_beyond_itself(load_collection: Any) -> None:
    extent = {"west": -180, "south": -90, "east": 180, "north": 90, "crs": 4326}
    loaded = node(mask_clouds(load_collection(extent=extent)), "load_collection")["spatial_extent"]
    assert loaded == extent


def test_the_users_cube_keeps_its_extent(load_collection: Any) -> None:
    cube = load_collection(extent=FIELD)
    mask_clouds(cube)
    assert node(cube, "load_collection")["spatial_extent"] == FIELD


def test_the_border_can_be_left_as_it_is(load_collection: Any) -> None:
    masked = mask_clouds(load_collection(extent=FIELD), chunks=Chunks(border=False))
    assert node(masked, "load_collection")["spatial_extent"] == FIELD
    assert nodes(masked, "filter_bbox") == []


def test_an_extent_that_a_process_leaves_open_is_not_touched(load_collection: Any) -> None:
    extent = Parameter.spatial_extent(name="spatial_extent")
    masked = mask_clouds(load_collection(extent=extent))
    loaded = node(masked, "load_collection")["spatial_extent"]
    assert loaded == {"from_parameter": "spatial_extent"}


def test_cubes_merged_from_two_extents_are_not_widened(load_collection: Any) -> None:
    other = load_collection(extent={**FIELD, "west": 4.9})
    masked = mask_clouds(load_collection(extent=FIELD).merge_cubes(other))
    assert nodes(masked, "filter_bbox") == []


def test_a_graph_used_twice_is_loaded_once(load_collection: Any) -> None:
    cube = load_collection(extent=FIELD)
    masked = mask_clouds(cube.merge_cubes(cube.filter_bands(["B02"]), overlap_resolver="max"))
    assert len(nodes(masked, "load_collection")) == 1


# -- refused before a job is paid for -------------------------------------------------------


def test_a_collection_without_a_band_is_refused(load_collection: Any) -> None:
    with pytest.raises(BandError, match="missing band B08; there are B02, B03, B04"):
        mask_clouds(load_collection(bands=["B02", "B03", "B04"]))


@pytest.mark.parametrize(
    ("chunks", "why"),
    [
        (Chunks(size=192, overlap=194), r"chunks.size=192: .*the overlap \(194\).*use 384"),
        (Chunks(overlap=33), "chunks.overlap=33: must be even.*use 34"),
        (Chunks(size=500), r"chunks.size=500: .* stride \(256 - 64 = 192\).*use 576"),
        (Chunks(size=50), r"chunks.size=50: .*use 192"),
        (Chunks(overlap=16), "chunks.overlap=16: tiles of 256 pixels.*need 32 pixels"),
        (Chunks(size=0), "chunks.size=0: must be 1 or more"),
        (Chunks(delivery="pigeon"), "delivery='pigeon'"),  # type: ignore[arg-type]
        (Chunks(resample="averag"), "resample='averag': choose one of average, bilinear"),
    ],
)
def test_chunks_that_would_show_are_refused(
    load_collection: Any, chunks: Chunks, why: str
) -> None:
    with pytest.raises(OptionError, match=why):
        mask_clouds(load_collection(), chunks=chunks)


@pytest.mark.parametrize(
    ("context", "why"),
    [
        ({"clouds": 1}, "unknown key clouds"),
        ({"layout": "scl"}, "layout='scl'"),
        ({"preset": "raw"}, "preset='raw': choose one of"),
        ({"tta": 9}, "tta depth=9"),
        ({"chunk_overlap": 32}, r"given as chunks=Chunks\(overlap=...\)"),
        ({"scale": 1, "preset": "dn"}, "preset='dn' and scale are both given"),
        ({"bands": ["B02"]}, "bands=B02: 1 names for the 13 bands of the cube"),
        ({"pixel_size": 10}, "pixel_size=10: the cube is brought to the network's 20 m first"),
        ({"delivery": "archive"}, r"is given as chunks=Chunks\(delivery=...\)"),
        ({"size": 384}, r"is given as chunks=Chunks\(size=...\)"),
    ],
)
def test_options_that_cannot_work_are_refused(
    load_collection: Any, context: dict[str, Any], why: str
) -> None:
    with pytest.raises(OptionError, match=why):
        mask_clouds(load_collection(), **context)


def test_the_size_that_a_refusal_names_is_accepted(load_collection: Any) -> None:
    with pytest.raises(OptionError, match="use 384"):
        mask_clouds(load_collection(), stitch="blend", chunks=Chunks(size=192))
    masked = mask_clouds(load_collection(), stitch="blend", chunks=Chunks(size=384))
    assert sizes(node(masked, "apply_neighborhood")["overlap"]) == {"x": 256, "y": 256}


def test_an_xarray_cube_is_sent_to_the_other_function_of_this_name() -> None:
    cube: Any = xr.DataArray(np.zeros((4, 8, 8)), dims=("bands", "y", "x"))
    with pytest.raises(CubeError, match=r"xarray cubes are masked by cloudmask\.mask_clouds"):
        mask_clouds(cube)


def test_what_are_no_chunks_is_refused(load_collection: Any) -> None:
    sizes: Any = {"size": 192}
    with pytest.raises(OptionError, match=r"chunks=\{'size': 192\}: must be"):
        mask_clouds(load_collection(), chunks=sizes)


def test_a_scale_takes_the_place_of_the_default_preset(load_collection: Any) -> None:
    context = udf(mask_clouds(load_collection(), scale=2e-4))["context"]
    assert context["scale"] == 2e-4
    assert "preset" not in context


def test_the_default_preset_stands_in_the_graph(load_collection: Any) -> None:
    assert udf(mask_clouds(load_collection()))["context"]["preset"] == "cdse"


def test_bands_with_names_of_their_own_can_be_named(load_collection: Any) -> None:
    labels = ["IMG_NIR", "IMG_RED", "IMG_CIRRUS", "IMG_GREEN", "IMG_BLUE"]
    names = ["B08", "B04", "B10", "B03", "B02"]
    masked = mask_clouds(load_collection(bands=labels), bands=names)
    wanted = ["IMG_BLUE", "IMG_GREEN", "IMG_RED", "IMG_NIR"]
    assert node(masked, "filter_bands")["bands"] == wanted
    assert udf(masked)["context"]["bands"] == ["B02", "B03", "B04", "B08"]


@pytest.mark.parametrize(
    ("model", "collection", "other"),
    [
        ("ukis-4b-l1c", "SENTINEL2_L2A", "L2A"),
        ("ukis-4b-l2a", "SENTINEL2_L1C", "L1C"),
        ("ukis-4b-l1c", "sentinel-2-l2a", "L2A"),
    ],
)
def test_a_network_of_another_level_is_warned_of(
    load_collection: Any, model: str, collection: str, other: str
) -> None:
    cube = load_collection()
    cube.result_node().update_arguments(id=collection)
    with pytest.warns(LevelWarning, match=f"{collection} is {other}: choose a network"):
        mask_clouds(cube, model)


def test_an_unknown_network_is_refused(load_collection: Any) -> None:
    with pytest.raises(ModelError, match="unknown model 'best'"):
        mask_clouds(load_collection(), "best")


def test_networks_that_differ_are_no_ensemble(load_collection: Any) -> None:
    with pytest.raises(ModelError, match="differ in bands"):
        mask_clouds(load_collection(), ["ukis-4b-l1c", "ukis-6b-l1c"])


def test_an_ensemble_of_none_is_refused(load_collection: Any) -> None:
    with pytest.raises(ModelError, match="no model given"):
        mask_clouds(load_collection(), [])


# -- no network is named --------------------------------------------------------------------


@pytest.mark.parametrize(("loaded", "sent"), [(MSI, MSI), (MSI[:-1], TEN_METRES)])
def test_the_bands_that_are_sent_are_those_of_the_packages_own_network(
    load_collection: Any, loaded: list[str], sent: list[str]
) -> None:
    masked = mask_clouds(load_collection(bands=[*loaded, "SCL"]))
    assert node(masked, "filter_bands")["bands"] == sent


def test_which_network_it_is_the_udf_decides(load_collection: Any) -> None:
    arguments = udf(mask_clouds(load_collection()))
    assert "model" not in arguments["context"]
    # Nothing but the package itself is needed.
    assert arguments["udf"].strip() == udf_code().strip()


@pytest.mark.parametrize("given", [{}, {"bands": TEN_METRES}])
def test_bands_that_are_not_known_are_left_to_the_udf(
    load_collection: Any, given: dict[str, Any]
) -> None:
    cube = load_collection(told=False)
    cube.result_node().update_arguments(id="SENTINEL2_L2A")
    masked = mask_clouds(cube, **given)
    assert nodes(masked, "filter_bands") == []
    assert node(masked, "resample_spatial")["resolution"] == 20


def test_the_packages_own_networks_cut_the_cube_alike() -> None:
    first, *others = (entry.spec for entry in built_in())
    for each in others:
        for fact in ("tile", "overlap", "multiple", "pixel_size", "classes"):
            assert getattr(each, fact) == getattr(first, fact), fact


def test_level_2a_is_masked_without_a_warning(load_collection: Any) -> None:
    cube = load_collection(bands=[band for band in MSI if band != "B10"])
    cube.result_node().update_arguments(id="SENTINEL2_L2A")
    masked = mask_clouds(cube)
    assert node(masked, "filter_bands")["bands"] == TEN_METRES


def test_names_that_the_user_gives_choose_the_network(load_collection: Any) -> None:
    labels = [f"band_{number}" for number in range(5)]
    masked = mask_clouds(load_collection(bands=labels), bands=["B11", *reversed(TEN_METRES)])
    assert node(masked, "filter_bands")["bands"] == labels[:0:-1]
    assert udf(masked)["context"]["bands"] == TEN_METRES


# -- parameters of a user-defined process ---------------------------------------------------


def choice(*names: str) -> Parameter:
    return Parameter("model", "The network", schema={"type": "string", "enum": list(names)})


def test_a_process_may_leave_the_network_open(load_collection: Any) -> None:
    masked = mask_clouds(load_collection(), choice("ukis-4b-l1c", "ukis-4b-l2a"))
    assert udf(masked)["context"]["model"] == {"from_parameter": "model"}


def test_networks_to_choose_from_must_cut_the_cube_alike(load_collection: Any) -> None:
    with pytest.raises(ModelError, match="differ in bands"):
        mask_clouds(load_collection(), choice("ukis-4b-l1c", "ukis-6b-l1c"))


def test_networks_to_choose_from_must_have_the_same_tiles(
    load_collection: Any, tiny_network: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(tiny_network.read_bytes())
    manifest = tiny_network.with_suffix(".json").read_text("utf-8")
    other.with_suffix(".json").write_text(
        manifest.replace('"tile_size": 32', '"tile_size": 64'), "utf-8"
    )
    with pytest.raises(ModelError, match="differ in tile"):
        mask_clouds(load_collection(), choice(str(tiny_network), str(other)))


def test_a_network_left_open_must_say_which_there_are(load_collection: Any) -> None:
    with pytest.raises(OptionError, match="'model' names no networks: give its schema an enum"):
        mask_clouds(load_collection(), Parameter.string("model", "The network"))


@pytest.mark.parametrize("key", ["stitch", "tile", "overlap", "dilate", "pixel_size"])
def test_what_chunks_follow_from_cannot_be_left_open(load_collection: Any, key: str) -> None:
    left_open: dict[str, Any] = {key: Parameter(key, "Left open", schema={})}
    with pytest.raises(OptionError, match=f"{key}=.*it cannot be left open"):
        mask_clouds(load_collection(), **left_open)
