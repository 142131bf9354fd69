"""The graph that a user sends, and what is refused before a job is paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("openeo", reason="the openeo client is not installed")
from openeo.api.process import Parameter

from cloudmask.classes import LAYOUT_BANDS
from cloudmask.context import parse_context
from cloudmask.errors import BandError, ModelError, OptionError
from cloudmask_openeo import Chunks, cloud_free, mask_clouds, udf_code

if TYPE_CHECKING:
    from openeo.rest.datacube import DataCube

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


# -- the graph ------------------------------------------------------------------------------


def test_one_call_adds_all_that_the_mask_needs(load_collection: Any) -> None:
    cube = load_collection()
    graph = mask_clouds(cube).flat_graph()
    assert [step["process_id"] for step in graph.values()] == [
        "load_collection", "filter_bands", "resample_spatial", "apply_neighborhood",
    ]  # fmt: skip


def test_only_the_bands_that_the_network_needs_are_sent_to_it(load_collection: Any) -> None:
    masked = mask_clouds(load_collection())
    assert node(masked, "filter_bands")["bands"] == ["B02", "B03", "B04", "B08"]


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
    masked = mask_clouds(load_collection(), dilate=200)
    assert sizes(node(masked, "apply_neighborhood")["overlap"]) == {"x": 224, "y": 224}
    assert udf(masked)["context"]["pixel_size"] == 10


def test_a_cube_without_dates_is_not_asked_for_dates(load_collection: Any) -> None:
    around = node(mask_clouds(load_collection(dated=False)), "apply_neighborhood")
    assert sizes(around["size"]) == {"x": 768, "y": 768}


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
    assert arguments["udf"].strip() == udf_code().strip()
    assert arguments["context"] == {
        "model": "ukis-6b-l1c", "preset": "dn", "layout": "probabilities", "tta": 3,
        "threads": 2, "chunk_overlap": 32,
    }  # fmt: skip
    parse_context(arguments["context"])


def test_the_context_stands_in_run_udf_where_it_reaches_the_udf(load_collection: Any) -> None:
    # The context of apply_neighborhood reaches a UDF only if run_udf asks for it.
    masked = mask_clouds(load_collection())
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
    # 33 pixels of 10 m are 0.003 degrees of latitude and 0.0047 of longitude at 51 degrees.
    assert loaded["south"] == pytest.approx(51 - 0.00297, abs=2e-5)
    assert loaded["east"] == pytest.approx(5.1 + 0.00473, abs=2e-5)
    assert node(masked, "filter_bbox")["extent"] == FIELD


def test_an_extent_in_metres_is_widened_in_metres(load_collection: Any) -> None:
    extent = {"west": 6e5, "south": 5e6, "east": 61e4, "north": 501e4, "crs": "EPSG:32631"}
    loaded = node(mask_clouds(load_collection(extent=extent)), "load_collection")["spatial_extent"]
    assert (loaded["west"], loaded["north"]) == (6e5 - 330, 501e4 + 330)
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
        (Chunks(size=192, overlap=194), "chunk_overlap=194 is larger than chunk_size=192"),
        (Chunks(overlap=33), "chunk_overlap=33: must be even.*use 34"),
        (Chunks(size=500), r"chunk_size=500: .* stride \(256 - 64 = 192\).*use 576"),
        (Chunks(overlap=16), "chunk_overlap=16: tiles of 256 pixels.*need 32 pixels"),
        (Chunks(size=0), "chunk_size=0: must be 4 or more"),
        (Chunks(delivery="pigeon"), "delivery='pigeon'"),  # type: ignore[arg-type]
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
        ({"scale": 1}, "preset='cdse' and scale are both given"),
    ],
)
def test_options_that_cannot_work_are_refused(
    load_collection: Any, context: dict[str, Any], why: str
) -> None:
    with pytest.raises(OptionError, match=why):
        mask_clouds(load_collection(), **context)


def test_an_unknown_network_is_refused(load_collection: Any) -> None:
    with pytest.raises(ModelError, match="unknown model 'best'"):
        mask_clouds(load_collection(), "best")


def test_networks_that_differ_are_no_ensemble(load_collection: Any) -> None:
    with pytest.raises(ModelError, match="differ in bands"):
        mask_clouds(load_collection(), ["ukis-4b-l1c", "ukis-6b-l1c"])


def test_no_network_is_refused(load_collection: Any) -> None:
    with pytest.raises(ModelError, match="no model given"):
        mask_clouds(load_collection(), [])


# -- parameters of a user-defined process ---------------------------------------------------


def choice(*names: str) -> Parameter:
    return Parameter("model", "The network", schema={"type": "string", "enum": list(names)})


def test_a_process_may_leave_the_network_open(load_collection: Any) -> None:
    masked = mask_clouds(load_collection(), choice("ukis-4b-l1c", "ukis-4b-l2a"))
    assert udf(masked)["context"]["model"] == {"from_parameter": "model"}


def test_networks_to_choose_from_must_cut_the_cube_alike(load_collection: Any) -> None:
    with pytest.raises(ModelError, match="differ in bands"):
        mask_clouds(load_collection(), choice("ukis-4b-l1c", "ukis-6b-l1c"))


def test_a_network_left_open_must_say_which_there_are(load_collection: Any) -> None:
    with pytest.raises(OptionError, match="'model' names no networks: give its schema an enum"):
        mask_clouds(load_collection(), Parameter.string("model", "The network"))


def test_what_chunks_follow_from_cannot_be_left_open(load_collection: Any) -> None:
    with pytest.raises(OptionError, match="it cannot be left open"):
        mask_clouds(load_collection(), dilate=Parameter.number("dilate", "metres"))
