from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cloudmask_export.build import Builder
from cloudmask_export.choose import choose, slug
from cloudmask_export.errors import ExportError, WeightsError
from cloudmask_export.families import families
from cloudmask_export.graph.fill import heads
from cloudmask_export.graph.parts import weights as tensors
from cloudmask_export.skeletons import ARCHITECTURES, load_skeleton
from cloudmask_export.weights import Weights

if TYPE_CHECKING:
    from collections.abc import Mapping

RELU = "torch.nn.modules.activation.ReLU"
SILU = "torch.nn.modules.activation.SiLU"
MISH = "fastai.layers.Mish"
PKL = "v3.44_regnety_006_4C_Dice_1_20m.pkl"


def hollow(
    architecture: str, classes: int = 4, changes: Mapping[str, Any] | None = None
) -> Weights:
    """Make weights of the right names and shapes that take no memory."""
    skeleton = load_skeleton(architecture)
    head = heads(skeleton)
    shapes = {name: tuple(each.dims) for name, each in tensors(skeleton.graph).items()}
    shapes |= {name: (classes, *shapes[name][1:]) for name in head}
    arrays = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}
    return weights_of({**arrays, **(changes or {})})


def weights_of(arrays: Mapping[str, Any], modules: Mapping[str, str] | None = None) -> Weights:
    whole = {name: value for name, value in arrays.items() if value is not None}
    return Weights(
        arrays=whole, modules=modules or {}, format="pth", stored="fp32", sha256="0" * 64, size=1
    )


PUBLISHED = [(each, member) for each in families().values() for member in each.members]


@pytest.mark.parametrize(
    ("family", "member"), PUBLISHED, ids=lambda each: getattr(each, "member", "")
)
def test_a_published_file_is_told_by_its_name(family: Any, member: Any) -> None:
    found = choose(Path("/weights") / member.file, hollow(member.architecture))
    assert found.family == family
    assert found.name == f"{family.name}-{member.member}"
    assert found.architecture == member.architecture


@pytest.mark.parametrize(
    "name",
    [f"{PKL[:-4]}.pth", f"{PKL[:-4]} (1).pkl", PKL.upper(), PKL.replace("pkl", "SafeTensors")],
)
def test_ending_case_and_a_browsers_copy_do_not_matter(name: str) -> None:
    found = choose(Path(name), hollow("dynunet-regnety_006-13"))
    assert found.name == "clouds2mask-20m-v3.44"


def test_a_file_of_another_name_is_told_by_its_tensors_if_one_family_has_them() -> None:
    found = choose(Path("My Best weights.pth"), hollow("smp-edgenext_small-3"))
    assert found.family.name == "omnicloudmask-v4"
    assert found.architecture == "smp-edgenext_small-3"
    assert found.name == "omnicloudmask-v4-my-best-weights"


@pytest.mark.parametrize(
    ("architecture", "classes", "names"),
    [
        ("dynunet-regnety_004-3", 4, "omnicloudmask-v1, omnicloudmask-v2, omnicloudmask-v3;"),
        ("dynunet-regnety_006-13", 4, "clouds2mask-10m, clouds2mask-20m;"),
        ("dynunet-regnety_006-13", 3, "clouds2mask-10m-3c, clouds2mask-20m-3c;"),
        ("smp-regnety_004-3", 5, "none;"),
    ],
)
def test_tensors_of_several_families_or_none_are_refused_with_the_choice(
    architecture: str, classes: int, names: str
) -> None:
    with pytest.raises(ExportError, match=f"mine.pth: .* families: {names} choose with --family"):
        choose(Path("mine.pth"), hollow(architecture, classes))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_architecture_is_told_from_all_others(architecture: str) -> None:
    fitting = [each for each in families().values() if architecture in each.architectures]
    for family in fitting:
        found = choose(Path("mine.pth"), hollow(architecture, len(family.classes)), family.name)
        assert (found.family, found.architecture) == (family, architecture)
    assert fitting


def test_a_family_that_is_asked_for_goes_before_the_files_name() -> None:
    found = choose(Path(PKL), hollow("dynunet-regnety_006-13"), "clouds2mask-10m")
    assert found.family.name == "clouds2mask-10m"
    assert found.name == "clouds2mask-10m-v3.44-regnety-006-4c-dice-1-20m"


