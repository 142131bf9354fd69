"""The back-end: catalogue, processes, jobs and stored processes put together."""

# mypy: disallow-subclassing-any=False
# (openeo_driver is not installed where types are checked)

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openeo_driver.backend import (
    ErrorSummary,
    OpenEoBackendImplementation,
    UserDefinedProcesses,
    UserDefinedProcessesListing,
    UserDefinedProcessMetadata,
)
from openeo_driver.errors import ProcessGraphNotFoundException
from openeo_driver.ProcessGraphDeserializer import ConcreteProcessing

from standin.catalog import FolderCatalog
from standin.joblog import JobLog
from standin.jobs import ThreadedJobs
from standin.protocol import worker_settings
from standin.udfs import UdfRunner
from standin.workers import Pools

if TYPE_CHECKING:
    from pathlib import Path

    from openeo_driver.utils import EvalEnv


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the server finds and puts things."""

    collections: Path
    results: Path


class StoredProcesses(UserDefinedProcesses):
    """Users' own processes, in memory."""

    def __init__(self) -> None:
        self._processes: dict[tuple[str, str], UserDefinedProcessMetadata] = {}

    def get(self, user_id: str, process_id: str) -> UserDefinedProcessMetadata | None:
        """Find a process."""
        return self._processes.get((user_id, process_id))

    def list_for_user(self, user_id: str) -> UserDefinedProcessesListing:
        """List the processes of a user."""
        return UserDefinedProcessesListing(
            [process for (owner, _), process in self._processes.items() if owner == user_id]
        )

    def save(self, user_id: str, process_id: str, spec: dict[str, Any]) -> None:
        """Store a process."""
        self._processes[user_id, process_id] = UserDefinedProcessMetadata.from_dict(spec)

    def delete(self, user_id: str, process_id: str) -> None:
        """Remove a process."""
        if self._processes.pop((user_id, process_id), None) is None:
            raise ProcessGraphNotFoundException(process_id)


class Processing(ConcreteProcessing):
    """The driver's own evaluation of graphs."""

    def evaluate(self, process_graph: dict[str, Any], env: EvalEnv) -> Any:
        """Evaluate a graph; `mask` stays a process of its own."""
        return super().evaluate(process_graph, env.push({"data_mask_optimization": False}))


class Backend(OpenEoBackendImplementation):
    """An openEO back-end on files."""

    def __init__(self, folders: Folders, workers: int, tries: int) -> None:
        jobs = ThreadedJobs(folders.results)
        super().__init__(
            catalog=FolderCatalog(folders.collections),
            batch_jobs=jobs,
            user_defined_processes=StoredProcesses(),
            processing=Processing(),
        )
        jobs.backend = self
        self._pools = Pools(workers, tries)

    def udf_runner(self, env: EvalEnv) -> UdfRunner:
        """Find the workers that the options of a job ask for."""
        settings = worker_settings(
            env.get("job_options") or {}, batch=not env.get("sync_job", False)
        )
        return UdfRunner(self._pools.get(settings), env.get("job_log") or JobLog())

    def file_formats(self) -> dict[str, Any]:
        """List what `save_result` can write."""
        raster = {"gis_data_types": ["raster"], "parameters": {}}
        return {"input": {}, "output": {"netCDF": raster, "GTiff": raster}}

    def summarize_exception(self, error: Exception) -> ErrorSummary:
        """Say what went wrong without the machinery around it."""
        return ErrorSummary(error, is_client_error=True, summary=str(error))
