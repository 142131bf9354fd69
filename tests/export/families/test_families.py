from __future__ import annotations

import re
from collections.abc import Callable  # noqa: TC003  # hypothesis reads annotations
from dataclasses import FrozenInstanceError, replace
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudmask.bands import SENTINEL2
from cloudmask.default import BUILT_IN
from cloudmask_export.errors import ExportError
from cloudmask_export.families import (
    Family,
    FixedNormalisation,
    PatchNormalisation,
    WeightFile,
    by_file_name,
    canonical_name,
    families,
    family,
)
from cloudmask_export.families.published import parse

FAMILIES = list(families().values())
MEMBERS = [(each, weights) for each in FAMILIES for weights in each.members]
PUBLISHED = [weights for _, weights in MEMBERS]
CLOUDS2MASK = [each for each in FAMILIES if each.name.startswith("clouds2mask")]
OMNICLOUDMASK = [each for each in FAMILIES if each.name.startswith("omnicloudmask")]
NAMES = [
    "clouds2mask-10m", "clouds2mask-20m", "clouds2mask-10m-3c", "clouds2mask-20m-3c",
    "omnicloudmask-v1", "omnicloudmask-v2", "omnicloudmask-v3", "omnicloudmask-v4",
    "cloudmask-s2-small", "cloudmask-s2-small-4b",
]  # fmt: skip


def weights_of(name: str, member: str) -> WeightFile:
    return next(each for each in family(name).members if each.member == member)


def test_all_families_are_known_by_name() -> None:
    assert list(families()) == NAMES
    assert [family(name).name for name in NAMES] == NAMES


def test_nobody_changes_what_is_published() -> None:
    with pytest.raises(TypeError, match="item assignment"):
        families()["mine"] = FAMILIES[0]  # type: ignore[index]
    with pytest.raises(FrozenInstanceError, match="tile"):
        FAMILIES[0].tile = 1  # type: ignore[misc]


def test_an_unknown_family_is_refused_with_the_known_and_the_nearest() -> None:
    with pytest.raises(ExportError, match=r"unknown family 'cloudS2mask_20m'.*-v4") as caught:
        family("cloudS2mask_20m")
    assert str(caught.value).endswith("Did you mean clouds2mask-20m?")


def test_a_name_in_capitals_is_near_to_its_own() -> None:
    with pytest.raises(ExportError, match=r"Did you mean omnicloudmask-v3\?"):
        family(" OMNICLOUDMASK-V3")


def test_a_name_that_resembles_none_gets_no_hint() -> None:
    with pytest.raises(ExportError, match="unknown family 'x'; there are") as caught:
        family("x")
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("each", CLOUDS2MASK, ids=lambda each: each.name)
def test_clouds2mask_takes_all_bands_of_l1c_normalised_by_one_number_each(each: Family) -> None:
    assert each.bands == tuple(SENTINEL2)
    assert (each.level, each.tile, each.overlap) == ("L1C", 500, 128)
    assert isinstance(each.normalisation, FixedNormalisation)
    assert each.normalisation.divisor == 32767
    # As reflectance, what scenes of the world have: cirrus is dark, near infrared the brightest.
    mean = dict(zip(each.bands, each.normalisation.mean, strict=True))
    assert min(mean, key=mean.__getitem__) == "B10"
    assert max(mean, key=mean.__getitem__) == "B8A"
    assert all(0 < value * 3.2767 < 0.4 for value in mean.values())


@pytest.mark.parametrize("each", OMNICLOUDMASK, ids=lambda each: each.name)
def test_omnicloudmask_takes_red_green_and_near_infrared_of_either_level(each: Family) -> None:
    assert each.bands == ("B04", "B03", "B8A")
    assert (each.level, each.tile, each.overlap, each.pixel_size) == ("", 1000, 300, 10)
    assert each.normalisation == PatchNormalisation()


@pytest.mark.parametrize("each", CLOUDS2MASK, ids=lambda each: each.name)
def test_a_name_of_clouds2mask_says_its_pixel_size_and_classes(each: Family) -> None:
    assert f"-{each.pixel_size:g}m" in each.name
    assert each.classes == ((0, 1, 3) if each.name.endswith("-3c") else (0, 1, 2, 3))


