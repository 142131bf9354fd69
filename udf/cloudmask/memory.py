"""How much memory a run takes, known before a network is opened; and what is chosen by it.

Integers only, like `cloudmask.windows`. A run holds, besides Python and its packages: the
networks; one call's working memory; the tiles of a batch; and a band of rows, of which the
numbers, the stitched answers and what is made of these are counted. docs/memory.md tells how the
constants were measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cloudmask.augment import SYMMETRIES
from cloudmask.errors import CloudmaskError, OptionError
from cloudmask.process import held, room
from cloudmask.scene import ROWS_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudmask.runtime import Runtime
    from cloudmask.spec import ModelSpec
    from cloudmask.windows import Stitch, Tiling

MIB = 2**20
BYTES_PER_PIXEL = 3300
"""Of a network that does not say: CloudS2Mask's at 20 m, rounded up."""
DEVICE = 4 * 2**30
"""Bytes of a graphics card that a batch may take: small cards have so much."""
LARGEST_BATCH = 8
"""Tiles; beyond it a graphics card is no faster."""
ON_CARDS = ("cuda", "tensorrt")
"""Providers whose calls take a card's memory, and gain by larger batches."""
FLOAT = 4
"""Bytes."""
LIBRARY = 64 * MIB
"""What OpenVINO itself takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One scene, or one chunk of it with what it sees of its neighbours."""

    shape: tuple[int, int]
    """Pixels (y, x), of the network's grid."""
    tiling: Tiling
    stitch: Stitch
    itemsize: int = 2
    """Bytes of a number."""
    spread: bool = False
    """Whether probabilities are asked for besides classes."""
    fixed: int = 0
    """Bytes that the run holds besides: whole answers, caches."""
    per_row: int = 0
    """Bytes that it holds besides for each row that is given at once."""

    @property
    def rows(self) -> int:
        """Rows of numbers that are held: those that a tile can touch."""
        reach = 2 * self.tiling.overlap if self.stitch == "blend" else 0
        return min(self.shape[0], self.tiling.tile + reach)

    @property
    def step(self) -> int:
        """Rows that are read at once."""
        return min(self.shape[0], self.tiling.stride)

    @property
    def given(self) -> int:
        """Rows that are given at once."""
        return min(self.shape[0], ROWS_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes that a run takes at its peak, by what takes them."""

    process: int
    """Python and its packages, and what else the process holds already."""
    networks: int
    """Open networks."""
    opening: int
    """What opening the largest one takes for a moment, more than it holds later."""
    call: int
    """Working memory of network calls."""
    tiles: int
    """Tiles of a batch, and their answers."""
    rows: int
    """Rows in the making."""

    @property
    def total(self) -> int:
        """The peak: networks are opened before the first tile is cut."""
        return self.process + self.networks + max(self.opening, self.call + self.tiles + self.rows)


@dataclass(frozen=True, slots=True)
class Run:
    """What is asked of memory: networks over a scene or chunk."""

    specs: tuple[ModelSpec, ...]
    work: Work
    runtime: Runtime
    process: int | None = None
    """Bytes that the process holds before; None to look."""

    def needs(self, batch: int, *, arena: bool) -> Needs:
        """Add up what it takes with a batch, and with or without the allocator's arena."""
        work, spec = self.work, self.specs[0]
        keeps = arena or self.compiled
        calls = [call(each, work.tiling.tile, batch, arena=keeps) for each in self.specs]
        # Networks run one after the other; an arena keeps what it took, and so does OpenVINO.
        working = 0 if self.on_card else sum(calls) if keeps else max(calls)
        compiled = LIBRARY + sum(map(opening, self.specs)) if self.compiled else 0
        return Needs(
            process=held() if self.process is None else self.process,
            networks=sum(map(network, self.specs)) + compiled,
            opening=max(map(opening, self.specs)),
            call=working,
            tiles=tiles(spec, work.tiling.tile, batch),
            rows=band(spec, work) + work.fixed,
        )

    @property
    def on_card(self) -> bool:
        """Whether calls take a graphics card's memory and not ours."""
        return self.runtime.provider in ON_CARDS

    @property
    def compiled(self) -> bool:
        """Whether the engine compiles a network at its first call, and keeps both."""
        return self.runtime.provider.startswith("openvino")

    def batches(self, asked: int | None) -> tuple[int, ...]:
        """List the batches that may be chosen, the best first."""
        if asked is not None:
            return (asked,)
        if not self.on_card:
            return (1,)  # on a processor more tiles a call take more memory and no less time
        most = max(call(spec, self.work.tiling.tile, 1, arena=True) for spec in self.specs)
        return tuple(range(max(1, min(LARGEST_BATCH, DEVICE // most)), 0, -1))

    @property
    def arenas(self) -> tuple[bool, ...]:
        """List whether there may be an arena, the faster first."""
        given = self.runtime.arena_allowed and not self.compiled
        return (True, False) if given and self.runtime.arena is None else (given,)

    def chosen(self, asked: int | None, room: int | None) -> Choice:
        """Choose a batch, and whether there is an arena: the fastest that fit, else the leanest.

        Args:
            asked: Tiles in one call, if that is said.
            room: Bytes; None for as much as is wanted.
        """
        choices = [
            Choice(batch, arena, self.needs(batch, arena=arena))
            for batch in self.batches(asked)
            for arena in self.arenas
        ]
        fitting = (each for each in choices if room is None or each.needs.total <= room)
        return next(fitting, min(choices, key=lambda each: each.needs.total))


@dataclass(frozen=True, slots=True)
class Choice:
    """How tiles are put to the networks, and what that takes."""

    batch: int
    arena: bool
    needs: Needs


def network(spec: ModelSpec) -> int:
    """Bytes that an open network holds."""
    return 5 * spec.size // 4 + 64 * MIB


def opening(spec: ModelSpec) -> int:
    """Bytes that opening a network takes for a moment, more than it holds later."""
    return 2 * spec.size + 112 * MIB


def call(spec: ModelSpec, tile: int, batch: int, *, arena: bool) -> int:
    """Bytes that a network works with during a call, beside its weights.

    What a manifest says is the most that was seen with an arena. Without one, and large blocks
    given back at once (`cloudmask.process.return_large_blocks`), it is less by a third.
    """
    net = math.ceil((spec.bytes_per_pixel or BYTES_PER_PIXEL) * tile**2 * batch)
    return net + 32 * MIB if arena else net * 13 // 20 + 64 * MIB


def tiles(spec: ModelSpec, tile: int, batch: int) -> int:
    """Bytes of the tiles of a batch (cut, turned, stacked), the next one, and the answers."""
    given, got = len(spec.bands) * (3 * batch + 2), 4 * len(spec.classes) * batch
    # While one goes through all augmentations, answers of the others wait behind it.
    waiting = (len(SYMMETRIES) - 1) * (batch - 1) * len(spec.classes)
    return (given + got + waiting) * tile**2 * FLOAT


def band(spec: ModelSpec, work: Work) -> int:
    """Bytes of the rows in the making: numbers, validity, sums of answers, classes."""
    number = len(spec.bands) * work.itemsize + 1
    total = (len(spec.classes) + (work.stitch == "blend")) * FLOAT
    # The old rows, those that were read, and both together.
    reading = (2 * work.rows + work.step) * number + work.rows * total
    # The rows that are finished are a copy.
    made = 2 * FLOAT + (4 * 4 * FLOAT if work.spread else 0)
    giving = work.rows * (number + total) + work.given * (total + made)
    return max(reading, giving) * work.shape[1] + work.given * work.per_row


def fitted(
    run: Run,
    *,
    batch: int | None = None,
    memory: int | None = None,
    other: Callable[[int], Tiling] | None = None,
) -> Choice:
    """Choose batch and arena by the memory there is.

    Args:
        run: Networks and scene.
        batch: Tiles in one call, if that is said.
        memory: Bytes that the process may take altogether; None if nobody says. Then the
            system's limit serves to choose, and nothing is refused.
        other: Gives the tiling for another tile, or raises; None if no other will do.

    Raises:
        OptionError: It cannot be done in that memory.
    """
    choice = run.chosen(batch, room(memory))
    if memory is not None and choice.needs.total > memory:
        ways = _joined(list(_remedies(run, choice, memory, other)))
        raise OptionError(
            f"memory of {mib(memory)} is not enough, about {mib(choice.needs.total)} are needed: "
            f"{_parts(run, choice)}. Possible are: {ways}"
        )
    return choice


def _parts(run: Run, choice: Choice) -> str:
    """Say what takes how much."""
    needs, work = choice.needs, run.work
    names = " and ".join(spec.name for spec in run.specs)
    assumed = f" (assuming {BYTES_PER_PIXEL} bytes a pixel, a manifest does not say)"
    unknown = not all(spec.bytes_per_pixel for spec in run.specs)
    return (
        f"{mib(needs.process)} by Python and what the process holds; {mib(needs.networks)} by "
        f"{names}, and {mib(needs.opening)} while opening; {mib(needs.call)} by a call with "
        f"{choice.batch} of its tiles of {work.tiling.tile} px{assumed if unknown else ''}; "
        f"{mib(needs.tiles)} by tiles; {mib(needs.rows)} by {work.rows} rows of "
        f"{work.shape[1]} px"
    )


def _remedies(
    run: Run, choice: Choice, memory: int, other: Callable[[int], Tiling] | None
) -> Iterator[str]:
    """List what would help, that which changes the mask least first."""
    if choice.batch > 1 and _fits(run, memory):
        yield "a batch of 1"
    crop = replace(run, work=replace(run.work, stitch="crop"))
    if run.work.stitch == "blend" and _fits(crop, memory):
        yield "stitch 'crop'"
    yield f"memory of {-(-choice.needs.total // (64 * MIB)) * 64} MiB"
    largest = other and largest_tile(run, memory, other)
    if largest:
        yield f"tile {largest}, the largest that fits (it is part of the model: masks differ)"
    if _fits(replace(run, work=replace(run.work, shape=(1, 1), fixed=0)), memory):
        yield "smaller chunks, where openEO or dask cuts them"


def _fits(run: Run, memory: int) -> bool:
    return run.chosen(1, memory).needs.total <= memory


def largest_tile(run: Run, memory: int, other: Callable[[int], Tiling]) -> int | None:
    """Find the largest smaller tile with which a run fits, one tile in a call."""
    multiple = run.work.tiling.multiple
    for tile in range((run.work.tiling.tile - 1) // multiple * multiple, 0, -multiple):
        try:
            tiling = other(tile)
        except CloudmaskError:
            continue
        if _fits(replace(run, work=replace(run.work, tiling=tiling)), memory):
            return tile
    return None


def _joined(ways: list[str]) -> str:
    *first, last = ways
    return f"{'; '.join(first)}; or {last}" if first else last


def mib(size: int) -> str:
    """Write bytes as MiB, rounded up."""
    return f"{-(-size // MIB)} MiB"
