from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudmask.chunk_plan import carried_for
from cloudmask.errors import OptionError
from cloudmask.windows import Stitch, Tiling
from cloudmask_openeo.neighbourhood import Neighbourhood, choose

STITCHES: st.SearchStrategy[Stitch] = st.sampled_from(["crop", "blend"])


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    tile = draw(st.integers(4, 600))
    return Tiling(tile, 2 * draw(st.integers(0, (tile - 1) // 2)))


@given(tilings(), STITCHES, st.integers(0, 500))
def test_what_is_chosen_shows_no_seams_on_any_back_end(
    tiling: Tiling, stitch: Stitch, grow: int
) -> None:
    needed = carried_for(tiling, stitch, grow)
    found = choose(tiling, stitch, grow)
    assert found.size % tiling.stride == 0
    assert needed <= found.overlap <= needed + 1
    assert found.overlap % 2 == 0
    assert found.overlap <= found.size


@given(tilings(), STITCHES, st.integers(1, 2000))
def test_a_refused_size_comes_with_one_that_is_accepted(
    tiling: Tiling, stitch: Stitch, size: int
) -> None:
    try:
        choose(tiling, stitch, size=size)
    except OptionError as error:
        best = int(str(error).rsplit("use ", maxsplit=1)[1])
        assert choose(tiling, stitch, size=best).size == best


def test_an_overlap_larger_than_the_chunk_is_never_sent() -> None:
    with pytest.raises(OptionError, match=r"chunks\.overlap=8 is larger than chunks\.size=6"):
        Neighbourhood(6, 8)
