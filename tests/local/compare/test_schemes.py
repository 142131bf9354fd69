from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloudmask.errors import OptionError
from cloudmask.local.compare.schemes import SCHEMES, Scheme, scheme_of

CLEAR, THICK, THIN, SHADOW = 0, 1, 2, 3
PAGE = Path(__file__).parents[3] / "docs" / "comparing.md"

# Column by column the table of CloudSEN12's data card (Label Description), which relates other
# masks to the same four classes: scheme -> {code: class}.
CLOUDSEN12 = {
    "kappamask": {1: CLEAR, 4: THICK, 3: THIN, 2: SHADOW},
    "scl": {
        4: CLEAR, 2: CLEAR, 5: CLEAR, 6: CLEAR, 11: CLEAR, 8: THICK, 9: THICK, 10: THIN, 3: SHADOW,
    },
    "fmask": {0: CLEAR, 1: CLEAR, 3: CLEAR, 4: THICK, 2: SHADOW},
    "s2cloudless": {0: CLEAR, 1: THICK},
    "qa60": {0: CLEAR, 1024: THICK, 2048: THIN},
}  # fmt: skip


@pytest.mark.parametrize("name", CLOUDSEN12)
def test_codes_agree_with_the_table_of_cloudsen12(name: str) -> None:
    for code, meant in CLOUDSEN12[name].items():
        assert meant in SCHEMES[name].codes[code]


@pytest.mark.parametrize("name", CLOUDSEN12)
def test_codes_that_cloudsen12_does_not_have_are_no_data_or_a_stated_choice(name: str) -> None:
    others = set(SCHEMES[name].codes) - set(CLOUDSEN12[name])
    stated = {("scl", 7), ("qa60", 3072)}
    assert all(SCHEMES[name].codes[code] == () or (name, code) in stated for code in others)


def test_no_data_is_never_a_class() -> None:
    absent = {
        "cloudmask": [255], "cloudmask-one-cloud": [255], "scl": [0, 1], "s2cloudless": [255],
        "fmask": [255], "python-fmask": [0], "kappamask": [0, 5], "majamask": [7, 8],
    }  # fmt: skip
    for name, scheme in SCHEMES.items():
        codes = [code for code, meant in scheme.codes.items() if not meant]
        assert codes == absent.get(name, []), name


def test_a_mask_with_one_cloud_class_may_mean_thin_cloud_by_it() -> None:
    for name, code in (("s2cloudless", 1), ("fmask", 4), ("python-fmask", 2), ("ukis-csm", 1)):
        assert SCHEMES[name].codes[code] == (THICK, THIN)


def test_a_name_finds_its_scheme_and_a_scheme_of_ones_own_passes() -> None:
    assert scheme_of("scl") is SCHEMES["scl"]
    own = Scheme(name="mine", title="", codes={1: (0, 3), 2: (1, 2)}, source="")
    assert scheme_of(own) is own


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(OptionError, match=r"scheme 'sen2cor': choose among cloudmask, .*scl"):
        scheme_of("sen2cor")


def test_a_scheme_without_a_code_for_a_class_is_refused() -> None:
    with pytest.raises(OptionError, match=r"scheme half: .* \[0, 1\]"):
        Scheme(name="half", title="", codes={0: (0,), 1: (1,)}, source="")


@pytest.mark.parametrize("code", [-1, 65_536])
def test_a_code_that_no_mask_can_hold_is_refused(code: int) -> None:
    with pytest.raises(OptionError, match=rf"scheme big: codes \[{code}\]"):
        Scheme(name="big", title="", codes={0: (0, 3), 1: (1, 2), code: ()}, source="")


def test_the_documentation_lists_every_scheme_with_all_its_codes() -> None:
    names = ("clear", "thick", "thin", "shadow")
    rows = re.findall(r"^\| `([\w-]+)` \|(.*)\|$", PAGE.read_text("utf-8"), re.MULTILINE)
    told = {}
    for name, rest in rows:
        cells = [cell.strip() for cell in rest.split("|")]
        if name in SCHEMES:
            told[name] = {column: cells[1 + place] for place, column in enumerate(names)}
    assert list(told) == list(SCHEMES)
    for name, columns in told.items():
        for place, column in enumerate(names):
            codes = [code for code, meant in SCHEMES[name].codes.items() if place in meant]
            assert columns[column] == ", ".join(map(str, sorted(codes))), (name, column)