@pytest.mark.parametrize("each", OMNICLOUDMASK, ids=lambda each: each.name)
def test_only_version_4_leaves_no_choice_of_the_activation(each: Family) -> None:
    assert each.activation == ("" if each.name.endswith("v4") else "Mish")
    assert all(
        name.startswith("smp-" if each.name.endswith("v4") else "dynunet-")
        for name in each.architectures
    )


def test_three_class_networks_have_an_architecture_and_no_published_files() -> None:
    for name in ("clouds2mask-10m-3c", "clouds2mask-20m-3c"):
        assert family(name).members == ()
        assert family(name).architectures == ("dynunet-regnety_006-13",)


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_packages_own_networks_have_an_architecture_and_nothing_to_fetch(name: str) -> None:
    own = family(name)
    assert own.members == ()
    assert own.architectures == (f"slim-regnety_002-{len(own.bands)}",)
    assert (own.licence, own.classes, own.pixel_size) == ("MIT", (0, 1, 2, 3), 20)
    assert isinstance(own.normalisation, FixedNormalisation)
    assert own.normalisation.divisor == 10000


def test_a_slim_encoder_halves_once_less() -> None:
    assert family("cloudmask-s2-small").multiple == 16
    assert replace(family("cloudmask-s2-small"), tile=264, overlap=0).multiple == 8
    mixed = ("slim-regnety_002-13", "dynunet-regnety_006-13")
    assert replace(family("cloudmask-s2-small"), architectures=mixed).multiple == 32


@pytest.mark.parametrize("each", [each for each in FAMILIES if each.members], ids=lambda e: e.name)
def test_every_published_ensemble_has_two_members(each: Family) -> None:
    assert len(each.members) == 2
    first, second = each.members
    assert first.member != second.member
    assert first.file != second.file


@pytest.mark.parametrize("each", [*CLOUDS2MASK, *OMNICLOUDMASK], ids=lambda each: each.name)
def test_licence_page_paper_and_training_data_are_stated(each: Family) -> None:
    assert each.licence == "MIT"
    assert each.page.startswith("https://github.com/DPIRD-DMA/")
    assert re.search(r"Wright.*\(202[45]\).*https://doi\.org/10\.1016/j\.rse\.202", each.citation)
    assert each.training_data.endswith(".")
    assert not each.members or "CC BY-NC 4.0" in each.training_data


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_packages_own_networks_say_whose_data_they_were_trained_on(name: str) -> None:
    assert "Copernicus Sentinel data" in family(name).training_data
    assert family(name).page.startswith("https://")
    assert "openeo-cloudmask" in family(name).citation


def test_every_network_made_from_published_weights_has_a_name_of_its_own() -> None:
    names = [weights.model_name(each) for each, weights in MEMBERS]
    assert "clouds2mask-20m-v3.44" in names
    assert "omnicloudmask-v3-regnety_004" in names
    assert len(set(names)) == len(names) == 12


def test_no_file_and_no_address_is_published_twice() -> None:
    for listed in (
        [weights.file for weights in PUBLISHED],
        [url for weights in PUBLISHED for url in weights.urls],
    ):
        assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("weights", PUBLISHED, ids=lambda each: each.file)
def test_every_published_place_is_https_at_one_of_two_services(weights: WeightFile) -> None:
    places = [urlsplit(url) for url in weights.urls]
    assert {place.scheme for place in places} == {"https"}
    hosts = [place.hostname for place in places]
    if weights.file.endswith(".pkl"):
        assert hosts == ["drive.usercontent.google.com"]
    else:
        assert hosts == ["huggingface.co", "drive.usercontent.google.com"]
        assert places[0].path.startswith("/NickWright/OmniCloudMask/resolve/main/PM_model_")
    drive = parse_qs(places[-1].query)
    assert (drive["export"], drive["confirm"]) == (["download"], ["t"])
    assert re.fullmatch(r"1[\w-]{32}", drive["id"][0])


