from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cloudmask.chunk_plan import ChunkAxis, carried_for, chunk_lengths
from cloudmask.errors import OptionError
from cloudmask.windows import AxisPlan, Span, Stitch, Tiling, plan_axis

STITCHES: st.SearchStrategy[Stitch] = st.sampled_from(["crop", "blend"])


@st.composite
def tilings(draw: st.DrawFn, largest: int = 64) -> Tiling:
    tile = draw(st.integers(1, largest))
    return Tiling(tile, 2 * draw(st.integers(0, (tile - 1) // 2)))


# -- chunks ---------------------------------------------------------------------------------

CUTS = st.tuples(
    st.integers(0, 3000), st.integers(1, 1500), st.integers(1, 300), st.integers(1, 700)
)


@given(CUTS)
def test_chunk_lengths_sum_to_the_length(cut: tuple[int, int, int, int]) -> None:
    lengths = chunk_lengths(*cut)
    assert sum(lengths) == cut[0]
    assert all(length > 0 for length in lengths)


@given(CUTS)
def test_chunks_start_at_multiples(cut: tuple[int, int, int, int]) -> None:
    starts = np.cumsum([0, *chunk_lengths(*cut)])[:-1]
    assert not (starts % cut[2]).any()


@given(CUTS)
def test_no_chunk_but_an_only_one_is_shorter_than_the_least(
    cut: tuple[int, int, int, int],
) -> None:
    lengths = chunk_lengths(*cut)
    assert len(lengths) <= 1 or min(lengths) >= cut[3]


@given(CUTS)
def test_chunks_are_bounded_whatever_the_length(cut: tuple[int, int, int, int]) -> None:
    length, wanted, multiple, least = cut
    bound = max(wanted + multiple, least + multiple) + least
    assert max(chunk_lengths(length, wanted, multiple, least), default=0) <= bound


# -- a chunk that a back-end hands over ------------------------------------------------------


@dataclass(frozen=True)
class Cut:
    """A chunk of a scene as a back-end cuts it, and the whole scene's plan."""

    whole: AxisPlan
    chunk: ChunkAxis
    start: int
    """Where in the scene the chunk's own pixels begin."""
    grow: int
    tiling: Tiling

    @property
    def own(self) -> Span:
        """The chunk's own pixels that exist, and those that classes may grow from."""
        size = self.chunk.length - 2 * self.chunk.carried
        return Span(self.start, self.start + size).grown(self.grow).common(self.whole.out)

    def planned(self) -> AxisPlan:
        """The chunk's plan, in the frame of the scene."""
        plan = self.chunk.plan(self.tiling, self.whole.stitch, self.grow)
        return plan.moved(self.start - self.chunk.carried)


@st.composite
def cuts(draw: st.DrawFn) -> Cut:
    """Draw chunks that back-ends may cut: own pixels of whole strides, padded at the end."""
    tiling, stitch, length = draw(tilings(32)), draw(STITCHES), draw(st.integers(1, 300))
    grow = draw(st.integers(0, 20))
    carried = carried_for(tiling, stitch, grow) + draw(st.integers(0, 9))
    # A chunk carries no more than its neighbour has: back-ends do not know others.
    size = (draw(st.integers(0, 3)) + -(-carried // tiling.stride) or 1) * tiling.stride
    number = draw(st.integers(0, (length - 1) // size))
    seen = Span(number * size, (number + 1) * size).grown(carried)
    exists = seen.common(Span(0, length)).within(seen)
    chunk = ChunkAxis(seen.size, carried, exists)
    return Cut(plan_axis(length, tiling, stitch), chunk, number * size, grow, tiling)


@given(cuts())
def test_a_chunk_answers_for_its_own_pixels(cut: Cut) -> None:
    assert cut.planned().out.common(cut.whole.out) == cut.own


@given(cuts())
def test_a_chunk_runs_the_tiles_of_the_whole_scene(cut: Cut) -> None:
    # Where the scene ends exactly with what the chunk sees, no padding tells that it does.
    assume(cut.whole.stitch == "crop" or cut.chunk.exists.stop < cut.chunk.length)
    wanted = cut.whole.part(cut.own)
    assert cut.planned().part(cut.own).placements == wanted.placements


@given(cuts())
def test_the_tiles_of_a_chunk_see_all_that_exists_of_what_they_need(cut: Cut) -> None:
    # Back-ends that cannot give as much are served with what there is; the default is enough.
    plan, carried = cut.planned(), cut.chunk.carried
    seen = Span(cut.start - carried, cut.start - carried + cut.chunk.length)
    for placement in plan.placements:
        window = placement.window.common(cut.whole.extent)
        if plan.stitch == "crop" or window.common(plan.out).size:
            assert window.common(seen) == window


@st.composite
def starved_cuts(draw: st.DrawFn) -> Cut:
    """Draw chunks from amidst a scene that carry less of their neighbours than they need."""
    tiling, stitch, grow = draw(tilings(32)), draw(STITCHES), draw(st.integers(0, 20))
    carried = draw(st.integers(1, carried_for(tiling, stitch, grow) + 1))
    size, far = draw(st.integers(1, 3)) * tiling.stride, carried + 2 * tiling.tile
    start = -(-far // tiling.stride) * tiling.stride
    whole = plan_axis(start + size + far + draw(st.integers(0, 40)), tiling, stitch)
    seen = size + 2 * carried
    return Cut(whole, ChunkAxis(seen, carried, Span(0, seen)), start, grow, tiling)


@given(starved_cuts())
def test_a_chunk_that_sees_too_little_runs_the_tiles_of_the_whole_scene_all_the_same(
    cut: Cut,
) -> None:
    plan, carried = cut.planned(), cut.chunk.carried
    seen = Span(cut.start - carried, cut.start - carried + cut.chunk.length)
    assert plan.out == cut.own.common(seen)
    assert plan.placements == cut.whole.part(plan.out).placements


@pytest.mark.parametrize("tail", [1, 5, 31])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_tiles_without_overlap_are_the_whole_scenes_where_its_last_is_pulled_inside(
    tail: int, number: int
) -> None:
    tiling, size = Tiling(32, 0), 32
    carried, length = carried_for(tiling, "blend"), 2 * size + tail
    seen = Span(number * size, (number + 1) * size).grown(carried)
    exists = seen.common(Span(0, length)).within(seen)
    cut = Cut(
        plan_axis(length, tiling, "blend"), ChunkAxis(seen.size, carried, exists), number * size,
        0, tiling,
    )  # fmt: skip
    assert carried == 32
    assert cut.planned().part(cut.own).placements == cut.whole.part(cut.own).placements
    last = cut.planned().placements[-1].window
    assert last.common(seen).common(cut.whole.extent) == last


@pytest.mark.parametrize("carried", [-1, 4, 5])
def test_a_chunk_without_pixels_of_its_own_is_refused(carried: int) -> None:
    with pytest.raises(OptionError, match=f"chunk_overlap={carried}, chunk of 8 pixels"):
        ChunkAxis(8, carried, Span(0, 8))
