from __future__ import annotations

import pytest
from packaging.tags import parse_tag, sys_tags

from cloudmask.errors import OptionError
from cloudmask_openeo.bundle.target import Target


@pytest.mark.parametrize(
    "tag",
    [
        "cp311-cp311-manylinux_2_28_x86_64",
        "cp311-cp311-manylinux_2_17_x86_64",
        "cp311-cp311-manylinux2014_x86_64",
        "cp310-abi3-manylinux_2_28_x86_64",
        "py3-none-manylinux_2_28_x86_64",
        "py2.py3-none-any",
    ],
)
def test_wheels_that_run_on_the_target_are_taken(tag: str) -> None:
    assert Target().takes(parse_tag(tag))


@pytest.mark.parametrize(
    "tag",
    [
        "cp312-cp312-manylinux_2_28_x86_64",
        "cp311-cp311-manylinux_2_34_x86_64",
        "cp311-cp311-manylinux_2_28_aarch64",
        "cp311-cp311-musllinux_1_2_x86_64",
        "cp311-cp311-linux_x86_64",
        "cp311-cp311-win_amd64",
        "cp312-abi3-manylinux_2_28_x86_64",
    ],
)
def test_wheels_for_elsewhere_are_not_taken(tag: str) -> None:
    assert not Target().takes(parse_tag(tag))


def test_the_platform_itself_comes_first() -> None:
    platforms = Target(platform="manylinux_2_18_aarch64").platforms
    assert platforms[:3] == [
        "manylinux_2_18_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64",
    ]  # fmt: skip


def test_a_platform_that_is_no_manylinux_stands_for_itself() -> None:
    target = Target(python="3.13", platform="win_amd64")
    assert target.platforms == ["win_amd64"]
    assert target.takes(parse_tag("cp313-cp313-win_amd64"))


def test_this_python_is_the_target_of_its_own_tags() -> None:
    native = [tag for tag in sys_tags() if tag.interpreter == tag.abi and "linux" in tag.platform]
    if not native:
        pytest.skip("wheels for this platform are not named as on Linux")
    digits = native[0].interpreter.removeprefix("cp")
    version = f"{digits[0]}.{digits[1:]}"
    assert Target(version, native[0].platform).is_here
    assert not Target("3.99", native[0].platform).is_here
    assert not Target(version, "win_amd64").is_here


@pytest.mark.parametrize("python", ["", "3", "3.10", "2.7", "3.11.7", "py311", "3.x", "3.11\n"])
def test_a_python_that_is_too_old_or_no_version_is_refused(python: str) -> None:
    with pytest.raises(OptionError, match=r"give a version such as 3\.11, 3\.11 on"):
        Target(python=python)


@pytest.mark.parametrize("platform", ["", "linux x86", "--evil", "manylinux_2_28_x86_64;"])
def test_a_platform_that_is_no_name_is_refused(platform: str) -> None:
    with pytest.raises(OptionError, match="name it as wheels do"):
        Target(platform=platform)