@pytest.mark.parametrize("each", CLOUDS2MASK[:2], ids=lambda each: each.name)
def test_a_file_of_clouds2mask_says_its_version_its_place_in_the_ensemble_and_pixel_size(
    each: Family,
) -> None:
    for number, weights in enumerate(each.members, start=1):
        end = f"4C_Dice_{number}_{each.pixel_size:g}m.pkl"
        assert weights.file == f"{weights.member}_regnety_006_{end}"


@pytest.mark.parametrize(("each", "weights"), MEMBERS, ids=lambda each: "")
def test_a_published_file_is_found_by_its_name(each: Family, weights: WeightFile) -> None:
    assert by_file_name(weights.file) == (each, weights)
    assert by_file_name(f"/home/me/Downloads/{weights.file}") == (each, weights)


@given(
    st.sampled_from(MEMBERS),
    st.sampled_from(["pkl", "pth", "safetensors", "PTH"]),
    st.sampled_from(["", " (1)", "(2)", " (10)"]),
    st.sampled_from([str, str.upper]),
)
def test_ending_case_and_a_browsers_copies_do_not_matter(
    member: tuple[Family, WeightFile], ending: str, copy: str, case: Callable[[str], str]
) -> None:
    stem = member[1].file.rpartition(".")[0]
    name = f"{case(stem)}{copy}.{ending}"
    assert by_file_name(name) == member


@pytest.mark.parametrize(
    "name", ["weights.pkl", "", "v3.44_regnety_006_4C_Dice_1_20m.pkl.part", "(1).pkl"]
)
def test_a_name_that_is_not_published_is_nobodys(name: str) -> None:
    assert by_file_name(name) is None


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("a.pkl", "a.pkl"),
        ("a (1).pkl", "a.pkl"),
        ("a(12).safetensors", "a.safetensors"),
        ("a (b).pkl", "a (b).pkl"),
        ("v1 (2).5", "v1 (2).5"),
    ],
)
def test_a_browsers_copy_counts_under_its_published_name(name: str, published: str) -> None:
    assert canonical_name(name) == published


def test_a_place_that_publishes_another_format_gives_a_file_with_that_ending() -> None:
    weights = weights_of("omnicloudmask-v1", "regnety_004")
    stem = weights.file.removesuffix(".pth")
    assert [weights.saved_as(url) for url in weights.urls] == [f"{stem}.safetensors", weights.file]
    assert weights.names == (f"{stem}.safetensors", f"{stem}.pth")


def test_an_address_without_the_files_name_gives_the_published_name() -> None:
    weights = weights_of("clouds2mask-20m", "v3.44")
    assert weights.saved_as("https://x.org/other.pkl") == weights.file
    assert weights.saved_as("https://x.org/..%2F..%2Fetc") == weights.file
    assert weights.saved_as("https://x.org/" + weights.file.removesuffix(".pkl")) == weights.file
    assert weights.names == (weights.file,)


def test_a_size_counts_for_the_format_that_it_was_measured_on() -> None:
    weights = replace(weights_of("omnicloudmask-v1", "regnety_004"), size=7)
    safetensors, pth = weights.names
    assert (weights.size_of(safetensors), weights.size_of(pth)) == (None, 7)