def test_a_family_that_is_asked_for_by_its_own_file_keeps_the_members_name() -> None:
    found = choose(Path(PKL), hollow("dynunet-regnety_006-13"), "clouds2mask-20m")
    assert found.name == "clouds2mask-20m-v3.44"


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(ExportError, match="unknown family 'clouds'; there are clouds2mask-10m"):
        choose(Path(PKL), hollow("dynunet-regnety_006-13"), "clouds")


def test_a_family_of_another_architecture_is_refused_by_the_first_difference() -> None:
    with pytest.raises(
        WeightsError, match=r"mine\.pth: not the weights of dynunet-regnety_006-13\. .*it lacks "
    ):
        choose(Path("mine.pth"), hollow("smp-regnety_004-3"), "clouds2mask-20m")


def test_what_fits_nothing_is_compared_with_the_nearest() -> None:
    gone = {next(iter(hollow("smp-regnety_004-3").arrays)): None}
    with pytest.raises(WeightsError, match=r"Compared with smp-regnety_004-3: it lacks \S+$"):
        choose(Path("mine.pth"), hollow("smp-regnety_004-3", changes=gone))


def test_a_tensor_of_another_shape_is_named_with_both() -> None:
    name = next(iter(hollow("smp-regnety_004-3").arrays))
    bad = {name: np.zeros((1, 2), np.float32)}
    with pytest.raises(WeightsError, match=rf"another shape {name} \(1, 2\) instead of \("):
        choose(Path("mine.pth"), hollow("smp-regnety_004-3", changes=bad), "omnicloudmask-v4")


def test_a_published_name_does_not_make_other_weights_right() -> None:
    with pytest.raises(WeightsError, match="not the weights of dynunet-regnety_006-13"):
        choose(Path(PKL), hollow("dynunet-regnety_004-3"))


def test_the_weights_of_its_sibling_are_refused_under_a_members_name() -> None:
    regnety, _ = families()["omnicloudmask-v4"].members
    with pytest.raises(WeightsError, match=r"not the weights of smp-regnety_004-3\. "):
        choose(Path(regnety.file), hollow("smp-edgenext_small-3"))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Mine.pth", "mine"),
        ("a b__c.pkl", "a-b-c"),
        ("v1.2_net.safetensors", "v1.2-net"),
        ("-x-.pth", "x"),
        ("über.pth", "ber"),
        ("___.pth", "weights"),
        ("../evil.pth", "evil"),
    ],
)
def test_a_network_of_another_file_is_named_after_it(name: str, found: str) -> None:
    assert slug(Path(name)) == found


# -- what is built --------------------------------------------------------------------------


def built(weights: Weights, wanted: str, name: str = "mine.pth") -> Builder:
    return Builder(weights, choose(Path(name), weights, wanted))


@pytest.mark.parametrize(
    ("family", "activation"), [("clouds2mask-20m", "Mish"), ("omnicloudmask-v2", "Mish")]
)
def test_without_a_whole_model_the_activation_is_the_familys(family: str, activation: str) -> None:
    architecture = families()[family].architectures[0]
    assert built(hollow(architecture), family).activation == activation


def test_an_architecture_without_a_choice_has_no_activation() -> None:
    assert built(hollow("smp-regnety_004-3"), "omnicloudmask-v4").activation == ""


@pytest.mark.parametrize(("named", "kind"), [(RELU, "ReLU"), (MISH, "Mish")])
def test_the_activation_is_that_of_the_pickled_model(named: str, kind: str) -> None:
    whole = replace(hollow("dynunet-regnety_006-13"), modules={"layers.4.relu": named})
    assert built(whole, "clouds2mask-20m").activation == kind


def test_another_activation_is_refused_by_name() -> None:
    whole = replace(hollow("dynunet-regnety_006-13"), modules={"layers.4.relu": SILU})
    builder = built(whole, "clouds2mask-20m")
    with pytest.raises(WeightsError, match=rf"activation is {SILU}; known are Mish and ReLU"):
        builder.exact()


def test_three_classes_are_right_for_the_family_of_three(random_weights: Any) -> None:
    weights = weights_of(random_weights("dynunet-regnety_006-13", classes=3))
    builder = built(weights, "clouds2mask-20m-3c")
    model, spec = builder.exact(), builder.spec("mine", "fp32")
    assert model.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 3
    assert spec.classes == (0, 1, 3)
    with pytest.raises(WeightsError, match="have 3 classes, family 'clouds2mask-20m' has 4"):
        built(weights, "clouds2mask-20m").exact()
