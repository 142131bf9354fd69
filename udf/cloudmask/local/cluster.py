"""Scenes masked on a dask cluster: bands of rows are made there, and come back in order.

Each task opens the scene, reads the rows that its tiles need, and answers for its own rows as one
machine would for the whole. So the scene's path or address must mean the same to the workers.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cloudmask.bands import PRESETS
from cloudmask.chunk_plan import chunk_lengths
from cloudmask.claims import for_tasks
from cloudmask.errors import CubeError, OptionError
from cloudmask.local.readers import gdal
from cloudmask.local.resample import Resampled
from cloudmask.local.run import Watch, mask_file
from cloudmask.local.stream import ClassRows, answered, regridded
from cloudmask.scene import Plan, predict_rows
from cloudmask.sizing import doubt
from cloudmask.windows import Span, plan_axis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudmask.bands import Preset
    from cloudmask.ensemble import Ensemble
    from cloudmask.local.filejob import FileJob
    from cloudmask.local.grid import Regrid
    from cloudmask.local.product import Product, Scene, Wanted
    from cloudmask.local.run import Summary
    from cloudmask.memory import Work
    from cloudmask.options import Options
    from cloudmask.source import RowSource


@contextmanager
def connected(address: str, seconds: float = 60) -> Iterator[Any]:
    """Connect to a dask scheduler with workers.

    Args:
        address: As the scheduler prints it, "tcp://HOST:8786".
        seconds: To wait for the scheduler, and for the first worker.

    Yields:
        The dask Client.

    Raises:
        ClusterError: Nothing answers there, or no worker comes.
        OptionError: distributed is not installed here.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise OptionError(
            f"scheduler {address}: dask.distributed is not installed here ({error}): "
            "pip install 'openeo-cloudmask[dask]'"
        ) from error
    from cloudmask.delivery import ClusterError

    try:
        # A default Client that cannot connect would stay dask's scheduler for good.
        client = Client(address, timeout=seconds, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise ClusterError(
            f"scheduler {address}: no dask scheduler answers there ({_line(error)}); start one "
            "with `dask scheduler` and give the address that it prints, tcp://HOST:8786"
        ) from error
    with client, client.as_current():
        try:
            client.wait_for_workers(1, timeout=seconds)
        except TimeoutError as error:
            raise ClusterError(
                f"scheduler {address}: it has no worker, and none came within {seconds:g} "
                f"seconds; start some with `dask worker {address}`"
            ) from error
        yield client


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A scene, and how it is masked; pickled with every task."""

    scene: Scene
    wanted: Wanted
    """What the networks want of it."""
    regrid: Regrid
    """Its grid and the network's."""
    ensemble: Ensemble
    options: Options
    """Dilation is left to the one who has all rows."""
    spread: bool
    """Whether probabilities are wanted, too."""

    def bands(self) -> list[Span]:
        """Cut the network's grid into the rows of a task each."""
        tiling = self.options.tiling(self.ensemble.spec)
        height = self.regrid.network_shape[0]
        lengths = chunk_lengths(height, self.options.chunk, tiling.stride, 1)
        return [Span(*each) for each in pairwise(accumulate(lengths, initial=0))]

    def work(self) -> Work:
        """Say how much a task does at once, for a look at the workers' memory."""
        spec, shape = self.ensemble.spec, self.regrid.network_shape
        pixel = 2 + (16 if self.spread else 0)
        fixed = math.ceil(self.options.chunk * self.regrid.factor**2 * shape[1] * pixel)
        itemsize = 2 if self.regrid.trivial else 4
        work = self.options.work(spec, shape, itemsize=itemsize, fixed=fixed, per_row=0)
        return replace(work, spread=self.spread)

    def rows(self, out: Span) -> list[ClassRows]:
        """Answer for a band of rows, on a worker.

        Args:
            out: Rows of the network's grid.

        Returns:
            Rows of the scene's grid, in order.

        Raises:
            CloudmaskError: The scene cannot be read there, or a network not opened.
        """
        try:
            with gdal(), self.scene.opened(self.wanted) as product:
                return list(self._made(product, out))
        except CubeError as error:
            told = str(error)
        # Outside, so that it has no cause: libraries have errors that cannot be pickled.
        raise CubeError(
            f"{told} (on a worker of the cluster, for which {self.scene.place} must mean the same "
            "as here: a full path on a shared disk, or an address)"
        )

    def _made(self, product: Product, out: Span) -> Iterator[ClassRows]:
        raster, preset, regrid = product.raster, product.preset, self.regrid
        if regrid.trivial:
            return self._answered(raster, preset, out)
        resampled = Resampled(raster, preset, regrid)
        first = regrid.file_rows(out).start
        resampled.valid(Span(first, first))  # none before it will be asked for
        # What is resampled is reflectance.
        made = self._answered(resampled, PRESETS["reflectance"], out)
        return regridded(made, regrid, resampled.valid)

    def _answered(self, source: RowSource, preset: Preset, out: Span) -> Iterator[ClassRows]:
        tiling, stitch = self.options.tiling(self.ensemble.spec), self.options.stitch
        y, x = (plan_axis(size, tiling, stitch) for size in source.shape[1:])
        plan = Plan(y.part(out), x, tiling, self.options.batch or 1)
        rows = predict_rows(source, plan, self.ensemble, preset)
        return answered(rows, self.ensemble.spec.classes, spread=self.spread)


def mask_on_cluster(job: FileJob, address: str) -> Summary:
    """Mask a scene on a cluster; the files are written here, as `mask_file` writes them.

    Args:
        job: What to make.
        address: See `connected`.

    Raises:
        ClusterError: There is no such cluster, or it cannot run this package.
        CloudmaskError: As `mask_file`.
    """
    with connected(address) as client:
        return mask_file(job, Watch(client=client))


def stream(order: Order, client: Any) -> Iterator[ClassRows]:
    """Give the rows of a mask on the scene's grid, from the top, as the cluster makes them.

    They are those of one machine, bit by bit. A worker that dies loses nothing: another one makes
    its rows.

    Args:
        order: What to do.
        client: A dask Client with workers, not asynchronous, and the active one.

    Raises:
        ClusterError: The workers cannot run this package, or die again and again.
        CloudmaskError: What a worker says of the scene.

    Warns:
        UserWarning: The workers have too little memory for it.
    """
    specs = [model.spec for model in order.ensemble.models]
    doubt(order.options, specs, order.work())
    sent = replace(order, ensemble=for_tasks(order.ensemble))
    for band in _in_order(client, sent, order.bands()):
        yield from band


def _in_order(client: Any, order: Order, bands: Iterable[Span]) -> Iterator[list[ClassRows]]:
    """Compute bands, some of them ahead of the one that is given."""
    from distributed import KilledWorker

    from cloudmask.delivery import ClusterError

    ahead = 2 * sum(client.nthreads().values())
    waiting: deque[Any] = deque()
    try:
        for number, band in enumerate(bands):
            key = f"cloudmask-{order.scene.name}-{band.start}-{uuid4()}"
            waiting.append(client.submit(order.rows, band, key=key, priority=-number))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except KilledWorker as error:
        raise ClusterError(
            f"scheduler {client.scheduler.address}: {_line(error)} Most often workers lack "
            "memory: start them with more of it or fewer threads, or give --memory"
        ) from error
    finally:
        with suppress(Exception):  # the cluster may be gone, which is told already
            client.cancel(list(waiting))