def test_files_of_20_m_are_smaller_than_those_of_10_m() -> None:
    sizes = [[each.size for each in family(f"clouds2mask-{m}m").members] for m in (10, 20)]
    assert sizes == [[136_232_257] * 2, [125_489_090] * 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Cloud Mask"}, "'Cloud Mask': lower-case words"),
        ({"bands": ()}, "there must be one at least"),
        ({"bands": ("B04", "B03", "red")}, r"\['red'\] are none of Sentinel-2's"),
        ({"bands": ("B04", "B03", "B04")}, "bands .*: one is doubled"),
        ({"classes": (0, 1, 4)}, r"class codes \[4\]"),
        ({"classes": (0,)}, "two at least"),
        ({"classes": (0, 1, 1)}, "classes .*: one is doubled"),
        ({"overlap": 1000}, "overlap 1000 px: must be 0 or more and below the tile's 1000 px"),
        ({"overlap": -1}, "overlap -1 px"),
        ({"pixel_size": 0}, "pixel size 0 m: must be above 0"),
        ({"level": "L3"}, "level 'L3': must be one of"),
        ({"activation": "mish"}, "activation 'mish': must be one of"),
        ({"architectures": ()}, "must name one at least"),
        ({"architectures": ("smp-regnety_004-3",)}, "must name .* those of all members"),
        (
            {"normalisation": FixedNormalisation(divisor=1, mean=(0, 0), std=(1, 1))},
            "2 means for 3 bands",
        ),
    ],
)
def test_a_family_that_contradicts_itself_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        replace(family("omnicloudmask-v4"), **change)


def test_two_members_of_one_name_are_refused() -> None:
    each = family("omnicloudmask-v4")
    with pytest.raises(ExportError, match=r"members .*: one is doubled"):
        replace(each, members=(each.members[0], each.members[0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "../weights.pkl"}, r"name '\.\./weights\.pkl'.*no path"),
        ({"file": "weights.zip"}, "weights.zip: must end with one of .pkl"),
        ({"member": ""}, "name ''"),
        ({"urls": ("weights.pkl",)}, "'weights.pkl' is no address"),
        ({"size": 0}, "size 0; must be bytes"),
    ],
)
def test_a_weight_file_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        replace(PUBLISHED[0], **change)


@pytest.mark.parametrize(
    ("divisor", "mean", "std", "message"),
    [
        (1, (0.0,), (1.0, 1.0), "1 means and 2 standard deviations"),
        (1, (), (), "0 means"),
        (1, (float("nan"),), (1.0,), "must be finite"),
        (1, (0.0,), (0.0,), "greater than 0"),
        (0, (0.0,), (1.0,), "greater than 0"),
    ],
)
def test_a_normalisation_that_gives_no_number_is_refused(
    divisor: float, mean: tuple[float, ...], std: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        FixedNormalisation(divisor=divisor, mean=mean, std=std)


TOML = """
[project.p]
title = "t"
licence = "MIT"
citation = "c"
page = "https://example.org"
bands = ["B04"]
classes = [0, 1]
level = ""
pixel_size = 10
tile = 64
overlap = 0
normalisation = { kind = "patch" }
activation = ""
training_data = "none"

[[family]]
name = "one"
project = "p"

[[family.members]]
member = "b"
file = "b.pth"
architecture = "net-b"
urls = []

[[family.members]]
member = "a"
file = "a.pth"
architecture = "net-a"
urls = []
"""


def test_a_family_takes_what_its_project_says_and_its_members_in_the_order_written() -> None:
    one = parse(TOML)["one"]
    assert one.title == "t"
    assert [each.member for each in one.members] == ["b", "a"]
    assert one.architectures == ("net-b", "net-a")


def test_two_families_of_one_name_are_refused() -> None:
    with pytest.raises(ExportError, match="one name is given twice"):
        parse(TOML + '\n[[family]]\nname = "one"\nproject = "p"\narchitectures = ["net-a"]\n')


def test_an_unknown_kind_of_normalisation_is_refused() -> None:
    with pytest.raises(ExportError, match="normalisation 'scene': must be fixed or patch"):
        parse(TOML.replace('"patch"', '"scene"'))


def test_versions_of_omnicloudmask_start_with_the_same_member() -> None:
    orders = [[each.member for each in version.members] for version in OMNICLOUDMASK]
    assert orders[0] == ["regnety_004", "convnextv2_nano"]
    assert all(one == two for one, two in pairwise(orders[1:]))
    assert orders[1] == ["regnety_004", "edgenext_small"]


def test_every_architecture_has_a_skeleton() -> None:
    skeletons = pytest.importorskip("cloudmask_export.skeletons")
    wanted = {name for each in FAMILIES for name in each.architectures}
    assert wanted == set(skeletons.ARCHITECTURES)
